"""The image as platforms run it: sizes, users, volumes, health and end."""

import http.client
import itertools
import json
import os
import stat
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

from container import IMAGE, PATIENCE, ROOT, Container, environment, free_port, must_isolate, run

LARGEST = 30_000_000
"""Bytes of all files of the image."""


def setUpModule():
    must_isolate()


def files():
    return [path for path in ROOT.rglob("*") if path.is_file() and not path.is_symlink()]


class Volume:
    """A folder in the place of a volume, owned by `owner`, world-readable as mounted ones are."""

    def __init__(self, owner):
        self.folder = tempfile.TemporaryDirectory(prefix="tollgate-volume-")
        self.path = Path(self.folder.name)
        os.chown(self.path, owner, owner)
        self.path.chmod(0o755)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        self.folder.cleanup()


class SmallVolume:
    """A file system of its own in memory."""

    def __init__(self, owner, size):
        self.folder = tempfile.mkdtemp(prefix="tollgate-volume-")
        options = f"size={size},uid={owner},gid={owner},mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True)

    def __enter__(self):
        return Path(self.folder)

    def __exit__(self, *_):
        subprocess.run(["umount", self.folder], check=True)
        os.rmdir(self.folder)


class Upstream:
    """The imitation of the upstreams, in a sandbox of its own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tollgate-upstream-")
        words = [ROOT / "usr/local/bin/tollgate", "sandbox", "--json", "--listen", "127.0.0.1:0", "--latency", "50ms"]
        self.process = subprocess.Popen(
            words, cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.url = json.loads(self.process.stdout.readline())["upstream_url"]
        self.told = {
            "VOLC_SCHEME": "http", "VOLC_HOST": self.url.removeprefix("http://"),
            "VOLC_ACCESSKEY": "AKSANDBOX", "VOLC_SECRETKEY": "sandbox-secret-of-no-value",
        }
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.folder.cleanup()

    def submits(self):
        with urllib.request.urlopen(f"{self.url}/__seen", timeout=PATIENCE) as answer:
            return json.load(answer)["actions"]["CVSync2AsyncSubmitTask"]


class Caller:
    """A client that makes one paid call after the other, and repeats each under its key until it is answered."""

    def __init__(self, secret, ports):
        self.secret, self.ports = secret, ports
        self.calls, self.ending = 0, threading.Event()
        self.thread = threading.Thread(target=self.work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def work(self):
        while not self.ending.is_set():
            self.submit(f"call-{self.calls}")
            self.calls += 1

    def submit(self, key):
        """Where one does not answer or does not serve, the next is asked, as load balancers do it."""
        deadline = time.monotonic() + PATIENCE
        for attempt in itertools.count():
            assert time.monotonic() < deadline, f"{key} was never answered"
            port = self.ports[attempt % len(self.ports)]
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/submit", data=b'{"req_key":"jimeng_t2i_v40","prompt":"a gate"}',
                headers={
                    "Authorization": f"Bearer {self.secret}", "Idempotency-Key": key, "Content-Type": "application/json",
                },
            )
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE):
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def until_more(self):
        """Until five more calls were answered."""
        wanted, deadline = self.calls + 5, time.monotonic() + PATIENCE
        while self.calls < wanted:
            assert self.thread.is_alive() and time.monotonic() < deadline, "calls are not answered any more"
            time.sleep(0.02)

    def end(self):
        """How many calls were answered."""
        self.ending.set()
        self.thread.join()
        return self.calls


class TheImage(unittest.TestCase):
    def test_holds_at_most_thirty_megabytes_and_no_shell(self):
        size = sum(path.stat().st_size for path in files())
        print(f"the image holds {size / 1e6:.1f} MB in {len(files())} files")
        self.assertLessEqual(size, LARGEST)
        executable = [path for path in files() if path.stat().st_mode & stat.S_IXUSR]
        names = {path.name for path in executable if not path.name.startswith(("lib", "ld-linux"))}
        self.assertEqual(names, {"tollgate"})

    def test_says_how_it_is_started_stopped_and_checked(self):
        self.assertEqual(IMAGE["Entrypoint"] + IMAGE["Cmd"], ["tollgate", "serve"])
        self.assertEqual(IMAGE["StopSignal"], "SIGTERM")
        self.assertEqual(IMAGE["Healthcheck"]["Test"], ["CMD", "tollgate", "health"])
        self.assertIn("RUN_AS_UID=1000", IMAGE["Env"])
        self.assertIn("DATABASE_URL=/data/tollgate.redb", IMAGE["Env"])

    def test_has_the_certificates_of_authorities(self):
        self.assertIn("BEGIN CERTIFICATE", (ROOT / "etc/ssl/certs/ca-certificates.crt").read_text())


class ARunningImage(unittest.TestCase):
    def serve_and_end(self, volume, user):
        """Starts it, checks what holds of every start, and ends it."""
        with Container(volume, user) as container:
            container.until_healthy()
            self.assertEqual(container.status("Uid"), ["1000"] * 4)
            self.assertEqual(container.status("Gid"), ["1000"] * 4)
            self.assertEqual(container.status("Groups"), [])
            self.assertEqual(container.status("CapEff"), ["0000000000000000"])
            self.assertEqual(container.status("NoNewPrivs"), ["1"])
            store = (volume / "tollgate.redb").stat()
            self.assertEqual((store.st_uid, store.st_mode & 0o777), (1000, 0o600))
            checked = container.run(*IMAGE["Healthcheck"]["Test"][2:])
            self.assertEqual((checked.returncode, checked.stdout), (0, ""), checked.stderr)
            created = container.run("key", "create", "--description", "first")
            self.assertEqual(created.returncode, 0, created.stderr)
            self.assertEqual(container.terminate(), 0, container.said())
            self.assertIn('"message":"ended"', container.said())
        return json.loads(created.stdout)["id"]

    def test_started_as_root_takes_over_a_volume_of_root_and_becomes_user_1000(self):
        with Volume(owner=0) as volume:
            first = self.serve_and_end(volume, user="0")
            self.assertEqual(volume.stat().st_uid, 1000)
            # What it wrote is there after the end, and no check of a crash is needed.
            listed = run(volume, "0", ["key", "list"])
            self.assertIn(first, listed.stdout, listed.stderr)
            self.assertNotIn("checking the store", listed.stderr)

    def test_started_as_user_1000_stays_that_user(self):
        with Volume(owner=1000) as volume:
            self.serve_and_end(volume, user="1000:1000")

    def test_started_as_a_user_who_may_not_write_the_volume_says_so(self):
        with Volume(owner=0) as volume:
            said = run(volume, "1000:1000", ["serve"])
            self.assertEqual(said.returncode, 1)
            self.assertIn("/data/tollgate.redb cannot be opened: Permission denied", said.stderr)

    def test_without_a_volume_says_that_the_root_may_only_be_read(self):
        said = run(None, "0", ["serve"])
        self.assertEqual(said.returncode, 1)
        self.assertIn("Read-only file system", said.stderr)

    def test_on_a_platform_without_its_volume_refuses_to_start(self):
        variables = environment(free_port(), RAILWAY_ENVIRONMENT="production")
        said = run(None, "1000:1000", ["serve"], variables)
        self.assertEqual(said.returncode, 1)
        self.assertIn("mount a volume", said.stderr)

    def test_a_check_of_a_server_that_is_not_there_fails(self):
        with Volume(owner=1000) as volume:
            checked = run(volume, "1000:1000", ["health"])
            self.assertEqual(checked.returncode, 1)
            self.assertIn("cannot be reached", checked.stderr)

    def test_on_a_full_volume_serves_health_and_refuses_calls_and_ends_in_order(self):
        with SmallVolume(owner=1000, size="24m") as volume:
            with Container(volume, "1000:1000", ADMIN_TOKEN="a" * 32) as container:
                container.until_healthy()
                with (volume / "filler").open("wb", buffering=0) as filler:
                    try:
                        while filler.write(b"\0" * 65536):
                            pass
                    except OSError:
                        pass
                container.until_healthy()
                examined = container.run("doctor", "--offline")
                self.assertEqual(examined.returncode, 1, examined.stderr)
                disk = [f for f in json.loads(examined.stdout)["findings"] if f["check"] == "disk"]
                self.assertEqual(disk[0]["status"], "problem")
                self.assertEqual(container.get("/ready"), 503)
                self.assertEqual(container.terminate(), 0, container.said())

    def test_a_rolling_redeploy_on_one_volume_loses_no_call_and_sends_none_twice(self):
        with Upstream() as upstream, Volume(owner=0) as volume, Container(volume, **upstream.told) as old:
            old.until_healthy()
            secret = json.loads(old.run("key", "create").stdout)["secret_key"]
            with Caller(secret, [old.port]) as caller:
                caller.until_more()
                with Container(volume, **upstream.told) as new:
                    caller.ports.append(new.port)
                    caller.until_more()
                    # The new one waits for the store while the old one finishes what it has in hand.
                    self.assertEqual(old.terminate(), 0, old.said())
                    new.until_healthy()
                    caller.until_more()
                    calls = caller.end()
            self.assertEqual(upstream.submits(), calls)


if __name__ == "__main__":
    unittest.main(verbosity=2)
