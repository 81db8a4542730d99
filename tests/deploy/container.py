"""Runs the unpacked image as a container engine would, with nothing but the kernel's own tools.

Namespaces of mounts and processes, a root that may only be read, one volume, the capabilities that docker-compose.yml
leaves, no new privileges. The network is the host's: requests go to loopback.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

WORK = Path(os.environ["TOLLGATE_IMAGE"])
ROOT = WORK / "root"
IMAGE = json.loads((WORK / "image.json").read_text())["Docker"]["config"]
MASTER_KEY = "bWFzdGVyLWtleS1vZi10aGUtZGVwbG95LXRlc3RzLSE="
PATIENCE = 60
"""Seconds, for a start or an end on a busy machine."""

CAPABILITIES = "-all,+chown,+dac_override,+fowner,+setgid,+setuid"
"""Those of docker-compose.yml."""

SETUP = """
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
mount --bind /dev/null "$1/dev/null"
mount --bind /dev/urandom "$1/dev/urandom"
if [ -n "$2" ]; then mount --bind "$2" "$1/data"; fi
shift 2
exec "$@"
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def command(volume, user, words):
    """The image's entry point with `words`, as `user` ("0" or "1000:1000"), over `volume`."""
    # What engines mount over: the places must exist in a root that cannot be written.
    for place in ("proc", "dev"):
        (ROOT / place).mkdir(exist_ok=True)
    for device in ("null", "urandom"):
        (ROOT / "dev" / device).touch()
    uid, _, gid = user.partition(":")
    inner = [
        "setpriv", "--no-new-privs", f"--bounding-set={CAPABILITIES},+sys_chroot", "--inh-caps=-all", "--",
        "chroot", f"--userspec={uid}:{gid or uid}", "--groups=", str(ROOT),
    ]
    entry = IMAGE["Entrypoint"] + words
    program = entry[0] if entry[0].startswith("/") else f"/usr/local/bin/{entry[0]}"
    outer = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", SETUP, "sh"]
    return outer + [str(ROOT), str(volume or "")] + inner + [program] + entry[1:]


def environment(port, **more):
    """The image's variables, and those that a platform's user sets."""
    own = dict(pair.split("=", 1) for pair in IMAGE["Env"])
    told = {"PORT": str(port), "API_KEY_ENCRYPTION_KEY": MASTER_KEY, "STORE_RESERVE_BYTES": "0", "DRAIN_TIMEOUT": "5s"}
    return {**own, **told, **more}


class Container:
    """A running one. The command that was started is `unshare`; its only child is the program, which is process 1."""

    def __init__(self, volume, user="0", **variables):
        self.port = free_port()
        self.variables = environment(self.port, **variables)
        self.volume, self.user = volume, user
        self.log = (WORK / "log").open("w+")
        # Engines start programs in the image's working directory; chroot starts them in `/`.
        self.process = subprocess.Popen(
            command(volume, user, IMAGE["Cmd"]),
            env={**self.variables, "PATH": f"{os.environ['PATH']}:/usr/local/bin"},
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            # With process 1 its whole namespace ends, and `unshare` after it.
            os.kill(self.program(), signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.log.close()

    def program(self):
        """The process id of the program, as the host counts."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + PATIENCE
        while not children.read_text():
            assert time.monotonic() < deadline, "unshare has not forked"
            time.sleep(0.01)
        return int(children.read_text().split()[0])

    def status(self, field):
        lines = Path(f"/proc/{self.program()}/status").read_text().splitlines()
        return next(line.split()[1:] for line in lines if line.startswith(field + ":"))

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def until_healthy(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.get("/health") == 200 and self.get("/openapi.json") == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"it did not become healthy:\n{self.said()}")
            time.sleep(0.1)

    def run(self, *words):
        """Runs another command in a container of the same volume, as `exec` or a health check would."""
        return run(self.volume, self.user, words, self.variables)

    def terminate(self):
        """SIGTERM to process 1, as engines do it. Returns its exit code."""
        os.kill(self.program(), signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def said(self):
        self.log.flush()
        return (WORK / "log").read_text()


def run(volume, user, words, variables=None):
    """Runs one command of the program to its end."""
    variables = variables or environment(free_port())
    return subprocess.run(
        command(volume, user, list(words)), env={**variables, "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )


def must_isolate():
    """Ends everything, with a sentence, where this machine does not let us do what engines do."""
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "mount", "--make-rprivate", "/"],
                           capture_output=True, text=True)
    if tried.returncode != 0:
        sys.exit(f"this machine lets nobody unshare and mount, so the image cannot be run: {tried.stderr.strip()}")
