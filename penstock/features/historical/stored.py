"""Features of views for rows of a spine: all that is about one entity is worked out together, in one plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.execute import Progress, execute
from penstock.engine.newest import Newest, newest
from penstock.engine.relational import ARROW, Relational
from penstock.engine.rewrites import merge_sweeps
from penstock.engine.streams import EVERYTHING
from penstock.expression import Compare, Constant, Expr, Logic
from penstock.features.historical.keys import entities
from penstock.features.views.bound import Bound, BoundEntity, BoundFeature, BoundView, Chosen
from penstock.language import lower_features
from penstock.plan import Age, Aggregate, Attach, Field, Latest, Stream, Sweep
from penstock.schema import Dtype
from penstock.window import Lookback, Unit, reach_of

Values = dict[Chosen, pa.ChunkedArray]


@dataclass(frozen=True)
class Asked:
    """The rows of a spine that name an entity and say when: ``rows`` has ``entity`` and ``cutoff``.

    ``place`` tells, for each row of the spine, which of them is its own; NULL for those that name none.
    """

    relational: Relational
    rows: pa.Table
    place: pa.Array
    _newest: dict[Stream, Newest] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, relational: Relational, entity: pa.Array, cutoff: pa.Array) -> Asked:
        """What a spine with these entities and cutoffs asks."""
        told = np.asarray(pc.and_(entity.is_valid(), cutoff.is_valid()))
        place = pa.array(np.cumsum(told) - 1, mask=~told)
        rows = pa.table({"entity": entity, "cutoff": cutoff.cast(pa.timestamp("us"))})
        return cls(relational, rows if told.all() else rows.filter(pa.array(told)), place)

    def newest(self, stream: Stream) -> Newest:
        """The newest row of a stream for each of the rows."""
        if stream not in self._newest:
            self._newest[stream] = newest(self.relational, self.rows, stream)
        return self._newest[stream]

    def back(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column of these rows as one of the spine's."""
        return column if self.place.null_count == 0 else column.take(self.place)


def stored(
    bound: Bound,
    relational: Relational,
    spine: pa.Table,
    cutoff: pa.Array,
    chosen: Sequence[Chosen],
    progress: Progress,
) -> Values:
    """The features' columns, in the order of the spine's rows. ``cutoff`` is in microseconds.

    NULL for rows without a key or a cutoff, and for entities that nothing was known of at the cutoff.
    """
    found: Values = {}
    for entity, some in _by_entity(bound, chosen):
        asked = Asked.of(relational, entities(spine, entity), cutoff)
        values = {**_latest(bound, asked, some), **_worked_out(bound, asked, entity, some, progress)}
        for one, column in values.items():
            found[one] = asked.back(column)
    return found


def _by_entity(bound: Bound, chosen: Sequence[Chosen]) -> Iterator[tuple[BoundEntity, list[Chosen]]]:
    """Features that are about the same entity by the same columns of the spine."""
    groups: dict[tuple[str, tuple[str, ...]], list[Chosen]] = {}
    for one in dict.fromkeys(chosen):
        entity = bound.views[one.view].entity
        groups.setdefault((entity.table, entity.keys), []).append(one)
    for some in groups.values():
        yield bound.views[some[0].view].entity, some


def _feature(bound: Bound, one: Chosen) -> BoundFeature:
    return bound.views[one.view].feature(one.feature)


# ------------------------------------------------------------ latest values


def _latest(bound: Bound, asked: Asked, chosen: Iterable[Chosen]) -> Values:
    """Columns of newest rows: each stream is walked once, each column taken once for each maximum age."""
    found: Values = {}
    for one in chosen:
        leaf = _feature(bound, one).expression
        if isinstance(leaf, Latest):
            view = bound.views[one.view]
            found[one] = _recalled(bound, asked, leaf, view)
    return found


def _recalled(bound: Bound, asked: Asked, leaf: Latest, view: BoundView) -> pa.ChunkedArray:
    rows = asked.newest(leaf.stream)
    hidden = np.zeros(len(rows.row), bool)
    if view.entity.exists is not None:
        hidden |= asked.newest(existing(bound, view.entity)).row < 0
    if leaf.ttl:
        hidden |= rows.older(asked.rows["cutoff"].cast(pa.int64()).to_numpy(), leaf.ttl)
    column = asked.relational.rows.read(leaf.stream.table, [leaf.column])[leaf.column]
    return rows.take(column, hidden)


def existing(bound: Bound, entity: BoundEntity) -> Stream:
    """The rows that say that there is such an entity: its table's own, or those that name it."""
    assert entity.exists is not None
    if entity.exists == entity.table:
        return Stream(entity.table)
    column = bound.joins.virtual[entity.table].column(entity.exists)
    links = bound.graph.links_to(entity.table)
    return Stream(entity.table, (next(x for x in links if x.table == entity.exists and x.column == column),))


# ------------------------------------------------------------ everything else


def _worked_out(
    bound: Bound, asked: Asked, entity: BoundEntity, chosen: Sequence[Chosen], progress: Progress
) -> Values:
    """What is swept, looked up and worked out from that: one plan, so that a stream is read once."""
    plain = [one for one in chosen if not isinstance(_feature(bound, one).expression, Latest)]
    if not plain:
        return {}
    views = [bound.views[name] for name in dict.fromkeys(one.view for one in plain)]
    expressions = {f"value {n}": _feature(bound, one).expression for n, one in enumerate(plain)}
    seen = {f"seen {n}": told for n, view in enumerate(views) if (told := _seen(view)) is not None}
    plan = lower_features({**expressions, **seen}, entity.table, entity.column)
    answer = execute(plan, asked.rows, asked.relational, progress).table
    known = {view.name: _known(bound, asked, view, answer, f"seen {n}") for n, view in enumerate(views)}
    found: Values = {}
    for number, one in enumerate(plain):
        column = typed(answer[f"value {number}"], _feature(bound, one))
        mask = known[one.view]
        found[one] = column if mask is None else pc.if_else(mask, column, pa.scalar(None, column.type))
    return found


def _known(
    bound: Bound, asked: Asked, view: BoundView, answer: pa.Table, seen: str
) -> pa.ChunkedArray | pa.Array | None:
    """Whether anything was known of the entity at the cutoff, for each row; None where nothing could say."""
    if view.entity.exists is not None:
        return pa.array(asked.newest(existing(bound, view.entity)).row >= 0)
    told: list[pa.ChunkedArray | pa.Array] = [answer[seen]] if seen in answer.column_names else []
    latest = dict.fromkeys(x.expression.stream for x in view.features if isinstance(x.expression, Latest))
    told += [pa.array(asked.newest(stream).row >= 0) for stream in latest]
    return None if not told else told[0] if len(told) == 1 else pc.or_(*told)


def _seen(view: BoundView) -> Expr | None:
    """Whether any row of the view's streams shows at the cutoff; None where it has none, or a table says who is there.

    Rows that are not the entity's own (an anchor's, peers') say nothing of it, nor do those that no window of the view
    reaches any more: no store keeps them.
    """
    if view.entity.exists is not None:
        return None
    plain = {one.name: one.expression for one in view.features if not isinstance(one.expression, Latest)}
    steps = merge_sweeps(list(lower_features(plain, view.entity.table, view.entity.column).chain()))
    swept = [step for step in steps if isinstance(step, Sweep) and step.stream.anchor is None]
    streams = {step.stream: reach_of(one.window or EVERYTHING for one in step.aggregates) for step in swept}
    looked = [leaf for step in steps if isinstance(step, Attach) for leaf in step.leaves]
    if not view.entity.virtual and any(isinstance(leaf, Field | Age) for leaf in looked):  # a calendar is nobody's row
        streams[Stream(view.entity.table)] = None
    counts = [_count(stream, reach) for stream, reach in streams.items()]
    return _any([Compare(">", count, Constant(0)) for count in counts])


def _any(conditions: Sequence[Expr]) -> Expr | None:
    joined: Expr | None = None
    for condition in conditions:
        joined = condition if joined is None else Logic("OR", joined, condition)
    return joined


def _count(stream: Stream, reach: int | None) -> Aggregate:
    """How many rows show of the last ``reach`` microseconds (None: of all time).

    It names every link of its way, so that no other aggregate is called so.
    """
    window = Lookback(None, 0) if reach is None else Lookback(-reach // Unit.SECONDS.microseconds, 0, Unit.SECONDS)
    way = tuple(f"{link} to {link.to}" for link in stream.hops) or (f"the rows of {stream.root}",)
    return Aggregate("COUNT", stream, None, window, via=way)


def typed(column: pa.ChunkedArray, feature: BoundFeature) -> pa.ChunkedArray:
    """The column in the feature's dtype; lists that a request brought, of whatever they are."""
    if feature.dtype is Dtype.OTHER or (feature.dtype is Dtype.LIST and feature.list_of is None):
        return column
    return column.cast(arrow_type(feature))


def arrow_type(feature: BoundFeature) -> pa.DataType:
    """How Arrow keeps a feature's values."""
    if feature.dtype is Dtype.LIST:
        return pa.list_(ARROW[feature.list_of or Dtype.STRING])
    return ARROW[feature.dtype]


__all__ = ["Asked", "Values", "arrow_type", "existing", "stored", "typed"]
