"""OpenAI's official Python SDK, unchanged but for base URL and key, against `tollgate sandbox`."""

import json
import time
import unittest

import openai
import requests

from sandbox import (
    BASE_URL,
    MODEL,
    SANDBOX,
    TIMEOUT,
    bearer,
    calls_of,
    marker,
    new_key,
    relayed_only,
    seen,
    upstream,
    wait_until,
)

CHAT = "/v1/chat/completions"
PNG = b"\x89PNG\r\n\x1a\n"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def setUpModule():
    global KEY
    KEY = new_key()


def client(api_key=None, **options):
    """The SDK as its README sets it up, with its own two retries unless told otherwise."""
    return openai.OpenAI(base_url=BASE_URL, api_key=api_key or KEY, **{"timeout": TIMEOUT, **options})


def ask(text, sdk=None, **fields):
    messages = [{"role": "user", "content": text}]
    return (sdk or client()).chat.completions.create(**{"model": MODEL, "messages": messages, **fields})


def said(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


class Chat(unittest.TestCase):
    def test_an_answer_has_text_usage_and_fields_that_the_sdk_does_not_know(self):
        answer = ask("Hello", model="deepseek-ai/deepseek-v3.1")

        self.assertIn("sandbox", answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertIn("does not think", answer.choices[0].message.reasoning_content)

    def test_a_stream_brings_each_frame_when_it_is_made(self):
        arrivals = []
        with upstream({"kind": "pace", "words": 5, "interval_ms": 200}, on=CHAT):
            start = time.monotonic()
            for _ in ask("Hello", stream=True):
                arrivals.append(time.monotonic() - start)

        self.assertEqual(len(arrivals), 7)
        gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[1:])]
        self.assertLess(arrivals[0], 0.9, "the first frame waited for the others")
        self.assertGreater(min(gaps), 0.05, "frames were held and merged")

    def test_a_stream_shows_usage_only_to_those_who_ask(self):
        silent = list(ask("Hello", stream=True))
        telling = list(ask("Hello", stream=True, stream_options={"include_usage": True}))

        self.assertEqual(said(silent), said(telling))
        self.assertTrue(all(chunk.choices and chunk.usage is None for chunk in silent))
        self.assertEqual(telling[-1].choices, [])
        self.assertGreater(telling[-1].usage.completion_tokens, 0)

    def test_chinese_survives_frames_that_part_its_letters(self):
        whole = ask("你好").choices[0].message.content

        streamed = said(ask("你好", stream=True))
        with upstream({"kind": "drip", "bytes": 1, "pause_ms": 0}, on=CHAT):
            dripped = said(ask("你好", stream=True))

        self.assertIn("沙盒", whole)
        self.assertEqual((streamed, dripped), (whole, whole))

    def test_a_tool_is_called_and_its_answer_is_taken(self):
        asked = [{"role": "user", "content": "How is the weather?"}]

        call = ask("", messages=asked, tools=[WEATHER]).choices[0]
        told = {"role": "tool", "tool_call_id": call.message.tool_calls[0].id, "content": "rain"}
        answer = ask("", messages=[*asked, call.message, told], tools=[WEATHER]).choices[0]

        self.assertIsNone(call.message.content)
        self.assertEqual(call.finish_reason, "tool_calls")
        self.assertEqual(call.message.tool_calls[0].function.name, "weather")
        self.assertEqual(json.loads(call.message.tool_calls[0].function.arguments), {"city": "sandbox"})
        self.assertEqual(answer.finish_reason, "stop")

    def test_a_streamed_tool_call_is_put_together(self):
        messages = [{"role": "user", "content": "How is the weather?"}]

        with client().chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER]) as stream:
            call = stream.get_final_completion().choices[0].message.tool_calls[0]

        self.assertEqual(json.loads(call.function.arguments), {"city": "sandbox"})

    def test_a_picture_in_an_array_of_content_arrives(self):
        content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]

        answer = ask("", messages=[{"role": "user", "content": content}])

        self.assertIn("image/png of 70 bytes", answer.choices[0].message.content)

    def test_a_stream_that_is_left_is_closed_upstream(self):
        before = seen()["streams"]["closed_by_caller"]
        with upstream({"kind": "pace", "words": 1000, "interval_ms": 100}, on=CHAT):
            stream = ask("Hello", stream=True)
            next(iter(stream))
            stream.close()

        wait_until(lambda: seen()["streams"]["closed_by_caller"] == before + 1, "the stream is closed upstream")


class OtherRoutes(unittest.TestCase):
    def test_the_older_completions_and_their_stream(self):
        whole = client().completions.create(model=MODEL, prompt="Once").choices[0].text
        stream = client().completions.create(model=MODEL, prompt="Once", stream=True)

        self.assertEqual("".join(chunk.choices[0].text for chunk in stream if chunk.choices), whole)

    def test_embeddings_are_the_same_by_default_in_base64_and_as_floats(self):
        model, texts = "text-embedding-3-small", ["one", "two"]

        default = client().embeddings.create(model=model, input=texts)
        floats = client().embeddings.create(model=model, input=texts, encoding_format="float")

        self.assertEqual(len(default.data), 2)
        for mine, theirs in zip(default.data, floats.data):
            for number, other in zip(mine.embedding, theirs.embedding, strict=True):
                self.assertAlmostEqual(number, other, places=6)

    def test_images_come_as_links_or_in_base64(self):
        link = client().images.generate(model="wanx-v1", prompt="a cat").data[0].url
        inline = client().images.generate(model="wanx-v1", prompt="a cat", n=2, response_format="b64_json")

        picture = requests.get(link, timeout=TIMEOUT).content
        self.assertTrue(picture.startswith(PNG))
        self.assertEqual(len(inline.data), 2)
        self.assertGreater(len(inline.data[1].b64_json), 100)

    def test_responses_and_their_events(self):
        whole = client().responses.create(model=MODEL, input="Hello")
        events = list(client().responses.create(model=MODEL, input="Hello", stream=True))

        self.assertIn("sandbox", whole.output_text)
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), whole.output_text)
        self.assertEqual(events[-1].type, "response.completed")
        self.assertEqual(events[-1].response.usage.total_tokens, whole.usage.total_tokens)

    def test_models_are_listed_and_found_even_with_a_slash(self):
        models = [model.id for model in client().models.list()]

        self.assertIn(MODEL, models)
        for model in models:
            self.assertEqual(client().models.retrieve(model).id, model)
        with self.assertRaises(openai.NotFoundError) as raised:
            client().models.retrieve("nobody/has-this")
        self.assertIn(raised.exception.code, ("MODEL_NOT_FOUND", "model_not_found"))


class Errors(unittest.TestCase):
    def test_a_wrong_key_is_an_authentication_error(self):
        with self.assertRaises(openai.AuthenticationError) as raised:
            ask("Hello", client(api_key="sk_" + "a" * 32))

        self.assertIn(raised.exception.code, ("AUTH_FAILED", "invalid_api_key"))

    def test_what_the_content_filter_refuses_is_a_bad_request_error(self):
        with self.assertRaises(openai.BadRequestError) as raised:
            ask("something forbidden")

        self.assertEqual(raised.exception.code, "content_filter")

    def test_a_model_that_the_upstream_lacks_is_a_not_found_error(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            ask("Hello", model="missing-model")

        self.assertEqual(raised.exception.code, "model_not_found")

    @relayed_only
    def test_a_model_that_the_key_may_not_use_is_a_permission_denied_error_and_is_not_sent(self):
        mark, narrow = marker(), new_key(models=[MODEL])

        self.assertTrue(ask("Hello", client(api_key=narrow)).choices)
        with self.assertRaises(openai.PermissionDeniedError) as raised:
            ask(mark, client(api_key=narrow), model="gpt-4o")

        self.assertEqual(raised.exception.code, "MODEL_DENIED")
        self.assertEqual(calls_of(mark), 0)

    @relayed_only
    def test_a_key_beyond_its_requests_per_minute_gets_a_rate_limit_error_that_says_when(self):
        sdk = client(api_key=new_key(limits={"requests_per_minute": 1}), max_retries=0)

        ask("Hello", sdk)
        with self.assertRaises(openai.RateLimitError) as raised:
            ask("Hello", sdk)

        self.assertEqual(raised.exception.code, "RATE_LIMITED")
        self.assertGreater(int(raised.exception.response.headers["Retry-After"]), 0)

    def test_an_upstream_without_a_usable_account_is_a_rate_limit_error_too(self):
        limited = {"kind": "answer", "status": 429, "retry_after": "1"}
        with upstream(limited, model="limited-model"), self.assertRaises(openai.RateLimitError) as raised:
            ask("Hello", client(max_retries=0), model="limited-model")

        self.assertTrue(raised.exception.response.headers["Retry-After"])
        wait_until(usable, "the accounts are usable again")

    def test_each_call_has_an_id_to_ask_about(self):
        ids = {ask("Hello")._request_id for _ in range(2)}

        self.assertEqual(len(ids), 2)
        self.assertTrue(all(ids), ids)


def usable():
    """Whether the relay has an account again: some cool down, and breakers close, after what was done to them."""
    try:
        return ask("Hello", client(max_retries=0))
    except (openai.RateLimitError, openai.InternalServerError):
        return False


class Retries(unittest.TestCase):
    """The SDK repeats a call twice unasked. Whoever names the call pays for it once."""

    @relayed_only
    def test_a_named_call_that_the_sdk_gives_up_on_is_paid_once_and_answered_by_its_repetition(self):
        mark = marker()
        with upstream({"kind": "none"}, on=CHAT, delay_ms=2500):
            answer = ask(mark, client(timeout=1.5), extra_headers={"Idempotency-Key": mark})

        self.assertIn("sandbox", answer.choices[0].message.content)
        self.assertEqual(calls_of(mark), 1)

    @relayed_only
    def test_a_named_call_whose_answer_is_lost_is_paid_once_and_never_repeated(self):
        mark = marker()
        with upstream({"kind": "reset"}, on=CHAT), self.assertRaises(openai.APIStatusError) as raised:
            ask(mark, extra_headers={"Idempotency-Key": mark})

        self.assertEqual(calls_of(mark), 1)
        self.assertEqual(raised.exception.response.headers["x-should-retry"], "false")
        wait_until(usable, "the accounts are usable again")

    @relayed_only
    def test_a_named_call_that_the_upstream_fails_is_paid_once(self):
        mark = marker()
        with upstream({"kind": "answer", "status": 500}, on=CHAT), self.assertRaises(openai.InternalServerError):
            ask(mark, extra_headers={"Idempotency-Key": mark})

        self.assertEqual(calls_of(mark), 1)

    @relayed_only
    def test_a_call_without_a_name_is_repeated_by_the_relay_or_by_nobody(self):
        mark = marker()
        with upstream({"kind": "answer", "status": 500}, on=CHAT), self.assertRaises(openai.InternalServerError):
            ask(mark)

        self.assertLessEqual(calls_of(mark), 3, "the SDK repeated what the relay had repeated")
        wait_until(usable, "the accounts are usable again")

    @relayed_only
    def test_a_named_call_is_replayed_byte_for_byte(self):
        mark = marker()
        first, second = (ask(mark, extra_headers={"Idempotency-Key": mark}) for _ in range(2))

        self.assertEqual(first, second)
        self.assertEqual(calls_of(mark), 1)

    @relayed_only
    def test_a_dead_account_is_not_noticed(self):
        mark = marker()
        with upstream({"kind": "answer", "status": 403}, account="openai-1", model="gpt-4o"):
            for _ in range(6):
                self.assertTrue(ask(mark, client(max_retries=0), model="gpt-4o").choices)

        refused = [call for call in seen()["recent"] if call["marker"] == mark and call["account"] == "openai-1"]
        self.assertLessEqual(len(refused), 1)

    @relayed_only
    def test_nothing_shows_the_keys_of_the_upstream(self):
        with self.assertRaises(openai.APIStatusError) as raised:
            ask("something forbidden")

        self.assertNotIn("sk-sandbox", raised.exception.response.text)
        admin = bearer(SANDBOX["admin_key"])
        listed = requests.get(f"{SANDBOX['url'].rstrip('/')}/admin/upstreams", headers=admin, timeout=TIMEOUT)
        self.assertEqual(listed.status_code, 200)
        self.assertNotIn("of-no-value-1", listed.text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
