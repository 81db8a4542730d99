"""LangChain's OpenAI client, unchanged but for base URL and key, against `tollgate sandbox`."""

import unittest

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from sandbox import BASE_URL, MODEL, new_key


def setUpModule():
    global KEY
    KEY = new_key()


def chat():
    return ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=KEY)


@tool
def weather(city: str) -> str:
    """The weather of a city"""
    return f"rain in {city}"


class LangChain(unittest.TestCase):
    def test_an_invocation_has_text_and_usage(self):
        answer = chat().invoke("Hello")

        self.assertIn("sandbox", answer.content)
        self.assertGreater(answer.usage_metadata["total_tokens"], 0)

    def test_a_stream_adds_up_to_the_same_text_with_usage(self):
        whole = chat().invoke("你好").content

        chunks = list(chat().stream("你好", stream_usage=True))

        self.assertGreater(len(chunks), 3)
        self.assertEqual("".join(chunk.content for chunk in chunks), whole)
        self.assertTrue(any(chunk.usage_metadata for chunk in chunks))

    def test_a_bound_tool_is_called_and_its_answer_is_taken(self):
        bound = chat().bind_tools([weather])
        question = HumanMessage("How is the weather?")

        asked = bound.invoke([question])
        call = asked.tool_calls[0]
        told = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        answer = bound.invoke([question, asked, told])

        self.assertEqual((call["name"], call["args"]), ("weather", {"city": "sandbox"}))
        self.assertFalse(answer.tool_calls)
        self.assertIn("sandbox", answer.content)

    def test_a_streamed_tool_call_is_put_together(self):
        total = None
        for chunk in chat().bind_tools([weather]).stream("How is the weather?"):
            total = chunk if total is None else total + chunk

        self.assertEqual(total.tool_calls[0]["args"], {"city": "sandbox"})

    def test_texts_are_embedded(self):
        embeddings = OpenAIEmbeddings(
            model="text-embedding-3-small", base_url=BASE_URL, api_key=KEY, check_embedding_ctx_length=False
        )

        vectors = embeddings.embed_documents(["one", "two"])

        self.assertEqual(len(vectors), 2)
        self.assertNotEqual(vectors[0], vectors[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
