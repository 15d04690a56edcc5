"""Suites of Great Expectations (their JSON, of the versions 0.x and 1.x) as contracts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from penstock.errors import RequestError
from penstock.lake.versioned.scan import quoted
from penstock.quality.check import Check
from penstock.quality.imports.expectations import Asked, expectation
from penstock.quality.imports.imported import Imported, LeftOut, Unfit, attempted, gathered
from penstock.quality.literals import literal

_IGNORED = ("result_format", "include_config", "catch_exceptions", "batch_id", "condition_parser", "row_condition",
            "mostly", "meta", "severity", "notes", "description", "ge_cloud_id", "id")  # fmt: skip
_CONDITION = re.compile(
    r"""\s*(?:col\(\s*["'](?P<col>[^"']+)["']\s*\)|(?P<bare>[A-Za-z_]\w*))\s*
    (?:(?P<null>\.(?:notNull|notnull|isNull|isnull)\(\s*\))|
    (?P<sign>==|!=|<=|>=|<|>)\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<number>-?\d+(?:\.\d+)?)))\s*""",
    re.VERBOSE,
)


def from_great_expectations(path: str | os.PathLike[str], tables: Mapping[str, str] | None = None) -> Imported:
    """The checks of a suite's file, or of every suite below a folder, and by name what could not be carried over.

    ``tables`` says which table a suite (by its name) is about; without it, the table is the suite's name up to its
    first dot. Raises ``RequestError`` (``IMPORT_UNREADABLE``) for a file that is no suite.
    """
    place = Path(path)
    files = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    found = (one for file in files for one in _suite(file, tables or {}, place.is_dir()))
    return gathered(found)


def _suite(file: Path, tables: Mapping[str, str], lenient: bool) -> Iterator[tuple[str, Check | LeftOut]]:
    """One file's checks; in a folder, JSON that is no suite is somebody else's."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError("IMPORT_UNREADABLE", f"{file}: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("expectations"), list):
        if lenient:
            return
        message = f"{file} is no suite of Great Expectations"
        raise RequestError("IMPORT_UNREADABLE", message, hint="A suite has a list of expectations.")
    name = str(told.get("expectation_suite_name") or told.get("name") or file.stem)
    table = tables.get(name, name.partition(".")[0])
    for at, one in enumerate(told["expectations"], 1):
        kind = str(one.get("expectation_type") or one.get("type") or "an expectation without a type")
        place = f"{file}, expectation {at}"
        made = partial(_checks, kind, one, table, place)
        yield from ((table, came) for came in attempted(made, kind, place))


def _checks(kind: str, told: Mapping[str, object], table: str, place: str) -> Iterator[Check]:
    kwargs = told.get("kwargs") or {}
    if not isinstance(kwargs, dict):
        raise Unfit("its kwargs cannot be read")
    mostly = kwargs.get("mostly")
    if mostly is not None and not isinstance(mostly, int | float):
        raise Unfit("mostly is no number")
    severity = told.get("severity") or kwargs.get("severity") or "critical"
    asked = Asked(
        table,
        {name: value for name, value in kwargs.items() if name not in _IGNORED},
        where=_where(kwargs.get("row_condition"), str(kwargs.get("condition_parser", ""))),
        mostly=1.0 if mostly is None else float(mostly),
        severity="error" if severity in ("critical", "error") else "warn",
        place=place,
    )
    yield from expectation(kind, asked)


def _where(condition: object, parser: str) -> str:
    """A row condition as SQL: Spark's is SQL, of the others comparisons of one column with one value, joined by and."""
    if condition is None or condition == "":
        return ""
    if not isinstance(condition, str):
        raise Unfit("its row condition is no text")
    if parser == "spark":
        return condition
    parts = re.split(r"\s+(?:and|AND)\s+|\s*&\s*", condition.strip())
    return " AND ".join(_comparison(part) for part in parts)


def _comparison(part: str) -> str:
    found = _CONDITION.fullmatch(part) or _CONDITION.fullmatch(part.strip()[1:-1])
    if found is None:
        raise Unfit(f"its row condition cannot be read: {part}")
    column = quoted(found["col"] or found["bare"])
    if found["null"]:
        return f"{column} IS {'NOT ' if 'not' in found['null'].lower() else ''}NULL"
    said = found["double"] if found["double"] is not None else found["single"]
    value = literal(said) if said is not None else found["number"]
    return f"{column} {found['sign'].replace('==', '=').replace('!=', '<>')} {value}"
