"""What is exported from a running server is what it lists. Keeps the list for `days.py`."""

import json
import os
import pathlib
import sys

from relay import tollgate, whole_book
from table import asked, figures, listed, read, same

SANDBOX = json.loads(os.environ["TOLLGATE_SANDBOX"])
URL, ADMIN_KEY = SANDBOX["url"].rstrip("/"), SANDBOX["admin_key"]
RUN = pathlib.Path(sys.argv[1])

entries = whole_book(URL, ADMIN_KEY)
(RUN / "book.json").write_text(json.dumps(entries))
last = entries[-1]["id"]
expected = listed(entries)
assert set(figures(expected)["outcomes"]) == {"succeeded", "rejected", "unknown"}, figures(expected)["outcomes"]
assert {"charged", "restored"} <= set(figures(expected)["events"]), figures(expected)["events"]

for kind, reader in (("parquet", "read_parquet('{}')"), ("ndjson", "read_ndjson('{}', sample_size = -1)")):
    file = RUN / f"book.{kind}"
    tollgate("audit", "export", "--url", URL, "--format", kind, "--out", str(file), TOLLGATE_TOKEN=ADMIN_KEY)
    # What was written meanwhile, such as the state of a task, is not in the list.
    source = f"(FROM {reader.format(file)} WHERE seq <= {last})"
    same(read(source), expected)
    assert asked(source) == figures(expected)
    print(f"{kind}: {last} entries, {file.stat().st_size} bytes: {asked(source)}")
