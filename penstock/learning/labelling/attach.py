"""Labels as a table of a database: the graph gets a table, the source gets its rows, and queries read it as any other.

As columns (`with_labels`), the table ``labels`` has one row for each labelled entity and one column for each set:
``labels.fraud`` is what is decided of the entity, by the newest time that was spoken of. As events
(``shape="events"``), it has a row for each entity and time that was labelled: what a window of a query looks for. Both
keep every version: what was decided later is not seen at cutoffs before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from penstock import lake
from penstock.engine.relational import ARROW
from penstock.errors import RequestError, SchemaError
from penstock.inference.facts import Facts
from penstock.lake.frames import FrameSource
from penstock.lake.source import RawTable, Source
from penstock.learning.labelling.decided import Decision, decisions
from penstock.learning.labelling.label import INSTANT
from penstock.learning.labelling.store import LabelSet, LabelStore
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

Shape: TypeAlias = Literal["columns", "events"]
SINCE, HAPPENED, KNOWN, DELETED, KEY = "since", "happened", "known", "deleted", "label_id"
_OWN = (SINCE, HAPPENED, KNOWN, DELETED, KEY)
_WHY = "from the labels"


class Holder(Protocol):
    """What has a source, its facts and its graph: a `penstock.database.Database`."""

    source: Source
    facts: Facts
    graph: Graph


H = TypeVar("H", bound=Holder)


@dataclass(frozen=True)
class LabelledSource:
    """A source with tables of labels beside its own."""

    under: Source
    added: FrameSource
    name: str = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.under.name)
        object.__setattr__(self, "notes", tuple(self.under.notes))

    @cached_property
    def _mine(self) -> Mapping[str, RawTable]:
        return self.added.tables()

    def tables(self) -> Mapping[str, RawTable]:
        """The source's tables, then those of labels."""
        return {**self.under.tables(), **self._mine}

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows."""
        return (self.added if table in self._mine else self.under).read(table, columns)

    def fingerprint(self) -> str:
        """Changes when the source does, and when a label comes."""
        told = f"{self.under.fingerprint()} {self.added.fingerprint()}"
        return blake2b(told.encode(), digest_size=16).hexdigest()


def with_labels(
    db: H,
    store: LabelStore,
    names: Iterable[str] | None = None,
    *,
    shape: Shape = "columns",
    table: str = "labels",
    weights: Mapping[str, float] | None = None,
    least: float = 0.5,
) -> H:
    """The database with a table of labels: all sets of the store, or the ones named, about one of its tables.

    Labellers are weighted by ``weights`` (accuracies), or as estimated from what was known at each instant. Where the
    vote is undecided (`penstock.learning.labelling.vote.vote`) the value is NULL. Labels of entities that are not
    there are left out, and noted. Raises ``RequestError`` for sets that do not exist or are about several tables, and
    ``SchemaError`` where the entities' table has no key of one column or there is a table of that name.
    """
    sets = [store.set(name) for name in (store.names() if names is None else names)]
    home = _home(db.graph, sets, table, shape)
    key = home.column(home.keys[0])
    found = {one.name: list(decisions(one.history(), weights, least=least)) for one in sets}
    rows = _rows(found, sets, key, shape)
    there = db.source.read(home.name, [key.name])[key.name]
    rows, note = _among(rows, key, there, home.name, table)
    added = FrameSource({table: rows}, name=table)
    graph = _grown(db.graph, _described(table, key, sets, shape, rows.num_rows), Link(table, key.name, home.name, _WHY))
    facts = lake.describe(added)
    return replace(  # type: ignore[type-var]
        db,
        source=LabelledSource(db.source, added),
        facts=Facts((*db.facts.tables, *facts.tables), db.facts.notes),
        graph=replace(graph, notes=(*graph.notes, *note)),
    )


def _home(graph: Graph, sets: Sequence[LabelSet], table: str, shape: str) -> Table:
    """The table that all sets are about."""
    if shape not in ("columns", "events"):
        raise RequestError("LABELS_SHAPE", f"labels cannot be {shape!r}", name=shape, candidates=("columns", "events"))
    if not sets:
        hint = (
            "Add some first: penstock labels import fraud labels.csv, or store.add('fraud', from_csv('labels.csv'), …)."
        )
        raise RequestError("LABELS_NONE", "there are no labels", hint=hint)
    about = sorted({one.entity for one in sets})
    if len(about) > 1:
        message = f"these labels are about several tables: {', '.join(about)}"
        hint = "Name the sets about one of them, and give the others a table of their own: table='labels_of_…'."
        raise RequestError("LABELS_SEVERAL_TABLES", message, candidates=[one.name for one in sets], hint=hint)
    if table in graph:
        hint = "Call the labels otherwise: table='given_labels'."
        raise SchemaError("LABELS_TABLE_TAKEN", f"there is a table {table!r} already", name=table, hint=hint)
    home = graph.table(about[0])
    if len(home.keys) != 1:
        message = f"{home.name} has {'a key of several columns' if home.keys else 'no key'}, so no label can name a row"
        raise SchemaError("LABELS_NO_KEY", message, name=home.name, hint=f'Choose one: set("{home.name}", key=…).')
    taken = sorted({one.name for one in sets} & {home.keys[0], *_OWN})
    if taken:
        message = f"a set cannot be called {taken[0]!r} here: the table of labels has such a column of its own"
        raise RequestError("LABELS_NAME", message, name=taken[0])
    return home


# ---------------------------------------------------------------- rows


def _rows(found: Mapping[str, list[Decision]], sets: Sequence[LabelSet], key: Column, shape: Shape) -> pa.Table:
    """The rows of the table of labels, the entity as text."""
    told = sorted(((d.known, name, d) for name, some in found.items() for d in some), key=lambda t: (t[0], t[1]))
    rows = _states(told) if shape == "columns" else _events(told)
    values = [(one.name, one.kind.arrow) for one in sets]
    clocks = [(SINCE, INSTANT)] if shape == "columns" else [(HAPPENED, INSTANT), (KNOWN, INSTANT), (KEY, pa.string())]
    schema = pa.schema([(key.name, pa.string()), *values, *clocks, (DELETED, pa.bool_())])
    return pa.Table.from_pylist([{key.name: row.pop("entity"), **row} for row in rows], schema)


def _states(told: Iterable[tuple[int, str, Decision]]) -> list[dict[str, Any]]:
    """One row for each entity and instant at which anything decided of it changed."""
    held: dict[tuple[str, str], dict[int, Any]] = {}
    state: dict[str, dict[str, Any]] = {}
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for known, name, decision in told:
        entity = decision.item[0]
        times = held.setdefault((entity, name), {})
        times[decision.happened] = decision.value
        newest = max((when for when, value in times.items() if value is not None), default=None)
        mine = state.setdefault(entity, {})
        mine[name] = None if newest is None else times[newest]
        rows[entity, known] = {"entity": entity, SINCE: known, DELETED: False, **mine}
    return list(rows.values())


def _events(told: Iterable[tuple[int, str, Decision]]) -> list[dict[str, Any]]:
    """One row for each entity, time and instant at which anything decided of that time changed."""
    state: dict[str, dict[str, tuple[Any, bool]]] = {}
    first: dict[str, int] = {}
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for known, name, decision in told:
        entity, when = decision.item
        event = f"{entity} {'as such' if when is None else when}"
        mine = state.setdefault(event, {})
        mine[name] = decision.value, decision.gone
        happened, gone = first.setdefault(event, decision.happened), all(gone for _, gone in mine.values())
        clocks = {HAPPENED: happened, KNOWN: known, DELETED: gone}
        values = {each: value for each, (value, _) in mine.items()}
        rows[event, known] = {"entity": entity, KEY: event, **clocks, **values}
    return list(rows.values())


def _among(
    rows: pa.Table, key: Column, there: pa.ChunkedArray, home: str, table: str
) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows of entities that exist, their key as it is kept there, and a note on the others."""
    names = pc.unique(there.cast(ARROW[key.dtype]))
    known = names.cast(pa.string())
    place = pc.index_in(rows[key.name], value_set=known)
    kept = place.is_valid()
    lost = pc.unique(rows[key.name].filter(pc.invert(kept))).to_pylist()
    rows, place = rows.filter(kept), place.filter(kept)
    rows = rows.set_column(0, key.name, names.take(place.combine_chunks()))
    if not lost:
        return rows, ()
    some = ", ".join(sorted(lost)[:5])
    return rows, (f"{table}: {len(lost)} labelled entities are not in {home} and were left out ({some})",)


# ---------------------------------------------------------------- the graph


def _described(table: str, key: Column, sets: Sequence[LabelSet], shape: Shape, rows: int) -> Table:
    values = tuple(Column(one.name, one.kind.dtype, one.kind.column_kind, _WHY) for one in sets)

    def clock(name: str) -> Column:
        return Column(name, Dtype.TIMESTAMP, Kind.TIMESTAMP, _WHY)

    own, gone = replace(key, kind=Kind.ID, why=_WHY), Column(DELETED, Dtype.BOOL, Kind.CATEGORICAL, _WHY)
    if shape == "columns":
        columns = (own, *values, clock(SINCE), gone)
        return Table(table, columns, key.name, SINCE, SINCE, DELETED, rows=rows, why=(_WHY,))
    event = Column(KEY, Dtype.STRING, Kind.ID, _WHY)
    columns = (own, *values, clock(HAPPENED), clock(KNOWN), event, gone)
    return Table(table, columns, KEY, HAPPENED, KNOWN, DELETED, rows=rows, why=(_WHY,))


def _grown(graph: Graph, table: Table, link: Link) -> Graph:
    return replace(graph, tables=(*graph.tables, table), links=(*graph.links, link))


# ---------------------------------------------------------------- spines


def spine(labels: LabelSet, key: Column | None = None, *, weights: Mapping[str, float] | None = None) -> pa.Table:
    """A spine of a set's decided labels, each at the time it is about: ``entity``, ``cutoff``, ``target``.

    For `Database.evaluate`: features are those known at the label's own time, and the label itself is not among them.
    ``key`` is the column of the entities' key, to give ``entity`` its type (default: text). Labels about no time are
    asked about when they were known first.
    """
    newest = {decision.item: decision for decision in decisions(labels.history(), weights)}
    held = [decision for decision in newest.values() if decision.value is not None]
    kind = pa.string() if key is None else ARROW[key.dtype]
    return pa.table({
        "entity": pa.array([d.item[0] for d in held], pa.string()).cast(kind),
        "cutoff": pa.array([d.happened for d in held], INSTANT),
        "target": pa.array([d.value for d in held], labels.kind.arrow),
    }).sort_by([("cutoff", "ascending"), ("entity", "ascending")])  # fmt: skip


__all__ = ["LabelledSource", "Shape", "spine", "with_labels"]
