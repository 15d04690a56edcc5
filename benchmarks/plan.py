"""How long a project's derived tables take to be loaded, ordered and given their lineage.

    python -m benchmarks.plan [--rows 500] [--repeat 5]

``rows`` is how many SQL files there are: joins, WITHs, windows and aggregates over twenty sources and over one another.
*Floor* is DuckDB alone saying what columns each query gives, over the same empty tables. *Cold* finds everything,
*warm* has it kept, *one changed* reads a single file again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa

from penstock.lake.sql import Sql
from penstock.pipeline.derive import Derivation, lineage_of, load

SOURCES = 20
COLUMNS = ("customer_id", "amount", "quantity", "status", "channel", "city", "placed_at", "closed_at")
SHAPES = (
    """-- key: {name}_id
-- time: placed_at
WITH picked AS (
    SELECT s.{key} AS {name}_id, s.customer_id, s.amount * {n} AS amount, s.quantity, s.status, s.channel, s.city,
        s.placed_at, s.closed_at
    FROM {one} AS s WHERE s.status <> 'test' AND s.amount > {n})
SELECT p.{name}_id, p.customer_id, p.amount, p.quantity, p.status, p.channel, o.city, p.placed_at, p.closed_at,
    CASE WHEN p.amount > 100 THEN 'big' ELSE 'small' END AS size
FROM picked AS p LEFT JOIN {other} AS o ON o.{other_key} = p.customer_id""",
    """-- key: {name}_id
SELECT customer_id AS {name}_id, customer_id, sum(amount) AS amount, count(*) AS quantity, max(status) AS status,
    min(channel) AS channel, any_value(city) AS city, max(placed_at) AS placed_at, max(closed_at) AS closed_at
FROM {one} WHERE closed_at IS NOT NULL GROUP BY customer_id HAVING sum(amount) > {n}""",
    """-- key: {name}_id
SELECT {key} AS {name}_id, customer_id, sum(amount) OVER (PARTITION BY customer_id ORDER BY placed_at) AS amount,
    quantity, upper(status) AS status, channel, city, placed_at, coalesce(closed_at, placed_at) AS closed_at
FROM {one} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY placed_at DESC) = {n}""",
)


def source(at: int) -> tuple[str, pa.Schema]:
    """A source's name and columns."""
    kinds = (pa.int64(), pa.float64(), pa.int64(), *(pa.string(),) * 3, *(pa.timestamp("us"),) * 2)
    return f"s{at}", pa.schema([(f"s{at}_id", pa.int64()), *zip(COLUMNS, kinds, strict=True)])


def write(folder: Path, files: int) -> None:
    """Write the SQL files; each reads sources and files before it."""
    names = [f"s{at}" for at in range(SOURCES)]
    for at in range(files):
        name, one, other = f"t{at}", names[at * 7 % len(names)], names[at * 11 % SOURCES]
        text = SHAPES[at % 3].format(
            name=name, n=at + 1, one=one, key=f"{one}_id", other=other, other_key=f"{other}_id"
        )
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
        names.append(name)


def floor(derivations: tuple[Derivation, ...], known: dict[str, pa.Schema]) -> None:
    """DuckDB alone describing each query."""
    tables = {**known, **{one.name: one.schema for one in derivations}}
    with Sql({name: schema.empty_table() for name, schema in tables.items()}) as sql:
        for one in derivations:
            sql.describe(one.body)


def timed(work: Callable[[], object], repeat: int) -> float:
    """The median of some runs, in seconds."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def change(folder: Path, turn: int) -> None:
    """Change the meaning of one file, so that it has to be read again."""
    path = folder / "t0.sql"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n-- turn {turn}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="how many SQL files (default 500)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median counts (default 5)")
    given = parser.parse_args()
    known = dict(source(at) for at in range(SOURCES))
    with tempfile.TemporaryDirectory() as place:
        folder, kept = Path(place) / "tables", Path(place) / "kept"
        folder.mkdir()
        write(folder, given.rows)
        derivations = load(folder, known, kept=kept)
        alone = timed(lambda: floor(derivations, known), given.repeat)
        results = {
            "floor: DuckDB describes": alone,
            "cold": timed(lambda: load(folder, known), given.repeat),
            "warm": timed(lambda: load(folder, known, kept=kept), given.repeat),
        }
        turns = iter(range(given.repeat))

        def one_changed() -> None:
            change(folder, next(turns))
            load(folder, known, kept=kept)

        results["one changed"] = timed(one_changed, given.repeat)
        lineage = lineage_of(derivations)
        columns = [(name, column) for name, schema in known.items() for column in schema.names]
        asked = f"downstream of {len(columns)} columns"
        results[asked] = timed(lambda: [lineage.downstream(column) for column in columns], given.repeat)
    print(f"{given.rows} SQL files, {sum(bool(one.notes) for one in derivations)} with lineage by table only")
    for name, seconds in results.items():
        print(f"{name:32} {seconds:8.3f} s   {seconds / alone:6.2f} x floor")


if __name__ == "__main__":
    main()
