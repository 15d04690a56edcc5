"""The syntax tree: a query as it was written, before any schema gives its names a meaning.

The interior nodes of expressions are those of `penstock.expression`; the leaves are here. Every node knows its place
in the text and prints itself as canonical PQL, and what is printed parses to an equal tree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from penstock.aggregates import AGGREGATES
from penstock.errors import Span
from penstock.expression import Among, Compare, Constant, Expr, IsNull, Logic, Match, Not
from penstock.plan import quoted
from penstock.window import Window

Condition: TypeAlias = Compare | IsNull | Among | Match | Not | Logic
"""The expressions that are true or false."""


_CLAUSES = ("PREDICT", "FOR", "EACH", "WHERE", "ASSUMING", "RANK", "TOP", "CLASSIFY", "FORECAST", "TIMEFRAMES")
_OPERATORS = ("AND", "OR", "NOT", "IS", "IN", "LIKE", "CONTAINS", "STARTS", "ENDS", "WITH", "VIA", "AS", "OF")
RESERVED = frozenset((*_CLAUSES, *_OPERATORS, "TRUE", "FALSE", "NULL", *AGGREGATES))
"""Words that name no target, unless they stand in backticks."""


@dataclass(frozen=True)
class Column(Expr):
    """``table.column``, or ``table.*`` where the column is ``*``.

    >>> print(Column("Order Lines", "price"), Column("orders", "*"))
    `Order Lines`.price orders.*
    """

    table: str
    column: str

    @property
    def wildcard(self) -> bool:
        """Whether it stands for whole rows."""
        return self.column == "*"

    def __str__(self) -> str:
        return f"{quoted(self.table)}.{'*' if self.wildcard else quoted(self.column)}"


@dataclass(frozen=True)
class Same(Expr):
    """``SAME table.column`` after OF: the entities like this one; without a column ``ALL`` of them.

    >>> print(Same(Column("users", "country")), Same())
    SAME users.country ALL
    """

    column: Column | None = None

    def __str__(self) -> str:
        return "ALL" if self.column is None else f"SAME {self.column}"


@dataclass(frozen=True)
class Aggregation(Expr):
    """``FUNCTION(column [VIA links] [WHERE condition] [, n] [, start, end, unit]) [OF anchor]``.

    >>> from penstock.window import Window
    >>> print(Aggregation("COUNT", Column("orders", "*"), window=Window(0, 30)))
    COUNT(orders.*, 0, 30, days)
    """

    function: str
    column: Column
    where: Expr | None = None
    window: Window | None = None
    n: int | None = None
    via: tuple[Column, ...] = ()
    of: Aggregation | Column | Same | None = None

    def __str__(self) -> str:
        via = f" VIA {', '.join(map(str, self.via))}" if self.via else ""
        where = f" WHERE {self.where}" if self.where is not None else ""
        inside = [f"{self.column}{via}{where}"]
        inside += [str(self.n)] if self.n is not None else []
        inside += [str(self.window)] if self.window is not None else []
        of = f" OF {self.of}" if self.of is not None else ""
        return f"{self.function}({', '.join(inside)}){of}"


@dataclass(frozen=True)
class Name(Expr):
    """A bare name in the place of a target: a target that was named elsewhere."""

    name: str

    def __str__(self) -> str:
        return f"`{self.name}`" if self.name.upper() in RESERVED else quoted(self.name)


@dataclass(frozen=True)
class Extension:
    """A place in a query that uses what Penstock adds to the language; `kumo` is what the strict dialect calls it."""

    what: str
    span: Span
    kumo: str = "PQL_PARSE_SYNTAX"


@dataclass(frozen=True)
class Ids:
    """The entities asked about: ``= v`` or ``IN (v, …)``; ``op`` keeps any other operator for the checker to refuse."""

    op: str
    values: tuple[Constant, ...]
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.values))
        return f"{self.op} ({listed})" if self.op == "IN" else f"{self.op} {listed}"


@dataclass(frozen=True)
class Spec:
    """What stands between target and FOR: ``RANK TOP k``, ``CLASSIFY`` or ``FORECAST n TIMEFRAMES``."""

    word: Literal["RANK", "CLASSIFY", "FORECAST"] | None = None
    top_k: int | None = None
    steps: int | None = None
    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        if self.steps is not None:
            return f"FORECAST {self.steps} TIMEFRAMES"
        return " ".join(
            [*([self.word] if self.word else []), *([f"TOP {self.top_k}"] if self.top_k is not None else [])]
        )


@dataclass(frozen=True)
class Predict:
    """A whole query. ``each`` tells FOR EACH from FOR; ``prefix`` is EXPLAIN or EVALUATE where one was written."""

    target: Expr
    entity: Column
    each: bool = True
    spec: Spec = Spec()
    ids: Ids | None = None
    where: Expr | None = None
    assuming: Expr | None = None
    as_of: Constant | None = None
    prefix: Literal["EXPLAIN", "EVALUATE"] | None = None
    text: str = field(default="", compare=False, repr=False)
    extensions: tuple[Extension, ...] = field(default=(), compare=False, repr=False)

    @property
    def expressions(self) -> Iterator[Expr]:
        """The target, the entity's column and the conditions: whatever may hold names."""
        yield from (e for e in (self.entity, self.where, self.target, self.assuming) if e is not None)

    def __str__(self) -> str:
        parts = [
            self.prefix or "",
            f"PREDICT {self.target}",
            str(self.spec),
            f"{'FOR EACH' if self.each else 'FOR'} {self.entity}",
            str(self.ids or ""),
            f"WHERE {self.where}" if self.where is not None else "",
            f"ASSUMING {self.assuming}" if self.assuming is not None else "",
            f"AS OF {self.as_of}" if self.as_of is not None else "",
        ]
        return " ".join(part for part in parts if part)


def is_condition(expression: Expr) -> bool:
    """Whether the expression is true or false rather than a value."""
    return isinstance(expression, Condition)


def microseconds(moment: dt.date) -> int:
    """A date (its first instant) or a date and time, in UTC, as an instant.

    >>> microseconds(dt.date(1970, 1, 2))
    86400000000
    """
    naive = moment if isinstance(moment, dt.datetime) else dt.datetime.combine(moment, dt.time(), dt.UTC)
    aware = naive if naive.tzinfo else naive.replace(tzinfo=dt.UTC)
    return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
