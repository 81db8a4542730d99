"""Drives `tollgate backup` and `tollgate restore` with a bucket of another maker's server.

Usage: bucket.py TOLLGATE FOLDER, where the folder is empty and is thrown away afterwards.
"""

import json
import logging
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
MASTER = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def main() -> None:
    program, folder = sys.argv[1], Path(sys.argv[2])
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        check(program, folder, f"http://{host}:{port}")
    finally:
        server.stop()


def check(program: str, folder: Path, endpoint: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    bucket = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    bucket.create_bucket(Bucket="backups")
    environment = {
        "PATH": os.environ["PATH"],
        "API_KEY_ENCRYPTION_KEY": MASTER,
        "DATABASE_URL": str(folder / "tollgate.redb"),
        "STORE_RESERVE_BYTES": "0",
        "AWS_ENDPOINT_URL": endpoint,
        "BACKUP_URL": "s3://backups/ours",
        "BACKUP_KEEP": "2",
        **keys,
    }

    def tollgate(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            cwd=folder,
            env={**environment, **changed},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def told(*arguments: str, **changed: str) -> dict:
        done = tollgate(*arguments, **changed)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout)

    told("key", "create", "--description", "render farm")
    exact = told("backup", "s3://backups/by-hand/now.backup")
    assert (exact["place"], exact["name"]) == ("s3://backups/by-hand", "now.backup"), exact
    names = [told("backup")["name"] for _ in distinct_seconds(3)]
    kept = [entry["Key"] for entry in bucket.list_objects_v2(Bucket="backups", Prefix="ours/")["Contents"]]
    assert sorted(kept) == [f"ours/{name}" for name in names[1:]], (names, kept)
    print("ok: backups are in the bucket, and the oldest went")

    restored = told("restore", f"s3://backups/{kept[-1]}", DATABASE_URL=str(folder / "again.redb"))
    assert restored["epoch"] == 1, restored
    assert told("check", DATABASE_URL=str(folder / "again.redb"))["sound"] is True
    listed = told("key", "list", DATABASE_URL=str(folder / "again.redb"))
    assert [key["description"] for key in listed["items"]] == ["render farm"], listed
    print("ok: a backup from the bucket was restored and is sound")

    for arguments, changed, sentence in [
        (("backup", "s3://nobodys/x"), {}, "does not exist"),
        (("restore", "s3://backups/ours/none.backup", "--force"), {}, "does not exist"),
        (("backup", "s3://backups/x"), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID"),
    ]:
        refused = tollgate(*arguments, **changed)
        assert refused.returncode == 1 and sentence in refused.stderr, (arguments, refused.stderr)
    print("ok: what cannot be done is refused in a sentence")

    with Refusing(endpoint) as refusing:
        failed = tollgate("backup", "s3://backups/by-hand/broken.backup", AWS_ENDPOINT_URL=refusing.url)
    assert failed.returncode == 1 and "does not let us in" in failed.stderr, failed.stderr
    assert refusing.seen == ["POST uploads", "PUT part", "DELETE upload"], refusing.seen
    print("ok: a backup that fails midway leaves no parts")
    left = bucket.list_multipart_uploads(Bucket="backups").get("Uploads", [])
    assert not left, left


class Refusing:
    """A proxy to the bucket that refuses the parts of uploads, and notes what of uploads it was asked."""

    def __init__(self, endpoint: str) -> None:
        self.seen: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
                named = [name for parameter, name in UPLOADS.items() if parameter in asked]
                proxy.seen += [f"{self.command} {name}" for name in named[:1]]
                if "partNumber" in asked:
                    self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
                    return
                request = Request(endpoint + self.path, data=body or None, method=self.command, headers=dict(self.headers))
                with urlopen(request, timeout=30) as reply:
                    self.answer(reply.status, reply.read())

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET = pass_on

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Refusing":
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


# What a request is about, by the parameter that says so.
UPLOADS = {"uploads": "uploads", "partNumber": "part", "uploadId": "upload"}


def distinct_seconds(number: int):
    """Names of backups tell seconds."""
    for index in range(number):
        if index:
            time.sleep(1.1)
        yield index


if __name__ == "__main__":
    main()
