"""The demonstration: make the database, ask the question, and set the answer beside the best one could do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock import demo
from penstock.database import connect
from penstock.engine.execute import Progress, quiet
from penstock.learning.judging.metrics import auroc
from penstock.learning.predictions import Predictions

FILE = "penstock-demo.duckdb"


@dataclass(frozen=True)
class Shown:
    """What the demonstration found: the answer, and the AUROC that the generator's own probabilities reach."""

    path: Path
    rows: int
    seconds: float
    answer: Predictions
    best: float

    @property
    def introduction(self) -> str:
        """What was made and what is asked."""
        return (
            f"{self.path}: {self.rows:,} rows, made in {self.seconds:.0f} s from a law with a known truth.\n"
            f'Asking: penstock predict {self.path} "{demo.QUESTION}" --explain\n'
        )

    @property
    def conclusion(self) -> str:
        """Our AUROC beside the best that anybody could reach."""
        ours = self.answer.evaluation.metrics["auroc"]
        return (
            f"\nOn the test window the law's own probabilities reach an AUROC of {self.best:.3f}: nobody can do better."
            f"\nPenstock, which knows only the tables, reaches {ours:.3f}.\n"
            f"\nNext: penstock graph {self.path}"
            f'\n      penstock predict {self.path} "{demo.QUESTION}" --entities 17,42 --explain'
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {"path": str(self.path), "rows": self.rows, "seconds": self.seconds, "best_auroc": self.best}
        return {**told, **self.answer.to_dict()}


def demonstrate(folder: str, *, subscribers: int, seed: int, progress: Progress = quiet) -> Shown:
    """Make the telecom database in a folder and ask who will be silent in the next 30 days."""
    started = time.perf_counter()
    made = demo.generate(seed, subscribers)
    progress("writing the database", 0.3)
    path = demo.write(made, Path(folder) / FILE)
    seconds = time.perf_counter() - started
    answer = connect(str(path)).predict(demo.QUESTION, explain=10, progress=progress)
    rows = sum(table.num_rows for table in made.tables.values())
    return Shown(path, rows, seconds, answer, best_auroc(made, answer))


def best_auroc(made: demo.Demo, answer: Predictions) -> float:
    """The AUROC of the true probabilities at the cutoff the answer was judged at."""
    cutoff = int(answer.evaluation.predictions["cutoff"].cast("timestamp[us]").cast("int64")[0].as_py())
    truth, probability = demo.outcome(made, cutoff), demo.true_probability(made, cutoff)
    return float(auroc(np.asarray(truth["target"]), np.asarray(probability["probability"])))
