"""Drives `tollgate backup` and `tollgate restore` with a bucket of another maker's server.

Usage: bucket.py TOLLGATE FOLDER, where the folder is empty and is thrown away afterwards.
"""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

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
    left = bucket.list_multipart_uploads(Bucket="backups").get("Uploads", [])
    assert not left, left


def distinct_seconds(number: int):
    """Names of backups tell seconds."""
    for index in range(number):
        if index:
            time.sleep(1.1)
        yield index


if __name__ == "__main__":
    main()
