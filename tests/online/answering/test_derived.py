"""Derived tables read live: the rows of a few keys are those that the whole table has of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.featurestore.derived import DerivedRows
from penstock.inference.infer import declared
from penstock.lake.describe import describe
from penstock.lake.frames import FrameSource
from penstock.lake.source import RawTable
from penstock.lake.sql import Sql
from penstock.lake.where import AnyOf, read_where
from penstock.pipeline.derive import Derivation, load
from penstock.settings import Settings
from tests.strategies import maybe

SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
KINDS: Mapping[str, Mapping[str, pa.DataType]] = {
    "orders": {"id": pa.int64(), "who": pa.int64(), "item": pa.string(), "price": pa.float64(), "n": pa.int64()},
    "items": {"item": pa.string(), "maker": pa.int64(), "cost": pa.float64()},
    "makers": {"maker": pa.int64(), "land": pa.string()},
}
TEXTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "plain": ("SELECT id, who, item, price FROM orders WHERE price > 0", "who", ("orders",)),
    "some": ("SELECT id, who AS user_id, price * n AS total FROM orders", "user_id", ("orders",)),
    "several": ("SELECT id, who, item FROM orders ORDER BY id", "who", ("orders",)),
    "once": ("SELECT DISTINCT who, item FROM orders", "who", ("orders",)),
    "grouped": ("SELECT who, count(*) AS c, max(price) AS p FROM orders GROUP BY who HAVING count(*) > 1", "who",
                ("orders",)),
    "by_place": ("SELECT who, item, sum(n) AS c FROM orders GROUP BY 1, 2", "who", ("orders",)),
    "by_all": ("SELECT who, item, sum(n) AS c FROM orders GROUP BY ALL", "item", ("orders",)),
    "joined": (
        """SELECT o.id, o.who, i.cost, m.land FROM orders o JOIN items i ON i.item = o.item AND i.cost > 0
        LEFT JOIN makers AS m ON i.maker = m.maker""", "who", ("orders", "items", "makers"),
    ),
    "left": ("SELECT o.who, sum(i.cost) AS c FROM orders o LEFT JOIN items i ON o.item = i.item GROUP BY o.who", "who",
             ("orders", "items")),
    "paired": ("SELECT o.id, o.who, i.cost FROM orders o JOIN items i ON o.item = i.item AND i.maker = o.who", "who",
               ("orders", "items")),
    "grouped_by_two": ("SELECT item AS thing, who, count(*) AS c FROM orders GROUP BY who, item", "thing", ("orders",)),
    "nested": ("SELECT p.who, p.price, i.cost FROM plain AS p JOIN items AS i ON i.item = p.item", "who",
               ("orders", "items")),
    "crossed": ("SELECT o.who, m.land FROM orders o, makers m WHERE m.maker = o.n", "who", ("orders",)),
}  # fmt: skip
"""Each with the column that is asked for, and the tables of which not all is read."""
WHOLE: Mapping[str, tuple[str, str]] = {
    "ranked": ("SELECT who, row_number() OVER (ORDER BY id) AS r FROM orders", "who"),
    "first": ("SELECT id, who FROM orders ORDER BY id LIMIT 3", "who"),
    "made": ("SELECT who + 0 AS who, price FROM orders", "who"),
    "other": ("SELECT who, max(n) AS n FROM orders GROUP BY who", "n"),
    "right": ("SELECT o.who, i.item FROM orders o RIGHT JOIN items i ON i.item = o.item", "who"),
    "both": ("SELECT who FROM orders UNION ALL SELECT maker FROM makers", "who"),
    "within": ("SELECT id, who FROM orders WHERE price > (SELECT avg(price) FROM orders)", "who"),
    "twice": ("SELECT a.who, count(*) AS c FROM orders a JOIN orders b ON a.item = b.item GROUP BY a.who", "who"),
    "newest": ("SELECT who, price FROM orders QUALIFY row_number() OVER (PARTITION BY who ORDER BY id) = 1", "who"),
    "cubed": ("SELECT who, item, count(*) AS c FROM orders GROUP BY CUBE (who, item)", "who"),
    "second": ("SELECT i.maker, count(*) AS c FROM orders o JOIN items i ON i.item = o.item GROUP BY i.maker", "maker"),
    "named": ("WITH o AS (SELECT who FROM orders LIMIT 2) SELECT who FROM o", "who"),
}  # fmt: skip


@dataclass
class Told:
    """Tables in memory that note which of them were read whole."""

    frames: FrameSource
    whole: set[str] = field(default_factory=set)
    name: str = "told"
    notes: tuple[str, ...] = ()

    def tables(self) -> Mapping[str, RawTable]:
        return self.frames.tables()

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        return self.read_where(table, columns, ())

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        if not any_of:
            self.whole.add(table)
        return read_where(self.frames, table, columns, any_of)

    def fingerprint(self) -> str:
        return self.frames.fingerprint()


@pytest.fixture(scope="module")
def derivations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Derivation]:
    """The definitions."""
    folder = tmp_path_factory.mktemp("tables")
    for name, (text, *_) in {**TEXTS, **WHOLE}.items():
        (folder / f"{name}.sql").write_text(text)
    return {one.name: one for one in load(folder, {name: pa.schema(list(of.items())) for name, of in KINDS.items()})}


VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "id": st.integers(0, 99), "who": st.integers(0, 3), "maker": st.integers(0, 2), "n": st.integers(0, 2),
    "item": st.sampled_from(["a", "b", "é"]), "land": st.sampled_from(["x", "y"]),
    "price": st.sampled_from([-1.0, 0.5, 2.0]), "cost": st.sampled_from([0.0, 1.0, 2.0]),
}  # fmt: skip
ROWS = {
    name: st.lists(st.fixed_dictionaries({c: maybe(VALUES[c]) for c in columns}), max_size=8)
    for name, columns in KINDS.items()
}


def made(derivations: Mapping[str, Derivation], rows: Mapping[str, list[dict[str, Any]]]) -> tuple[DerivedRows, Told]:
    """The derived tables over some rows."""
    schemas = {name: pa.schema(list(of.items())) for name, of in KINDS.items()}
    source = Told(FrameSource({name: pa.Table.from_pylist(rows[name], schemas[name]) for name in KINDS}))
    return DerivedRows(source, derivations, schemas, declared(describe(source.frames)), SETTINGS), source


def lines(table: pa.Table, keys: pa.Table) -> list[str]:
    """The rows that have one of the keys, in no order."""
    asked = {tuple(key.values()) for key in keys.to_pylist()}
    return sorted(repr(row) for row in table.to_pylist() if tuple(row[name] for name in keys.column_names) in asked)


@st.composite
def keys_of(draw: st.DrawFn, schema: pa.Schema, column: str) -> pa.Table:
    """Keys of a column of whole numbers or texts, and perhaps of others beside."""
    values = {pa.int64(): st.integers(0, 3), pa.string(): VALUES["item"]}
    others = [name for name in schema.names if name != column and schema.field(name).type in values]
    names = [column, *draw(st.lists(st.sampled_from(others), unique=True, max_size=2) if others else st.just([]))]
    kinds = [schema.field(name).type for name in names]
    rows = draw(st.sets(st.tuples(*(values[kind] for kind in kinds)), min_size=1, max_size=8))
    told = zip(zip(*rows, strict=True), kinds, strict=True)
    return pa.table([pa.array(list(column), kind) for column, kind in told], names)


@given(st.fixed_dictionaries(ROWS), st.sampled_from([*TEXTS, *WHOLE]), st.data())
def test_some_rows_are_those_of_the_whole(
    derivations: dict[str, Derivation], rows: dict[str, list[dict[str, Any]]], name: str, data: st.DataObject
) -> None:
    derived, source = made(derivations, rows)
    columns = derivations[name].schema.names
    keys = data.draw(keys_of(derivations[name].schema, ({**TEXTS, **WHOLE})[name][1]))
    found = derived.read_where(name, columns, [keys])
    read = source.whole
    tables = {one: source.frames.read(one, list(KINDS[one])) for one in KINDS}
    with Sql(tables, settings=SETTINGS) as sql:
        tables["plain"] = sql.arrow(derivations["plain"].body)
    with Sql(tables, settings=SETTINGS) as sql:
        whole = sql.arrow(f"SELECT * FROM ({derivations[name].body})")
    assert lines(found, keys) == lines(whole, keys)
    derived.close()
    if name in TEXTS:
        assert not read & set(TEXTS[name][2]), "only what is asked for is read"


@pytest.mark.parametrize("name", [*WHOLE])
def test_what_cannot_be_narrowed_is_made_of_whole_tables(derivations: dict[str, Derivation], name: str) -> None:
    derived, source = made(derivations, {one: [] for one in KINDS})
    derived.read_where(name, derivations[name].schema.names, [pa.table({WHOLE[name][1]: [1]})])
    assert source.whole == set(derivations[name].reads)


def test_what_a_source_cannot_give_as_it_is_now_is_refused(derivations: dict[str, Derivation], tmp_path: Path) -> None:
    (tmp_path / "scored.py").write_text(
        "import penstock\n\n@penstock.table()\ndef scored(orders):\n    return orders\n"
    )
    derived, source = made(derivations, {one: [] for one in KINDS})
    python = {one.name: one for one in load(tmp_path, {"orders": derived.schemas["orders"]})}
    for why, asked in (
        ("a Python function makes it", DerivedRows(source, python, derived.schemas, derived.graph, SETTINGS)),
        ("versions", DerivedRows(source, derivations, derived.schemas, derived.graph, SETTINGS, frozenset({"orders"}))),
        ("no source has items", DerivedRows(source, derivations, {}, derived.graph, SETTINGS)),
    ):
        name = next(iter(python)) if asked.derivations is not derivations else "nested" if why == "versions" else "left"
        with pytest.raises(RequestError, match=why) as caught:
            asked.read_where(name, ["who"], ())
        assert caught.value.code == "LIVE_DERIVED"
