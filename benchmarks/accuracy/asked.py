"""A task put to Penstock: the rows it learns from and is judged on, and what it says of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from benchmarks.accuracy.judge import Array, Judge
from benchmarks.accuracy.tasks import Task, opened
from penstock.database import Database
from penstock.engine.execute import quiet
from penstock.language import Query
from penstock.learning import ask
from penstock.learning.calibration.finish import Classes, Labels, truth_of
from penstock.learning.fitting.models import Effort, Loss, Options
from penstock.learning.fitting.trained import TOP_K, Trained
from penstock.learning.ranking import rank
from penstock.learning.rows.dataset import Samples, known

NUMBERS = ("regression", "forecasting")


@dataclass(frozen=True)
class Asked:
    """A task with its database, its rows parted in time, and how long it took to gather them."""

    task: Task
    db: Database
    query: Query
    gathered: ask.Gathered
    how: ask.How
    seconds: float

    @property
    def kind(self) -> str:
        """The type of the task."""
        return self.query.task.value

    @cached_property
    def test(self) -> Samples:
        """The test rows that have a target."""
        return known(self.gathered.test)

    @property
    def top_k(self) -> int:
        """How many items of a ranking count."""
        return self.query.top_k or TOP_K


@dataclass(frozen=True)
class Said:
    """An answer to the test rows: the trained models (one, or for numbers one a loss), the predictions, the seconds."""

    trained: tuple[Trained, ...]
    tables: tuple[pa.Table, ...]
    prediction: Array
    seconds: float


def put(task: Task, effort: Effort = "fast", seed: int = 0, *, blind: bool = True) -> Asked:
    """Ask: gather the rows as an evaluation of the query does. ``blind`` hides the leaking columns beforehand."""
    started = time.perf_counter()
    db = opened(task, blind=blind)
    query = db.query(task.query)
    how = ask.How(Options(seed=seed, effort=effort), leaks="keep" if task.kept else "drop")
    gathered = ask.gather(query, db.relational, ask.Given(), how, quiet)
    return Asked(task, db, query, gathered, how, time.perf_counter() - started)


def answer(asked: Asked, effort: Effort = "fast", seed: int = 0, *, told_loss: bool = False) -> Said:
    """Learn and predict; if it is to be told the loss, numbers once to be close in absolute, once in squared error."""
    started = time.perf_counter()
    losses: tuple[Loss, ...] = ("mae", "rmse") if told_loss and asked.kind in NUMBERS else ("auto",)
    trained, tables = [], []
    for loss in losses:
        trained.append(learnt(asked, Options(seed=seed, effort=effort, loss=loss)))
        tables.append(told(asked, trained[-1], asked.test))
    prediction = shaped(asked, tables)
    return Said(tuple(trained), tuple(tables), prediction, time.perf_counter() - started)


def learnt(asked: Asked, options: Options) -> Trained:
    """The model, as an evaluation of the query learns it."""
    gathered, how = asked.gathered, replace(asked.how, options=options)
    return ask.learn(
        asked.query, gathered.train, gathered.validation, gathered.features, asked.db.relational, how, quiet
    )


def told(asked: Asked, trained: Trained, rows: Samples) -> pa.Table:
    """What a model says of rows."""
    threads = asked.db.settings.threads
    return trained.ranked(rows, asked.top_k, threads) if asked.kind == "ranking" else trained.predict(rows, threads)


def shaped(asked: Asked, tables: list[pa.Table]) -> Array:
    """Tables of predictions as an array that a `Judge` takes."""
    if asked.kind == "ranking":
        return grid(tables[0], asked.test, asked.top_k)[0]
    if asked.kind in NUMBERS:
        return np.column_stack([table["prediction"].to_numpy() for table in (tables[0], tables[-1])])
    probability = tables[0]["probability"].to_numpy()
    return probability if asked.kind == "binary" else probability.reshape(len(asked.test), -1)


def grid(ranked: pa.Table, test: Samples, top_k: int) -> tuple[Array, Array]:
    """Rows × k, whether the item at that place came; and how many items came for each row."""
    hit, relevant = rank.hits(ranked, test)
    row, place = np.asarray(ranked["row"], np.int64), np.asarray(ranked["rank"], np.int64)
    cells = np.zeros((len(test), top_k), bool)
    cells[row[hit], place[hit] - 1] = True
    return cells, relevant


def judge(asked: Asked, said: Said) -> Judge:
    """The test rows, ready to be compared with."""
    owner = asked.test.entity
    owner = owner.combine_chunks() if isinstance(owner, pa.ChunkedArray) else owner
    codes = owner.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return Judge(asked.kind, truth(asked, said), codes)


def truth(asked: Asked, said: Said) -> Array:
    """What came of the test rows, in the form of the task."""
    finish, target = said.trained[0].finish, asked.test.target
    if asked.kind == "ranking":
        return grid(said.tables[0], asked.test, asked.top_k)[1]
    if isinstance(finish, Classes):
        return finish.codes(target)
    return finish.truths(target) if isinstance(finish, Labels) else truth_of(target)


def coverage(asked: Asked, said: Said) -> float | None:
    """The share of numbers that lie in their 90 per cent interval."""
    if asked.kind not in NUMBERS:
        return None
    came, table = truth_of(asked.test.target), said.tables[0]
    return float(np.mean((came >= table["low"].to_numpy()) & (came <= table["high"].to_numpy())))


def counted(asked: Asked) -> Mapping[str, int]:
    """Rows by part."""
    gathered = asked.gathered
    return {"training": len(gathered.train), "validation": len(gathered.validation), "test": len(asked.test)}
