"""Reasons beside predictions: what moved each of them most, and what would change it, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from penstock.engine.relational import Relational
from penstock.language import Query, Task
from penstock.learning.fitting.trained import Trained
from penstock.learning.predictions import Predictions
from penstock.learning.ranking.orders import order_reasons
from penstock.learning.ranking.rank import Ranker
from penstock.learning.reasons.explain import reasons
from penstock.learning.reasons.insight import phrases
from penstock.learning.reasons.seen import grids
from penstock.learning.reasons.whatif import CAVEAT, changes
from penstock.learning.rows import examples

SENTENCES = pa.list_(pa.string())


def with_reasons(
    answer: Predictions, trained: Trained, query: Query, relational: Relational, most: int | None
) -> Predictions:
    """The predictions with a column ``reasons``, filled for the first ``most`` rows as they are shown (None: all).

    Of classes and labels they are the reasons of the likeliest one, of a ranking those of each item's place.
    """
    shown = answer.ordered() if most is None else answer.ordered().slice(0, most)
    asked = _asked(shown)
    features = examples.features_named(query, trained.features, query.graph)
    rows = examples.samples(query, features, asked, relational)
    threads = relational.settings.threads
    if isinstance(trained.model, Ranker):
        found, whose = order_reasons(trained.model, rows, _placed(shown, asked), threads=threads), shown
    else:
        found, whose = reasons(trained, rows, phrases(features), threads=threads), asked
    return _beside(answer, "reasons", [list(map(str, row)) for row in found], whose)


def with_changes(
    answer: Predictions,
    trained: Trained,
    query: Query,
    relational: Relational,
    most: int | None,
    *,
    act_on: Sequence[str] = (),
    threshold: float | None = None,
) -> Predictions:
    """The predictions with a column ``changes``: what would change the first ``most`` of them (None: all).

    Each is a sentence, as `penstock.learning.reasons.whatif.changes` finds it; ``act_on`` names what can be acted on. A
    ranking has none, and says so; else a note says what such sentences are worth.
    """
    if query.task is Task.RANKING:
        return answer.noting("What would change a ranking is not known.")
    shown = answer.ordered() if most is None else answer.ordered().slice(0, most)
    asked, threads = _asked(shown), relational.settings.threads
    features = examples.features_named(query, trained.features, query.graph)
    rows = examples.samples(query, features, asked, relational)
    how: dict[str, Any] = {"act_on": act_on, "threshold": threshold, "threads": threads}
    found = changes(trained, rows, features, trained.seen or grids(rows.features), **how)
    return _beside(answer, "changes", [list(map(str, row)) for row in found], asked).noting(CAVEAT)


def _beside(answer: Predictions, name: str, found: list[list[str]], whose: pa.Table) -> Predictions:
    """The answer with a column of sentences; NULL in rows that were not asked about."""
    columns = _columns(whose)
    by_row = dict(zip(_keys(whose, columns), found, strict=True))
    told = pa.array([by_row.get(key) for key in _keys(answer.table, columns)], SENTENCES)
    return answer.of(answer.table.append_column(name, told))


def _placed(shown: pa.Table, asked: pa.Table) -> pa.Table:
    """The items shown, with the place of the row that each belongs to in ``row``."""
    columns = _columns(asked)
    places = {key: place for place, key in enumerate(_keys(asked, columns))}
    row = pa.array([places[key] for key in _keys(shown, columns)], pa.int64())
    return pa.table({"row": row, "item": shown["item"]})


def _columns(table: pa.Table) -> list[str]:
    """The columns that say what a row is about; of a ranking also the item."""
    return [name for name in ("entity", "cutoff", "step", "item") if name in table.column_names]


def _asked(shown: pa.Table) -> pa.Table:
    """The rows (entity, cutoff[, step]) that the shown predictions are about, each once."""
    columns = [name for name in _columns(shown) if name != "item"]
    return shown.select(columns).group_by(columns, use_threads=False).aggregate([]).select(columns)


def _keys(table: pa.Table, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))
