"""What each script of this test needs: how to ask the relay and how to run the program."""

import json
import os
import subprocess
import urllib.error
import urllib.request

TIMEOUT = 60
"""Seconds, for one request and for one run of the program."""


def ask(url, key, body=None, method=None):
    """The answer to a request as JSON, whatever its status, with that status."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def tollgate(*args, code=0, **env):
    """Runs the program, which must end with this code, and returns what it printed."""
    done = subprocess.run(
        [os.environ["TOLLGATE"], *args],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == code, (args, done.returncode, done.stdout)
    return done.stdout.decode()


def whole_book(url, key):
    """Every entry of the log book, oldest first, page by page."""
    entries, cursor = [], ""
    while cursor is not None:
        status, page = ask(f"{url}/admin/audit?order=asc&limit=1000{cursor}", key)
        assert status == 200, page
        entries += page["items"]
        following = page["next_cursor"]
        cursor = following and f"&cursor={following}"
    return entries
