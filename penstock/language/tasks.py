"""Tasks: what kind of question a target asks, and whether RANK, CLASSIFY or FORECAST fits it."""

from __future__ import annotations

from enum import StrEnum

from penstock.aggregates import AGGREGATES
from penstock.errors import QueryError
from penstock.expression import Expr
from penstock.language.scope import Scope
from penstock.language.timing import is_temporal
from penstock.language.tree import Aggregation, Column, Predict, is_condition
from penstock.language.typed import Label, label
from penstock.schema import Dtype, Kind

MOST_STEPS = 10_000
MOST_CALCULATED_STEPS = 100


class Task(StrEnum):
    """The kinds of questions, each with its own models and metrics."""

    BINARY = "binary"
    REGRESSION = "regression"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    RANKING = "ranking"
    FORECASTING = "forecasting"


def task(tree: Predict, value: Label, link_target: bool) -> Task:
    """The task of a checked query."""
    if tree.spec.word == "FORECAST":
        return Task.FORECASTING
    if tree.spec.word == "RANK" or (link_target and tree.spec.word is None):
        return Task.RANKING
    if value.kind is Kind.MULTICATEGORICAL or value.dtype is Dtype.LIST:
        return Task.MULTILABEL
    if is_condition(tree.target) or value.dtype is Dtype.BOOL:
        return Task.BINARY
    return Task.REGRESSION if value.kind is Kind.NUMERICAL else Task.MULTICLASS


def links_entities(scope: Scope, target: Expr) -> bool:
    """Whether the target lists which rows of another table the entity will point to."""
    return (
        isinstance(target, Aggregation)
        and target.function == "LIST_DISTINCT"
        and not target.column.wildcard
        and not scope.is_own_key(target.column.table, target.column.column)
        and scope.link_of(target.column.table, target.column.column) is not None
    )


def check_task(scope: Scope, tree: Predict) -> None:
    """RANK, CLASSIFY, TOP and FORECAST fit the target, and a list has one of them. Raises ``QueryError``."""
    spec, value = tree.spec, label(scope, tree.target)
    _check_functions(scope, tree)
    if spec.top_k is not None and spec.top_k < 1:
        raise _refused(
            scope, tree, "PQL_TASK_TOP_K_NOT_POSITIVE", f"TOP {spec.top_k} ranks nothing", "Write TOP 1 or more."
        )
    if spec.top_k is not None and spec.word != "RANK":
        hint = f"Write RANK TOP {spec.top_k}."
        raise _refused(scope, tree, "PQL_TASK_TOP_K_REQUIRES_RANK", "TOP goes with RANK", hint)
    several = value.kind is Kind.MULTICATEGORICAL
    if several and spec.word is None and not (isinstance(tree.target, Column) or links_entities(scope, tree.target)):
        raise scope.error(
            "PQL_TASK_PROBLEM_TYPE_REQUIRED",
            f"{tree.target} has several values for each row of {tree.entity.table}",
            tree.target,
            "Say what to do with them: CLASSIFY, or RANK TOP 10.",
        )
    if spec.word == "FORECAST":
        _check_forecast(scope, tree, value)
    elif spec.word is not None and not several:
        raise scope.error(
            "PQL_TASK_PROBLEM_TYPE_NEEDS_MULTICATEGORICAL",
            f"{spec.word} works on several values, and {tree.target} is one {value.noun}",
            tree.target,
            f"Drop {spec.word}, or predict a LIST_DISTINCT.",
        )
    elif spec.word == "RANK" and spec.top_k is None:
        raise _refused(scope, tree, "PQL_TASK_RANK_REQUIRES_TOP_K", "RANK does not say how many", "Write RANK TOP 10.")


def _check_functions(scope: Scope, tree: Predict) -> None:
    for expression in (tree.target, tree.assuming):
        for node in () if expression is None else expression.walk():
            if isinstance(node, Aggregation) and not AGGREGATES[node.function].target:
                raise scope.error(
                    "PQL_TARGET_FEATURE_ONLY_AGGREGATE",
                    f"{node.function} describes the past: it can be a feature or filter entities, but not be predicted",
                    node,
                    "Predict one of the aggregates that exist, or use it after WHERE.",
                    name=node.function,
                    candidates=[name for name, spec in AGGREGATES.items() if spec.target],
                )


def _check_forecast(scope: Scope, tree: Predict, value: Label) -> None:
    steps = tree.spec.steps or 0
    if steps < 1:
        raise _refused(
            scope, tree, "PQL_TASK_FORECAST_NOT_POSITIVE", f"FORECAST {steps} looks at nothing", "Write 1 or more."
        )
    if steps > MOST_STEPS:
        raise _refused(
            scope, tree, "PQL_TASK_FORECAST_TOO_LARGE", f"FORECAST {steps} is too far", f"Write {MOST_STEPS:,} or less."
        )
    if not is_temporal(tree.target):
        raise scope.error(
            "PQL_TASK_FORECAST_REQUIRES_TEMPORAL_TARGET",
            f"{tree.target} is about no window of time, so there is no next one",
            tree.target,
            "Forecast an aggregate over a window, such as SUM(orders.price, 0, 7, days).",
        )
    if value.kind is not Kind.NUMERICAL:
        raise scope.error(
            "PQL_TASK_FORECAST_REQUIRES_NUMERICAL_TARGET",
            f"{tree.target} is no number",
            tree.target,
            "Forecast the count or the sum itself, without comparing it.",
        )
    _check_calculated_forecast(scope, tree, steps)


def _check_calculated_forecast(scope: Scope, tree: Predict, steps: int) -> None:
    """A forecast of a calculation moves all of its windows by the same step."""
    if isinstance(tree.target, Aggregation):
        return
    if steps > MOST_CALCULATED_STEPS:
        hint = f"Write {MOST_CALCULATED_STEPS} or less, or forecast one aggregate."
        raise _refused(
            scope, tree, "PQL_TASK_FORECAST_TOO_LARGE", f"FORECAST {steps} of a calculation is too far", hint
        )
    windows = [node.window for node in tree.target.walk() if isinstance(node, Aggregation) and node.window]
    if any(window.end <= 0 for window in windows):
        raise scope.error(
            "PQL_TASK_FORECAST_LOOKS_BACK",
            f"{tree.target} looks back, so its next steps would look both ways",
            tree.target,
            "Forecast windows that start at 0 or later.",
        )
    units = {str(window.unit) for window in windows}
    if len(units) > 1:
        raise scope.error(
            "PQL_TASK_FORECAST_MIXED_UNITS",
            f"the windows of the target are in {' and '.join(sorted(units))}, so it has no one step",
            tree.target,
            "Write all its windows in one unit.",
        )


def _refused(scope: Scope, tree: Predict, code: str, message: str, hint: str) -> QueryError:
    return scope.error(code, message, tree.spec.span, hint)
