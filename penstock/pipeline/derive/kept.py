"""What was found of a file's text, kept in a folder so that an unchanged file is not read again."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from penstock.errors import Span
from penstock.pipeline.derive.derivation import Columns, Origin, Shape
from penstock.pipeline.derive.statement import Mention, Outline, hashed
from penstock.settings import VERSION

_FORM = f"{VERSION} 2"
"""Changes when what is kept, or how it is found, does."""


@dataclass(frozen=True)
class Compiled:
    """What a query is over tables with certain columns."""

    schema: pa.Schema
    columns: Columns
    shape: Shape
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shelf:
    """A folder of findings, one file a text; None keeps nothing. What cannot be read there is found again."""

    folder: Path | None

    def keep(self, text: str, found: Outline, over: str, compiled: Compiled) -> None:
        """Keep what was found; of other columns of the same tables nothing stays."""
        if self.folder is None:
            return
        mentions = [(mention.name, mention.span.start, mention.span.end) for mention in found.mentions]
        told = {"outline": {**asdict(found), "mentions": mentions}, over: _told(compiled)}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(text)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.replace(path)

    def read(self, text: str) -> Mapping[str, Any]:
        """All that is kept of a text: to be asked by `outline_of` and `compiled_of`."""
        if self.folder is None:
            return {}
        try:
            told = json.loads(self._path(text).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _path(self, text: str) -> Path:
        assert self.folder is not None
        return self.folder / (hashed(_FORM + text) + ".json")


def outline_of(told: Mapping[str, Any]) -> Outline | None:
    """What was found of a text alone."""
    found = told.get("outline")
    if found is None:
        return None
    mentions = tuple(Mention(name, Span(start, end)) for name, start, end in found["mentions"])
    return Outline(found["end"], mentions, found["fingerprint"], found["coarse"])


def compiled_of(told: Mapping[str, Any], over: str) -> Compiled | None:
    """What was found of a text over tables whose columns hash to ``over``."""
    found = told.get(over)
    if found is None:
        return None
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(found["schema"])))
    values = {name: _origins(origins) for name, origins in found["values"].items()}
    shape = Shape(found["carried"], frozenset(found["linear"]), found["replayed"])
    return Compiled(schema, Columns(values, _origins(found["uses"])), shape, tuple(found["notes"]))


def _told(compiled: Compiled) -> dict[str, object]:
    return {
        "schema": base64.b64encode(compiled.schema.serialize().to_pybytes()).decode(),
        "values": {name: sorted(found) for name, found in compiled.columns.values.items()},
        "uses": sorted(compiled.columns.uses),
        "carried": compiled.shape.carried,
        "linear": sorted(compiled.shape.linear),
        "replayed": compiled.shape.replayed,
        "notes": compiled.notes,
    }


def _origins(told: Iterable[tuple[str, str]]) -> frozenset[Origin]:
    return frozenset((table, column) for table, column in told)


def over(schemas: Mapping[str, pa.Schema]) -> str:
    """A hash of the names and columns of the tables that a query reads."""
    return hashed(
        "\n".join(f"{name}\t{field.name}\t{field.type}" for name in sorted(schemas) for field in schemas[name])
    )
