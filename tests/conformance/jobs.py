"""Durable jobs over plain HTTP, as a backend without a queue of its own uses them, against `tollgate sandbox`.

What a receiver of webhooks needs is the `standardwebhooks` package, unchanged.
"""

import contextlib
import http.server
import json
import queue
import threading
import time
import unittest
import uuid
from datetime import datetime, timedelta, timezone

import requests
from standardwebhooks import Webhook, WebhookVerificationError

from sandbox import MODEL, TIMEOUT, URL, bearer, calls_of, marker, new_key, seen, upstream, wait_until

CHAT = "/v1/chat/completions"
SUBMIT = "CVSync2AsyncSubmitTask"
QUERY = "CVSync2AsyncGetResult"
UNFINISHED = ("queued", "running", "held")
STATES = ("queued", "running", "polling", "succeeded", "failed", "unknown", "dead", "cancelled")


def setUpModule():
    global KEY
    KEY = job_key()


def job_key():
    return new_key(scopes=["relay", "jobs"])


def ask(method, path, key=None, **options):
    headers = {**bearer(key or KEY), **options.pop("headers", {})}
    return requests.request(method, f"{URL}{path}", headers=headers, timeout=TIMEOUT, **options)


def chat(text, model=MODEL):
    return {
        "operation": "chat.completions",
        "body": {"model": model, "messages": [{"role": "user", "content": text}]},
    }


def picture(text):
    return {"operation": SUBMIT, "body": {"req_key": "jimeng_t2i_v40", "prompt": text}}


def order(*items, key=None, headers=None, **fields):
    """The answer to a new job of these items."""
    body = {"queue": "default", "items": list(items), **fields}
    return ask("POST", "/v1/jobs", key, headers=headers or {}, json=body)


def accepted(*items, **options):
    """A new job, as it was accepted."""
    answer = order(*items, **options)
    if answer.status_code != 202:
        raise AssertionError(f"{answer.status_code}: {answer.text}")
    return answer.json()


def look(job, key=None):
    answer = ask("GET", f"/v1/jobs/{job['id']}", key)
    answer.raise_for_status()
    return answer.json()


def finished(job, key=None):
    """The job when it has ended."""
    deadline = time.monotonic() + TIMEOUT
    while job["state"] in UNFINISHED:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not finished within {TIMEOUT} s: {job}")
        time.sleep(0.1)
        job = look(job, key)
    return job


def items_of(job, **query):
    """Every item, page by page."""
    items, cursor = [], None
    while True:
        page = ask("GET", f"/v1/jobs/{job['id']}/items", params={**query, "cursor": cursor})
        page.raise_for_status()
        items += page.json()["items"]
        cursor = page.json()["next_cursor"]
        if not cursor:
            return items


def events_of(job, after=None):
    """What happened to a job as (sequence number, name, data), live until the stream ends."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    deadline = time.monotonic() + TIMEOUT
    with contextlib.closing(ask("GET", f"/v1/jobs/{job['id']}/events", headers=headers, stream=True)) as stream:
        stream.raise_for_status()
        if not stream.headers["Content-Type"].startswith("text/event-stream"):
            raise AssertionError(stream.headers["Content-Type"])
        fields = {}
        for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the events do not end within {TIMEOUT} s")
            if not line and fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}
            elif line and not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")


class Batches(unittest.TestCase):
    def test_a_batch_is_accepted_runs_and_keeps_its_results(self):
        talk, draw = marker(), marker()

        answer = order(chat(talk), picture(draw), priority=5, metadata={"course": "7"})

        self.assertEqual(answer.status_code, 202, answer.text)
        job = answer.json()
        self.assertRegex(job["id"], r"^job_[0-9a-f]{32}$")
        self.assertEqual(answer.headers["Location"].removeprefix(URL), f"/v1/jobs/{job['id']}")
        self.assertEqual((job["object"], job["kind"], job["queue"], job["priority"]), ("job", "batch", "default", 5))
        self.assertEqual((job["counts"]["total"], job["metadata"], job["webhook"]), (2, {"course": "7"}, None))
        self.assertIsNone(job["finished_at"])

        ended = finished(job)
        self.assertEqual(ended["state"], "succeeded", ended)
        self.assertEqual({state: ended["counts"][state] for state in STATES}, {**dict.fromkeys(STATES, 0), "succeeded": 2})
        self.assertEqual(ended["failed_ratio"], 0)
        moments = [datetime.fromisoformat(ended[name]) for name in ("created_at", "started_at", "finished_at")]
        self.assertEqual(moments, sorted(moments))

        items = items_of(job)
        self.assertEqual([item["index"] for item in items], [0, 1])
        self.assertEqual([item["operation"] for item in items], ["chat.completions", SUBMIT])
        for item in items:
            self.assertEqual((item["state"], item["error"], item["result"]["status"]), ("succeeded", None, 200), item)
            self.assertGreaterEqual(item["attempts"], 1)
        self.assertIn("sandbox", items[0]["result"]["body"]["choices"][0]["message"]["content"])
        self.assertIsNone(items[0]["task_id"])
        self.assertRegex(items[1]["task_id"], r"^\d{19}$")
        self.assertEqual(items[1]["result"]["body"]["data"]["status"], "done")
        self.assertEqual((calls_of(talk), calls_of(draw)), (1, 1))

    def test_every_operation_that_is_relayed_runs_in_a_job(self):
        operations = {
            "chat.completions": chat("Hello")["body"],
            "completions": {"model": MODEL, "prompt": "Once"},
            "embeddings": {"model": "text-embedding-3-small", "input": "one"},
            "responses": {"model": MODEL, "input": "Hello"},
            "images.generations": {"model": "wanx-v1", "prompt": "a cat"},
            SUBMIT: {"req_key": "jimeng_t2i_v40", "prompt": "a cat"},
            "CVProcess": {"req_key": "jimeng_t2i_v30", "prompt": "a cat"},
        }

        job = finished(accepted(*({"operation": name, "body": body} for name, body in operations.items())))

        for item in items_of(job):
            with self.subTest(item["operation"]):
                self.assertEqual(item["state"], "succeeded", item)

    def test_one_failed_item_of_six_is_a_sixth_and_a_retry_runs_that_one_alone(self):
        marks, bad = [marker() for _ in range(5)], marker()
        rejected = {"kind": "answer", "status": 400, "error": "invalid_value"}
        with upstream(rejected, on=CHAT, model="moody-model"):
            job = finished(accepted(*(chat(mark) for mark in marks), chat(bad, "moody-model")))

        self.assertEqual((job["state"], job["counts"]["failed"]), ("partially_failed", 1), job)
        self.assertAlmostEqual(job["failed_ratio"], 1 / 6, places=3)
        failed = items_of(job)[5]
        self.assertEqual(failed["state"], "failed")
        self.assertTrue(failed["error"]["code"] and failed["error"]["message"], failed)
        self.assertEqual(calls_of(bad), 1)

        again = ask("POST", f"/v1/jobs/{job['id']}/retry")
        self.assertIn(again.status_code, (200, 202), again.text)
        job = finished(look(job))
        self.assertEqual((job["state"], job["failed_ratio"]), ("succeeded", 0), job)
        self.assertEqual([calls_of(mark) for mark in marks], [1] * 5)
        self.assertEqual(calls_of(bad), 2)

    def test_a_submit_whose_fate_nobody_knows_is_unknown_and_never_repeated(self):
        mark = marker()
        with upstream({"kind": "reset"}, on=SUBMIT):
            job = finished(accepted(picture(mark)))

        self.assertEqual((job["state"], job["counts"]["unknown"]), ("failed", 1), job)
        self.assertEqual(items_of(job)[0]["state"], "unknown")
        ask("POST", f"/v1/jobs/{job['id']}/retry")
        finished(look(job))
        self.assertEqual(calls_of(mark), 1)

    def test_a_task_is_polled_through_queries_that_fail(self):
        mark, before = marker(), seen()["traffic"]["queries"]
        with upstream({"kind": "answer", "status": 500}, on=QUERY, times=2):
            job = finished(accepted(picture(mark)))

        self.assertEqual(job["state"], "succeeded", job)
        self.assertGreater(seen()["traffic"]["queries"], before + 2)
        self.assertEqual(calls_of(mark), 1)

    def test_a_task_that_ends_badly_is_a_failed_item(self):
        for ends in ({"failed": 50511}, "expired", "not_found"):
            mark = marker()
            with self.subTest(ends), upstream({"kind": "task", "ends": ends, "after_ms": 300}, on=SUBMIT):
                job = finished(accepted(picture(mark)))
                self.assertIn(job["state"], ("failed", "dead"), job)
                self.assertEqual(job["failed_ratio"], 1)
                self.assertTrue(items_of(job)[0]["error"]["code"])
                self.assertEqual(calls_of(mark), 1)

    def test_a_repeated_order_is_the_same_job_and_is_paid_once(self):
        mark = marker()
        name = {"Idempotency-Key": str(uuid.uuid4())}

        jobs = [accepted(chat(mark), headers=name) for _ in range(3)]
        other = order(chat("another"), headers=name)

        self.assertEqual(len({job["id"] for job in jobs}), 1)
        self.assertEqual((other.status_code, other.json()["error"]["code"]), (409, "IDEMPOTENCY_CONFLICT"))
        self.assertEqual(finished(jobs[0])["state"], "succeeded")
        self.assertEqual(calls_of(mark), 1)

    def test_a_job_waits_for_its_time_and_can_be_cancelled_until_it_has_ended(self):
        mark = marker()
        later = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
        job = accepted(chat(mark), not_before=later)
        self.assertEqual(look(job)["state"], "queued")

        cancelled = ask("POST", f"/v1/jobs/{job['id']}/cancel")

        self.assertIn(cancelled.status_code, (200, 202), cancelled.text)
        job = finished(look(job))
        self.assertEqual((job["state"], job["counts"]["cancelled"]), ("cancelled", 1))
        retried = ask("POST", f"/v1/jobs/{job['id']}/retry")
        self.assertIn(retried.status_code, (400, 409), retried.text)
        self.assertEqual(calls_of(mark), 0)

    def test_a_job_whose_task_is_polled_can_be_cancelled(self):
        with upstream({"kind": "task", "ends": "never"}, on=SUBMIT):
            job = accepted(picture(marker()))
            wait_until(lambda: look(job)["counts"]["polling"] == 1, "the task is polled")
        ask("POST", f"/v1/jobs/{job['id']}/cancel").raise_for_status()

        self.assertEqual(finished(look(job))["state"], "cancelled")

    def test_jobs_are_listed_newest_first(self):
        key = job_key()
        jobs = [accepted(chat("Hello"), key=key)["id"] for _ in range(3)]

        first = ask("GET", "/v1/jobs", key, params={"limit": 2}).json()
        rest = ask("GET", "/v1/jobs", key, params={"limit": 2, "cursor": first["next_cursor"]}).json()

        self.assertEqual([job["id"] for job in first["items"] + rest["items"]], jobs[::-1])
        self.assertIsNone(rest["next_cursor"])


class BadInput(unittest.TestCase):
    def test_what_is_no_job_is_refused_and_nothing_is_sent(self):
        mark = marker()
        good = chat(mark)
        for name, fields in {
            "an unknown queue": {"items": [good], "queue": "nowhere"},
            "an unknown operation": {"items": [{**good, "operation": "chat.dreams"}]},
            "no item": {"items": []},
            "10,001 items": {"items": [good] * 10_001},
            "a negative delay": {"items": [good], "delay": -1},
            "a webhook to a link-local address": {"items": [good], "webhook": "http://169.254.169.254/latest"},
            "a webhook to a private address": {"items": [good], "webhook": "https://10.0.0.1/"},
            "a webhook that is no web address": {"items": [good], "webhook": "file:///etc/passwd"},
        }.items():
            with self.subTest(name):
                answer = ask("POST", "/v1/jobs", json={"queue": "default", **fields})
                self.assertEqual(answer.status_code, 400, answer.text[:500])
                self.assertEqual(answer.json()["error"]["code"], "VALIDATION_FAILED")
        self.assertEqual(calls_of(mark), 0)

    def test_a_key_orders_only_what_it_may_call(self):
        mark = marker()
        narrow = new_key(scopes=["relay", "jobs"], models=[MODEL])
        self.assertEqual(order(chat(mark, "gpt-4o"), key=narrow).status_code, 403)
        self.assertEqual(order(chat(mark), key=new_key(scopes=["relay"])).status_code, 403)
        self.assertEqual(calls_of(mark), 0)

    def test_nobody_finds_the_job_of_another_key(self):
        job, stranger = accepted(chat("Hello")), job_key()
        routes = [("GET", ""), ("GET", "/items"), ("GET", "/events"), ("GET", "/logs"), ("GET", "/logs/summary")]
        for method, route in [*routes, ("POST", "/cancel"), ("POST", "/retry")]:
            with self.subTest(route):
                self.assertEqual(ask(method, f"/v1/jobs/{job['id']}{route}", stranger).status_code, 404)
        self.assertNotIn(job["id"], ask("GET", "/v1/jobs", stranger).text)
        self.assertEqual(finished(job)["state"], "succeeded")


class Events(unittest.TestCase):
    def test_a_job_is_followed_live_from_its_first_event_to_its_last(self):
        job = accepted(picture(marker()))

        events, states = [], []
        for event in events_of(job):
            events.append(event)
            states.append(look(job)["state"])

        numbers, names = [number for number, _, _ in events], [name for _, name, _ in events]
        self.assertEqual(numbers, list(range(1, len(events) + 1)))
        self.assertEqual((names[0], names[-1]), ("job.queued", "job.succeeded"))
        wanted = ["item.running", "item.polling", "item.succeeded"]
        self.assertEqual([name for name in names if name in wanted], wanted)
        self.assertIn("running", states, "nothing came before the end")

    def test_events_are_replayed_after_the_last_one_that_was_seen(self):
        job = finished(accepted(chat("Hello"), chat("Hello again")))

        events = list(events_of(job))

        self.assertGreater(len(events), 4)
        self.assertEqual(list(events_of(job)), events)
        for place in (1, len(events) // 2, len(events) - 1):
            self.assertEqual(list(events_of(job, after=events[place - 1][0])), events[place:])

    def test_an_event_of_the_future_is_refused(self):
        job = finished(accepted(chat("Hello")))

        answer = ask("GET", f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "999999"}, stream=True)

        with contextlib.closing(answer):
            self.assertEqual(answer.status_code, 400)


class Logs(unittest.TestCase):
    def test_lines_are_kept_filtered_and_counted(self):
        job = accepted(chat("Hello"))
        path = f"/v1/jobs/{job['id']}/logs"
        one = {"level": "info", "category": "workflow", "message": "begun", "details": {"step": 1}}
        more = [{"level": "error", "category": "tool", "message": f"failed {number}"} for number in range(3)]

        for body in (one, {"lines": more}):
            written = ask("POST", path, json=body)
            self.assertIn(written.status_code, (200, 201, 202), written.text)

        def lines(**query):
            answer = ask("GET", path, params=query)
            answer.raise_for_status()
            return answer.json()["items"]

        wait_until(lambda: len(lines()) >= 4, "the lines are flushed")
        begun = [line for line in lines(category="workflow") if line["message"] == "begun"]
        self.assertEqual((begun[0]["level"], begun[0]["details"]), ("info", {"step": 1}))
        errors = [line["message"] for line in lines(level="error")]
        self.assertEqual(errors, [line["message"] for line in more])
        self.assertEqual([line["message"] for line in lines(level="error", limit=1, offset=1)], errors[1:2])
        summary = ask("GET", f"{path}/summary").json()
        self.assertRegex(json.dumps(summary), r'"error": 3\b')

    def test_a_line_of_no_known_level_is_refused(self):
        job = accepted(chat("Hello"))

        answer = ask("POST", f"/v1/jobs/{job['id']}/logs", json={"level": "shout", "message": "!"})

        self.assertEqual(answer.status_code, 400, answer.text)


class Receiver:
    """A server that takes webhooks and keeps what arrives."""

    def __init__(self):
        self.deliveries = queue.Queue()
        deliveries = self.deliveries

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                deliveries.put((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hooks?of=jobs"


class Webhooks(unittest.TestCase):
    def test_the_end_of_a_job_is_told_once_and_a_receiver_can_verify_it(self):
        secret = ask("GET", "/v1/key").json()["webhook_secret"]
        self.assertRegex(secret, r"^whsec_")

        with Receiver() as receiver:
            job = accepted(chat("Hello"), webhook=receiver.url)
            headers, body = receiver.deliveries.get(timeout=TIMEOUT)
            self.assertEqual(finished(look(job))["state"], "succeeded")
            with self.assertRaises(queue.Empty):
                receiver.deliveries.get(timeout=2)

        told = Webhook(secret).verify(body, headers)
        self.assertIn(job["id"], json.dumps(told))
        self.assertIn("succeeded", json.dumps(told))
        named = {name.lower(): value for name, value in headers.items()}
        self.assertRegex(named["content-type"], r"^application/json")
        self.assertTrue(named["webhook-id"])
        for forged in (body.replace(b"succeeded", b"failed"), body + b" "):
            with self.assertRaises(WebhookVerificationError):
                Webhook(secret).verify(forged, headers)

    def test_each_owner_has_a_secret_of_its_own(self):
        mine, theirs = (ask("GET", "/v1/key", key).json()["webhook_secret"] for key in (KEY, job_key()))

        self.assertNotEqual(mine, theirs)
        self.assertEqual(mine, ask("GET", "/v1/key").json()["webhook_secret"])

    def test_a_failed_job_is_told_too_and_its_prompts_are_not(self):
        mark = marker()
        secret = ask("GET", "/v1/key").json()["webhook_secret"]

        with Receiver() as receiver:
            job = accepted(chat(f"{mark} forbidden"), webhook=receiver.url)
            headers, body = receiver.deliveries.get(timeout=TIMEOUT)

        told = json.dumps(Webhook(secret).verify(body, headers))
        self.assertIn(job["id"], told)
        self.assertIn("failed", told)
        self.assertNotIn(mark, told)


if __name__ == "__main__":
    unittest.main(verbosity=2)
