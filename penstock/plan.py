"""The narrow waist: everything that asks makes a plan, everything that answers eats one.

A plan is a chain of frozen nodes, each with one sentence. Below the nodes are the bound leaves of expressions:
a `Field` is a column of a row, an `Aggregate` is a number about a stream of rows in a window of the cutoff.
`Rows` is how an engine is handed its tables.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from penstock.aggregates import AGGREGATES
from penstock.expression import Expr
from penstock.schema import Dtype, Graph, Kind, Link
from penstock.window import Lookahead, Lookback, Window

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(Protocol):
    """A database as an engine sees it: a graph, and the rows of its tables as Arrow."""

    @property
    def graph(self) -> Graph:
        """The schema."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever any row or the schema may have changed."""
        ...

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows of the table, with dtypes as in the graph.

        int64, float64, bool, string, timestamp[us] (UTC, without a zone) or list<string>.
        """
        ...


# ---------------------------------------------------------------- leaves


@dataclass(frozen=True)
class Field(Expr):
    """A column of a row, or of the row's parent reached by ``hops`` (each from child to parent).

    NULL where a link points nowhere, or to a row that had not happened or was not known yet.
    """

    table: str
    column: str
    dtype: Dtype
    kind: Kind
    hops: tuple[Link, ...] = ()

    def __str__(self) -> str:
        return f"{quoted(self.table)}.{quoted(self.column)}"


@dataclass(frozen=True)
class Stream:
    """The rows that belong to an entity: those reached from table ``root`` by ``hops`` (each from parent to child).

    ``where`` keeps some of them. With an ``anchor`` the rows are not those of the entity itself but those of the row
    of ``root`` that the anchor points to: a foreign key of the entity or of a parent, or an aggregate of one over the
    entity's past (LAST, MODE). With `Peers` for an anchor they are those of all rows of ``root`` like the entity.
    """

    root: str
    hops: tuple[Link, ...] = ()
    where: Expr | None = None
    anchor: Anchor | None = None

    @property
    def table(self) -> str:
        """The table whose rows flow."""
        return self.hops[-1].table if self.hops else self.root


@dataclass(frozen=True)
class Peers(Expr):
    """The entities that say the same in a column (theirs, or a parent's) as the entity does; without one, all of them.

    An entity is among its own peers. One whose column is NULL has none.
    """

    field: Field | None = None

    def __str__(self) -> str:
        return "ALL" if self.field is None else f"SAME {self.field}"


@dataclass(frozen=True)
class Aggregate(Expr):
    """A number (or value, or list) about the rows of a stream in a window of the cutoff.

    ``value`` None counts rows (``*``). ``window`` None takes all rows, of tables without a time. ``n`` belongs to
    LAST_N. ``via`` lists the links to print when the path needs to be said.
    """

    function: str
    stream: Stream
    value: Field | None
    window: Lookback | Lookahead | None
    n: int | None = None
    via: tuple[str, ...] = ()

    @property
    def dtype(self) -> Dtype:
        """The result's dtype."""
        return AGGREGATES[self.function].result(None if self.value is None else self.value.dtype)

    def __str__(self) -> str:
        what = str(self.value) if self.value is not None else f"{quoted(self.stream.table)}.*"
        via = f" VIA {', '.join(self.via)}" if self.via else ""
        where = f" WHERE {self.stream.where}" if self.stream.where is not None else ""
        inside = [what + via + where, *([str(self.n)] if self.n is not None else [])]
        inside += [str(self.window)] if self.window is not None else []
        of = f" OF {self.stream.anchor}" if self.stream.anchor is not None else ""
        return f"{self.function}({', '.join(inside)}){of}"


Anchor: TypeAlias = Field | Peers | Aggregate
"""Whose rows a stream has, where it is not the entity: something that is worked out for each entity and cutoff."""


@dataclass(frozen=True)
class Age(Expr):
    """Days from an instant in the entity's row (or a parent's) to the cutoff; NULL while it lies ahead."""

    field: Field

    def __str__(self) -> str:
        return f"TIME_SINCE({self.field})"


@dataclass(frozen=True)
class Latest(Expr):
    """What the newest of a stream's rows says in a column: NULL where it says NULL, or where it is older than ``ttl``.

    The newest row that shows at the cutoff is meant: by when it happened, then by what orders ties. ``ttl`` is in
    microseconds; a row of exactly that age still counts. None: a row of any age does.
    """

    stream: Stream
    column: str
    dtype: Dtype
    kind: Kind
    ttl: int | None = None

    def __str__(self) -> str:
        return f"LATEST({quoted(self.stream.table)}.{quoted(self.column)})"


@dataclass(frozen=True)
class Input(Expr):
    """A value that is given by name when an expression is worked out: of another feature, or by who asks."""

    name: str
    dtype: Dtype

    def __str__(self) -> str:
        return quoted(self.name)


@dataclass(frozen=True)
class Calendar(Expr):
    """A part of the cutoff itself: MONTH (1-12), WEEKDAY (1 Monday - 7), DAY (of month), HOUR."""

    part: Literal["MONTH", "WEEKDAY", "DAY", "HOUR"]

    def __str__(self) -> str:
        return f"{self.part}(CUTOFF)"


def quoted(name: str) -> str:
    """A name as PQL writes it: bare, or in backticks where it is no plain word.

    >>> quoted("orders"), quoted("Order Lines")
    ('orders', '`Order Lines`')
    """
    return name if name.isascii() and name.isidentifier() else f"`{name}`"


def aggregates(expression: Expr | None) -> list[Aggregate]:
    """The aggregates in an expression, in order, each once; filters inside aggregates are not looked into."""
    found: dict[Aggregate, None] = {}
    _collect(expression, found)
    return list(found)


def _collect(expression: Expr | None, found: dict[Aggregate, None]) -> None:
    if isinstance(expression, Aggregate):
        found[expression] = None
    elif expression is not None:
        for child in expression.children:
            _collect(child, found)


def fields_of(expression: Expr | None) -> list[Expr]:
    """The leaves of an expression that are read from the entity's own row or the cutoff, each once."""
    found: dict[Expr, None] = {}

    def look(node: Expr) -> None:
        if isinstance(node, Field | Age | Calendar):
            found[node] = None
        elif not isinstance(node, Aggregate):
            for child in node.children:
                look(child)

    if expression is not None:
        look(expression)
    return list(found)


# ---------------------------------------------------------------- nodes


@dataclass(frozen=True)
class Node(ABC):
    """A step of a plan: it takes the table of the step below and gives one on."""

    child: Node | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What this step does, in one sentence."""

    def chain(self) -> Iterator[Node]:
        """The steps from the first to this one."""
        steps: list[Node] = []
        step: Node | None = self
        while step is not None:
            steps.append(step)
            step = step.child
        return reversed(steps)

    def __str__(self) -> str:
        steps = list(self.chain())[::-1]
        return "\n".join(f"{'   ' * depth}{'└─ ' if depth else ''}{_line(step)}" for depth, step in enumerate(steps))

    @property
    def fingerprint(self) -> str:
        """Equal for plans that mean the same, wherever their text stood."""
        return hashlib.blake2b(repr(self).encode(), digest_size=16).hexdigest()


def _line(step: Node) -> str:
    return f"{type(step).__name__}: {step.sentence}"


@dataclass(frozen=True)
class Spine(Node):
    """The rows asked about: columns ``entity`` and ``cutoff``."""

    table: str
    key: str

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return f"Take the rows (entity, cutoff) asked about; entity is {self.table}.{self.key}."


@dataclass(frozen=True)
class Alive(Node):
    """Keeps the rows whose entity exists at the cutoff."""

    table: str
    happened: str | None
    ends: str | None

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        if self.happened is None and self.ends is None:
            return f"Keep the entities that {self.table} holds."
        born = [f"{self.happened} <= cutoff"] if self.happened else []
        gone = [f"({self.ends} is NULL or {self.ends} > cutoff)"] if self.ends else []
        return f"Keep the entities that exist at the cutoff: {' and '.join(born + gone)}."


@dataclass(frozen=True)
class Attach(Node):
    """Adds what the entity's own row and its parents' rows said at the cutoff, one column a leaf, named by its text."""

    leaves: tuple[Expr, ...]

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return f"Look up {', '.join(map(str, self.leaves))} as known at the cutoff."


@dataclass(frozen=True)
class Sweep(Node):
    """Adds aggregates of one stream, one column each, named by its text."""

    stream: Stream
    aggregates: tuple[Aggregate, ...]

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        path = " <- ".join([self.stream.root, *map(str, self.stream.hops)])
        where = f" where {self.stream.where}" if self.stream.where is not None else ""
        of = f" of {self.stream.anchor}" if self.stream.anchor is not None else ""
        shown = ", ".join(
            f"{a.function}{f'({a.value})' if a.value else ''} over (t + {_start(a)}, t + {_end(a)}]"
            for a in self.aggregates[:4]
        )
        more = f" and {len(self.aggregates) - 4} more" if len(self.aggregates) > 4 else ""
        return f"Sweep the rows of {path}{of}{where} once, in time order: {shown}{more}."


def _start(aggregate: Aggregate) -> str:
    window = aggregate.window
    return "-INF" if window is None or window.start is None else f"{window.start} {window.unit}"


def _end(aggregate: Aggregate) -> str:
    return "INF" if aggregate.window is None else f"{aggregate.window.end} {aggregate.window.unit}"


@dataclass(frozen=True)
class Keep(Node):
    """Keeps the rows for which the condition is true."""

    condition: Expr
    why: str

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return f"Keep the rows where {self.condition} ({self.why})."


@dataclass(frozen=True)
class Compute(Node):
    """Adds a column worked out from the ones before."""

    name: str
    expression: Expr

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return f"Compute {self.name} = {self.expression}."


@dataclass(frozen=True)
class Unroll(Node):
    """Turns columns, one a step ahead, into rows: adds ``step`` (from 1) and ``name``."""

    name: str
    columns: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return f"Turn the {len(self.columns)} steps ahead into rows (step, {self.name})."


@dataclass(frozen=True)
class Defined(Node):
    """Drops the rows whose column is NULL, and counts them."""

    name: str

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return f"Drop the rows whose {self.name} is undefined (and count them)."


@dataclass(frozen=True)
class Select(Node):
    """Gives the named columns and no others."""

    columns: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What this step does, in one sentence."""
        return (
            f"Give {len(self.columns)} columns: {', '.join(self.columns[:6])}{', …' if len(self.columns) > 6 else ''}."
        )


__all__ = [
    "Age", "Aggregate", "Alive", "Anchor", "Attach", "Calendar", "Compute", "Defined", "Field", "Input", "Keep",
    "Latest", "Node", "Peers", "Rows", "Select", "Spine", "Stream", "Sweep", "Unroll", "Window", "aggregates",
    "fields_of", "quoted",
]  # fmt: skip
