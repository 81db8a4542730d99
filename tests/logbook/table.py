"""The exported table as DuckDB reads it, beside the list that the admin interface gives."""

import json
from datetime import UTC, datetime, timedelta

import duckdb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NAMES = {"id": "seq", "at": "time", "duration_us": "duration_micros"}
"""What is called otherwise in the table, where every name is one that SQL knows."""

MOMENTS = ("time", "since", "restored_at", "backup_at")

SUMMED = ("duration_micros", "input_tokens", "output_tokens", "body_bytes", "cost_microunits", "reserved_microunits")


def read(source):
    """Every row that DuckDB finds in `source`, in order of its number, without what is null."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        # NDJSON has only the columns of which some row tells.
        there = [column[0] for column in engine.execute(f"DESCRIBE FROM {source}").fetchall()]
        moments = ", ".join(f"epoch_us({name}) AS {name}" for name in MOMENTS if name in there)
        found = engine.execute(f"SELECT * REPLACE ({moments}) FROM {source} ORDER BY seq")
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row)) for row in found.fetchall()]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def listed(entries):
    """The same rows, made of what `GET /admin/audit` lists."""
    rows = []
    for entry in entries:
        # What was held of a budget is flat in the table.
        reserved = entry.get("reserved") or {}
        flat = {**entry, "reserved": None, "reserved_microunits": reserved.get("microunits")}
        flat["currency"] = reserved.get("currency", entry.get("currency"))
        row = {NAMES.get(name, name): value for name, value in flat.items() if value not in (None, {})}
        for name in MOMENTS:
            if name in row:
                row[name] = micros(row[name])
        rows.append(row)
    return rows


def micros(moment):
    """RFC 3339 as microseconds since 1970, without a float on the way."""
    return (datetime.fromisoformat(moment) - EPOCH) // timedelta(microseconds=1)


def same(found, expected):
    """Compares row by row, and says which is another."""
    assert len(found) == len(expected), (len(found), len(expected))
    for row, entry in zip(found, expected):
        if "headers" in row:
            row = {**row, "headers": json.loads(row["headers"])}
        assert row == entry, (row, entry)


def figures(rows):
    """What a person would ask of them: how many of which kind, how they ended, what they took."""
    count = lambda name: {
        value: sum(row.get(name) == value for row in rows) for value in {row[name] for row in rows if name in row}
    }
    total = lambda name: sum(row.get(name, 0) for row in rows)
    return {"events": count("event"), "outcomes": count("outcome"), **{name: total(name) for name in SUMMED}}


def asked(source):
    """The same figures, made by the engine."""
    with duckdb.connect() as engine:
        group = lambda name: dict(
            engine.execute(f"SELECT {name}, count(*) FROM {source} WHERE {name} IS NOT NULL GROUP BY 1").fetchall()
        )
        sums = engine.execute("SELECT " + ", ".join(f"sum({name})" for name in SUMMED) + f" FROM {source}").fetchone()
        return {
            "events": group("event"),
            "outcomes": group("outcome"),
            **{name: int(value or 0) for name, value in zip(SUMMED, sums)},
        }
