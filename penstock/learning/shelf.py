"""Answers kept between runs: a trained model, its evaluation and its predictions, by a fingerprint of the question.

The fingerprint covers data, graph, query, how to learn, version and the instant up to which rows were learnt from, so
a kept answer is never one to another question; who is asked about does not count, for everybody's answer is the same
model. Files are written beside their place and renamed, so a run that is killed leaves no half an answer. What is
damaged, or speaks a language of features that is no longer understood, counts as not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.engine.relational import Relational
from penstock.errors import PenstockError
from penstock.language import Query
from penstock.learning.fitting.trained import Trained
from penstock.learning.judging.evaluate import Evaluation
from penstock.learning.rows import examples
from penstock.settings import VERSION

FORMAT = 2

_DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException, PenstockError)


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
    def of(cls, query: Query, relational: Relational, how: object, until: int) -> Shelf:
        """The shelf of a question about this very data, answered from rows up to an instant."""
        cache = relational.settings.cache
        if cache is None:
            return cls(None)
        question = replace(query, ids=None, as_of=None).fingerprint
        data = (relational.rows.fingerprint, repr(relational.rows.graph))
        parts = repr((FORMAT, VERSION, *data, question, how, until))
        return cls(cache / "answers" / hashlib.blake2b(parts.encode(), digest_size=16).hexdigest())

    def load(self, query: Query) -> Shelved | None:
        """What is kept, or None; what cannot be read, or used for the query any more, counts as not kept."""
        if self.folder is None or not (self.folder / "answer.json").exists():
            return None
        try:
            digest, _, text = (self.folder / "answer.json").read_text("utf-8").partition("\n")
            if digest != _digest(text):
                return None
            plain, tested = json.loads(text), self._table("tested.parquet")
            found = Shelved(Trained.from_dict(plain["trained"]), Evaluation.from_dict(plain["evaluation"], tested))
            examples.features_named(query, found.trained.features, query.graph)
        except _DAMAGED:
            return None
        return found

    def save(self, shelved: Shelved) -> None:
        """Keep an answer, in place of what was kept; the file that marks it whole comes last."""
        if self.folder is None:
            return
        for old in self.folder.glob("[!.]*"):
            old.unlink(missing_ok=True)
        text = json.dumps({"trained": shelved.trained.to_dict(), "evaluation": shelved.evaluation.to_dict()})
        self._put("tested.parquet", shelved.evaluation.predictions)
        self._put("answer.json", f"{_digest(text)}\n{text}")

    def predictions(self, cutoff: int) -> pa.Table | None:
        """Everybody's predictions from a cutoff, if kept."""
        try:
            return None if self.folder is None else self._table(_name(cutoff))
        except _DAMAGED:
            return None

    def keep_predictions(self, cutoff: int, table: pa.Table) -> None:
        """Keep everybody's predictions from a cutoff."""
        self._put(_name(cutoff), table)

    def _table(self, name: str) -> pa.Table:
        assert self.folder is not None
        return pq.read_table(self.folder / name, page_checksum_verification=True)

    def _put(self, name: str, content: pa.Table | str) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(dir=self.folder, prefix=".draft-")
        os.close(handle)
        draft = Path(path)
        try:
            if isinstance(content, str):
                draft.write_text(content, "utf-8")
            else:
                pq.write_table(content, draft, write_page_checksum=True)
            draft.replace(self.folder / name)
        finally:
            draft.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _name(cutoff: int) -> str:
    return f"predictions-{cutoff}.parquet"
