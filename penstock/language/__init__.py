"""The language: text in; a tree, a checked query or bound feature out; and from those the plans of `penstock.plan`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from penstock.expression import Expr
from penstock.language import tree
from penstock.language.check import check_calculation, check_feature, check_query
from penstock.language.lower import lower_features, lower_labels, lower_population
from penstock.language.parser import parse, parse_expression
from penstock.language.query import Query
from penstock.language.tasks import Task
from penstock.language.typed import Label
from penstock.schema import Dtype, Graph

_NOTHING_NAMED: Mapping[str, str] = MappingProxyType({})


def query(text: str, graph: Graph, dialect: str | None = None, named: Mapping[str, str] = _NOTHING_NAMED) -> Query:
    """A query, parsed and checked against a schema.

    ``dialect="kumo"`` refuses what Penstock adds to the language. ``named`` are targets by name. Raises ``QueryError``
    with the place, what exists and what to try.
    """
    return check_query(text, graph, dialect, named)


def feature(text_or_expression: str | Expr, graph: Graph, entity_table: str) -> Expr:
    """A feature of the rows of a table, bound to the schema; every window looks back. Raises ``QueryError``."""
    return check_feature(text_or_expression, graph, entity_table)


def calculation(text: str, inputs: Mapping[str, Dtype]) -> Expr:
    """An expression over values that are given by name (`penstock.plan.Input`). Raises ``QueryError``.

    >>> print(calculation("amount / income > 0.5", {"amount": Dtype.FLOAT, "income": Dtype.INT}))
    (amount / income) > 0.5
    """
    return check_calculation(text, inputs)


__all__ = [
    "Label",
    "Query",
    "Task",
    "calculation",
    "feature",
    "lower_features",
    "lower_labels",
    "lower_population",
    "parse",
    "parse_expression",
    "query",
    "tree",
]
