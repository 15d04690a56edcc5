"""A plan becomes rows: each node of the plan, in order, does its work on a table of (entity, cutoff) rows.

Columns worked out on the way are named by the text of the expression they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine import kernels
from penstock.engine.compile import sql
from penstock.engine.lookup import look_up
from penstock.engine.relational import ARROW, Relational
from penstock.engine.rewrites import merge_sweeps
from penstock.engine.streams import sweep_stream
from penstock.expression import Expr
from penstock.plan import (
    Age,
    Aggregate,
    Alive,
    Attach,
    Calendar,
    Compute,
    Defined,
    Field,
    Keep,
    Node,
    Peers,
    Select,
    Spine,
    Sweep,
    Unroll,
)

Progress = Callable[[str, float], None]

COMPILING = "compiling the kernels (once, some ten seconds)"


@dataclass(frozen=True)
class Answer:
    """What a plan gave, and how many rows each step that drops rows dropped (by the step's sentence)."""

    table: pa.Table
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """The rows so far: entity, cutoff, and one column an expression worked out."""

    relational: Relational
    table: pa.Table
    root: str
    key: str
    progress: Progress
    dropped: dict[str, int]

    def with_columns(self, columns: dict[str, pa.Array | pa.ChunkedArray]) -> State:
        """The state with more columns; those it has already stay."""
        there = dict(zip(self.table.column_names, self.table.columns, strict=True))
        more = {name: column for name, column in columns.items() if name not in there}
        return replace(self, table=pa.table({**there, **more}))

    def keep(self, mask: pa.Array, sentence: str) -> State:
        """The state with the rows where the mask is true."""
        table = self.table.filter(mask)
        self.dropped[sentence] = self.dropped.get(sentence, 0) + self.table.num_rows - table.num_rows
        return replace(self, table=table)


def quiet(_message: str, _share: float) -> None:
    """Progress that nobody watches."""


def execute(plan: Node, spine: pa.Table, relational: Relational, progress: Progress = quiet) -> Answer:
    """The plan's answer for a spine (columns ``entity`` and ``cutoff``; cutoffs are UTC).

    Rows keep the spine's order; steps that drop rows leave the rest in order.
    """
    steps = merge_sweeps(list(plan.chain()))
    first = steps[0]
    assert isinstance(first, Spine)
    state = State(relational, conform(spine, relational, first), first.table, first.key, progress, {})
    if any(isinstance(step, Sweep) for step in steps) and not kernels.ready():
        progress(COMPILING, 0.0)
    for computes, run in groupby(enumerate(steps[1:]), key=lambda step: isinstance(step[1], Compute)):
        if computes:
            state = _compute([step for _, step in run], state)
            continue
        for number, step in run:
            progress(step.sentence, number / len(steps))
            state = take(step, state)
    return Answer(state.table, state.dropped)


def conform(spine: pa.Table, relational: Relational, first: Spine) -> pa.Table:
    """The spine with entities of the key's type and cutoffs as UTC instants in microseconds."""
    kind = ARROW[relational.rows.graph.table(first.table).column(first.key).dtype]
    entity = spine["entity"]
    if pa.types.is_dictionary(entity.type):
        entity = entity.cast(entity.type.value_type)
    return pa.table({"entity": entity.cast(kind), "cutoff": _instants(spine["cutoff"])})


def _instants(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp("us", "UTC"))
    return column.cast(pa.timestamp("us"))


@singledispatch
def take(step: Node, state: State) -> State:  # noqa: ARG001  the registered steps use it
    """The state after one step."""
    raise TypeError(f"no engine for {type(step).__name__}")


@take.register
def _(step: Alive, state: State) -> State:
    ends = [] if step.ends is None else [step.ends]
    found = look_up(state.relational, state.table, state.root, state.key, (), ends)
    alive = found["exists"]
    if ends:
        end = found[ends[0]]
        alive = pc.and_(alive, pc.fill_null(pc.greater(end, state.table["cutoff"]), True))
    return state.keep(alive, step.sentence)


@take.register
def _(step: Attach, state: State) -> State:
    leaves = [leaf for leaf in step.leaves if str(leaf) not in state.table.column_names]
    rows = {leaf: leaf.field if isinstance(leaf, Age) else leaf for leaf in leaves}
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for hops in dict.fromkeys(row.hops for row in rows.values() if isinstance(row, Field)):  # one look-up a parent
        here = {leaf: row for leaf, row in rows.items() if isinstance(row, Field) and row.hops == hops}
        asked = list(dict.fromkeys(row.column for row in here.values()))
        found = look_up(state.relational, state.table, state.root, state.key, hops, asked)
        for leaf, row in here.items():
            value = found[row.column]
            columns[str(leaf)] = _age(value, state.table["cutoff"]) if isinstance(leaf, Age) else value
    moments = state.table["cutoff"].cast(pa.int64()).to_numpy()
    columns |= {str(leaf): pa.array(calendar(leaf, moments)) for leaf in leaves if isinstance(leaf, Calendar)}
    return state.with_columns({str(leaf): columns[str(leaf)] for leaf in leaves})


def _age(instant: pa.ChunkedArray, cutoff: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days from the instant to the cutoff; NULL while the instant lies ahead, for then it would tell of the future."""
    micros = pc.subtract(cutoff.cast(pa.int64()), instant.cast(pa.int64()))
    days = pc.divide(micros.cast(pa.float64()), 86_400_000_000.0)
    return pc.if_else(pc.greater_equal(micros, 0), days, pa.scalar(None, pa.float64()))


def calendar(leaf: Calendar, cutoffs: np.ndarray) -> np.ndarray:
    """The part of each cutoff (UTC), as int64."""
    moments = cutoffs.astype("datetime64[us]")
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    parts: dict[str, Callable[[], np.ndarray]] = {
        "MONTH": lambda: months.astype(np.int64) % 12 + 1,
        "WEEKDAY": lambda: (days.astype(np.int64) + 3) % 7 + 1,
        "DAY": lambda: (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "HOUR": lambda: (moments - days.astype("datetime64[us]")).astype(np.int64) // 3_600_000_000,
    }
    return parts[leaf.part]()


@take.register
def _(step: Sweep, state: State) -> State:
    wanted = [a for a in step.aggregates if str(a) not in state.table.column_names]
    if not wanted:
        return state
    anchor = step.stream.anchor
    if isinstance(anchor, Aggregate):
        state = take(Sweep(anchor.stream, (anchor,)), state)
    elif (said := anchor.field if isinstance(anchor, Peers) else anchor) is not None:
        state = take(Attach((said,)), state)
    return state.with_columns(sweep_stream(state.relational, state.table, step.stream, wanted))


@take.register
def _(step: Keep, state: State) -> State:
    return state.keep(evaluate(state, [step.condition])[0], step.sentence)


def _compute(steps: Sequence[Node], state: State) -> State:
    """The state after steps that each work out a column: one query for all of them."""
    asked = {step.name: step.expression for step in steps if isinstance(step, Compute)}
    return state.with_columns(dict(zip(asked, evaluate(state, list(asked.values())), strict=True)))


@take.register
def _(step: Defined, state: State) -> State:
    return state.keep(state.table[step.name].is_valid(), step.sentence)


@take.register
def _(step: Select, state: State) -> State:
    return replace(state, table=state.table.select(list(step.columns)))


@take.register
def _(step: Unroll, state: State) -> State:
    rows, steps = state.table.num_rows, len(step.columns)
    order = np.arange(rows * steps).reshape(steps, rows).T.ravel()
    kept = state.table.take(pa.array(np.repeat(np.arange(rows), steps)))
    stacked = pa.chunked_array(
        [c for name in step.columns for c in state.table[name].chunks] or [pa.array([], pa.float64())]
    )
    kept = kept.append_column("step", pa.array(np.tile(np.arange(1, steps + 1), rows)))
    return replace(state, table=kept.append_column(step.name, stacked.take(pa.array(order))))


def evaluate(state: State, expressions: Sequence[Expr]) -> list[pa.ChunkedArray]:
    """Expressions over the columns worked out so far, one value a row each."""
    known = state.table.column_names
    asked = {e: f"v{n}" for n, e in enumerate(dict.fromkeys(e for e in expressions if str(e) not in known))}
    leaves: dict[str, str] = {}  # columns go by number: to SQL, names that differ in case alone are one

    def read(leaf: Expr) -> str:
        return leaves.setdefault(str(leaf), f"c{len(leaves)}")

    texts = ", ".join(f"{sql(expression, read)} AS {name}" for expression, name in asked.items())
    if not asked:
        return [state.table[str(e)] for e in expressions]
    columns = {"row": pa.array(np.arange(state.table.num_rows)), **{c: state.table[n] for n, c in leaves.items()}}
    held = state.relational.hold(pa.table(columns))
    try:
        found = state.relational.query(f"SELECT {texts} FROM {held} ORDER BY row")
    finally:
        state.relational.drop(held)
    return [found[asked[e]] if e in asked else state.table[str(e)] for e in expressions]


__all__ = ["Answer", "Progress", "execute", "quiet"]
