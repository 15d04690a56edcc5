"""A derived table's definition, with where each of its columns comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pyarrow as pa

from penstock.lake.versioned import Roles
from penstock.pipeline.derive.declare import Function

Origin: TypeAlias = tuple[str, str]
"""A table and a column of it."""
Kind = Literal["sql", "python"]
UNTIL = "_penstock_until"


@dataclass(frozen=True)
class Columns:
    """Where the columns of a query come from: ``values`` by column; ``uses`` decide which rows there are, or break it.

    Names of tables and columns are those of the tables that the query reads.
    """

    values: Mapping[str, frozenset[Origin]]
    uses: frozenset[Origin]

    @property
    def everything(self) -> frozenset[Origin]:
        """All origins at once."""
        return self.uses.union(*self.values.values())


@dataclass(frozen=True)
class Shape:
    """How a query treats rows.

    ``carried`` is the query with one column more, ``_known``: the latest of the rows that each row came from; None
    where rows are not made one by one. ``replayed`` carries `UNTIL` as well, when the first of those rows was no longer
    true, so that it can be asked of whole logs; None also where a row may hang on another's absence (outer joins).
    ``linear`` names the tables whose new rows alone give the new rows of the result.
    """

    carried: str | None = None
    linear: frozenset[str] = frozenset()
    replayed: str | None = None


@dataclass(frozen=True)
class Derivation:
    """A table made from others by one SELECT or one Python function.

    ``reads`` are the tables it reads, ``schema`` its columns in the types they are kept in. ``direct`` says where its
    columns come from in those tables, ``lineage`` in the tables that nothing derives; ``direct_uses`` and ``uses``
    likewise hold the columns that decide which rows there are (filters, joins, groups, order). ``fingerprint`` is
    that of the definition's meaning: spaces and comments do not change it.
    """

    name: str
    kind: Kind
    file: str
    text: str = field(repr=False)
    roles: Roles
    known: str | None
    reads: tuple[str, ...]
    fingerprint: str
    schema: pa.Schema = field(repr=False)
    direct: Mapping[str, frozenset[Origin]] = field(repr=False)
    direct_uses: frozenset[Origin] = field(repr=False)
    lineage: Mapping[str, frozenset[Origin]] = field(repr=False)
    uses: frozenset[Origin] = field(repr=False)
    shape: Shape = field(repr=False, default_factory=Shape)
    incremental: bool = True
    description: str = ""
    notes: tuple[str, ...] = ()
    function: Function | None = field(default=None, repr=False, compare=False)
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    end: int | None = field(default=None, repr=False)

    @property
    def body(self) -> str:
        """The SELECT without a last semicolon."""
        return self.text[: self.end]

    @property
    def transparent(self) -> bool:
        """Whether each row is known when the rows that it came from are."""
        return self.shape.carried is not None and self.known is None

    def __str__(self) -> str:
        made = "row by row" if self.transparent else "as a whole"
        return f"{self.name} ({self.file}): {made} from {', '.join(self.reads) or 'nothing'}"


def resolved(direct: Columns, reads: tuple[str, ...], made: Mapping[str, Derivation]) -> Columns:
    """Direct origins led through derived tables to the tables that nothing derives."""
    uses = _through(direct.uses, made).union(*(made[table].uses for table in reads if table in made))
    return Columns({name: _through(origins, made) for name, origins in direct.values.items()}, uses)


def _through(origins: frozenset[Origin], made: Mapping[str, Derivation]) -> frozenset[Origin]:
    found: set[Origin] = set()
    for table, column in origins:
        found |= made[table].lineage[column] if table in made else {(table, column)}
    return frozenset(found)
