"""The naive double loop: what every clever path is compared with. No cleverness allowed here.

A database is a graph and, for each table, a list of rows (dicts; instants are microseconds). For one entity and one
cutoff it walks all rows of every table, decides one by one whether they show and belong, and works the aggregate out
by the definition in the table of aggregates.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from penstock.aggregates import AGGREGATES, Event
from penstock.expression import Among, Arithmetic, Call, Compare, Constant, Expr, IsNull, Logic, Match, Not
from penstock.plan import Aggregate, Field, Peers, Stream
from penstock.schema import Graph, Link, Table
from penstock.window import BEGINNING, END, Lookahead, Unit

Row = Mapping[str, Any]
OPERATORS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le}
OPERATORS |= {">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Oracle:
    """A database small enough to look at every row of it for every question."""

    graph: Graph
    rows: Mapping[str, Sequence[Row]]

    def shows(self, table: Table, row: Row, at: int | None) -> bool:
        """Whether the row is what the database shows at an instant; None asks how things turned out in the end."""
        if table.happened and row[table.happened] is None:
            return False
        known = self.known(table, row)
        versions = [r for r in self.rows[table.name] if table.known and self.same_key(table, r, row)]
        newer = [r for r in versions if self.rank(table, r) > self.rank(table, row)]
        if table.deleted and row[table.deleted]:
            return False
        if at is None:
            return not newer
        if known > at or (table.happened and row[table.happened] > at):
            return False
        return all(self.known(table, r) > at for r in newer)

    def same_key(self, table: Table, a: Row, b: Row) -> bool:
        """Whether two rows are versions of one."""
        return bool(table.keys) and all(a[k] is not None and a[k] == b[k] for k in table.keys)

    def known(self, table: Table, row: Row) -> int:
        """When the row became known."""
        happened = row[table.happened] if table.happened else None
        known = row[table.known] if table.known else None
        return next((x for x in (known, happened) if x is not None), BEGINNING) if table.known else BEGINNING

    def rank(self, table: Table, row: Row) -> Any:
        """What orders versions of one row: when known, deletions last, then content."""
        content = [row[c] for c in ([table.happened] if table.happened else []) + [c.name for c in table.columns]]
        gone = bool(table.deleted and row[table.deleted])
        return (self.known(table, row), gone, [(x is None, x if x is not None else 0) for x in content])

    def parent(self, link: Link, row: Row | None, at: int | None) -> Row | None:
        """The row a link points to, as it shows."""
        to = self.graph.table(link.to)
        if row is None or any(row[c] is None for c in link.columns):
            return None
        same = lambda r: all(r[k] == row[c] for k, c in zip(to.keys, link.columns, strict=True))  # noqa: E731
        found = [r for r in self.rows[link.to] if same(r) and self.shows(to, r, at)]
        return max(found, key=lambda r: self.rank(to, r)) if found else None

    def field(self, field: Field, row: Row | None, at: int | None) -> Any:
        """A column of a row or of its parent."""
        for link in field.hops:
            row = self.parent(link, row, at)
        return None if row is None else row[field.column]

    def stream(self, root: str, hops: Sequence[Link], entity: Any, at: int | None) -> list[tuple[Row, int]]:
        """The rows below an entity that show, each with when it happened."""
        if not hops:
            table = self.graph.table(root)
            mine = [r for r in self.rows[root] if r[table.keys[0]] == entity and self.shows(table, r, at)]
            return [(r, r[table.happened] if table.happened else BEGINNING + 1) for r in mine]
        return self.below([({self.graph.table(root).keys[0]: entity}, BEGINNING + 1)], hops, at)

    def below(self, found: list[tuple[Row, int]], hops: Sequence[Link], at: int | None) -> list[tuple[Row, int]]:
        """The rows that show below these rows."""
        for link in hops:
            table, up = self.graph.table(link.table), self.graph.table(link.to)
            found = [
                (r, r[table.happened] if table.happened else when)
                for above, when in found
                for r in self.rows[link.table]
                if all(r[c] is not None and r[c] == above[k] for c, k in zip(link.columns, up.keys, strict=True))
                and self.shows(table, r, at)
            ]
        return found

    def everyone(self, table: str, at: int | None) -> list[tuple[Row, int]]:
        """All rows of a table that show."""
        clock, rows = self.graph.table(table).happened, self.rows[table]
        return [(r, r[clock] if clock else BEGINNING + 1) for r in rows if self.shows(self.graph.table(table), r, at)]

    def of(self, stream: Stream, table: str, entity: Any, cutoff: int) -> list[tuple[Row, int]] | None:
        """The rows of an anchored stream for a row of a table; None where the anchor points nowhere."""
        anchor, everyone = stream.anchor, self.everyone(stream.root, cutoff)
        if isinstance(anchor, Peers) and anchor.field is None:
            rows = self.everyone(stream.hops[0].table, cutoff) if stream.hops else everyone
            return self.below(rows, stream.hops[1:], cutoff)
        if isinstance(anchor, Aggregate):
            pointed = [self.aggregate(anchor, entity, cutoff)]
        else:
            field = anchor.field if isinstance(anchor, Peers) else anchor
            own = [r for r, _ in self.everyone(table, cutoff) if r[self.graph.table(table).keys[0]] == entity]
            pointed = [self.field(field, own[0] if own else None, cutoff)]
            if isinstance(anchor, Peers) and pointed[0] is not None:
                alike = [r for r, _ in everyone if self.field(field, r, cutoff) == pointed[0]]
                pointed = list(dict.fromkeys(r[self.graph.table(stream.root).keys[0]] for r in alike))
        if None in pointed:
            return None
        return [row for one in pointed for row in self.stream(stream.root, stream.hops, one, cutoff)]

    def value(self, expression: Expr, row: Row | None, entity: Any, cutoff: int, at: int | None) -> Any:
        """An expression about a row (or an entity at a cutoff)."""
        look = lambda e: self.value(e, row, entity, cutoff, at)  # noqa: E731
        match expression:
            case Constant(value):
                return value
            case Field():
                return self.field(expression, row, at)
            case Aggregate():
                return self.aggregate(expression, entity, cutoff)
            case Compare(op, left, right):
                a, b = look(left), look(right)
                return a is not None and b is not None and OPERATORS[op](a, b)
            case IsNull(operand, negated):
                return (look(operand) is None) != negated
            case Among(operand, values):
                return (a := look(operand)) is not None and a in [v.value for v in values]
            case Match(pattern, operand, constant, negated):
                return matched(pattern, look(operand), constant.value) != negated
            case Not(operand):
                return not look(operand)
            case Logic(op, left, right):
                return (look(left) and look(right)) if op == "AND" else (look(left) or look(right))
            case Arithmetic(op, left, right):
                return arithmetic(op, look(left), look(right))
            case Call(function, operands):
                return called(function, [look(operand) for operand in operands])
        raise TypeError(type(expression))

    def aggregate(self, aggregate: Aggregate, entity: Any, cutoff: int, about: str = "users") -> Any:
        """An aggregate by its definition, of a row of the table ``about``."""
        ahead, stream, spec = isinstance(aggregate.window, Lookahead), aggregate.stream, AGGREGATES[aggregate.function]
        at = None if ahead else cutoff
        rows = (
            self.of(stream, about, entity, cutoff)
            if stream.anchor is not None
            else self.stream(stream.root, stream.hops, entity, at)
        )
        if rows is None:
            return None
        if aggregate.window is not None and aggregate.window.unit is Unit.ROWS:
            return self.over_rows(aggregate, rows, cutoff)
        low, high = BEGINNING, cutoff
        if aggregate.window is not None:
            low, high = (int(b[0]) for b in aggregate.window.bounds(np.array([cutoff])))
        table, state = self.graph.table(stream.table), spec.start()
        for row, happened in rows:
            if low < happened <= high and (stream.where is None or self.value(stream.where, row, None, happened, at)):
                value = 1 if aggregate.value is None else self.field(aggregate.value, row, at)
                order = [(row[k] is None, row[k] or 0) for k in table.keys]
                if value is not None:
                    state = spec.step(state, Event(happened, order, value))
        return spec.finish(state, aggregate.n or 1, cutoff)

    def over_rows(self, aggregate: Aggregate, rows: Sequence[tuple[Row, int]], cutoff: int) -> Any:
        """An aggregate over a window of rows: the last ones that show, in order, whether or not they have a value."""
        stream, spec, window = aggregate.stream, AGGREGATES[aggregate.function], aggregate.window
        assert window is not None and window.start is not None
        events = []
        for row, happened in rows:
            if happened <= cutoff and (stream.where is None or self.value(stream.where, row, None, happened, cutoff)):
                value = 1 if aggregate.value is None else self.field(aggregate.value, row, cutoff)
                order = [(row[k] is None, row[k] or 0) for k in self.graph.table(stream.table).keys]
                events.append((happened, order, value is None, 0 if value is None else value))
        events.sort()
        first, last = max(0, len(events) + window.start), max(0, len(events) + window.end)
        state = spec.start()
        for happened, order, missing, value in events[first:last]:
            if not missing:
                state = spec.step(state, Event(happened, order, value))
        return spec.finish(state, aggregate.n or 1, cutoff)


def matched(pattern: str, text: Any, wanted: Any) -> bool:
    """Whether a text fits a pattern (no LIKE here: its own test has it)."""
    if text is None:
        return False
    ways = {"CONTAINS": str.__contains__, "STARTS WITH": str.startswith, "ENDS WITH": str.endswith}
    return bool(ways[pattern](text, wanted))


def arithmetic(op: str, a: Any, b: Any) -> float | None:
    """Arithmetic with NULL, where a division by zero is NULL too."""
    if a is None or b is None or (op == "/" and b == 0):
        return None
    return {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[op](float(a), float(b))


def called(function: str, values: Sequence[Any]) -> Any:
    """A function of several values by its definition."""
    known = [value for value in values if value is not None]
    if function == "PAIR":
        return f"{values[0]} → {values[1]}" if len(known) == 2 else None
    if function == "FIRST_OF":
        return next((place for place, value in enumerate(values, 1) if value is not None and value > 0), None)
    if not known or (function == "SPREAD_OF" and len(known) == 1):
        return None
    if function == "STREAK_OF":
        run = len(list(takewhile(lambda value: value == known[0], known)))
        return -run if known[0] is False else run
    mean = math.fsum(known) / len(known)
    if function == "MEAN_OF":
        return mean
    return math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1))


__all__ = ["END", "Oracle"]
