"""Days that a server exports by itself: what the command makes of them, what an engine reads, what a third party proves."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import duckdb

from relay import TIMEOUT, tollgate
from table import asked, figures, listed, read, same

RUN = pathlib.Path(sys.argv[1])
AUDIT = RUN / "audit"
PAGE = pathlib.Path(__file__).parents[2] / "docs/log-book.md"
DAYS = 3
"""How many have ended."""


def wait_for(happened, what):
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def verify(folder, key, code=0):
    """The report of somebody who has the files and the public key, and nothing else."""
    told = tollgate(
        "audit", "verify", "--export", str(folder), "--public-key", key, code=code,
        API_KEY_ENCRYPTION_KEY="", DATABASE_URL="/nowhere/tollgate.redb",
    )
    return json.loads(told)


def changed(change):
    """What is found in a copy of the export after `change`."""
    copy = RUN / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(AUDIT, copy)
    change(copy)
    report = verify(copy, KEY, code=1)
    assert not report["intact"]
    print("found:", *report["findings"])
    return report["findings"]


def rewrite(file, columns):
    """Writes a Parquet file anew, as a lake's housekeeping would."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        new = file.with_suffix(".new")
        engine.execute(f"COPY (SELECT {columns} FROM '{file}' ORDER BY seq) TO '{new}' (FORMAT parquet, COMPRESSION snappy)")
        new.replace(file)


# A server exports the days by itself, and ends in order.
server = subprocess.Popen(
    [os.environ["TOLLGATE"], "serve"],
    env={**os.environ, "HOST": "127.0.0.1", "PORT": "0"},
    stdout=(RUN / "serve.log").open("w"),
)
try:
    wait_for(lambda: len(list(AUDIT.glob("*.checkpoint"))) == DAYS, "the days are not exported")
finally:
    server.terminate()
    assert server.wait(timeout=TIMEOUT) == 0

# The command writes the very same files.
told = json.loads(tollgate("audit", "export", "--to-dir", str(RUN / "by-hand"), "--format", "parquet,ndjson"))
assert told["written"] == DAYS, told
for file in AUDIT.iterdir():
    assert file.read_bytes() == (RUN / "by-hand" / file.name).read_bytes(), file.name

# A third party proves them.
KEY = tollgate("audit", "checkpoint", "--public-key").strip()
report = verify(AUDIT, KEY)
assert (report["intact"], report["days"], report["first"]) == (True, DAYS, 1), report

# An engine reads what was listed while the calls were made.
expected = [row for row in listed(json.loads((RUN / "book.json").read_text())) if row["seq"] <= report["last"]]
parquet = f"read_parquet('{AUDIT}/audit-*.parquet', union_by_name = true)"
ndjson = f"read_ndjson('{AUDIT}/audit-*.ndjson', union_by_name = true, sample_size = -1)"
for source in (parquet, ndjson):
    same(read(source), expected)
    assert asked(source) == figures(expected)

# The page's own examples do what they say.
os.chdir(RUN)
with duckdb.connect() as engine:
    statements = re.search(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)[1].split(";\n")
    results = [engine.execute(statement).fetchall() for statement in statements if statement.strip()]
calls = sum(row[4] for row in results[1])
settled = figures(expected)["events"]["settlement"]
unknown = figures(expected)["outcomes"]["unknown"]
assert (calls, len(results[2])) == (settled, unknown), (calls, settled, len(results[2]), unknown)
cost = round(sum(row[3] for row in results[3]) * 1e6)
assert cost == figures(expected)["cost_microunits"] > 0, (cost, figures(expected))
for checkpoint in AUDIT.glob("*.checkpoint"):
    root = bytes(32)
    for line in checkpoint.with_suffix(".ndjson").open("rb"):
        root = hashlib.sha256(root + line.rstrip(b"\n")).digest()
    assert f"\nrows: {root.hex()}\n" in checkpoint.read_text(), checkpoint

# A file that another tool wrote anew still holds the same rows; one in which it changed a value does not.
middle = sorted(AUDIT.glob("*.parquet"))[1].name
honest = RUN / "honest"
shutil.copytree(AUDIT, honest)
rewrite(honest / middle, "*")
assert verify(honest, KEY)["intact"]
assert changed(lambda copy: rewrite(copy / middle, "* REPLACE (if(seq % 7 = 0, 1, duration_micros) AS duration_micros)")) == [
    f"{middle} was changed: its rows are not those that were signed"
]


def edit_ndjson(copy):
    file = copy / middle.replace("parquet", "ndjson")
    file.write_text(file.read_text().replace('"outcome":"unknown"', '"outcome":"succeeded"', 1))


assert len(changed(edit_ndjson)) == 1
assert "are missing" in changed(lambda copy: [file.unlink() for file in copy.glob(middle.split(".")[0] + ".*")])[0]
other = sorted(AUDIT.glob("*.parquet"))[0].name
assert "another day" in changed(lambda copy: shutil.copy(copy / other, copy / middle))[0]
assert all("another key" in finding for finding in verify(AUDIT, "16434178f587cb242c3b4fdd2fdfed65e00ab95aeda7a14537e795cbd117516b", code=1)["findings"])
print(f"{DAYS} days, {report['last']} entries: {figures(expected)}")
