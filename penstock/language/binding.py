"""Trees into bound expressions: names become fields, aggregates become streams with windows that look one way."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields, replace

from penstock.expression import Among, Constant, Expr, Match
from penstock.language.routes import Route, to_parent, to_stream
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column
from penstock.plan import Age, Aggregate, Field, Stream
from penstock.schema import Dtype, Link
from penstock.window import Lookahead, Lookback, Window


def bind(scope: Scope, expression: Expr, root: str, *, filters_entity: bool = False) -> Expr:
    """The expression about a row of ``root``, bound to the schema. Raises ``QueryError`` where no path leads."""
    if isinstance(expression, Column):
        return _field(scope, expression, to_parent(scope, root, expression, filters_entity=filters_entity))
    if isinstance(expression, Aggregation):
        return _aggregate(scope, expression, root)
    if isinstance(expression, Constant):
        return _bound_constant(expression)
    changed = {
        f.name: bind(scope, part, root, filters_entity=filters_entity)
        for f in fields(expression)
        if isinstance(part := getattr(expression, f.name), Expr)
    }
    return _fitted(replace(expression, **changed))  # type: ignore[arg-type]


def directed(scope: Scope, node: Aggregation) -> Lookback | Lookahead | None:
    """The window as one that looks back or ahead. Raises ``QueryError`` for one that does both."""
    window = node.window
    if window is None:
        return None
    if window.end <= 0:
        return Lookback(window.start, window.end, window.unit)
    if window.start is not None and window.start >= 0:
        return Lookahead(window.start, window.end, window.unit)
    raise _straddles(scope, node, window)


def _straddles(scope: Scope, node: Aggregation, window: Window) -> Exception:
    return scope.error(
        "PQL_TIME_STRADDLES_CUTOFF",
        f"the window ({window}) lies on both sides of its moment",
        node,
        f"Split it in two: one window up to 0, and one from 0 to {window.end}.",
    )


def _aggregate(scope: Scope, node: Aggregation, root: str) -> Expr:
    if node.function == "TIME_SINCE" and node.window is None and not node.column.wildcard:
        return Age(_field(scope, node.column, to_parent(scope, root, node.column)), span=node.span)
    anchor = None if node.of is None else _anchor(scope, node.of, root)
    start = root if anchor is None else _pointed_at(scope, node)
    route = to_stream(scope, start, node)
    _needs_a_clock(scope, node, route)
    where = None if node.where is None else _row_filter(scope, node.where, node.column.table, route)
    value = None if node.column.wildcard else _field(scope, node.column, route.up)
    via = tuple(map(str, node.via))
    stream = Stream(start, route.down, where, anchor)
    return Aggregate(node.function, stream, value, directed(scope, node), node.n, via, span=node.span)


def _needs_a_clock(scope: Scope, node: Aggregation, route: Route) -> None:
    table = scope.table(route.down[-1].table)
    if node.window is not None and table.happened is None and (scope.strict or not route.timed(scope)):
        raise scope.error(
            "PQL_TIME_TABLE_HAS_NO_TIME_COLUMN",
            f"{table.name} has no time, so none of its rows can lie in a window",
            node,
            f"Declare which column of {table.name} says when a row happened, or use a column without an aggregate.",
            candidates=[column.name for column in table.columns if column.dtype is Dtype.TIMESTAMP],
        )


def _row_filter(scope: Scope, where: Expr, table: str, route: Route) -> Expr:
    """A filter of a stream's rows. Columns of the table that the aggregate is about are reached as its value is."""
    rows = route.down[-1].table
    if not route.up:
        return bind(scope, where, rows)
    if isinstance(where, Column) and where.table == table:
        return _field(scope, where, route.up)
    if isinstance(where, Column | Aggregation | Constant):
        return bind(scope, where, rows)
    changed = {
        f.name: _row_filter(scope, part, table, route)
        for f in fields(where)
        if isinstance(part := getattr(where, f.name), Expr)
    }
    return _fitted(replace(where, **changed))  # type: ignore[arg-type]


def _anchor(scope: Scope, node: Aggregation, root: str) -> Aggregate:
    if node.function not in ("LAST", "FIRST") or scope.link_of(node.column.table, node.column.column) is None:
        raise scope.error(
            "PQL_JOIN_ANCHOR_NOT_A_LINK",
            f"{node} does not point to one row of a parent",
            node,
            "After OF comes LAST of a column that points to a parent, such as OF LAST(orders.item_id).",
            candidates=[str(link) for link in scope.graph.links_from(node.column.table)],
        )
    bound = _aggregate(scope, node if node.window else replace(node, window=Window(None, 0)), root)
    if not isinstance(bound, Aggregate) or not isinstance(bound.window, Lookback):
        raise scope.error(
            "PQL_TIME_FUTURE_NOT_ALLOWED", "the row that OF names must lie in the past", node, "End its window at 0."
        )
    return bound


def _pointed_at(scope: Scope, node: Aggregation) -> str:
    link = scope.link_of(node.of.column.table, node.of.column.column) if node.of else None
    return link.to if link else node.column.table


def _field(scope: Scope, column: Column, hops: tuple[Link, ...]) -> Field:
    known = scope.table(column.table).column(column.column)
    return Field(column.table, known.name, known.dtype, known.kind, hops, span=column.span)


def _bound_constant(constant: Constant) -> Constant:
    """The value alone, however it was written; a day is compared as its first instant."""
    value = constant.value
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    return replace(constant, value=value, written=None)


def _fitted(node: Expr) -> Expr:
    """The constants of a list, bound; and a text that a list of numbers should contain, as a number."""
    if isinstance(node, Among):
        return replace(node, values=tuple(map(_bound_constant, node.values)))
    if isinstance(node, Match) and isinstance(node.operand, Aggregate) and node.operand.function == "LIST_DISTINCT":
        element, written = node.operand.value, node.value.value
        if element is not None and element.dtype in (Dtype.INT, Dtype.FLOAT) and isinstance(written, str):
            number = int(written) if element.dtype is Dtype.INT else float(written)
            return replace(node, value=replace(node.value, value=number))
    return node
