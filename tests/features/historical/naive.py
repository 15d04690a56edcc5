"""Random sources of readings about things, and what the double loop says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hypothesis import strategies as st

from penstock.features.views.declared import Entity, ExpressionView, LatestView
from penstock.schema import Dtype, Graph, Table
from penstock.settings import Settings
from penstock.window import BEGINNING
from tests.features.historical.held import DAY, SETTINGS, Store, schema
from tests.oracle import Oracle

START = 1_767_225_600_000_000
COLUMNS = {
    "rid": Dtype.INT, "id": Dtype.INT, "ts": Dtype.TIMESTAMP, "created": Dtype.TIMESTAMP, "gone": Dtype.BOOL,
    "v": Dtype.FLOAT, "w": Dtype.STRING,
}  # fmt: skip
THINGS = {"id": Dtype.INT, "since": Dtype.TIMESTAMP, "said": Dtype.TIMESTAMP, "size": Dtype.INT}
TEXTS = {
    "n": "COUNT(readings.*, -3, 0, days)", "total": "SUM(readings.v, -INF, 0, days)",
    "last": "LAST(readings.w, -5, 0, days)",
}  # fmt: skip

times = st.one_of(st.integers(0, 12).map(lambda n: START + n * DAY // 2), st.integers(0, 6 * DAY).map(START.__add__))
Row = tuple[Any, ...]


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then NULL."""
    return st.one_of(values, values, values, st.none())


ROWS = st.tuples(
    st.integers(0, 5), maybe(st.integers(0, 2)), maybe(times), maybe(times),
    st.sampled_from([None, False, False, True]), maybe(st.sampled_from([-1.5, 0.0, 1.0, 2.0])),
    maybe(st.sampled_from(["", "a", "ä", "b"])),
)  # fmt: skip
SPINES = st.lists(st.tuples(maybe(st.sampled_from([0, 1, 2, 7])), maybe(times)), min_size=1, max_size=8)


@dataclass(frozen=True)
class Source:
    """Readings, whatever their key and their clocks are, and things, if there is a table of them."""

    readings: Table
    rows: list[Row]
    things: Table | None
    known_things: list[Row]
    ttl: int | None

    def store(self, rows: Sequence[Row] | None = None, settings: Settings = SETTINGS) -> Store:
        """The views over these rows (default: the source's own)."""
        tables: dict[Table, Any] = {self.readings: self.rows if rows is None else rows}
        joins = {"readings": ("id",)}
        if self.things is not None:
            tables[self.things] = self.known_things
        entity = Entity("thing", ("id",), None if self.things is None else "things", joins)
        latest = LatestView("latest", "thing", "readings", {"v": "v", "w": "w"}, ttl=self.ttl, keys=("id",))
        views: list[Any] = [latest]
        if self.readings.happened is not None:
            views.append(ExpressionView("windows", "thing", TEXTS))
        return Store.of(tables, [entity], views, settings=settings)

    @property
    def features(self) -> list[str]:
        """What can be asked of it."""
        return ["latest:*"] if self.readings.happened is None else ["latest:*", "windows:*"]


@st.composite
def sources(draw: st.DrawFn) -> Source:
    """Readings with or without a key, a second clock, deletions, and a table of things."""
    key = draw(st.sampled_from([None, "rid", ("id", "ts")]))
    roles: dict[str, Any] = {"key": key, "happened": draw(st.sampled_from(["ts", "ts", "ts", None]))}
    roles["known"] = draw(st.sampled_from([None, "created", "created"]))
    roles["deleted"] = draw(st.sampled_from([None, "gone"]))
    rows = draw(st.lists(ROWS, max_size=14))
    rows = list(dict.fromkeys(rows)) if key and roles["known"] else rows
    things = None
    if draw(st.booleans()):
        clocks = draw(st.sampled_from([{}, {"happened": "since"}, {"happened": "since", "known": "said"}]))
        things = schema("things", THINGS, key="id", **clocks)
    told = draw(st.lists(st.tuples(st.integers(0, 2), maybe(times), maybe(times), st.integers(0, 3)), max_size=4))
    told = list({row[0]: row for row in told}.values() if things and things.known is None else dict.fromkeys(told))
    timeless = roles["happened"] is None and roles["known"] is None
    ttl = None if timeless else draw(st.sampled_from([None, DAY, DAY // 2]))
    return Source(schema("readings", COLUMNS, **roles), rows, things, told, ttl)


@dataclass(frozen=True)
class Naive:
    """The double loop over a source."""

    source: Source
    graph: Graph

    @cached_property
    def oracle(self) -> Oracle:
        """The oracle of the engine."""
        tables = {"readings": self._dicts(self.source.readings, self.source.rows)}
        if self.source.things is not None:
            tables["things"] = self._dicts(self.source.things, self.source.known_things)
        return Oracle(self.graph, tables)

    def _dicts(self, table: Table, rows: Sequence[Row]) -> list[Mapping[str, Any]]:
        return [dict(zip((c.name for c in table.columns), row, strict=True)) for row in rows]

    def shown(self, table: Table, thing: Any, at: int) -> list[Mapping[str, Any]]:
        """The rows of a table about a thing that show."""
        oracle = self.oracle
        return [r for r in oracle.rows[table.name] if r["id"] == thing and oracle.shows(table, r, at)]

    def latest(self, column: str, thing: Any, at: int | None) -> Any:
        """What the newest row says."""
        if thing is None or at is None or not self.known(thing, at):
            return None
        found = self.shown(self.source.readings, thing, at)
        if not found:
            return None
        newest = max(found, key=self._rank)
        ttl = self.source.ttl
        return None if ttl is not None and at - self._when(newest) > ttl else newest[column]

    def window(self, name: str, aggregate: Any, thing: Any, at: int | None) -> Any:
        """An aggregate of a thing; NULL for things of which nothing is known."""
        if thing is None or at is None or not self.known(thing, at):
            return None
        return self.oracle.aggregate(aggregate, thing, at)

    def known(self, thing: Any, at: int) -> bool:
        """Whether there is anything to be said of the thing."""
        told = self.source.readings if self.source.things is None else self.source.things
        return bool(self.shown(told, thing, at))

    def _since(self, row: Mapping[str, Any]) -> int:
        table = self.source.readings
        happened = row[table.happened] if table.happened else None
        known = self.oracle.known(table, row) if table.known else BEGINNING
        return max(known, known if happened is None else happened)

    def _when(self, row: Mapping[str, Any]) -> int:
        table = self.source.readings
        return row[table.happened] if table.happened else self._since(row)

    def _rank(self, row: Mapping[str, Any]) -> Any:
        table = self.source.readings
        happened = row[table.happened] if table.happened else BEGINNING
        parts = [(row[k] is None, row[k] or 0) for k in table.keys]
        content = [(row[c] is None, 0 if row[c] is None else row[c]) for c in COLUMNS]
        return happened, parts, self._since(row), content


__all__ = ["Naive", "Source", "schema", "sources"]
