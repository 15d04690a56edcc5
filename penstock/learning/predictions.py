"""Predictions with the evidence for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from penstock import lake
from penstock.learning.judging.evaluate import Evaluation

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True)
class Predictions:
    """One row a prediction (``entity``, ``cutoff``, then by task; ``reasons`` where asked), and the backtest.

    ``query`` is the question's canonical text; ``notes`` say what was left out and why.
    """

    query: str
    task: str
    table: pa.Table
    evaluation: Evaluation
    notes: tuple[str, ...] = ()

    def of(self, table: pa.Table) -> Predictions:
        """The same answer with another table of it."""
        return replace(self, table=table)

    def noting(self, *notes: str) -> Predictions:
        """The same answer with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def to_arrow(self) -> pa.Table:
        """The predictions as Arrow."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """The predictions as a pandas frame (extra ``pandas``)."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """The predictions as a Polars frame (extra ``polars``)."""
        import polars as pl

        frame = pl.from_arrow(self.table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart."""
        return tuple(c for c in ("entity", "cutoff", "step", "class", "rank") if c in self.table.column_names)

    def write(self, destination: str) -> None:
        """Write to ``file.parquet``, ``file.csv`` or ``url#table``; writing again changes nothing."""
        lake.write(self.table, destination, self.key)

    def ordered(self) -> pa.Table:
        """The rows with the largest first; of forecasts and rankings by entity, of classes the likeliest first."""
        if "class" in self.table.column_names:
            return self.table.take(pa.array(_likeliest_first(self.table)))
        if {"step", "rank"} & set(self.table.column_names):
            return self.table
        first = "probability" if "probability" in self.table.column_names else "prediction"
        return self.table.sort_by([(first, "descending")])

    def to_dict(self) -> dict[str, Any]:
        """For JSON: query, task, predictions as rows, evaluation, notes."""
        told = {"query": self.query, "task": self.task, "predictions": self.table.to_pylist()}
        return {**told, "evaluation": self.evaluation.to_dict(), "notes": list(self.notes)}

    def reasons_text(self, rows: int) -> str:
        """The reasons of the first rows, and what would change them, as text."""
        if not {"reasons", "changes"} & set(self.table.column_names):
            return ""
        return "\n".join(line for row in self.ordered().slice(0, rows).to_pylist() for line in _reasoned(row))

    def __str__(self) -> str:
        return f"{self.query}\n{self.table.num_rows:,} predictions\n\n{self.evaluation}"


def _likeliest_first(table: pa.Table) -> np.ndarray:
    """The order of rows in which each row asked about keeps its place, and its classes fall in probability."""
    asked = table.group_by(["entity", "cutoff"], use_threads=False).aggregate([([], "count_all")])["count_all"]
    return np.lexsort((-table["probability"].to_numpy(), np.repeat(np.arange(len(asked)), asked.to_numpy())))


def _reasoned(row: dict[str, Any]) -> Sequence[str]:
    said = next(
        (f"{name} {row[name]:.3g}" for name in ("probability", "prediction", "score") if _number(row.get(name))), ""
    )
    reasons, changes = (row.get(name) or () for name in ("reasons", "changes"))
    whose = row["entity"] if row.get("item") is None else f"{row['entity']}, {row['item']}"
    return [f"{whose}: {said}", *(f"  {reason}" for reason in reasons), *(f"  ⇄ {one}" for one in changes)]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
