"""What has to be kept of each key so that a view can be answered: rows of streams, sorted, with both clocks.

A view's expressions are lowered to the same plan as for training; each of its sweeps needs the rows of one stream, and
each look-up the newest row of a table. A *holding* is one such need: a space of the store holds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.flatten import Wanted
from penstock.engine.rewrites import merge_sweeps
from penstock.engine.streams import by_order, over, wanted
from penstock.errors import RequestError
from penstock.expression import Expr
from penstock.features.views.bound import BoundView
from penstock.features.views.entities import composed_name, twin_of
from penstock.language import lower_features
from penstock.plan import Age, Aggregate, Anchor, Attach, Field, Latest, Peers, Stream, Sweep
from penstock.schema import Dtype, Graph, Link, Table
from penstock.window import reach_of

FORMAT = "2"
"""Changes whenever what is kept would be written otherwise."""
_TALLIES = (Family.FREQUENCY, Family.LIST)


@dataclass(frozen=True)
class Holding:
    """The rows of a stream by key, for one view.

    ``columns`` are the values kept of each row (never as codes). Rows are in the order of `penstock.engine.flatten`,
    ties broken by the table's key and ``order_by``. ``newest``: only the last row that shows is ever asked for.
    ``reach`` is how many microseconds back any window looks; None: to the beginning. ``key`` is the dtype of the keys.
    ``tallied`` are the columns of which it is asked how often each value comes. ``made`` says how the derived tables
    below the view are made: rows of another making are another holding, built beside.
    """

    view: str
    stream: Stream
    columns: tuple[Wanted, ...]
    key: Dtype
    order_by: tuple[Wanted, ...] = ()
    newest: bool = False
    reach: int | None = None
    tallied: tuple[Wanted, ...] = ()
    made: str = field(default="", repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Equal for holdings of one view that keep the same."""
        return hashlib.blake2b(f"{FORMAT} {self!r}{self.made}".encode(), digest_size=10).hexdigest()

    @property
    def space(self) -> str:
        """The name of its space in a store."""
        return f"h-{self.fingerprint}"

    def place(self, asked: Wanted) -> int:
        """Where a column is among those kept."""
        return self.columns.index(replace(asked, coded=False))

    @property
    def dtypes(self) -> tuple[Dtype, ...]:
        """The dtypes of the values kept; what only marks rows is 1 or NULL."""
        return tuple(Dtype.FLOAT if one.field is None else one.field.dtype for one in self.columns)


@dataclass(frozen=True)
class Swept:
    """A sweep over a holding: its aggregates, and what the key is read from where that is not the entity."""

    holding: Holding
    aggregates: tuple[Aggregate, ...]
    stream: Stream
    anchor: Anchor | None = None


@dataclass(frozen=True)
class Looked:
    """Columns of the entity's own row (no ``hops``) or of a parent's, whose key the row before it says in ``by``.

    ``by`` is None where the entity's key is asked for.
    """

    holding: Holding
    hops: tuple[Link, ...]
    leaves: tuple[Field | Age, ...]
    by: str | None = None


@dataclass(frozen=True)
class Recalled:
    """Columns of the newest row of a stream."""

    holding: Holding
    leaves: tuple[Latest, ...]


@dataclass(frozen=True)
class Kept:
    """All that is kept for a view, in the order in which it is read; ``exists`` says whether there is such an entity.

    Without ``exists`` an entity is there if any row of the view's streams shows.
    """

    view: BoundView
    exists: Holding | None
    looked: tuple[Looked, ...]
    recalled: tuple[Recalled, ...]
    swept: tuple[Swept, ...]

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """Each holding once."""
        found = [one.holding for part in (self.looked, self.recalled, self.swept) for one in part]
        return tuple(dict.fromkeys([*([self.exists] if self.exists else []), *found]))


def kept_for(view: BoundView, graph: Graph) -> Kept:
    """What is to be kept for a view. Raises ``RequestError`` (``ONLINE_CANNOT``) for what no store can keep."""
    latest = [leaf for one in view.features for leaf in one.expression.walk() if isinstance(leaf, Latest)]
    plain = {one.name: one.expression for one in view.features if not _has_latest(one.expression)}
    steps = merge_sweeps(list(lower_features(plain, view.entity.table, view.entity.column).chain()))
    leaves = dict.fromkeys(leaf for step in steps if isinstance(step, Attach) for leaf in step.leaves)
    looked = tuple(_looked(view, graph, [leaf for leaf in leaves if isinstance(leaf, Field | Age)]))
    swept = tuple(one for step in steps if isinstance(step, Sweep) for one in _swept(view, graph, step))
    recalled = tuple(_recalled(view, graph, latest))
    exists = None if view.entity.exists is None else _exists(view, graph, view.entity.exists)
    return Kept(view, exists, looked, recalled, swept)


def _has_latest(expression: Expr) -> bool:
    return any(isinstance(node, Latest) for node in expression.walk())


def _exists(view: BoundView, graph: Graph, table: str) -> Holding:
    """The newest row of the table that says which entities there are."""
    entity = view.entity
    stream = stream_of(graph, entity.table, table) if entity.own is None else Stream(entity.table, (entity.own,))
    return Holding(view.kept, stream, (), _key(graph, entity.table), newest=True, made=view.made)


def stream_of(graph: Graph, root: str, table: str) -> Stream:
    """The rows of a table that belong to a row of ``root``: itself, or those that point to it.

    Raises ``RequestError`` where no single link, or several, lead there.
    """
    if table == root:
        return Stream(root)
    links = [link for link in graph.links_to(root) if link.table == table]
    if len(links) != 1:
        names = [str(link) for link in links]
        message = f"{table} points to {root} by {len(links)} links"
        raise RequestError("FEATURE_LINK", message, name=table, candidates=names, hint="Say by which columns: keys = …")
    return Stream(root, (links[0],))


def _looked(view: BoundView, graph: Graph, leaves: list[Field | Age]) -> Iterator[Looked]:
    """A look-up for each table on the ways to the leaves, nearer ones first; each keeps the columns that lead on."""
    fields = {leaf: leaf.field if isinstance(leaf, Age) else leaf for leaf in leaves}
    ways = {field.hops[:depth] for field in fields.values() for depth in range(len(field.hops) + 1)}
    keyed = {way: _by_key(view, graph, way) for way in ways if way or not view.entity.virtual}
    _must_be_rows(view, fields.values())
    for hops in sorted(keyed, key=lambda way: (len(way), str(way))):
        stream, by = keyed[hops]
        table = graph.table(stream.table)
        here = tuple(leaf for leaf, field in fields.items() if field.hops == hops)
        onward = [way for way in keyed if len(way) > len(hops) and way[: len(hops)] == hops]
        led = [name for way in onward if (name := keyed[way[: len(hops) + 1]][1]) is not None]
        names = dict.fromkeys([*(fields[leaf].column for leaf in here), *led])
        columns = tuple(Wanted(own_field(table, column), coded=False) for column in names)
        holding = Holding(view.kept, stream, columns, _key(graph, stream.root), newest=True, made=view.made)
        yield Looked(holding, hops, here, by)


def _must_be_rows(view: BoundView, fields: Iterable[Field]) -> None:
    if view.entity.virtual and any(not field.hops for field in fields):
        message = f"{view.name} reads the key of {view.entity.name} itself: whoever asks for it has it"
        raise RequestError("ONLINE_CANNOT", message, name=view.name, hint="Leave it out.")


def _by_key(view: BoundView, graph: Graph, hops: tuple[Link, ...]) -> tuple[Stream, str | None]:
    """The rows at the end of a way by their keys, and which column of the row before says the key (None: who asks)."""
    entity = view.entity
    if not hops:
        return Stream(entity.table), None
    link = hops[-1]
    if entity.own is not None and len(hops) == 1 and link.to == entity.own.table and link.table == entity.table:
        return Stream(entity.table, (entity.own,)), None
    table, twin = graph.table(link.to), twin_of(link.to)
    if len(table.keys) == 1:
        return Stream(table.name), link.columns[0]
    by = composed_name(twin, link.columns)
    if not graph.table(link.table).has(by):
        message = f"{view.name} reads rows of {table.name} by {link}, and such columns are no key that a store keeps"
        hint = "A key's columns are whole numbers, texts, truth values or times, of the same dtype at both ends."
        raise RequestError("ONLINE_CANNOT", message, name=view.name, hint=hint)
    return Stream(twin, (Link(table.name, composed_name(twin, table.keys), twin),)), by


def own_field(table: Table, column: str) -> Field:
    """A column of a table's own rows."""
    told = table.column(column)
    return Field(table.name, column, told.dtype, told.kind)


def _recalled(view: BoundView, graph: Graph, latest: Iterable[Latest]) -> Iterator[Recalled]:
    by_stream: dict[Stream, dict[Latest, None]] = {}
    for leaf in latest:
        by_stream.setdefault(leaf.stream, {})[leaf] = None
    for stream, leaves in by_stream.items():
        table = graph.table(stream.table)
        columns = tuple(
            Wanted(own_field(table, column), coded=False) for column in dict.fromkeys(leaf.column for leaf in leaves)
        )
        holding = Holding(view.kept, stream, columns, _key(graph, stream.root), newest=True, made=view.made)
        yield Recalled(holding, tuple(leaves))


def _swept(view: BoundView, graph: Graph, step: Sweep) -> Iterator[Swept]:
    stream, table = step.stream, graph.table(step.stream.table)
    rows = replace(stream, anchor=stream.anchor if isinstance(stream.anchor, Peers) else None)
    unique = bool(table.keys) and table.known is not None
    for aggregates, order_by in by_order(stream, step.aggregates, unique=unique):
        overs = [over(a, stream) for a in aggregates]
        asked = [*(wanted(a, stream) for a in aggregates), *(kept for _, kept in overs)]
        columns = tuple(dict.fromkeys(replace(one, coded=False) for one in asked if one is not None))
        ties, key = tuple(replace(one, coded=False) for one in order_by), _swept_key(graph, stream)
        reach = reach_of(window for window, _ in overs)
        tallied = _tallied(aggregates, stream)
        holding = Holding(view.kept, rows, columns, key, ties, reach=reach, tallied=tallied, made=view.made)
        yield Swept(holding, tuple(aggregates), stream, stream.anchor)


def _tallied(aggregates: Iterable[Aggregate], stream: Stream) -> tuple[Wanted, ...]:
    asked = (wanted(one, stream) for one in aggregates if AGGREGATES[one.function].family in _TALLIES)
    return tuple(dict.fromkeys(replace(one, coded=False) for one in asked if one is not None))


def _swept_key(graph: Graph, stream: Stream) -> Dtype:
    if isinstance(stream.anchor, Peers):
        return Dtype.INT if stream.anchor.field is None else stream.anchor.field.dtype
    return _key(graph, stream.root)


def _key(graph: Graph, table: str) -> Dtype:
    schema = graph.table(table)
    return schema.column(schema.keys[0]).dtype
