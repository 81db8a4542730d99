"""What the sandbox is driven through: an ordinary day, and then a bad one."""

import concurrent.futures
import contextlib
import http.server
import threading
import time
import uuid

import requests

from sandbox import MODEL, SANDBOX, TIMEOUT, UPSTREAM, URL, bearer, new_key, wait_until

ADMIN = SANDBOX["admin_key"]
CHAT = "/v1/chat/completions"
SUBMIT = "CVSync2AsyncSubmitTask"
QUERY = "CVSync2AsyncGetResult"
PROCESS = "CVProcess"
PICTURE = {"req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk"}
QUEUES = ("default", "content_generation", "roadmap_workflow", "media")
ACCOUNT, ANOTHER = "sk-sandbox-of-no-value-1", "sk-sandbox-of-no-value-2"
"""Credentials that the imitation of the upstream accepts."""
LONG = 60
"""Seconds: for one request of the bad day."""


class Client:
    """A program with a key of its own."""

    def __init__(self, secret=None, **fields):
        self.secret = secret or new_key(scopes=["relay", "jobs"], **fields)

    def ask(self, method, path, timeout=TIMEOUT, **options):
        headers = {**bearer(self.secret), **options.pop("headers", {})}
        return requests.request(method, f"{URL}{path}", headers=headers, timeout=timeout, **options)

    def post(self, path, body, **options):
        return self.ask("POST", path, json=body, **options)

    def chat(self, model=MODEL, **options):
        return self.post(CHAT, {"model": model, "messages": [{"role": "user", "content": "Hello"}]}, **options)

    def stream(self, model=MODEL, patience=TIMEOUT):
        """Reads a stream to its end, whichever that is; a client without patience hangs up."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
        with contextlib.suppress(requests.exceptions.RequestException):
            with contextlib.closing(self.post(CHAT, body, stream=True, timeout=patience)) as answer:
                return b"".join(answer.iter_content(1024))

    def job(self, operation, body, **fields):
        answer = self.post("/v1/jobs", {"operation": operation, "body": body, **fields})
        answer.raise_for_status()
        return answer.json()["id"]

    def chat_job(self, model=MODEL, **fields):
        return self.job("chat.completions", {"model": model, "messages": [{"role": "user", "content": "Hi"}]}, **fields)

    def state(self, job):
        answer = self.ask("GET", f"/v1/jobs/{job}")
        answer.raise_for_status()
        return answer.json()

    def ended(self, job):
        wait_until(lambda: self.state(job)["finished_at"], f"{job} has ended")
        return self.state(job)["state"]

    def follow(self, job):
        """Reads what happens to a job, to its end."""
        with contextlib.closing(self.ask("GET", f"/v1/jobs/{job}/events", stream=True)) as events:
            events.raise_for_status()
            return b"".join(events.iter_content(1024))

    def count(self, job, state):
        return self.state(job)["counts"][state]


class Receiver:
    """A server of a client that takes webhooks, and answers with the status that their path names."""

    def __enter__(self):
        self.told = []
        told = self.told

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                told.append(self.path)
                self.send_response(int(self.path.removeprefix("/")))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def that_answers(self, status):
        return {"url": f"http://127.0.0.1:{self.server.server_port}/{status}"}


def fault(then, **rule):
    requests.post(f"{UPSTREAM}/__faults", json={"then": then, **rule}, timeout=TIMEOUT).raise_for_status()


def well_again():
    requests.delete(f"{UPSTREAM}/__faults", timeout=TIMEOUT).raise_for_status()


def admin(method, path, body=None):
    answer = Client(ADMIN).ask(method, f"/admin{path}", json=body)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def upstream(name, *credentials, base_url=f"{UPSTREAM}/v1"):
    """An upstream of its own with a model of its own, `NAME-model`, so that what befalls it befalls nobody else."""
    admin("POST", "/upstreams", {"id": name, "base_url": base_url})
    for credential in credentials:
        admin("POST", f"/upstreams/{name}/accounts", {"credential": credential})
    model(f"{name}-model", name)
    return f"{name}-model"


def model(name, upstream, **fields):
    admin("PUT", f"/models/{name}", {"targets": [{"upstream": upstream, "model": name}], **fields})


def an_ordinary_day(seconds):
    """Every operation succeeds, again and again for so long."""
    for name in (MODEL, "text-embedding-3-small", "wanx-v1"):
        model(name, "openai", price={"currency": "USD", "input": 150_000, "output": 600_000, "image": 40_000})
    client = Client(description="ordinary")
    admin("POST", "/backup")
    with Receiver() as receiver:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            jobs = [client.chat_job(queue=queue, webhook=receiver.that_answers(204)) for queue in QUEUES]
            jobs.append(client.job(SUBMIT, PICTURE, webhook=receiver.that_answers(204)))
            succeed(client)
            client.follow(jobs[-1])
            for job in jobs:
                expect(client.ended(job), "succeeded")
        wait_until(lambda: "/204" in receiver.told, "a webhook is delivered")


def succeed(client):
    for path, body in (
        (CHAT, {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}),
        ("/v1/completions", {"model": MODEL, "prompt": "Once"}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "one"}),
        ("/v1/responses", {"model": MODEL, "input": "Hello"}),
        ("/v1/images/generations", {"model": "wanx-v1", "prompt": "a cat"}),
        ("/v1/images/generations", {"model": "jimeng_t2i_v40", "prompt": "a cat"}),
        (f"/?Action={PROCESS}&Version=2022-08-31", {**PICTURE, "req_key": "jimeng_t2i_v30"}),
    ):
        expect(client.post(path, body).status_code, 200, path)
    expect(b"[DONE]" in client.stream(), True, "the stream is whole")
    name = {"Idempotency-Key": str(uuid.uuid4())}
    for _ in range(2):
        submitted = client.post("/v1/submit", PICTURE, headers=name)
        expect(submitted.status_code, 200, "submit")
    task = {"req_key": PICTURE["req_key"], "task_id": submitted.json()["data"]["task_id"]}
    expect(client.post("/v1/get-result", task).status_code, 200, "get-result")
    for path in ("/v1/models", "/v1/key", "/v1/tasks", "/v1/jobs"):
        expect(client.ask("GET", path).status_code, 200, path)


def a_bad_day():
    """Every failure of the upstream, of clients, and of too much work. What hangs runs beside the rest."""
    client = Client(description="unlucky")
    with concurrent.futures.ThreadPoolExecutor(160) as threads, Receiver() as receiver:
        waiting = [threads.submit(a_crowd, threads), threads.submit(a_hang, client)]
        mistakes(client)
        broken_streams(client)
        doomed_accounts(client)
        fates_of_keys(client, threads)
        jobs_of_every_state(client, receiver)
        for done in waiting:
            done.result(LONG)
        well_again()
    nobody_is_left(client)


def a_crowd(threads):
    """More submits than a queue holds, of one key that may, while each takes longer than a wait may."""
    crowd = Client(description="crowd", limits={"concurrency": 200, "queue": 200})
    fault({"kind": "none"}, on=SUBMIT, times=4, delay_ms=21_000)
    calls = [threads.submit(crowd.post, "/v1/submit", PICTURE, timeout=LONG) for _ in range(115)]
    codes = [call.result(LONG).json().get("error", {}).get("code") for call in calls]
    for code in ("QUEUE_FULL", "QUEUE_TIMEOUT"):
        expect(code in codes, True, f"{code} in {codes}")
    hasty = Client(description="hasty", limits={"requests_per_minute": 1})
    expect([hasty.chat().status_code for _ in range(3)][-1], 429, "a rate")


def a_hang(client):
    """A call that nobody answers ends at its deadline."""
    fault({"kind": "hang"}, on=PROCESS)
    answer = client.post(f"/?Action={PROCESS}&Version=2022-08-31", PICTURE, timeout=LONG)
    expect(answer.status_code, 504, "a hang")


def mistakes(client):
    """What clients do wrong, and what an upstream says to that."""
    fault({"kind": "answer", "status": 400, "error": "invalid_value"}, on=CHAT)
    expect(client.chat().status_code, 400)
    expect(Client("sk_" + "a" * 32).chat().status_code, 401)
    signed = {"Authorization": "HMAC-SHA256 Credential=AK/20260101/cn-north-1/cv/request, SignedHeaders=host, Signature=00"}
    expect(requests.post(f"{URL}/v1/submit", json={}, headers=signed, timeout=TIMEOUT).status_code, 401)
    expect(Client(description="narrow", models=["another"]).chat().status_code, 403)
    expect(client.ask("GET", "/admin/keys").status_code, 403)
    expect(client.chat("no-such-model").status_code, 200)
    expect(client.ask("GET", "/v1/nothing").status_code, 404)
    expect(client.ask("DELETE", CHAT).status_code, 405)
    expect(client.post(CHAT, [MODEL]).status_code, 400)


def broken_streams(client):
    """Streams that are cut, reset, or hang until the client hangs up; answers that are reset or are no answer."""
    for kind in ("truncate", "reset_mid_body"):
        fault({"kind": kind}, on=CHAT)
        expect(b"[DONE]" in (client.stream() or b""), False, kind)
    fault({"kind": "stall", "frames": 2}, on=CHAT)
    client.stream(patience=3)
    for then in ({"kind": "reset"}, {"kind": "html"}, {"kind": "garbage"}):
        fault(then, on=CHAT)
        expect(client.chat().status_code >= 400, True, str(then))
    fault({"kind": "answer", "status": 500}, on=QUERY, times=2)
    client.post("/v1/get-result", {"req_key": PICTURE["req_key"], "task_id": "1"})


def doomed_accounts(client):
    """One upstream for each way in which accounts go out of use."""
    # A 401 from every account would be the fault of the call.
    locked = upstream("locked", "sk-nobody-knows-this-one", ACCOUNT)
    limited = upstream("limited", ACCOUNT, ANOTHER)
    spent, flaky = (upstream(name, ACCOUNT) for name in ("spent", "flaky"))
    gone = upstream("gone", ACCOUNT, ANOTHER, base_url="http://127.0.0.1:9/v1")
    fault({"kind": "answer", "status": 429, "retry_after": "600"}, on=CHAT, model=limited, times=None)
    fault({"kind": "answer", "status": 402}, on=CHAT, model=spent, times=None)
    fault({"kind": "answer", "status": 500}, on=CHAT, model=flaky, times=None)
    for _ in range(4):
        expect(client.chat(locked).status_code, 200, locked)
    for name, calls in ((limited, 3), (spent, 3), (flaky, 8), (gone, 3)):
        for _ in range(calls):
            expect(client.chat(name).status_code >= 400, True, name)
            # So that errors come in more than one scrape, and have a rate.
            time.sleep(0.3)
    expect(client.chat(spent).status_code, 503, "no account is left")


def fates_of_keys(client, threads):
    """Keyed calls: a conflict, a twin in flight, and a first use whose outcome nobody knows."""
    used, joined, lost = ({"Idempotency-Key": str(uuid.uuid4())} for _ in range(3))
    expect(client.chat(headers=used).status_code, 200)
    expect(client.chat("text-embedding-3-small", headers=used).status_code, 409)
    fault({"kind": "none"}, on=CHAT, delay_ms=1500)
    twins = [threads.submit(client.chat, headers=joined) for _ in range(2)]
    expect([twin.result(TIMEOUT).status_code for twin in twins], [200, 200])
    fault({"kind": "reset"}, on=CHAT)
    client.chat(headers=lost)
    expect(client.chat(headers=lost).status_code, 409)


def jobs_of_every_state(client, receiver):
    """A job in each state, kept there for some scrapes."""
    bad = "bad-model"
    model(bad, "openai")
    # An account that cools already would bounce them, which is no attempt.
    patient, tired = (upstream(name, ACCOUNT) for name in ("patient", "tired"))
    for refused in (patient, tired):
        fault({"kind": "answer", "status": 429}, on=CHAT, model=refused, times=None)
    fault({"kind": "answer", "status": 400, "error": "invalid_value"}, on=CHAT, model=bad, times=None)
    fault({"kind": "none"}, on=CHAT, model="slow-model", delay_ms=4000)
    model("slow-model", "openai")
    admin("POST", "/queues/roadmap_workflow/pause")
    ready = client.chat_job(queue="roadmap_workflow")
    running = client.chat_job("slow-model")
    delayed = client.chat_job(delay=3600)
    held = client.chat_job(delay=3600)
    admin("POST", f"/jobs/{held}/hold")
    cancelled = client.chat_job(delay=3600)
    client.ask("POST", f"/v1/jobs/{cancelled}/cancel").raise_for_status()
    retrying = client.chat_job(patient, retry={"max_attempts": 5, "backoff": 600, "max_backoff": 600})
    dead = client.chat_job(tired, retry={"max_attempts": 1}, webhook=receiver.that_answers(410))
    failed = client.chat_job(bad, webhook=receiver.that_answers(500))
    fault({"kind": "reset"}, on=CHAT, model="lost-model")
    model("lost-model", "openai")
    unknown = client.chat_job("lost-model")
    for state, job in (("dead", dead), ("failed", failed), ("unknown", unknown), ("cancelled", cancelled)):
        client.ended(job)
        expect(client.count(job, state), 1, state)
    expect(b"job.succeeded" in client.follow(running), True, "the slow job is followed to its end")
    for job in (ready, delayed, held, retrying):
        expect(client.state(job)["finished_at"], None, job)
    wait_until(lambda: {"/410", "/500"} <= set(receiver.told), "webhooks are refused")


def nobody_is_left(client):
    """An operator takes every account out, and puts them back."""
    accounts = [
        f"/upstreams/{upstream['id']}/accounts/{account['id']}"
        for upstream in admin("GET", "/upstreams")["items"]
        for account in admin("GET", f"/upstreams/{upstream['id']}/accounts")["items"]
    ]
    for account in accounts:
        admin("POST", f"{account}/disable")
    for _ in range(4):
        expect(requests.get(f"{URL}/ready", timeout=TIMEOUT).status_code, 503, "not ready")
        # A machine may be fast: the share of errors must be high beside an ordinary day's successes.
        expect({client.chat().status_code for _ in range(30)}, {503})
        time.sleep(0.5)
    for account in accounts:
        admin("POST", f"{account}/enable")
    wait_until(lambda: requests.get(f"{URL}/ready", timeout=TIMEOUT).status_code == 200, "it is ready again")


def expect(got, wanted, what=""):
    """What is driven must have gone as it should, or the metrics prove nothing."""
    if got != wanted:
        raise AssertionError(f"{what}: {got}, not {wanted}")
