"""Trees into bound expressions: names become fields, aggregates become streams with windows that look one way."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from penstock.errors import QueryError
from penstock.expression import Among, Constant, Expr, Match
from penstock.language.routes import Route, to_parent, to_stream
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column, Same
from penstock.plan import Age, Aggregate, Anchor, Field, Peers, Stream
from penstock.schema import Dtype, Link
from penstock.window import Lookahead, Lookback, Window

_POINTING = ("LAST", "FIRST", "LAST_N", "MODE")
"""The aggregates that give one of the values they saw, and so may name a parent's row."""


def bind(scope: Scope, expression: Expr, root: str, *, filters_entity: bool = False) -> Expr:
    """The expression about a row of ``root``, bound to the schema. Raises ``QueryError`` where no path leads."""
    if isinstance(expression, Column):
        return _field(scope, expression, to_parent(scope, root, expression, filters_entity=filters_entity))
    if isinstance(expression, Aggregation):
        return _aggregate(scope, expression, root)
    if isinstance(expression, Constant):
        return _bound_constant(expression)
    return _fitted(expression.over(lambda part: bind(scope, part, root, filters_entity=filters_entity)))


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
    start = _pointed_at(scope, node, root)
    own = isinstance(anchor, Peers) and node.column.table == root and not node.via
    route = Route() if own else to_stream(scope, start, node)
    rows = route.down[-1].table if route.down else start
    _needs_a_clock(scope, node, rows, timed=route.timed(scope))
    where = None if node.where is None else _row_filter(scope, node.where, node.column.table, rows, route.up)
    value = None if node.column.wildcard else _field(scope, node.column, route.up)
    via = tuple(map(str, node.via))
    stream = Stream(start, route.down, where, anchor)
    return Aggregate(node.function, stream, value, directed(scope, node), node.n, via, span=node.span)


def _needs_a_clock(scope: Scope, node: Aggregation, rows: str, *, timed: bool) -> None:
    table = scope.table(rows)
    if node.window is not None and table.happened is None and (scope.strict or not timed):
        raise scope.error(
            "PQL_TIME_TABLE_HAS_NO_TIME_COLUMN",
            f"{table.name} has no time, so none of its rows can lie in a window",
            node,
            f"Declare which column of {table.name} says when a row happened, or use a column without an aggregate.",
            candidates=[column.name for column in table.columns if column.dtype is Dtype.TIMESTAMP],
        )


def _row_filter(scope: Scope, where: Expr, table: str, rows: str, up: tuple[Link, ...]) -> Expr:
    """A filter of a stream's rows. Columns of the table that the aggregate is about are reached as its value is."""
    if not up:
        return bind(scope, where, rows)
    if isinstance(where, Column) and where.table == table:
        return _field(scope, where, up)
    if isinstance(where, Column | Aggregation | Constant):
        return bind(scope, where, rows)
    return _fitted(where.over(lambda part: _row_filter(scope, part, table, rows, up)))


def _anchor(scope: Scope, node: Aggregation | Column | Same, root: str) -> Anchor:
    """What stands after OF, bound: whose rows an aggregate is about instead of the entity's."""
    if isinstance(node, Same):
        return Peers(None if node.column is None else _alike(scope, node.column, root), span=node.span)
    if isinstance(node, Column):
        if scope.link_of(node.table, node.column) is None:
            raise _no_link(scope, node, node.table)
        return _field(scope, node, to_parent(scope, root, node))
    if node.function not in _POINTING or scope.link_of(node.column.table, node.column.column) is None:
        raise _no_link(scope, node, node.column.table)
    bound = _aggregate(scope, node if node.window else replace(node, window=Window(None, 0)), root)
    if not isinstance(bound, Aggregate) or not isinstance(bound.window, Lookback):
        raise scope.error(
            "PQL_TIME_FUTURE_NOT_ALLOWED", "the row that OF names must lie in the past", node, "End its window at 0."
        )
    return bound


def _no_link(scope: Scope, node: Expr, table: str) -> QueryError:
    return scope.error(
        "PQL_JOIN_ANCHOR_NOT_A_LINK",
        f"{node} does not point to one row of a parent",
        node,
        "After OF comes a column that points to a parent, LAST or MODE of one, such as OF LAST(orders.item_id), "
        "or whom the entity is like: OF SAME users.country, OF ALL.",
        candidates=[str(link) for link in scope.graph.links_from(table)],
    )


def _alike(scope: Scope, column: Column, root: str) -> Field:
    field = _field(scope, column, to_parent(scope, root, column))
    if field.dtype in (Dtype.LIST, Dtype.OTHER):
        raise scope.error(
            "PQL_TYPE_PEERS_NEED_A_VALUE",
            f"{column} holds no single value that two rows could share",
            column,
            "Name a column of categories: OF SAME users.country.",
        )
    return field


def _pointed_at(scope: Scope, node: Aggregation, root: str) -> str:
    """The table from whose row (or, of peers, rows) the way to the stream begins."""
    if node.of is None or isinstance(node.of, Same):
        return root
    column = node.of if isinstance(node.of, Column) else node.of.column
    link = scope.link_of(column.table, column.column)
    return link.to if link else column.table


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
