"""Reasons beside predictions: what moved each of them most, in plain words."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from penstock.engine.relational import Relational
from penstock.features.definitions import FeatureSet
from penstock.features.phrases import phrase
from penstock.language import Query, Task
from penstock.learning import examples
from penstock.learning.explain import reasons
from penstock.learning.predictions import Predictions
from penstock.learning.trained import Trained

REASONS = pa.list_(pa.string())


def with_reasons(
    answer: Predictions, trained: Trained, query: Query, relational: Relational, most: int | None
) -> Predictions:
    """The predictions with a column ``reasons``, filled for the first ``most`` rows as they are shown (None: all).

    Of classes and labels they are the reasons of the likeliest one. Rankings have none, and say so.
    """
    if query.task is Task.RANKING:
        return answer.noting("Rankings come without reasons.")
    shown = answer.ordered() if most is None else answer.ordered().slice(0, most)
    asked = _asked(shown)
    features = examples.features_named(query, trained.features, query.graph)
    rows = examples.samples(query, features, asked, relational)
    found = reasons(trained, rows, _phrases(features), threads=relational.settings.threads)
    by_row = {key: list(map(str, row)) for key, row in zip(_keys(asked), found, strict=True)}
    told = pa.array([by_row.get(key) for key in _keys(answer.table)], REASONS)
    return answer.of(answer.table.append_column("reasons", told))


def _asked(shown: pa.Table) -> pa.Table:
    """The rows (entity, cutoff[, step]) that the shown predictions are about, each once."""
    columns = [name for name in ("entity", "cutoff", "step") if name in shown.column_names]
    return shown.select(columns).group_by(columns, use_threads=False).aggregate([]).select(columns)


def _keys(table: pa.Table) -> list[tuple[Any, ...]]:
    columns = [table[name].to_pylist() for name in ("entity", "cutoff", "step") if name in table.column_names]
    return list(zip(*columns, strict=True))


def _phrases(features: FeatureSet) -> dict[str, str]:
    return {name: phrase(expression) for name, expression in features.expressions.items()}
