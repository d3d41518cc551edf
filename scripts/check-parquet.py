"""Reads an exported log (Parquet) with DuckDB, pandas and Polars, and compares what they see.

    python3 -m venv /tmp/readers && /tmp/readers/bin/pip install duckdb pandas pyarrow polars
    /tmp/readers/bin/python scripts/check-parquet.py log.parquet
"""

import json
import sys
from datetime import datetime

import duckdb
import pandas
import polars

path = sys.argv[1]


def seen_by_duckdb():
    rows = duckdb.sql(
        f"""
        select count(*), min(position), max(position), count(distinct event_id), sum(amount_minor),
               count(reason), min(recorded_at), count(lines), sum(len(lines)),
               (select sum(line.quantity * line.unit_price_minor)
                from (select unnest(lines) as line from '{path}'))
        from '{path}'
        """
    ).fetchall()
    first = duckdb.sql(
        f"select data, lines from '{path}' where lines is not null order by position limit 1"
    ).fetchall()
    return rows[0], first[0] if first else None


def seen_by_pandas():
    events = pandas.read_parquet(path)
    assert str(events["recorded_at"].dtype) == "datetime64[us, UTC]", events["recorded_at"].dtype
    placed = events[events["lines"].notna()].sort_values("position")
    goods = sum(
        line["quantity"] * line["unit_price_minor"] for lines in placed["lines"] for line in lines
    )
    rows = (
        len(events),
        events["position"].min(),
        events["position"].max(),
        events["event_id"].nunique(),
        int(events["amount_minor"].sum()),
        events["reason"].count(),
        events["recorded_at"].min().to_pydatetime(),
        len(placed),
        sum(len(lines) for lines in placed["lines"]),
        goods,
    )
    first = placed.iloc[0] if len(placed) else None
    return rows, None if first is None else (first["data"], list(first["lines"]))


def seen_by_polars():
    events = polars.read_parquet(path)
    assert events.schema["recorded_at"] == polars.Datetime("us", "UTC"), events.schema["recorded_at"]
    placed = events.filter(polars.col("lines").is_not_null()).sort("position")
    lines = placed.explode("lines").unnest("lines", separator="_")
    rows = (
        events.height,
        events["position"].min(),
        events["position"].max(),
        events["event_id"].n_unique(),
        events["amount_minor"].sum(),
        events["reason"].count(),
        events["recorded_at"].min(),
        placed.height,
        lines.height,
        (lines["lines_quantity"] * lines["lines_unit_price_minor"]).sum(),
    )
    first = placed.row(0, named=True) if placed.height else None
    return rows, None if first is None else (first["data"], first["lines"])


def plain(seen):
    rows, first = seen
    rows = tuple(
        row.timestamp() if isinstance(row, datetime) else int(row or 0) for row in rows
    )
    if first is None:
        return rows, None
    data, lines = first
    return rows, (json.loads(data), [dict(line) for line in lines])


readers = {"DuckDB": seen_by_duckdb, "pandas": seen_by_pandas, "Polars": seen_by_polars}
seen = {name: plain(read()) for name, read in readers.items()}
for name, (rows, _) in seen.items():
    print(
        f"{name:8} {rows[0]} events, {rows[1]} to {rows[2]}; "
        f"{rows[7]} orders of {rows[8]} lines, goods of {rows[9]} minor units"
    )
if len({json.dumps(one, sort_keys=True) for one in seen.values()}) != 1:
    sys.exit(f"they do not see the same: {seen}")
(count, first, last, ids, *_), placed = seen["DuckDB"]
if count != ids:
    sys.exit("an event is there twice")
if count and last - first + 1 != count:
    print("a filtered slice: positions are not contiguous")
if placed:
    data, lines = placed
    if data["lines"] != lines:
        sys.exit("the nested lines are not those of the payload")
print("all three see the same")
