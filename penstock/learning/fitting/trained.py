"""A trained model with all that its answers need: encoding, calibration, and what it was learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.learning.calibration import finish as finishes
from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import Answer, Finish
from penstock.learning.encoding.matrix import Encoding
from penstock.learning.encoding.steady import Habit, Steady
from penstock.learning.fitting.blend import Blend
from penstock.learning.fitting.labels import Labelled
from penstock.learning.fitting.linear import Linear
from penstock.learning.fitting.models import Boosted, Model
from penstock.learning.fitting.named import Own
from penstock.learning.ranking.rank import Ranker
from penstock.learning.reasons.seen import Grids
from penstock.learning.rows.dataset import Samples

STEP = "STEP"
"""The name of the column that tells a forecast's model which frame ahead is asked for, from 1."""

AT_ONCE = 1 << 17
"""Rows that are encoded and scored in one go."""
TOP_K = 10
"""How many items a ranking gives where nobody says."""


@dataclass(frozen=True)
class Trained:
    """What `fit` gives. Frozen; goes to JSON and back with equal predictions; scores with no library but LightGBM's.

    ``importance`` is each feature's share of the gain, most first. ``rows`` counts training and validation rows;
    ``seconds`` is how long the training took; ``usual`` is each number's median in training,
    ``seen`` some values that training rows had.
    """

    task: str
    model: Model | Ranker
    encoding: Encoding
    finish: Finish
    importance: tuple[tuple[str, float], ...]
    rows: tuple[tuple[str, int], ...]
    seconds: float
    notes: tuple[str, ...] = ()
    usual: tuple[tuple[str, float], ...] = ()
    seen: Grids = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The features that predicting needs."""
        return tuple(name for name in self.encoding.features if name != STEP)

    def output(self, samples: Samples, threads: int = 0) -> Floats:
        """What the model itself says: a number a row, or one a class. Not of a ranking."""
        assert not isinstance(self.model, Ranker)
        table = with_step(samples)
        parts = [table.slice(start, AT_ONCE) for start in range(0, max(1, table.num_rows), AT_ONCE)]
        return np.concatenate([self.model.predict(self.encoding.encode(part), threads=threads) for part in parts])

    def estimates(self, samples: Samples, threads: int = 0) -> Floats:
        """The calibrated answer alone: a probability or number a row, or a probability a class."""
        return self.finish.estimates(self.output(samples, threads))

    def predict(self, samples: Samples, threads: int = 0, top_k: int | None = None) -> pa.Table:
        """The answer: ``entity``, ``cutoff`` (UTC, no zone), ``step`` of a forecast, then the task's columns.

        Rows come in the order asked; classes and labels have one row each for every row asked, a ranking ``top_k``
        rows at most, best first.
        """
        if isinstance(self.model, Ranker):
            return self.ranked(samples, top_k or TOP_K, threads).drop_columns(["row"])
        group = None if samples.step is None else samples.step - 1
        return answered(samples, self.finish.columns(self.output(samples, threads), group))

    def ranked(self, samples: Samples, top_k: int, threads: int = 0) -> pa.Table:
        """The answer of a ranking, with the place of the row that it answers in ``row``."""
        assert isinstance(self.model, Ranker)
        ranked = self.model.rank(samples, top_k, threads)
        row = ranked["row"].combine_chunks()
        cutoff = pa.array(samples.cutoff).cast(pa.timestamp("us")).take(row)
        return pa.table({"entity": samples.entity.take(row), "cutoff": cutoff, **_columns(ranked)})

    def contributions(self, samples: Samples, threads: int = 0) -> Floats:
        """Each feature's part in the score (columns of `encoding.features`, then where the score starts).

        For classes and labels the middle axis is the class. The unit is the score's: log-odds for a probability.
        """
        assert not isinstance(self.model, Ranker)
        parts = self.model.contributions(self.encoding.encode(with_step(samples)), threads=threads)
        summed = np.zeros((*parts.shape[:-1], len(self.encoding.features) + 1))
        for column, owner in enumerate([*self.encoding.owners, len(self.encoding.features)]):
            summed[..., owner] += parts[..., column]
        return summed

    def to_json(self) -> str:
        """As JSON text; the model is LightGBM's own text inside it."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        parts = {name: getattr(self, name).to_dict() for name in ("model", "encoding", "finish")}
        told = ("importance", "rows", "seconds", "notes", "usual", "seen")
        return {"format": 1, "task": self.task, **parts, **{name: getattr(self, name) for name in told}}

    @classmethod
    def from_json(cls, text: str) -> Trained:
        """The model that `to_json` wrote."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Trained:
        """The model that `to_dict` wrote."""
        return cls(
            plain["task"],
            _MODELS[plain["model"]["kind"]](plain["model"]),
            Encoding.from_dict(plain["encoding"]),
            finishes.from_dict(plain["finish"]),
            tuple((name, share) for name, share in plain["importance"]),
            tuple((name, count) for name, count in plain["rows"]),
            plain["seconds"],
            tuple(plain["notes"]),
            tuple((name, value) for name, value in plain["usual"]),
            tuple((name, tuple(values)) for name, values in plain.get("seen", ())),
        )

    def __str__(self) -> str:
        rows = ", ".join(f"{count:,} {name}" for name, count in self.rows)
        used = len(self.features) or len(self.importance)
        most = "".join(f"\n  {share:6.1%}  {name}" for name, share in self.importance[:5])
        return f"{self.task} model: {used} features, {rows} rows, {self.seconds:.1f} s{most}"


def _blend(plain: Mapping[str, Any]) -> Blend:
    members: Any = tuple(_MODELS[model["kind"]](model) for model in plain["models"])
    return Blend(members, tuple(plain["weights"]), plain["space"])


_MODELS: Mapping[str, Callable[[Mapping[str, Any]], Model | Ranker]] = {
    Blend.kind: _blend,
    Boosted.kind: Boosted.from_dict,
    Habit.kind: Habit.from_dict,
    Labelled.kind: Labelled.from_dict,
    Linear.kind: Linear.from_dict,
    Own.kind: Own.from_dict,
    Ranker.kind: Ranker.from_dict,
    Steady.kind: Steady.from_dict,
}


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name] for name in table.column_names}


def with_step(samples: Samples) -> pa.Table:
    """The features, with the step ahead beside them for a forecast."""
    if samples.step is None:
        return samples.features
    return samples.features.append_column(STEP, pa.array(samples.step))


def answered(samples: Samples, columns: Answer) -> pa.Table:
    """Entity, cutoff and step of each row, as often as an answer has rows for it, then the answer's columns."""
    rows = len(next(iter(columns.values())))
    known: Answer = {"entity": samples.entity, "cutoff": pa.array(samples.cutoff).cast(pa.timestamp("us"))}
    if samples.step is not None:
        known["step"] = pa.array(samples.step)
    if rows != len(samples) and len(samples):
        places = pa.array(np.repeat(np.arange(len(samples)), rows // len(samples)))
        known = {name: column.take(places) for name, column in known.items()}
    return pa.table({**known, **columns})
