"""The three vision routes over plain HTTP, as the app of the Math Notes API calls them, against `tollgate sandbox`."""

import base64
import unittest

import requests

from sandbox import TIMEOUT, URL, bearer, calls_of, marker, new_key, seen

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
INLINE = base64.b64encode(PNG).decode()
DATA_URL = f"data:image/png;base64,{INLINE}"
ROUTES = ("analyze", "extract-text", "analyze-math")


def setUpModule():
    global KEY
    KEY = new_key()


def ask(route, **body):
    body = {"image": DATA_URL, **({"prompt": "What is this?"} if route == "analyze" else {}), **body}
    return requests.post(f"{URL}/api/vision/{route}", headers=bearer(KEY), json=body, timeout=TIMEOUT)


class Vision(unittest.TestCase):
    def test_an_analysis_has_content_model_and_usage(self):
        answer = ask("analyze")

        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertIs(answer.json()["success"], True)
        data = answer.json()["data"]
        self.assertIn("image/png of 70 bytes", data["content"])
        self.assertEqual(data["model"], "qwen3-vl-plus")
        self.assertGreater(data["usage"]["total_tokens"], 0)

    def test_text_is_extracted(self):
        answer = ask("extract-text")

        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertTrue(answer.json()["data"]["text"])

    def test_a_maths_problem_takes_two_calls_whose_usage_is_added(self):
        before = seen()["actions"].get("/v1/chat/completions", 0)

        answer = ask("analyze-math")

        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertTrue(answer.json()["data"]["extractedText"])
        self.assertEqual(seen()["actions"]["/v1/chat/completions"], before + 2)
        single = ask("extract-text").json()["data"].get("usage", {}).get("total_tokens", 0)
        self.assertGreater(answer.json()["data"]["usage"]["total_tokens"], single)

    def test_base64_is_taken_in_every_spelling_and_named_after_what_it_holds(self):
        urlsafe = base64.urlsafe_b64encode(PNG).decode()
        lines = "\n".join(INLINE[start : start + 40] for start in range(0, len(INLINE), 40))
        for image in (INLINE, urlsafe, lines, [DATA_URL]):
            with self.subTest(image=str(image)[:20]):
                answer = ask("analyze", image=image)
                self.assertEqual(answer.status_code, 200, answer.text)
                self.assertIn("image/png of 70 bytes", answer.json()["data"]["content"])

    def test_a_link_is_passed_on_and_never_fetched(self):
        answer = ask("analyze", image="https://example.com/a.png")

        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertIn("a link to example.com", answer.json()["data"]["content"])

    def test_options_do_not_make_it_an_open_model(self):
        mark = marker()
        options = {"model": "gpt-4o", "messages": [{"role": "user", "content": mark}], "stream": True}

        ask("analyze", options=options)

        self.assertEqual(calls_of(mark), 0)

    def test_what_is_no_picture_is_refused_alike_everywhere_and_nothing_is_sent(self):
        before = seen()["total"]
        for route in ROUTES:
            for image in (None, 7, "", "bm90IGFuIGltYWdl", "http://169.254.169.254/latest", "https://10.0.0.1/a.png"):
                with self.subTest(route=route, image=image):
                    answer = ask(route, image=image)
                    self.assertEqual(answer.status_code, 400, answer.text)
                    self.assertIs(answer.json()["success"], False)
        self.assertEqual(seen()["total"], before)

    def test_nobody_sees_without_a_key_but_health_is_open(self):
        for route in ROUTES:
            answer = requests.post(f"{URL}/api/vision/{route}", json={"image": DATA_URL}, timeout=TIMEOUT)
            self.assertEqual(answer.status_code, 401)
        health = requests.get(f"{URL}/api/vision/health", timeout=TIMEOUT)
        self.assertEqual((health.status_code, health.json()["success"]), (200, True))


if __name__ == "__main__":
    unittest.main(verbosity=2)
