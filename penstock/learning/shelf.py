"""Answers kept between runs: a trained model, its evaluation and its predictions, by a fingerprint of the question.

The fingerprint covers data, graph, query, seed and version, so a kept answer is never one to another question. Files
are written beside their place and renamed, so a run that is killed leaves no half an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.engine.relational import Relational
from penstock.language import Query
from penstock.learning.evaluate import Evaluation
from penstock.learning.trained import Trained

FORMAT = 1


@dataclass(frozen=True)
class Shelved:
    """A trained model and the evaluation of its like on the newest complete window."""

    trained: Trained
    evaluation: Evaluation


@dataclass(frozen=True)
class Shelf:
    """A folder for one question's answer; None keeps nothing."""

    folder: Path | None

    @classmethod
    def of(cls, query: Query, relational: Relational, seed: int) -> Shelf:
        """The shelf of a question about this very data."""
        cache = relational.settings.cache
        if cache is None:
            return cls(None)
        parts = (FORMAT, relational.rows.fingerprint, repr(relational.rows.graph), query.fingerprint, seed)
        return cls(cache / "answers" / hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest())

    def load(self) -> Shelved | None:
        """What is kept, or None; what cannot be read counts as not kept."""
        if self.folder is None or not (self.folder / "answer.json").exists():
            return None
        try:
            plain = json.loads((self.folder / "answer.json").read_text("utf-8"))
            tested = pq.read_table(self.folder / "tested.parquet")
            return Shelved(Trained.from_dict(plain["trained"]), Evaluation.from_dict(plain["evaluation"], tested))
        except (OSError, ValueError, KeyError, pa.ArrowException):
            return None

    def save(self, shelved: Shelved) -> None:
        """Keep an answer; the file that marks it whole comes last."""
        plain = {"trained": shelved.trained.to_dict(), "evaluation": shelved.evaluation.to_dict()}
        self._put("tested.parquet", shelved.evaluation.predictions)
        self._put("answer.json", json.dumps(plain, default=str))

    def predictions(self, cutoff: int) -> pa.Table | None:
        """Everybody's predictions from a cutoff, if kept."""
        path = None if self.folder is None else self.folder / _name(cutoff)
        try:
            return pq.read_table(path) if path is not None and path.exists() else None
        except (OSError, pa.ArrowException):
            return None

    def keep_predictions(self, cutoff: int, table: pa.Table) -> None:
        """Keep everybody's predictions from a cutoff."""
        self._put(_name(cutoff), table)

    def _put(self, name: str, content: pa.Table | str) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=self.folder, prefix=".draft-")
        os.close(handle)
        if isinstance(content, str):
            Path(draft).write_text(content, "utf-8")
        else:
            pq.write_table(content, draft)
        Path(draft).replace(self.folder / name)


def _name(cutoff: int) -> str:
    return f"predictions-{cutoff}.parquet"
