"""Tests of dbt's schema files as contracts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from penstock.errors import RequestError
from penstock.lake.source import missing_package
from penstock.lake.versioned.scan import quoted
from penstock.quality.check import Check
from penstock.quality.imports.expectations import Asked, expectation
from penstock.quality.imports.imported import Imported, LeftOut, Unfit, attempted, gathered
from penstock.quality.literals import literal

Told: TypeAlias = Mapping[str, object]

_PARTS = ("models", "seeds", "snapshots")
_NOT_ARGUMENTS = ("name", "test_name", "config", "arguments", "severity", "where", "description", "tags", "meta",
                  "column_name", "enabled", "store_failures", "limit", "warn_if", "error_if", "fail_calc")  # fmt: skip
_SKIPPED = {"dbt_packages", "dbt_modules", "target", "node_modules", ".venv"}
_TO = re.compile(r"""\s*(?:\{\{)?\s*(?:ref|source)\((?P<names>[^()]*)\)\s*(?:\}\})?\s*""")


def from_dbt(path: str | os.PathLike[str]) -> Imported:
    """The tests of a schema file, or of all below a folder, as contracts, and by name what could not be carried over.

    Models, seeds and snapshots are tables by their names, sources by their identifiers. Raises ``RequestError``
    (``IMPORT_UNREADABLE``) for a file that cannot be read.
    """
    place = Path(path)
    files = [place]
    if place.is_dir():
        there = (file for pattern in ("*.yml", "*.yaml") for file in place.rglob(pattern))
        files = sorted(file for file in there if not _SKIPPED & set(file.relative_to(place).parts))
    return gathered(one for file in files for one in _file(file))


def _file(file: Path) -> Iterator[tuple[str, Check | LeftOut]]:
    told = _read(file)
    for part in _PARTS:
        for table in _tables(told.get(part), f"{file}: {part}"):
            yield from _table(table, str(table["name"]), f"{file}: {part}.{table['name']}")
    for source in _tables(told.get("sources"), f"{file}: sources"):
        at = f"{file}: sources.{source['name']}"
        for table in _tables(source.get("tables"), at):
            yield from _table(table, str(table.get("identifier") or table["name"]), f"{at}.{table['name']}")
    for one in _tables(told.get("unit_tests"), f"{file}: unit_tests"):
        yield "", LeftOut(str(one["name"]), f"{file}: unit_tests", "a unit test looks at code, not at rows")


def _read(file: Path) -> Told:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing_package("reading dbt's files", "pyyaml", "dbt") from error
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError("IMPORT_UNREADABLE", f"{file}: {' '.join(str(error).split())}") from error
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise RequestError("IMPORT_UNREADABLE", f"{file} is no schema file of dbt", hint="It holds no keys.")
    return told


def _tables(told: object, place: str) -> list[Told]:
    if told is None:
        return []
    if not isinstance(told, list) or not all(isinstance(one, dict) and one.get("name") for one in told):
        raise RequestError("IMPORT_UNREADABLE", f"{place} is no list of things with names")
    return told


def _table(told: Told, table: str, place: str) -> Iterator[tuple[str, Check | LeftOut]]:
    yield from _tests(told, table, "", place)
    for column in _tables(told.get("columns"), f"{place}.columns"):
        yield from _tests(column, table, str(column["name"]), f"{place}.{column['name']}")


def _tests(told: Told, table: str, column: str, place: str) -> Iterator[tuple[str, Check | LeftOut]]:
    for key in ("tests", "data_tests"):
        tests = told.get(key) or []
        if not isinstance(tests, list):
            raise RequestError("IMPORT_UNREADABLE", f"{place}.{key} is no list")
        for test in tests:
            name, given = _named(test, f"{place}.{key}")
            made = partial(_checks, name, given, table, column, place)
            yield from ((table, one) for one in attempted(made, name, place))


def _named(test: object, place: str) -> tuple[str, Told]:
    """A test's name and whatever stands with it: ``not_null``, ``not_null: {…}`` or ``test_name: not_null``."""
    if isinstance(test, str):
        return test, {}
    if isinstance(test, dict) and isinstance(test.get("test_name"), str):
        return test["test_name"], test
    if isinstance(test, dict) and test:
        name, given = next(iter(test.items()))
        rest = {key: value for key, value in test.items() if key != name}
        if given is None or isinstance(given, dict):
            return str(name), {**(given or {}), **rest}
    raise RequestError("IMPORT_UNREADABLE", f"{place} holds a test that cannot be read: {test!r}")


def _checks(name: str, given: Told, table: str, column: str, place: str) -> Iterator[Check]:
    config = given.get("config") or {}
    if not isinstance(config, dict):
        raise Unfit("its config cannot be read")
    settings = {**{key: given[key] for key in _NOT_ARGUMENTS if key in given}, **config}
    for key in ("warn_if", "error_if", "fail_calc"):
        if key in settings:
            raise Unfit(f"{key} has no equal")
    if settings.get("enabled") is False:
        raise Unfit("it is switched off")
    arguments = {key: value for key, value in given.items() if key not in _NOT_ARGUMENTS}
    inner = given.get("arguments") or {}
    arguments |= inner if isinstance(inner, dict) else {}
    column = str(given.get("column_name") or arguments.pop("column_name", "") or column)
    conditions = [str(part) for part in (settings.get("where"), arguments.pop("row_condition", None)) if part]
    where = conditions[0] if len(conditions) == 1 else " AND ".join(f"({part})" for part in conditions)
    _must_be_plain(where, *arguments.values())
    asked = Asked(
        table,
        {**({"column": column} if column else {}), **arguments},
        where=where,
        severity="warn" if str(settings.get("severity", "error")).lower() == "warn" else "error",
        name=str(given.get("name") or ""),
        place=place,
    )
    yield from _test(name, asked)


def _must_be_plain(*values: object) -> None:
    for value in values:
        if isinstance(value, str) and re.search(r"\{[{%]", value) and not _TO.fullmatch(value):
            raise Unfit("it holds a template")


def _test(name: str, asked: Asked) -> Iterator[Check]:
    package, _, short = name.rpartition(".")
    if package == "dbt_expectations":
        yield from expectation(short.lower(), asked)
    elif package in ("", "dbt_utils", "dbt") and short in _TESTS:
        if asked.arguments.get("group_by_columns"):
            raise Unfit("group_by_columns has no equal")
        yield _TESTS[short](asked)
    else:
        raise Unfit("it has no equal")


def _other(asked: Asked, name: str = "to") -> str:
    """The table that a ``ref`` or a ``source`` names."""
    found = _TO.fullmatch(asked.text(name))
    names = [part.strip() for part in found["names"].split(",") if "=" not in part] if found else []
    if not names:
        raise Unfit(f"{name} is neither ref nor source")
    return names[-1].strip("'\"")


def _relationship(asked: Asked) -> Check:
    if str(asked.arguments.get("to_condition", "1=1")).replace(" ", "") != "1=1":
        raise Unfit("to_condition has no equal")
    condition = str(asked.arguments.get("from_condition") or "")
    if condition.replace(" ", "") not in ("", "1=1"):
        asked = replace(asked, where=f"({asked.where}) AND ({condition})" if asked.where else condition)
    return asked.check("foreign_key", asked.column, table=_other(asked), to=[asked.text("field")])


def _expression(asked: Asked) -> Check:
    said = asked.text("expression")
    column = asked.arguments.get("column")
    if not column:
        return asked.check("expression", condition=said)
    return asked.check("expression", str(column), condition=f"{quoted(str(column))} {said}")


def _proportion(asked: Asked) -> Check:
    least, most = asked.arguments.get("at_least"), asked.arguments.get("at_most", 1.0)
    if most != 1 or not isinstance(least, int | float):
        raise Unfit("at_most has no equal" if most != 1 else "at_least is no number")
    return replace(asked, mostly=float(least)).check("not_null", asked.column)


def _accepted(asked: Asked) -> Check:
    return asked.check("accepted", asked.column, values=asked.listed("values"))


def _not_accepted(asked: Asked) -> Check:
    listed = ", ".join(literal(value) for value in asked.listed("values"))
    return asked.check("expression", asked.column, condition=f"{quoted(asked.column)} NOT IN ({listed})")


def _not_empty(asked: Asked) -> Check:
    column = quoted(asked.column)
    said = f"trim({column})" if asked.flag("trim_whitespace", True) else column
    return asked.check("expression", asked.column, condition=f"{said} <> ''")


def _recency(asked: Asked) -> Check:
    return next(
        expectation(
            "expect_row_values_to_have_recent_data",
            replace(asked, arguments={**asked.arguments, "column": asked.text("field")}),
        )
    )


def _rows_beside(sign: str) -> Callable[[Asked], Check]:
    """How many rows the table has beside another."""

    def made(asked: Asked) -> Check:
        other = quoted(_other(asked, "compare_model"))
        return asked.aggregate(f"count(*) - (SELECT count(*) FROM {other})", f"observed {sign} 0")

    return made


_TESTS: Mapping[str, Callable[[Asked], Check]] = {
    "not_null": lambda a: a.check("not_null", a.column),
    "unique": lambda a: a.check("unique", a.column),
    "accepted_values": _accepted,
    "relationships": _relationship,
    "relationships_where": _relationship,
    "accepted_range": lambda a: a.check("range", a.column, **a.bounds()),
    "not_null_proportion": _proportion,
    "unique_combination_of_columns": lambda a: a.check(
        "unique", *map(str, a.listed("combination_of_columns")), nulls_equal=True
    ),
    "expression_is_true": _expression,
    "not_accepted_values": _not_accepted,
    "not_empty_string": _not_empty,
    "not_constant": lambda a: a.aggregate(f"count(DISTINCT {quoted(a.column)})", "observed <> 1"),
    "at_least_one": lambda a: a.aggregate(f"count({quoted(a.column)})", "observed > 0"),
    "recency": _recency,
    "equal_rowcount": _rows_beside("="),
    "fewer_rows_than": _rows_beside("<"),
}
