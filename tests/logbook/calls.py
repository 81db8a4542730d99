"""A day's work: submits, some of which fail, and chats that have a price and come out of a budget."""

import json
import os
import time

from relay import ask

SANDBOX = json.loads(os.environ["TOLLGATE_SANDBOX"])
URL, UPSTREAM = SANDBOX["url"].rstrip("/"), SANDBOX["upstream_url"].rstrip("/")
KEY, ADMIN_KEY = SANDBOX["secret_key"], SANDBOX["admin_key"]
SUBMIT = {"req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk"}
PRICED = {
    "targets": [{"upstream": "openai", "model": "gpt-4o-mini"}],
    "price": {"currency": "USD", "input": 150_000, "output": 600_000},
}
BUDGETED = {"description": "budgeted", "schemes": ["bearer"], "limits": {"budget": {"currency": "USD", "day_microunits": 10**6}}}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say \"hello\" — 你好."}]}

deadline = time.monotonic() + 30
while ask(f"{URL}/ready", KEY)[0] != 200:
    assert time.monotonic() < deadline, "the sandbox is not ready"
    time.sleep(0.05)
status, told = ask(f"{URL}/admin/models/gpt-4o-mini", ADMIN_KEY, PRICED, "PUT")
assert status == 200, told
status, told = ask(f"{URL}/admin/keys", ADMIN_KEY, BUDGETED)
assert status == 201, told
for _ in range(20):
    assert ask(f"{URL}/v1/submit", KEY, SUBMIT)[0] == 200
    assert ask(f"{URL}/v1/chat/completions", told["secret_key"], CHAT)[0] == 200
# The upstream refuses some and breaks off others.
for then in ({"kind": "answer", "status": 400, "code": 50411}, {"kind": "reset"}):
    status, told = ask(f"{UPSTREAM}/__faults", KEY, {"then": then, "times": 3})
    assert status < 300, told
    for _ in range(3):
        ask(f"{URL}/v1/submit", KEY, SUBMIT)
