"""What every Python client of the conformance tests needs: where the relay is, a key, and what the upstream saw.

`tests/conformance/run` starts `tollgate sandbox` and passes its one line of
JSON in TOLLGATE_SANDBOX. With TOLLGATE_DIRECT=1 the clients talk to the
imitation of the upstream itself, which shows that it is a fair one; what only
the relay does is then skipped.
"""

import contextlib
import json
import os
import time
import unittest
import uuid

import requests

SANDBOX = json.loads(os.environ["TOLLGATE_SANDBOX"])
URL = SANDBOX["url"].rstrip("/")
UPSTREAM = SANDBOX["upstream_url"].rstrip("/")
DIRECT = os.environ.get("TOLLGATE_DIRECT") == "1"
BASE_URL = f"{UPSTREAM if DIRECT else URL}/v1"
MODEL = "gpt-4o-mini"
TIMEOUT = 30
"""Seconds, for one request and for one wait alike."""

relayed_only = unittest.skipIf(DIRECT, "only the relay does this")


def wait_until(happened, what):
    """Asks again and again, because the other side takes its time."""
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {TIMEOUT} s")
        time.sleep(0.05)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def new_key(**fields):
    """A bearer key of the relay, made by its admin; towards the imitation, one of its accounts."""
    if DIRECT:
        return "sk-sandbox-of-no-value-1"
    wait_until(lambda: requests.get(f"{URL}/ready", timeout=TIMEOUT).status_code == 200, "the relay is ready")
    created = requests.post(
        f"{URL}/admin/keys",
        headers=bearer(SANDBOX["admin_key"]),
        json={"description": "conformance", "schemes": ["bearer"], **fields},
        timeout=TIMEOUT,
    )
    created.raise_for_status()
    return created.json()["secret_key"]


def marker():
    """A word by which the imitation of the upstream recognises a call."""
    return f"marker-{uuid.uuid4().hex}"


def seen():
    """What reached the imitation of the upstream."""
    answer = requests.get(f"{UPSTREAM}/__seen", timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def calls_of(mark):
    """How often a call with this marker reached the imitation of the upstream."""
    return seen()["markers"].get(mark, {"count": 0})["count"]


@contextlib.contextmanager
def upstream(then, **rule):
    """The upstream misbehaves in this way until the block is left: `then` as in `POST /__faults`."""
    ordered = requests.post(f"{UPSTREAM}/__faults", json={"then": then, "times": None, **rule}, timeout=TIMEOUT)
    ordered.raise_for_status()
    try:
        yield
    finally:
        requests.delete(f"{UPSTREAM}/__faults", timeout=TIMEOUT).raise_for_status()
