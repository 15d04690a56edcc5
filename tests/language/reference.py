"""The reference validator, where it is installed: an outside oracle of verdicts."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Verdict:
    """What the two profiles of the reference say of a query."""

    accepted: bool
    codes: frozenset[str]
    canonical: str | None


def validator(described: dict[str, Any]) -> functools.partial[Verdict]:
    """Says a query's verdict on a schema; skips the test where the reference is not installed."""
    pytest.importorskip(
        "predictive_query", reason="the reference validator (structured-data-models-pql) is not installed"
    )
    return functools.partial(_verdict, _schema(described))


def _schema(described: dict[str, Any]) -> Any:
    from predictive_query.schema.definition import ColumnKey, ColumnKeyGroup, SchemaDefinition
    from predictive_query.schema.table import Column, TableDefinition
    from predictive_query.schema.typing import Dtype, Stype

    tables = {
        name: TableDefinition(
            cols=[Column(column, Stype(kind), Dtype(dtype)) for column, (kind, dtype) in table["columns"].items()],
            pkey=table["key"],
            time_col=table.get("time"),
        )
        for name, table in described["tables"].items()
    }
    groups: dict[str, list[Any]] = {}
    for link, to in described["links"]:
        groups.setdefault(to, [ColumnKey(to, described["tables"][to]["key"])]).append(ColumnKey(*link.split(".")))
    return SchemaDefinition(
        tables=tables, col_groups=[ColumnKeyGroup(columns=tuple(group)) for group in groups.values()]
    )


def _verdict(schema: Any, text: str) -> Verdict:
    from predictive_query.api import validate
    from predictive_query.profiles import FINE_TUNING, RELATIONAL

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about dates
        answers = [validate(text, schema, profile) for profile in (FINE_TUNING, RELATIONAL)]
    codes = frozenset(error.code for _, response in answers for error in response.errors)
    texts = [str(query.to_string()) for query, _ in answers if query is not None]
    return Verdict(bool(texts), codes, texts[0] if texts else None)
