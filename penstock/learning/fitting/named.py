"""Models of one's own, found by name: ``package.module:Class``.

The class makes itself by a class method, predicts, and goes to plain values and back:

    @classmethod
    def fit(cls, values, target, *, space, classes, categorical, options): ...
    def predict(self, values, *, threads=0): ...
    def to_dict(self): ...          # values that JSON can hold
    @classmethod
    def from_dict(cls, plain): ...

``values`` are float32, rows × columns, NaN for NULL; the columns ``categorical`` hold codes. ``space`` is "chance"
(target 0 or 1; predict probabilities), "number" (predict numbers), or "classes" (target 0 … ``classes`` - 1; predict
rows × classes of probabilities). The same rows must give the same model. There may be ``contributions(values)``, rows ×
(columns + 1) that sum to the log-odds or the number, and ``importance(columns)``; they are shown where they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.errors import RequestError
from penstock.learning.calibration.calibrate import log_odds, sigmoid
from penstock.learning.encoding.matrix import Values
from penstock.learning.fitting.blend import Space
from penstock.learning.fitting.learners import Data, Judged

Floats: TypeAlias = npt.NDArray[np.float64]

KNOWN = ("auto", "blend", "boosted", "linear")
_NEEDED = ("fit", "predict", "to_dict", "from_dict")


def class_named(name: str) -> Any:
    """The class with this name. Raises ``RequestError`` where there is none, or where it lacks a method."""
    module, _, within = name.partition(":")
    if not module or not within:
        raise RequestError(
            "LEARNING_MODEL",
            f"there is no model named {name!r}",
            name=name,
            candidates=KNOWN,
            hint="Name one of these, or a class of your own as package.module:Class.",
        )
    try:
        found = getattr(importlib.import_module(module), within)
    except (ImportError, AttributeError) as error:
        hint = "The module must be one that Python can import from here."
        raise RequestError("LEARNING_MODEL", f"the model {name!r} cannot be loaded: {error}", name=name,
                           hint=hint) from error  # fmt: skip
    lacking = [method for method in _NEEDED if not callable(getattr(found, method, None))]
    if lacking:
        hint = "A model has fit, predict, to_dict and from_dict."
        raise RequestError("LEARNING_MODEL", f"{name} lacks {', '.join(lacking)}", name=name, hint=hint)
    return found


def check_model(name: str, task: str) -> None:
    """Refuse a model that does not exist, or that cannot learn such a task."""
    if name in KNOWN:
        return
    class_named(name)
    if task in ("multilabel", "ranking"):
        hint = "Models of one's own answer yes or no, one of several classes, or a number."
        raise RequestError("LEARNING_MODEL", f"{name} cannot learn a {task} task", name=name, hint=hint)


@dataclass(frozen=True)
class Own:
    """A model of one's own, with what it may lack: parts of its score, and what matters to it."""

    name: str
    model: Any
    space: Space
    kind = "own"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:
        """What the model says."""
        return np.asarray(self.model.predict(values, threads=threads), np.float64)

    def answer(self, score: Floats) -> Floats:
        """The answer to a row whose contributions sum to this score; not of classes."""
        return sigmoid(score) if self.space == "chance" else score

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """The model's own; where it has none, all of the score is where it starts."""
        if hasattr(self.model, "contributions"):
            return np.asarray(self.model.contributions(values), np.float64)
        said = self.predict(values, threads=threads)
        score = log_odds(said) if self.space == "chance" else _logs(said) if self.space == "classes" else said
        whole = np.zeros((*score.shape, values.shape[1] + 1))
        whole[..., -1] = score
        return whole

    def importance(self, columns: int) -> Floats:
        """The model's own; nothing where it has none."""
        found = self.model.importance(columns) if hasattr(self.model, "importance") else np.zeros(columns)
        return np.asarray(found, np.float64)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "name": self.name, "space": self.space, "model": self.model.to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Own:
        """What `to_dict` wrote; its class is imported."""
        return cls(plain["name"], class_named(plain["name"]).from_dict(plain["model"]), plain["space"])


def _logs(shares: Floats) -> Floats:
    return np.log(np.clip(shares, 1e-12, 1.0))


@dataclass(frozen=True)
class Owns:
    """Learns models of a class of one's own."""

    name: str

    def judge(self, data: Data, fold: int) -> Judged:
        """Learn a fold's rows."""
        rows, later = data.parts[fold]
        return Judged(self._fitted(rows, data).predict(later.values, threads=data.options.threads))

    def make(self, data: Data, rounds: int) -> Own:  # noqa: ARG002  the same for every learner
        """Learn all rows."""
        return self._fitted(data.whole, data)

    def _fitted(self, examples: Any, data: Data) -> Own:
        told = {"space": data.space, "classes": data.classes, "categorical": examples.categorical}
        made = class_named(self.name).fit(examples.values, examples.target, options=data.options, **told)
        return Own(self.name, made, data.space)
