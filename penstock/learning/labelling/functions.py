"""Labelling functions: rules that label what they fit and abstain from the rest, written in PQL or in SQL.

A function in PQL is a condition on the entity and its past, worked out by the engine that works out features: at a
cutoff it sees what had happened and was known. One in SQL is a SELECT over tables. Each is a labeller of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from penstock import language
from penstock.engine.relational import Relational
from penstock.errors import RequestError, SourceError
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.offline import offline
from penstock.lake.sql import Sql
from penstock.lake.versioned import Scan
from penstock.learning.labelling.door import Defaults, from_table, read
from penstock.learning.labelling.label import LABELS, Labels, ValueKind, kind_of
from penstock.learning.rows.spines import about, read_spine
from penstock.learning.rows.timeline import now as present
from penstock.plan import Rows
from penstock.schema import Dtype, Graph

FUNCTION = "function"


class Asked(Protocol):
    """What conditions are worked out on: a `penstock.database.Database`."""

    graph: Graph

    @property
    def rows(self) -> Rows:
        """The tables' rows."""
        ...

    @property
    def relational(self) -> Relational:
        """The engine's view of them."""
        ...


@dataclass(frozen=True)
class PqlFunction:
    """Where ``condition`` holds of an entity at a cutoff, its label is ``value``; elsewhere ``otherwise``, if given.

    The condition is any in PQL that looks back, such as ``COUNT(orders.*, -30, 0) = 0 AND users.city = 'Oslo'``.
    ``confidence`` (0 to 1) is how sure the rule is of itself.
    """

    name: str
    condition: str
    value: bool | float | str
    otherwise: bool | float | str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class SqlFunction:
    """A SELECT that gives ``entity`` and ``value``, and ``happened``, ``confidence`` and ``note`` if it likes."""

    name: str
    query: str


def apply_pql(
    functions: Sequence[PqlFunction],
    db: Asked,
    entity: str,
    spine: object,
    *,
    now: Callable[[], int] = present,
) -> Labels:
    """What the functions say of the rows of a spine (``entity``, ``cutoff``): a label each, where one does not abstain.

    A label happened at its row's cutoff; it is known from now on. Raises ``QueryError`` for a condition that does not
    fit the graph, ``RequestError`` for one that is none, for functions of one name and values of several types.
    """
    _names_differ(functions)
    table = db.graph.table(entity)
    bound = [language.feature(function.condition, db.graph, entity) for function in functions]
    for function, expression in zip(functions, bound, strict=True):
        if not language.tree.is_condition(expression) and getattr(expression, "dtype", None) is not Dtype.BOOL:
            message = f"the labelling function {function.name} is no condition: {function.condition}"
            hint = f"Compare it with something: {function.condition} > 0."
            raise RequestError("LABELS_NO_CONDITION", message, name=function.name, hint=hint)
    rows = about(read_spine(spine), table)
    features = FeatureSet.of(entity, table.keys[0], [Feature(expression) for expression in bound])
    values = offline(features, rows.select(["entity", "cutoff"]), db.relational)
    parts = [_said(f, rows, values[str(e)]) for f, e in zip(functions, bound, strict=True)]
    return _joined([from_table(part, source=FUNCTION, now=now) for part in parts if part.num_rows])


def _names_differ(functions: Sequence[PqlFunction | SqlFunction]) -> None:
    names = [function.name for function in functions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not names:
        message = "there are no labelling functions" if twice is None else f"two labelling functions are called {twice}"
        raise RequestError("LABELS_FUNCTION_NAMES", message, name=twice, hint="Each is a labeller with its own name.")


def _said(function: PqlFunction, rows: pa.Table, held: pa.ChunkedArray) -> pa.Table:
    """The labels of one function as a table for `from_table`; where the condition is undefined it does not hold."""
    held = pc.fill_null(held, False)
    chosen = [(held, function.value)]
    if function.otherwise is not None:
        chosen.append((pc.invert(held), function.otherwise))
    parts = []
    for mask, value in chosen:
        mine = rows.filter(mask)
        told = {"value": pa.repeat(_text(value), mine.num_rows), "labeller": pa.repeat(function.name, mine.num_rows)}
        sure = pa.array([function.confidence] * mine.num_rows, pa.float64())
        parts.append(pa.table({"entity": mine["entity"], "happened": mine["cutoff"], **told, "confidence": sure}))
    return pa.concat_tables(parts)


def _text(value: bool | float | str) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def apply_sql(
    functions: Sequence[SqlFunction],
    tables: Mapping[str, Scan | pa.Table],
    *,
    now: Callable[[], int] = present,
) -> Labels:
    """What the functions say, each run over the tables: scans of the lake (their current rows) or Arrow tables.

    SQL sees all rows that are known now: what it labels counts as known from now on, whatever time it is about. Raises
    ``SourceError`` for SQL that fails, or that does not give ``entity`` and ``value``.
    """
    _names_differ(functions)
    found = []
    with Sql(tables) as sql:
        for function in functions:
            rows = sql.arrow(function.query)
            columns = {name.lower(): name for name in rows.column_names}
            parts = {part: columns[part] for part in ("entity", "happened", "value", "confidence", "note")
                     if part in columns}  # fmt: skip
            for needed in ("entity", "value"):
                if needed not in parts:
                    message = f"the labelling function {function.name} gives no column {needed!r}"
                    hint = "SELECT … AS entity, … AS happened, … AS value."
                    raise SourceError("LABELS_COLUMN", message, name=needed, candidates=rows.column_names, hint=hint)
            rows = rows.filter(pc.is_valid(rows[parts["value"]]))
            found.append(read(rows, parts, Defaults(function.name, FUNCTION), now, f"{function.name} row"))
    return _joined(found)


def _joined(found: Sequence[Labels]) -> Labels:
    """The labels of several functions as one; their values are of one kind, or ``RequestError``."""
    rows = pa.concat_tables([LABELS.empty_table(), *(labels.rows for labels in found)])
    kinds = {labels.kind or kind_of(labels.rows["written"].to_pylist()) for labels in found if len(labels)}
    if len(kinds) > 1:
        named = ", ".join(sorted(kinds))
        raise RequestError("LABELS_MIXED_VALUES", f"the labelling functions give values of several kinds: {named}")
    skipped: dict[str, int] = {}
    for labels in found:
        for why, count in labels.skipped.items():
            skipped[why] = skipped.get(why, 0) + count
    rejected = pa.concat_tables([labels.rejected for labels in found]) if found else Labels(rows).rejected
    kind: ValueKind | None = next(iter(kinds), None)
    return Labels(rows, rejected, skipped, kind)


__all__ = ["PqlFunction", "SqlFunction", "apply_pql", "apply_sql"]
