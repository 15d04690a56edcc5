"""What can be said about values: the algebra shared by query text, row filters and finished targets.

The interior nodes are here; the leaves belong to those who know what a name means: names as written
(`penstock.language.tree`), and columns and aggregates as bound to a schema (`penstock.plan`). Every node prints
itself as PQL.

Logic is two-valued: a comparison with NULL is false and its negation true. ``IS NULL`` tests for NULL.
Arithmetic with NULL is NULL, and so is a division by zero. Functions of several expressions say for themselves what
they make of NULL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Literal, TypeAlias

from penstock.errors import Span
from penstock.schema import Dtype, Kind

Value: TypeAlias = bool | int | float | str | dt.date | dt.datetime | None
Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
Pattern: TypeAlias = Literal["CONTAINS", "LIKE", "STARTS WITH", "ENDS WITH"]


@dataclass(frozen=True)
class Expr:
    """A node; its children are its fields that are expressions, in order. Its place in a text is not its meaning."""

    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)

    @property
    def children(self) -> tuple[Expr, ...]:
        """The expressions directly below."""
        return tuple(value for f in fields(self) if isinstance(value := getattr(self, f.name), Expr))

    def walk(self) -> Iterator[Expr]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def over(self, change: Callable[[Expr], Expr]) -> Expr:
        """The node with ``change`` applied to each of its children."""
        changed = {f.name: change(v) for f in fields(self) if isinstance(v := getattr(self, f.name), Expr)}
        return replace(self, **changed) if changed else self  # type: ignore[arg-type]

    def map(self, change: Callable[[Expr], Expr]) -> Expr:
        """The tree with ``change`` applied to every node, children first."""
        return change(self.over(lambda child: child.map(change)))


@dataclass(frozen=True)
class Constant(Expr):
    """A value as written: NULL, a truth value, a number, a text, a date or an instant (UTC).

    >>> print(Constant("it's"), Constant(None), Constant(True), Constant(dt.date(2024, 1, 31)), Constant(1.5))
    'it\\'s' NULL True 2024-01-31 1.5
    """

    value: Value
    written: str | None = field(default=None, compare=False, repr=False, kw_only=True)
    """How a query's text spelled it; where this is known, it is printed so."""

    def __str__(self) -> str:
        if self.written is not None:
            return self.written
        if self.value is None:
            return "NULL"
        if isinstance(self.value, str):
            return "'" + self.value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        if isinstance(self.value, dt.datetime):
            return self.value.strftime("%Y-%m-%d %H:%M:%S")
        return str(self.value)


@dataclass(frozen=True)
class Compare(Expr):
    """``left op right``; false when either side is NULL."""

    op: Operator
    left: Expr
    right: Expr

    def __str__(self) -> str:
        return f"{_grouped(self.left)} {self.op} {_grouped(self.right)}"


@dataclass(frozen=True)
class IsNull(Expr):
    """``operand IS NULL``, or ``IS NOT NULL`` when negated."""

    operand: Expr
    negated: bool = False

    def __str__(self) -> str:
        return f"{_grouped(self.operand)} IS {'NOT ' if self.negated else ''}NULL"


@dataclass(frozen=True)
class Among(Expr):
    """``operand IN (values)``: true when the operand equals one of the values; never true of NULL."""

    operand: Expr
    values: tuple[Constant, ...]

    def __str__(self) -> str:
        return f"{_grouped(self.operand)} IN ({', '.join(map(str, self.values))})"


@dataclass(frozen=True)
class Match(Expr):
    """A text against a pattern, or a list against an element it should contain; never true of NULL.

    With ``negated`` it is the opposite, and true of NULL.
    """

    pattern: Pattern
    operand: Expr
    value: Constant
    negated: bool = False

    def __str__(self) -> str:
        return f"{_grouped(self.operand)} {'NOT ' if self.negated else ''}{self.pattern} {self.value}"


@dataclass(frozen=True)
class Not(Expr):
    """True when the operand is not true."""

    operand: Expr

    def __str__(self) -> str:
        return f"NOT ({self.operand})"


@dataclass(frozen=True)
class Logic(Expr):
    """``left AND right`` or ``left OR right``."""

    op: Literal["AND", "OR"]
    left: Expr
    right: Expr

    def __str__(self) -> str:
        return f"({self.left}) {self.op} ({self.right})"


@dataclass(frozen=True)
class Arithmetic(Expr):
    """``left op right`` on numbers; NULL if either side is, and on division by zero."""

    op: Literal["+", "-", "*", "/"]
    left: Expr
    right: Expr

    def __str__(self) -> str:
        return f"{_grouped(self.left)} {self.op} {_grouped(self.right)}"


@dataclass(frozen=True)
class Function:
    """What a `Call` does: ``english`` goes before its expressions. ``pair`` takes two of them, the others two or more.

    ``numeric`` functions take numbers and truth values (1 and 0).
    """

    name: str
    english: str
    gives: Dtype
    numeric: bool = False
    pair: bool = False

    @property
    def kind(self) -> Kind:
        """What its values mean."""
        return Kind.CATEGORICAL if self.gives is Dtype.STRING else Kind.NUMERICAL


FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        Function("MEAN_OF", "mean of", Dtype.FLOAT, numeric=True),
        Function("SPREAD_OF", "spread of", Dtype.FLOAT, numeric=True),
        Function("STREAK_OF", "how often in a row", Dtype.INT),
        Function("FIRST_OF", "how many windows back", Dtype.INT, numeric=True),
        Function("PAIR", "pair of", Dtype.STRING, pair=True),
    )
}
"""Every function of several expressions by its name in PQL."""


@dataclass(frozen=True)
class Call(Expr):
    """A function of several expressions, such as one expression over ever earlier windows, the nearest first.

    - MEAN_OF: the mean of those that are not NULL; NULL if all are.
    - SPREAD_OF: their standard deviation (n - 1); NULL for fewer than two.
    - STREAK_OF: NULLs left out, how many in a row from the first on are equal to the first; negative if that is false.
      NULL if all are.
    - FIRST_OF: the place, from 1, of the first that is true or above 0; NULL if none is.
    - PAIR: the text ``first → second``; NULL if either is.

    >>> print(Call("PAIR", (Constant("a"), Constant("b"))))
    PAIR('a', 'b')
    """

    function: str
    operands: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        """The operands."""
        return self.operands

    def over(self, change: Callable[[Expr], Expr]) -> Call:
        """The node with ``change`` applied to each operand."""
        return replace(self, operands=tuple(map(change, self.operands)))

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.operands))})"


def _grouped(operand: Expr) -> str:
    """An operand as text, in parentheses where it is itself an operation."""
    return (
        f"({operand})"
        if isinstance(operand, Compare | Logic | Arithmetic | Not | IsNull | Among | Match)
        else str(operand)
    )


def conjunction(terms: list[Expr]) -> Expr | None:
    """All the terms joined by AND; None for none."""
    joined: Expr | None = None
    for term in terms:
        joined = term if joined is None else Logic("AND", joined, term)
    return joined
