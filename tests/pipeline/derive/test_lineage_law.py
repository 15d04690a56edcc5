"""Lineage misses no influence: whatever a changed column changes in a result, the lineage has said so before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.derive import Derivation, load
from tests.pipeline.derive.shop import written
from tests.plainsql import plain_sql

SCHEMAS = {
    "a": pa.schema(
        [*((name, pa.int64()) for name in "kxy"), ("s", pa.string()), ("l", pa.list_(pa.int64()))]
    ),
    "b": pa.schema([("k", pa.int64()), ("z", pa.int64()), ("s", pa.string())]),
}  # fmt: skip
QUERIES = {
    "renamed": "SELECT k AS key, x + 1 AS more FROM a",
    "filtered": "SELECT k, y FROM a WHERE x > 1 AND s <> 'p'",
    "joined": "SELECT a.x, b.z FROM a JOIN b ON a.k = b.k",
    "left_joined": "SELECT k, a.x, z FROM a LEFT JOIN b USING (k)",
    "full_joined": "SELECT k, a.x, b.s FROM a FULL JOIN b USING (k)",
    "natural": "SELECT k, s, z FROM a NATURAL JOIN b",
    "crossed": "SELECT a.x + b.z AS w FROM a, b WHERE a.k < b.k",
    "semi": "SELECT x FROM a SEMI JOIN b USING (k)",
    "anti": "SELECT x FROM a ANTI JOIN b USING (k)",
    "asof": "SELECT a.x, b.z FROM a ASOF LEFT JOIN b ON a.s = b.s AND a.k >= b.k",
    "grouped": "SELECT s, sum(x) AS total, count(*) AS n FROM a GROUP BY s",
    "grouped_by_all": "SELECT s, y % 2 AS odd, max(x) AS m FROM a GROUP BY ALL",
    "grouped_by_place": "SELECT s AS t, min(y) AS m FROM a GROUP BY 1 HAVING sum(x) > 2",
    "having_alias": "SELECT s, sum(x) AS total FROM a GROUP BY s HAVING total > 2",
    "counted": "SELECT count(DISTINCT x) FILTER (WHERE y > 1) AS n FROM a",
    "windowed": "SELECT k, sum(x) OVER (PARTITION BY s ORDER BY y, k) AS run FROM a",
    "named_window": "SELECT k, rank() OVER w AS r FROM a WINDOW w AS (PARTITION BY s ORDER BY y)",
    "qualified": "SELECT k, x FROM a QUALIFY row_number() OVER (PARTITION BY s ORDER BY y, k) = 1",
    "distinct": "SELECT DISTINCT x, s FROM a",
    "distinct_on": "SELECT DISTINCT ON (s) k, x FROM a ORDER BY s, y, k",
    "limited": "SELECT k FROM a ORDER BY x, k LIMIT 2",
    "united": "SELECT k, x FROM a UNION ALL SELECT k, z FROM b",
    "united_once": "SELECT x AS v FROM a UNION SELECT z FROM b",
    "except_": "SELECT k FROM a EXCEPT SELECT k FROM b WHERE z > 1",
    "intersected": "SELECT s FROM a INTERSECT SELECT s FROM b",
    "by_name": "SELECT k, x AS v FROM a UNION ALL BY NAME SELECT z AS v, k FROM b",
    "nested": "SELECT q.v FROM (SELECT x * 2 AS v, s FROM a WHERE y > 0) AS q WHERE q.s = 'p'",
    "withs": "WITH p AS (SELECT k, x FROM a), q AS (SELECT p.x, b.z FROM p JOIN b ON b.k = p.k) SELECT z, x FROM q",
    "with_star": "WITH p AS (SELECT * FROM a) SELECT k, y FROM p WHERE s = 'q'",
    "with_twice": "WITH p AS (SELECT k, x FROM a) SELECT u.x, v.k FROM p AS u JOIN p AS v ON u.k = v.x",
    "shadowed": "WITH a AS (SELECT k, z AS x FROM b) SELECT k, x FROM a",
    "recursive": "WITH RECURSIVE r AS (SELECT x AS n FROM a UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT n FROM r",
    "in_": "SELECT k FROM a WHERE x IN (SELECT z FROM b WHERE s = 'p')",
    "exists": "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.z > a.y)",
    "scalar": "SELECT k, (SELECT max(z) FROM b WHERE b.k = a.k) AS top FROM a",
    "scalar_of_all": "SELECT k, x > (SELECT avg(z) FROM b) AS above FROM a",
    "lateral": "SELECT a.k, q.top FROM a, LATERAL (SELECT max(z) AS top FROM b WHERE b.s = a.s) AS q",
    "unnested": "SELECT k, unnest(l) AS one FROM a",
    "unnested_beside": "SELECT a.k, q.one FROM a, unnest(a.l) AS q(one)",
    "list_of": "SELECT k, list_transform(l, lambda e: e + x) AS m FROM a",
    "aliased": "SELECT x + y AS w, w * 2 AS ww FROM a WHERE w > 1",
    "cased": "SELECT k, CASE WHEN x > 1 THEN y ELSE k END AS c FROM a",
    "replaced": "WITH p AS (SELECT * EXCLUDE (l) REPLACE (x + y AS x) FROM a) SELECT k, x, s FROM p",
    "from_first": "FROM a SELECT k, x WHERE y > 1",
    "values_": "SELECT a.k, v.w FROM a JOIN (VALUES (1, 10), (2, 20)) AS v(k, w) ON v.k = a.x",
    "ranged": "SELECT a.k, r.range AS n FROM a, range(a.x) AS r",
    "pivoted": "SELECT q.p FROM (PIVOT (SELECT s, x FROM a) ON s IN ('p', 'q') USING sum(x)) AS q",
    "by_pattern": "SELECT COLUMNS('k|x') FROM a",
    "grouping_sets": "SELECT s, k, sum(x) AS t FROM a GROUP BY ROLLUP (s, k)",
    "whole_row": "SELECT k, to_json(q) AS j FROM (SELECT k, x FROM a) AS q",
    "sides": "SELECT sum(x ORDER BY y) AS t, first(k ORDER BY y, k) AS f FROM a",
}  # fmt: skip
CHAINED = {
    "one": "SELECT a.k, a.x + 1 AS v, b.s FROM a LEFT JOIN b ON b.k = a.k WHERE a.y > 0",
    "two": "SELECT s, sum(v) AS total, count(*) AS n FROM one GROUP BY s",
    "three": "SELECT one.k, two.total FROM one JOIN two USING (s)",
}

keys, numbers, words = st.integers(0, 9), st.integers(0, 3), st.sampled_from(["p", "q", "r"])
VALUES = {"k": keys, "x": numbers, "y": numbers, "z": numbers, "s": words, "l": st.lists(numbers, max_size=2)}
ORIGINS = [(table, name) for table, schema in SCHEMAS.items() for name in schema.names]


@st.composite
def changes(draw: st.DrawFn) -> tuple[tuple[str, str], dict[str, pa.Table], dict[str, pa.Table]]:
    """A column, a database (with keys of their own, so that no answer hangs on a tie), and one that differs in it."""
    before = {}
    for table, schema in SCHEMAS.items():
        row = st.tuples(*(VALUES[name] for name in schema.names))
        rows = draw(st.lists(row, min_size=1, max_size=6, unique_by=lambda one: one[0]))
        before[table] = pa.Table.from_pylist([dict(zip(schema.names, one, strict=True)) for one in rows], schema)
    table, column = draw(st.sampled_from(ORIGINS))
    one = before[table]
    values = draw(st.lists(VALUES[column], min_size=one.num_rows, max_size=one.num_rows))
    at, field = one.column_names.index(column), one.schema.field(column)
    after = {**before, table: one.set_column(at, field, pa.array(values, field.type))}
    return (table, column), before, after


@cache
def derivations() -> dict[str, Derivation]:
    """The queries above, loaded once."""
    with TemporaryDirectory() as folder:
        found = load(written(Path(folder), {f"{n}.sql": q for n, q in QUERIES.items()}), SCHEMAS)
    return {one.name: one for one in found}


@cache
def chain() -> tuple[Derivation, ...]:
    """The tables above that are derived from one another, loaded once."""
    with TemporaryDirectory() as folder:
        return load(written(Path(folder), {f"{n}.sql": q for n, q in CHAINED.items()}), SCHEMAS)


def answers(tables: Mapping[str, pa.Table], *queries: str) -> list[pa.Table]:
    """What queries give of these tables."""
    with plain_sql(tables) as sql:
        return [sql.arrow(query) for query in queries]


def bag(result: pa.Table, names: list[str]) -> Counter[str]:
    """The rows of some columns, counted."""
    return Counter(map(repr, zip(*(result[name].to_pylist() for name in names), strict=True)))


def must_have_said(one: Derivation, origin: tuple[str, str], before: pa.Table, after: pa.Table) -> None:
    """The law: no column changes that does not come from the changed one, unless that decides the rows."""
    if origin in one.uses:
        return
    assert before.num_rows == after.num_rows, one
    still = [name for name, origins in one.lineage.items() if origin not in origins]
    assert bag(before, still) == bag(after, still), one


@given(changes())
def test_what_a_column_changes_is_in_the_lineage(
    change: tuple[tuple[str, str], dict[str, pa.Table], dict[str, pa.Table]],
) -> None:
    origin, before, after = change
    silent = [one for one in derivations().values() if origin not in one.uses]
    sides = [answers(side, *(one.body for one in silent)) for side in (before, after)]
    for one, was, now in zip(silent, *sides, strict=True):
        must_have_said(one, origin, was, now)


@given(changes())
def test_lineage_goes_through_derived_tables(
    change: tuple[tuple[str, str], dict[str, pa.Table], dict[str, pa.Table]],
) -> None:
    origin, *sides = change
    for one in chain():
        for side in sides:
            (side[one.name],) = answers(side, one.body)
        must_have_said(one, origin, sides[0][one.name], sides[1][one.name])


# ------------------------------------------------------------ queries made at random


@st.composite
def selects(draw: st.DrawFn, depth: int = 2) -> tuple[str, list[str]]:
    """A SELECT over the tables or over other SELECTs, and its columns, all of them numbers."""
    kind = draw(st.sampled_from(["plain", "join", "union", "group", "window"])) if depth else "plain"
    if kind == "union":
        (one, names), (other, others) = draw(selects(depth - 1)), draw(selects(depth - 1))
        word = draw(st.sampled_from(["UNION ALL", "UNION", "EXCEPT"]))
        return f"SELECT {names[0]} AS u FROM ({one}) {word} SELECT {others[-1]} FROM ({other})", ["u"]
    source, names = draw(sources(depth))
    if kind == "join":
        other, others = draw(sources(depth))
        left, right = draw(st.sampled_from(names)), draw(st.sampled_from(others))
        word = draw(st.sampled_from(["JOIN", "LEFT JOIN", "FULL JOIN"]))
        picked = f"SELECT f.{draw(st.sampled_from(names))} AS c, g.{draw(st.sampled_from(others))} AS d"
        return f"{picked} FROM {source} AS f {word} {other} AS g ON f.{left} = g.{right}", ["c", "d"]
    one, two = draw(st.sampled_from(names)), draw(st.sampled_from(names))
    where = f" WHERE f.{draw(st.sampled_from(names))} > 1" if draw(st.booleans()) else ""
    if kind == "group":
        return f"SELECT f.{one} AS c, sum(f.{two}) AS d FROM {source} AS f{where} GROUP BY 1", ["c", "d"]
    if kind == "window":
        return f"SELECT f.{one} AS c, max(f.{two}) OVER (PARTITION BY f.{one}) AS d FROM {source} AS f{where}", [
            "c",
            "d",
        ]
    return f"SELECT f.{one} AS c, f.{one} + f.{two} AS d FROM {source} AS f{where}", ["c", "d"]


@st.composite
def sources(draw: st.DrawFn, depth: int) -> tuple[str, list[str]]:
    """Something to select from, and its columns of numbers."""
    if depth and draw(st.booleans()):
        text, names = draw(selects(depth - 1))
        return f"({text})", names
    return draw(st.sampled_from([("a", ["k", "x", "y"]), ("b", ["k", "z"])]))


@given(query=selects(), change=changes())
def test_queries_made_at_random_keep_the_law(
    tmp_path_factory: pytest.TempPathFactory,
    query: tuple[str, list[str]],
    change: tuple[tuple[str, str], dict[str, pa.Table], dict[str, pa.Table]],
) -> None:
    (one,) = load(written(tmp_path_factory.mktemp("random"), {"q.sql": query[0]}), SCHEMAS)
    assert not one.notes, one.notes
    origin, *sides = change
    was, now = (answers(side, one.body)[0] for side in sides)
    must_have_said(one, origin, was, now)


# ------------------------------------------------------------ not more than there is


def said(derivation: Derivation) -> Iterator[str]:
    for name, origins in derivation.lineage.items():
        yield f"{name}: {' '.join(sorted(f'{table}.{column}' for table, column in origins))}"
    yield f"uses: {' '.join(sorted(f'{table}.{column}' for table, column in derivation.uses))}"


EXACT = {
    "renamed": ["key: a.k", "more: a.x", "uses: "],
    "filtered": ["k: a.k", "y: a.y", "uses: a.s a.x"],
    "joined": ["x: a.x", "z: b.z", "uses: a.k b.k"],
    "left_joined": ["k: a.k b.k", "x: a.x", "z: b.z", "uses: a.k b.k"],
    "grouped": ["s: a.s", "total: a.x", "n: ", "uses: a.s"],
    "windowed": ["k: a.k", "run: a.k a.s a.x a.y", "uses: "],
    "withs": ["z: b.z", "x: a.x", "uses: a.k b.k"],
    "united": ["k: a.k b.k", "x: a.x b.z", "uses: "],
    "scalar": ["k: a.k", "top: a.k b.k b.z", "uses: "],
    "replaced": ["k: a.k", "x: a.x a.y", "s: a.s", "uses: "],
    "with_star": ["k: a.k", "y: a.y", "uses: a.s"],
    "shadowed": ["k: b.k", "x: b.z", "uses: "],
}


@pytest.mark.parametrize("name", EXACT)
def test_lineage_says_no_more_than_there_is(name: str) -> None:
    assert list(said(derivations()[name])) == EXACT[name]


COARSE = {"recursive", "pivoted", "by_pattern", "whole_row"}


def test_only_what_sqlglot_cannot_follow_is_told_by_table() -> None:
    noted = {name for name, one in derivations().items() if one.notes}
    assert noted == COARSE
    assert derivations()["recursive"].notes[0].startswith("lineage is told by table, not by column: ")


def test_what_sqlglot_cannot_read_is_read_by_duckdb(tmp_path: Path) -> None:
    text = "WITH q AS (SELECT k, x FROM a) SELECT x'AB' AS bytes, q.x, b.z FROM q, b"
    (one,) = load(written(tmp_path, {"odd.sql": text}), SCHEMAS)
    assert set(one.reads) == {"a", "b"}
    assert one.lineage["z"] == one.uses == {(name, column) for name, given in SCHEMAS.items() for column in given.names}
    assert one.notes[0].startswith("lineage is told by table, not by column: ")
    (same,) = load(written(tmp_path, {"odd.sql": text.replace(" ", "  -- more\n ")}), SCHEMAS)
    assert same.fingerprint == one.fingerprint
