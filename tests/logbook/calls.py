"""A day's work: submits, chats, some of which fail."""

import json
import os
import time

from relay import ask

SANDBOX = json.loads(os.environ["TOLLGATE_SANDBOX"])
URL, KEY, UPSTREAM = SANDBOX["url"].rstrip("/"), SANDBOX["secret_key"], SANDBOX["upstream_url"].rstrip("/")
SUBMIT = {"req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk"}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say \"hello\" — 你好."}]}

deadline = time.monotonic() + 30
while ask(f"{URL}/ready", KEY)[0] != 200:
    assert time.monotonic() < deadline, "the sandbox is not ready"
    time.sleep(0.05)
for _ in range(20):
    assert ask(f"{URL}/v1/submit", KEY, SUBMIT)[0] == 200
    assert ask(f"{URL}/v1/chat/completions", KEY, CHAT)[0] == 200
# The upstream refuses some and breaks off others.
for then in ({"kind": "answer", "status": 400, "code": 50411}, {"kind": "reset"}):
    status, told = ask(f"{UPSTREAM}/__faults", KEY, {"then": then, "times": 3})
    assert status < 300, told
    for _ in range(3):
        ask(f"{URL}/v1/submit", KEY, SUBMIT)
