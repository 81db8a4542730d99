"""Volcengine's official Python SDK, unchanged but for its host, against `tollgate sandbox`.

`tests/conformance/run` starts the sandbox and passes its one line of JSON in
TOLLGATE_SANDBOX. What the SDK cannot show (headers, bearer keys, the document)
is asked for with plain HTTP.
"""

import ast
import base64
import json
import os
import time
import unittest
import uuid
from urllib.parse import urlsplit

import requests
from openapi_spec_validator import validate
from volcengine.visual.VisualService import VisualService

SANDBOX = json.loads(os.environ["TOLLGATE_SANDBOX"])
URL = SANDBOX["url"].rstrip("/")
PNG = b"\x89PNG\r\n\x1a\n"
TIMEOUT = 30
"""Seconds, for one request and for one task alike."""


def setUpModule():
    """Waits until the relay is ready, then has the admin create the key that most tests use."""
    deadline = time.monotonic() + TIMEOUT
    while requests.get(f"{URL}/ready", timeout=TIMEOUT).status_code != 200:
        if time.monotonic() > deadline:
            raise TimeoutError("the relay did not become ready")
        time.sleep(0.05)
    created = requests.post(
        f"{URL}/admin/keys",
        headers=bearer(SANDBOX["admin_key"]),
        json={"description": "conformance", "schemes": ["signed", "bearer"]},
        timeout=TIMEOUT,
    )
    created.raise_for_status()
    global KEY
    KEY = created.json()


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def get(path, secret=None):
    return requests.get(f"{URL}{path}", headers=bearer(secret) if secret else {}, timeout=TIMEOUT)


def visual(secret_key=None):
    """The SDK as its README sets it up, with another host."""
    service = VisualService()
    service.set_ak(KEY["access_key"])
    service.set_sk(secret_key or KEY["secret_key"])
    service.set_scheme("http")
    service.set_host(urlsplit(URL).netloc)
    return service


def marked(**fields):
    """A body, and the marker by which the imitation of the upstream recognises it."""
    marker = f"marker-{uuid.uuid4().hex}"
    return {"req_key": "jimeng_t2i_v40", "prompt": f"a cat, {marker}", **fields}, marker


def submits_of(marker):
    """How often a submit with this marker reached the imitation of the upstream."""
    seen = requests.get(f"{SANDBOX['upstream_url'].rstrip('/')}/__seen", timeout=TIMEOUT)
    seen.raise_for_status()
    return seen.json()["markers"].get(marker, {"count": 0})["count"]


def envelope_of(exception):
    """The body of a response that is not 200: the SDK raises its bytes, printed as Python prints bytes."""
    return json.loads(ast.literal_eval(str(exception)))


def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key occurs twice: {keys}")
    return dict(pairs)


class Envelope(unittest.TestCase):
    def assert_envelope(self, body, code, number):
        self.assertEqual(body["error"]["code"], code)
        self.assertEqual((body["code"], body["status"]), (number, number))
        self.assertEqual(body["message"], body["error"]["message"])
        self.assertRegex(body["request_id"], r"^req_")
        self.assertEqual(body["request_id"], body["error"]["request_id"])
        self.assertIsNone(body["data"])


class SignedCalls(Envelope):
    def test_a_task_is_submitted_once_and_fetched_until_it_is_done(self):
        body, marker = marked(force_single=True, 将来="未知字段")

        submitted = visual().cv_sync2async_submit_task(body)

        self.assertEqual((submitted["code"], submitted["status"]), (10000, 10000))
        task = {"req_key": body["req_key"], "task_id": submitted["data"]["task_id"]}
        self.assertIsInstance(task["task_id"], str)
        states = []
        deadline = time.monotonic() + TIMEOUT
        while not states or states[-1] != "done":
            self.assertLess(time.monotonic(), deadline, f"not done, only {states}")
            result = visual().cv_sync2async_get_result(task)
            self.assertEqual(result["code"], 10000)
            states.append(result["data"]["status"])
            time.sleep(0.1)
        self.assertLessEqual(set(states), {"in_queue", "generating", "done"})
        picture = base64.b64decode(result["data"]["binary_data_base64"][0])
        self.assertTrue(picture.startswith(PNG))
        by_url = visual().cv_sync2async_get_result({**task, "req_json": json.dumps({"return_url": True})})
        picture = requests.get(by_url["data"]["image_urls"][0], timeout=TIMEOUT)
        self.assertTrue(picture.content.startswith(PNG))
        self.assertEqual(submits_of(marker), 1)

    def test_the_same_body_twice_without_a_key_is_two_tasks(self):
        body, marker = marked()

        tasks = {visual().cv_sync2async_submit_task(body)["data"]["task_id"] for _ in range(2)}

        self.assertEqual(len(tasks), 2)
        self.assertEqual(submits_of(marker), 2)

    def test_a_synchronous_call_answers_at_once(self):
        body, marker = marked()

        answer = visual().cv_process(body)

        self.assertEqual(answer["code"], 10000)
        self.assertEqual(submits_of(marker), 1)

    def test_an_upstream_refusal_passes_unchanged(self):
        body, marker = marked()
        body["prompt"] += " fail-50511"

        with self.assertRaises(Exception) as raised:
            visual().cv_process(body)

        refusal = envelope_of(raised.exception)
        self.assertEqual(refusal["code"], 50511)
        self.assertNotIn("error", refusal)
        self.assertEqual(submits_of(marker), 1)

    def test_a_wrong_secret_raises_with_our_envelope_and_nothing_is_sent(self):
        body, marker = marked()

        with self.assertRaises(Exception) as raised:
            visual("sk_" + "a" * 32).cv_sync2async_submit_task(body)

        self.assert_envelope(envelope_of(raised.exception), "INVALID_SIGNATURE", 50400)
        self.assertEqual(submits_of(marker), 0)

    def test_an_action_that_is_not_relayed_raises_with_our_envelope(self):
        with self.assertRaises(Exception) as raised:
            visual().common_json_handler("EntitySegment", {"req_key": "entity_segment"})

        self.assert_envelope(envelope_of(raised.exception), "NOT_FOUND", 50499)

    def test_a_task_id_in_two_spellings_is_refused(self):
        with self.assertRaises(Exception) as raised:
            visual().cv_sync2async_get_result({"req_key": "jimeng_t2i_v40", "task_id": "mine", "TASK_ID": "theirs"})

        self.assert_envelope(envelope_of(raised.exception), "VALIDATION_FAILED", 50499)


class BearerCalls(Envelope):
    def submit(self, body, secret=None, **headers):
        return requests.post(
            f"{URL}/v1/submit",
            headers={**bearer(secret or KEY["secret_key"]), **headers},
            json=body,
            timeout=TIMEOUT,
        )

    def test_an_idempotency_key_is_sent_once_and_replayed_byte_for_byte(self):
        body, marker = marked()
        key = {"Idempotency-Key": str(uuid.uuid4())}

        first, second = self.submit(body, **key), self.submit(body, **key)
        other = self.submit({**body, "prompt": "another"}, **key)

        self.assertEqual((first.status_code, second.status_code), (200, 200))
        self.assertEqual(first.content, second.content)
        self.assertNotIn("Idempotency-Replayed", first.headers)
        self.assertEqual(second.headers["Idempotency-Replayed"], "true")
        self.assertEqual(submits_of(marker), 1)
        self.assertEqual(other.status_code, 409)
        self.assert_envelope(other.json(), "IDEMPOTENCY_CONFLICT", 50499)
        self.assertEqual(other.headers["x-should-retry"], "false")

    def test_the_caller_finds_its_submit_in_its_own_list_only(self):
        body, _ = marked()
        task = self.submit(body).json()["data"]["task_id"]

        mine = get("/v1/tasks", KEY["secret_key"]).json()
        theirs = get("/v1/tasks", SANDBOX["secret_key"]).json()
        stolen = requests.post(
            f"{URL}/v1/get-result",
            headers=bearer(SANDBOX["secret_key"]),
            json={"req_key": body["req_key"], "task_id": task},
            timeout=TIMEOUT,
        )

        self.assertIn(task, [item["task_id"] for item in mine["items"]])
        self.assertIn("next_cursor", mine)
        self.assertNotIn(task, [item["task_id"] for item in theirs["items"]])
        self.assertEqual(stolen.status_code, 404)
        self.assert_envelope(stolen.json(), "NOT_FOUND", 50499)

    def test_a_key_without_the_admin_scope_does_not_administer(self):
        refused = get("/admin/info", KEY["secret_key"])

        self.assertEqual(refused.status_code, 403)
        self.assert_envelope(refused.json(), "SCOPE_DENIED", 50400)
        self.assertEqual(get("/admin/info", SANDBOX["admin_key"]).status_code, 200)


class Operations(Envelope):
    def test_every_response_carries_its_own_request_id(self):
        responses = [
            get("/health"),
            get("/v1/key", KEY["secret_key"]),
            get("/v1/tasks"),
            get("/no-such-route", KEY["secret_key"]),
        ]

        self.assertEqual([response.status_code for response in responses], [200, 200, 401, 404])
        ids = [response.headers["X-Request-Id"] for response in responses]
        self.assertEqual(len(set(ids)), len(ids))
        self.assert_envelope(responses[2].json(), "AUTH_FAILED", 50400)
        self.assertEqual(responses[3].json()["request_id"], ids[3])

    def test_the_document_is_valid_openapi_without_doubled_keys(self):
        document = json.loads(get("/openapi.json").text, object_pairs_hook=unique_keys)

        validate(document)

        for path in ("/", "/v1/submit", "/v1/get-result", "/v1/tasks", "/admin/keys"):
            self.assertIn(path, document["paths"])

    def test_the_page_of_the_document_loads_nothing_from_elsewhere(self):
        page = requests.get(SANDBOX["docs_url"], timeout=TIMEOUT)

        self.assertEqual(page.status_code, 200)
        for attribute in ('src="http', 'src="//', 'href="http', 'href="//'):
            self.assertNotIn(attribute, page.text)

    def test_a_scrape_from_this_machine_needs_no_token(self):
        scrape = get("/metrics")

        self.assertEqual(scrape.status_code, 200)
        self.assertIn("tollgate_http_requests_total{", scrape.text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
