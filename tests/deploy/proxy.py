"""Tollgate behind a real nginx with docs/nginx.conf: signed calls, streams, and who the client is."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import requests
from volcengine.visual.VisualService import VisualService

BINARY = os.environ["TOLLGATE_BIN"]
CONFIGURATION = Path(__file__).parents[2] / "docs/nginx.conf"
PATIENCE = 60
"""Seconds, for a start or an end on a busy machine."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(happened, what):
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.1)


def serves(url):
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def substitute(text, pattern, replacement):
    """Replaces what must be there."""
    text, number = re.subn(pattern, replacement, text)
    assert number > 0, f"docs/nginx.conf has nothing like {pattern}"
    return text


class Proxy:
    """An nginx before a relay. What differs from docs/nginx.conf is the addresses, and that there is no TLS."""

    def __init__(self, folder, relay, host="$http_host"):
        self.port = free_port()
        text = CONFIGURATION.read_text()
        text = substitute(text, r"server 127\.0\.0\.1:8080;", f"server {urlsplit(relay).netloc};")
        text = substitute(text, r"listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
        text = substitute(text, r"ssl_certificate\w* .*;", "")
        text = substitute(text, r"Host \$http_host;", f"Host {host};")
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole = folder / "nginx.conf"
        whole.write_text(
            f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off;\n{temporary}{text}}}\n"
        )
        subprocess.run(["nginx", "-t", "-q", "-c", whole, "-p", folder], check=True)
        self.process = subprocess.Popen(["nginx", "-c", whole, "-p", folder])
        self.url = f"http://127.0.0.1:{self.port}"
        until(lambda: serves(f"{self.url}/health"), "nginx passes on")

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


class BehindNginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="tollgate-proxy-")))
        # nginx's workers are another user.
        cls.folder.chmod(0o755)
        cls.sandbox = cls.start("sandbox", "--json", "--listen", "127.0.0.1:0", stdout=subprocess.PIPE)
        cls.announced = json.loads(cls.sandbox.stdout.readline())
        relay = free_port()
        cls.start("serve", **{
            "DATABASE_URL": str(cls.folder / "tollgate.redb"),
            "API_KEY_ENCRYPTION_KEY": "bWFzdGVyLWtleS1vZi10aGUtZGVwbG95LXRlc3RzLSE=",
            "ADMIN_TOKEN": cls.token(),
            "HOST": "127.0.0.1",
            "PORT": str(relay),
            "TRUSTED_PROXY_HOPS": "1",
            "OPENAI_API_KEY": "sk-sandbox-of-no-value-1",
            "OPENAI_BASE_URL": f"{cls.announced['upstream_url']}/v1",
            "VOLC_ACCESSKEY": "AKSANDBOX",
            "VOLC_SECRETKEY": "sandbox-secret-of-no-value",
            "VOLC_SCHEME": "http",
            "VOLC_HOST": urlsplit(cls.announced["upstream_url"]).netloc,
            "STORE_RESERVE_BYTES": "0",
        })
        cls.relay = f"http://127.0.0.1:{relay}"
        until(lambda: serves(f"{cls.relay}/ready"), "the relay is ready")
        created = requests.post(f"{cls.relay}/admin/keys", json={}, headers=cls.bearer(cls.token()), timeout=PATIENCE)
        cls.key = created.json()
        cls.proxy = cls.proxied("as documented")

    @classmethod
    def start(cls, *words, stdout=subprocess.DEVNULL, **variables):
        process = subprocess.Popen(
            [BINARY, *words], env=variables, cwd=cls.folder, stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
        cls.addClassCleanup(cls.end, process)
        return process

    @staticmethod
    def end(process):
        process.terminate()
        process.wait(PATIENCE)
        if process.stdout:
            process.stdout.close()

    @classmethod
    def proxied(cls, name, **options):
        folder = cls.folder / name.replace(" ", "-")
        folder.mkdir()
        proxy = Proxy(folder, cls.relay, **options)
        cls.addClassCleanup(proxy.end)
        return proxy

    @staticmethod
    def token():
        return "admin-token-of-the-deploy-tests-0123"

    @staticmethod
    def bearer(secret):
        return {"Authorization": f"Bearer {secret}"}

    def signed(self, proxy):
        """Volcengine's SDK, pointed at the proxy."""
        service = VisualService()
        service.set_ak(self.key["access_key"])
        service.set_sk(self.key["secret_key"])
        service.set_scheme("http")
        service.set_host(urlsplit(proxy.url).netloc)
        return service.cv_sync2async_submit_task({"req_key": "jimeng_t2i_v40", "prompt": "a gate at dusk"})

    def test_a_signed_call_passes(self):
        self.assertEqual(self.signed(self.proxy)["code"], 10000)

    def test_with_host_instead_of_http_host_no_signature_holds(self):
        wrong = self.proxied("with the wrong host", host="$host")
        with self.assertRaises(Exception) as refused:
            self.signed(wrong)
        self.assertIn("INVALID_SIGNATURE", str(refused.exception))

    def test_a_stream_passes_to_its_end(self):
        with requests.post(
            f"{self.proxy.url}/v1/chat/completions", stream=True, timeout=PATIENCE,
            headers=self.bearer(self.key["secret_key"]),
            json={"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hello"}]},
        ) as answer:
            lines = [line for line in answer.iter_lines() if line]
        self.assertEqual(answer.status_code, 200)
        self.assertGreater(len(lines), 2)
        self.assertEqual(lines[-1], b"data: [DONE]")

    def test_the_client_is_whom_the_proxy_names_and_nobody_else(self):
        forged = {"X-Forwarded-For": "203.0.113.7", **self.bearer(self.key["secret_key"])}
        requests.post(f"{self.proxy.url}/v1/submit", json={"req_key": "jimeng_t2i_v40"}, headers=forged, timeout=PATIENCE)
        book = requests.get(f"{self.relay}/admin/audit", headers=self.bearer(self.token()), timeout=PATIENCE).text
        self.assertIn("127.0.0.1", book)
        self.assertNotIn("203.0.113.7", book)

    def test_metrics_are_not_shown_through_a_proxy_without_a_token(self):
        self.assertEqual(requests.get(f"{self.proxy.url}/metrics", timeout=PATIENCE).status_code, 401)

    def test_a_body_over_nginxs_limit_is_refused_before_it_is_read(self):
        large = requests.post(
            f"{self.proxy.url}/v1/submit", data=b" " * (21 << 20), timeout=PATIENCE,
            headers={"Content-Type": "application/json", **self.bearer(self.key["secret_key"])},
        )
        self.assertEqual(large.status_code, 413)


if __name__ == "__main__":
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    unittest.main(verbosity=2)
