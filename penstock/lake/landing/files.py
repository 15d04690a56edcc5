"""Which files are landed, and each as what its name says it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from penstock.errors import SourceError
from penstock.lake.files import FORMATS, format_of
from penstock.lake.landing.delimited import delimited_part
from penstock.lake.landing.jsonlines import json_part
from penstock.lake.landing.parquet import parquet_part
from penstock.lake.landing.piece import Part
from penstock.lake.landing.settings import LandingSettings

_OPENERS: dict[str, Callable[[str, Path, LandingSettings], Part]] = {
    "csv": delimited_part,
    "json": json_part,
    "parquet": parquet_part,
}


def found_files(paths: Sequence[Path] | Path) -> dict[str, Path]:
    """Files by the name that messages call them by; a folder gives its parts in order, whatever they are in.

    Raises ``SourceError`` where there are none, or of several formats.
    """
    given = [paths] if isinstance(paths, Path) else list(paths)
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise SourceError("SOURCE_NOT_FOUND", f"there is no file {path}", hint="Look at its path.")
        for name, file in _files_at(path):
            found[name if name not in found else str(file)] = file
    if not found:
        kinds = ", ".join(f"*{ending}" for ending in FORMATS)
        raise SourceError("SOURCE_EMPTY", f"there are no files to read: {_listed(given)}", hint=f"A table is {kinds}.")
    formats = {format_of(file): name for name, file in found.items()}
    if len(formats) > 1:
        both = " and ".join(sorted(formats.values()))
        raise SourceError("LANDING_FORMATS", f"{both} are of different formats, so they are not one table")
    return found


def _files_at(path: Path) -> list[tuple[str, Path]]:
    if path.is_file():
        if format_of(path) is None:
            message = f"{path.name} is no file that can be read as a table"
            raise SourceError("SOURCE_FORMAT", message, candidates=FORMATS)
        return [(path.name, path)]
    inside = sorted(p for p in path.rglob("*") if p.is_file() and format_of(p) and not _hidden(p.relative_to(path)))
    return [(file.relative_to(path).as_posix(), file) for file in inside]


def _hidden(path: Path) -> bool:
    return any(name.startswith((".", "_")) for name in path.parts)


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths) or "no path was given"


def opened_parts(files: dict[str, Path], settings: LandingSettings) -> tuple[list[Part], list[str]]:
    """The files with their column names read, and notes; among several, those without a row or header are left out."""
    parts: list[Part] = []
    notes: list[str] = []
    for name, path in files.items():
        try:
            parts.append(_OPENERS[str(format_of(path))](name, path, settings))
        except SourceError as error:
            if error.code != "SOURCE_EMPTY" or len(files) == 1:
                raise
            notes.append(error.message)
    if not parts:
        raise SourceError("SOURCE_EMPTY", "all files are empty", hint="; ".join(notes))
    return parts, notes
