"""The columns of files that are one table: their names, and one type where the files differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.delimited import check_distinct, folded
from penstock.lake.landing.facts import Decision, TextFacts, decided
from penstock.lake.landing.settings import LandingSettings
from penstock.lake.versioned.roles import DELETED, KNOWN
from penstock.lake.versioned.stored import stored_type


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What a column's values show: the declared types among them in the order met, and what its texts say."""

    kinds: tuple[pa.DataType, ...] = ()
    texts: TextFacts = field(default_factory=TextFacts)

    def merged(self, more: ColumnFacts) -> ColumnFacts:
        """The facts of both."""
        kinds = (*self.kinds, *(kind for kind in more.kinds if kind not in self.kinds))
        return ColumnFacts(kinds, self.texts.merged(more.texts))


def check_names(names: Mapping[str, Sequence[str]], expected: pa.Schema | None) -> None:
    """See that names are told apart by more than case and spaces, and are not the lake's own.

    ``names`` are the columns of each file. Raises ``SourceError`` (``SOURCE_REPEATED_COLUMN``,
    ``LANDING_RESERVED_COLUMN``) with both names.
    """
    seen = {} if expected is None else {folded(name): ("the table", name) for name in expected.names}
    for file, columns in names.items():
        check_distinct(file, columns)
        for name in columns:
            if folded(name) in (KNOWN, DELETED):
                message = f"{file} has a column {name!r}: that name is the lake's own"
                raise SourceError("LANDING_RESERVED_COLUMN", message, hint="Rename it in the source.")
            where, known = seen.setdefault(folded(name), (file, name))
            if known != name:
                message = f"{file} calls a column {name!r} that {where} calls {known!r}"
                raise SourceError("SOURCE_REPEATED_COLUMN", message, hint="Call it the same everywhere.")


def united(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All names, in the order in which they are met."""
    return tuple(dict.fromkeys(name for columns in names for name in columns))


def column_decision(facts: ColumnFacts, settings: LandingSettings, *, mixed_is_text: bool) -> Decision:
    """The type of a column with these facts; of values whose types have nothing in common, the first, or text."""
    kinds = [kind for kind in facts.kinds if not pa.types.is_null(kind)]
    if not kinds:
        return decided(facts.texts, day_first=settings.day_first, decimal_comma=settings.decimal_comma)
    if facts.texts.texts:
        return Decision(pa.string(), note="holds texts and other values: kept as text")
    stored = [stored_type(kind) for kind in kinds]
    joint = reduce(lambda one, other: widened(one, other) or (pa.string() if mixed_is_text else one), stored)
    note = f"its files hold {' and '.join(map(str, stored))}: kept as {joint}" if len(set(stored)) > 1 else ""
    return Decision(joint, note=note)


def widened(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds values of both; None where there is none but text.

    >>> widened(pa.int64(), pa.float64()), widened(pa.int64(), pa.string())
    (DataType(double), None)
    """
    if one == other:
        return one
    types = pa.types
    if (types.is_timestamp(one) and types.is_date(other)) or (types.is_date(one) and types.is_timestamp(other)):
        return pa.timestamp("us")
    numbers = [types.is_integer(k) or types.is_floating(k) or types.is_decimal(k) for k in (one, other)]
    if not all(numbers):
        return None
    schemas = [pa.schema([("x", kind)]) for kind in (one, other)]
    if types.is_floating(one) != types.is_floating(other):
        return pa.float64()
    try:
        return stored_type(pa.unify_schemas(schemas, promote_options="permissive").field("x").type)
    except pa.ArrowException:
        return None
