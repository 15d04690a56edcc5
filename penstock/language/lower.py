"""Queries and features into plans: which rows, what is looked up, which streams are swept, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from penstock.aggregates import AGGREGATES
from penstock.expression import Among, Arithmetic, Compare, Constant, Expr, IsNull, Logic, Match, Not, conjunction
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
    Stream,
    Sweep,
    Unroll,
    aggregates,
    fields_of,
)

if TYPE_CHECKING:
    from penstock.language.query import Query

Change: TypeAlias = Callable[[Expr], Expr]
TARGET = "target"


def lower_labels(query: Query) -> Node:
    """What was, or will be, the answer: columns ``entity``, ``cutoff``, (``step``,) ``target``.

    Entities that did not exist at the cutoff, that WHERE leaves out, or whose future is not what ASSUMING says are not
    in it, nor are those whose target is undefined: because it is NULL, or because it compares something that is.
    """
    node = _where(query)
    seen = _held(query.where)
    if query.assuming is not None:
        node = Keep(query.assuming, "ASSUMING", child=_gathered(node, [query.assuming], seen))
        seen |= _held(query.assuming)
    if not query.steps:
        node = _gathered(node, [query.target], seen)
        known = when_known(query.target)
        node = node if known is None else Keep(known, "else the target is undefined", child=node)
        node = Compute(TARGET, query.target, child=node)
        return Select(("entity", "cutoff", TARGET), child=Defined(TARGET, child=node))
    steps = [query.ahead(step) for step in range(query.steps)]
    node = _gathered(node, steps, seen)
    for expression in steps:
        if not isinstance(expression, Aggregate):
            node = Compute(str(expression), expression, child=node)
    node = Defined(TARGET, child=Unroll(TARGET, tuple(map(str, steps)), child=node))
    return Select(("entity", "cutoff", "step", TARGET), child=node)


def lower_population(query: Query) -> Node:
    """Whom to predict for: the entities that exist at the cutoff and that WHERE keeps; ASSUMING is taken as true."""
    return Select(("entity", "cutoff"), child=_where(query))


def lower_features(features: Mapping[str, Expr], table: str, key: str) -> Node:
    """The features of every row of the spine, in one sweep for each stream; no row is dropped."""
    node = _gathered(Spine(table, key), features.values(), set())
    for name, expression in features.items():
        if not (isinstance(expression, _LEAVES) and str(expression) == name):
            node = Compute(name, expression, child=node)
    return Select(("entity", "cutoff", *features), child=node)


def when_known(target: Expr) -> Expr | None:
    """When a condition has an answer: nothing it compares is NULL, unless it tests that with IS NULL itself.

    None where it always has one. Only targets ask this: in WHERE, ASSUMING and row filters a comparison with NULL is
    false.
    """
    tested = [node.operand for node in target.walk() if isinstance(node, IsNull)]
    compared = [operand for operand in _compared(target) if _may_be_null(operand) and operand not in tested]
    return conjunction([IsNull(operand, negated=True) for operand in dict.fromkeys(compared)])


def _compared(node: Expr) -> Iterator[Expr]:
    if isinstance(node, Compare | Among | Match):
        yield from node.children[: 2 if isinstance(node, Compare) else 1]
    elif isinstance(node, Not | Logic):
        for child in node.children:
            yield from _compared(child)


def _may_be_null(operand: Expr) -> bool:
    if isinstance(operand, Constant):
        return False
    if isinstance(operand, Aggregate):
        return AGGREGATES[operand.function].empty is None
    if isinstance(operand, Arithmetic):
        return operand.op == "/" or any(map(_may_be_null, operand.children))
    return True


_LEAVES = (Aggregate, Field, Age, Calendar)


def map_leaves(expression: Expr, change: Change) -> Expr:
    """The expression with its leaves changed: aggregates whole, without looking into their filters."""
    if isinstance(expression, (*_LEAVES, Constant)):
        return change(expression)
    return expression.over(lambda part: map_leaves(part, change))


def _where(query: Query) -> Node:
    table = query.graph.table(query.entity)
    node: Node = Spine(query.entity, query.key)
    node = Alive(query.entity, table.happened, table.ends, child=node)
    if query.where is None:
        return node
    return Keep(query.where, "WHERE", child=_gathered(node, [query.where], set()))


def _held(expression: Expr | None) -> set[Expr]:
    found = _with_anchors(aggregates(expression))
    return {*fields_of(expression), *_anchor_fields(found), *found}


def _gathered(node: Node, expressions: Iterable[Expr], seen: set[Expr]) -> Node:
    """The step that has every leaf of the expressions as a column; ``seen`` ones are there already."""
    expressions = list(expressions)
    swept = _with_anchors(a for e in expressions for a in aggregates(e))
    leaves = _new([*(leaf for e in expressions for leaf in fields_of(e)), *_anchor_fields(swept)], seen)
    if leaves:
        node = Attach(tuple(leaves), child=node)
    wanted = _new(swept, seen)
    streams: dict[Stream, list[Aggregate]] = {}
    for aggregate in wanted:
        if isinstance(aggregate, Aggregate):
            streams.setdefault(aggregate.stream, []).append(aggregate)
    for stream, found in sorted(streams.items(), key=lambda item: _anchored(item[0])):
        node = Sweep(stream, tuple(found), child=node)
    return node


def _new(leaves: Iterable[Expr], seen: set[Expr]) -> list[Expr]:
    return [leaf for leaf in dict.fromkeys(leaves) if leaf not in seen]


def _with_anchors(found: Iterable[Aggregate]) -> list[Aggregate]:
    """The aggregates, and before each the ones that say whose rows it is about."""
    ordered: list[Aggregate] = []
    for aggregate in found:
        if isinstance(aggregate.stream.anchor, Aggregate):
            ordered += _with_anchors([aggregate.stream.anchor])
        ordered.append(aggregate)
    return ordered


def _anchor_fields(found: Iterable[Aggregate]) -> list[Expr]:
    """The columns of the entity (or its parents) that say whose rows the aggregates are about."""
    anchors = (aggregate.stream.anchor for aggregate in found)
    fields = (anchor.field if isinstance(anchor, Peers) else anchor for anchor in anchors)
    return list(dict.fromkeys(field for field in fields if isinstance(field, Field)))


def _anchored(stream: Stream) -> int:
    """How many anchors a stream hangs on: those with fewer are swept first."""
    return 1 + _anchored(stream.anchor.stream) if isinstance(stream.anchor, Aggregate) else 0
