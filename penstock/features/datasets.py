"""Training sets that are kept by name: their rows, and how they were made."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from penstock.errors import FailedError, RequestError, system_error
from penstock.lake.frames import content_hash
from penstock.lake.streams.log import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ABOUT = "about.json"


@dataclass(frozen=True)
class How:
    """How a training set was made: the features asked for, the version of each view, and its spine.

    ``spine`` is a hash of the rows asked about (`of` makes it), ``data`` says which versions of the tables there were.
    """

    features: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    spine: str = ""
    data: str = ""

    @classmethod
    def of(cls, features: tuple[str, ...], versions: Mapping[str, str], spine: pa.Table, data: str = "") -> How:
        """How these features of a spine were made."""
        return cls(features, dict(versions), content_hash(spine), data)


@dataclass(frozen=True)
class Dataset:
    """A training set that is kept: its name, how it was made, when (UTC), and what it holds.

    ``content`` is a hash of the rows.
    """

    name: str
    how: How
    saved: str
    rows: int
    columns: Mapping[str, str]
    content: str


@dataclass(frozen=True)
class Datasets:
    """The training sets below a folder: one folder each, with its rows as Parquet and what is said of them as JSON.

    The rows' file is called by what it holds and named in the JSON, which is replaced as a whole: a kill leaves the set
    that was there before, or none.
    """

    folder: Path

    def save(self, table: pa.Table, name: str, how: How = How(), *, replace: bool = False) -> Dataset:
        """Keep a table by name.

        Raises ``RequestError`` for a name that is none (``DATASET_NAME``) or is taken (``DATASET_EXISTS``, unless
        ``replace``), and ``FailedError`` where the folder cannot be written.
        """
        self.check(name, replace=replace)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        columns = {column.name: str(column.type) for column in table.schema}
        made = Dataset(name, how, now, table.num_rows, columns, content_hash(table))
        try:
            self._write(table, made, self._place(name))
        except OSError as error:
            raise system_error(error) from error
        return made

    def check(self, name: str, *, replace: bool = False) -> None:
        """Whether a table can be kept by this name. Raises ``RequestError`` as `save` does."""
        if (self._place(name) / _ABOUT).exists() and not replace:
            hint = "Choose another name, or say that it is to be replaced: --replace, in Python replace=True."
            raise RequestError("DATASET_EXISTS", f"there is a training set {name!r} already", name=name, hint=hint)

    def load(self, name: str) -> pa.Table:
        """The rows of a training set, as they were saved. Raises ``RequestError`` (``DATASET_UNKNOWN``)."""
        told = self.about(name)
        try:
            return parquet.read_table(self._place(name) / f"{told.content}.parquet")
        except (OSError, pa.ArrowException) as error:
            raise _damaged(name, error) from error

    def about(self, name: str) -> Dataset:
        """What is said of a training set. Raises ``RequestError`` (``DATASET_UNKNOWN``)."""
        try:
            told = json.loads((self._place(name) / _ABOUT).read_text(encoding="utf-8"))
            how = told.pop("how")
            return Dataset(**told, how=How(**{**how, "features": tuple(how["features"])}))
        except FileNotFoundError:
            hint = "Save one first, or name one of those."
            message = f"there is no training set {name!r}"
            raise RequestError("DATASET_UNKNOWN", message, name=name, candidates=self._names(), hint=hint) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(name, error) from error

    def all(self) -> list[Dataset]:
        """What is said of each training set, by name."""
        return [self.about(name) for name in self._names()]

    def delete(self, name: str) -> None:
        """Remove a training set. Raises ``RequestError`` (``DATASET_UNKNOWN``)."""
        self.about(name)
        try:
            (self._place(name) / _ABOUT).unlink()
            shutil.rmtree(self._place(name))
        except OSError as error:
            raise system_error(error) from error

    def _names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(place.name for place in self.folder.iterdir() if (place / _ABOUT).is_file() and _safe(place.name))

    def _place(self, name: str) -> Path:
        if not _safe(name):
            hint = "Letters, digits, '_', '.' and '-', at most 100 of them; it starts with a letter or a digit."
            raise RequestError("DATASET_NAME", f"a training set cannot be called {name!r}", name=str(name), hint=hint)
        return self.folder / name

    def _write(self, table: pa.Table, made: Dataset, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        rows, draft = place / f"{made.content}.parquet", place / f".{made.content}.draft"
        parquet.write_table(table, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(rows)
        write_whole(place / _ABOUT, (json.dumps(asdict(made), indent=2) + "\n").encode())
        for old in place.iterdir():
            if old not in (rows, place / _ABOUT):
                old.unlink()


def _safe(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _damaged(name: str, error: Exception) -> FailedError:
    hint = "Save it anew."
    return FailedError("DATASET_DAMAGED", f"the training set {name!r} cannot be read: {error}", name=name, hint=hint)


__all__ = ["Dataset", "Datasets", "How"]
