"""Contracts as files: one ``contracts/<table>.toml`` beside the tables for each."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from penstock.errors import RequestError, SchemaError
from penstock.quality.check import SEVERITIES, Check
from penstock.quality.contract import Contract
from penstock.quality.kinds import KINDS, Option
from penstock.quality.safely import replaced
from penstock.quality.tomltext import toml_key, toml_value

_TOP = ("table", "version", "checks")
_COMMON = ("check", "column", "columns", "where", "mostly", "severity", "name")


def contract_path(folder: str | os.PathLike[str], table: str) -> Path:
    """Where a table's contract is kept. Raises ``RequestError`` for a name that is no file's name."""
    if not table or table in (".", "..") or any(letter in table for letter in "/\\:\0"):
        raise RequestError("CONTRACT_TABLE_NAME", f"{table!r} cannot name a contract's file")
    return Path(folder) / f"{table}.toml"


def read_contracts(folder: str | os.PathLike[str]) -> dict[str, Contract]:
    """Every contract of a folder by its table; none where there is no folder."""
    return {found.table: found for found in map(read_contract, sorted(Path(folder).glob("*.toml")))}


def read_contract(path: str | os.PathLike[str]) -> Contract:
    """The contract in a file. Raises ``RequestError`` or ``SchemaError`` that names file, key and what exists."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("CONTRACT_UNREADABLE", f"{file}: {error}") from error
    found = parse_contract(text, str(file))
    if found.table != file.stem:
        message = f"{file} holds the contract of {found.table!r}"
        raise RequestError("CONTRACT_TABLE_NAME", message, hint=f"Call the file {found.table}.toml.")
    return found


def parse_contract(text: str, place: str = "contract") -> Contract:
    """The contract that TOML tells; ``place`` is named in errors."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequestError("CONTRACT_UNREADABLE", f"{place}: {error}") from error
    for key in told:
        if key not in _TOP:
            raise SchemaError("CONTRACT_UNKNOWN_KEY", f"{place}: no key {key!r} here", name=key, candidates=_TOP)
    table, version, checks = told.get("table"), told.get("version", 1), told.get("checks", [])
    if not isinstance(table, str) or not table:
        raise SchemaError("CONTRACT_MISSING_KEY", f"{place}: the contract needs table", hint='Write table = "…".')
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RequestError("CONTRACT_BAD_VALUE", f"{place}: version must be a whole number from 1, and is {version!r}")
    if not isinstance(checks, list) or not all(isinstance(one, dict) for one in checks):
        raise RequestError("CONTRACT_BAD_VALUE", f"{place}: checks must be tables", hint="Begin each with [[checks]].")
    return Contract(table, tuple(_check(one, f"{place}, check {at}") for at, one in enumerate(checks, 1)), version)


def _check(told: Mapping[str, object], place: str) -> Check:
    kind = told.get("check")
    if not isinstance(kind, str):
        raise SchemaError(
            "CHECK_MISSING_KEY", f"{place}: check is missing", candidates=KINDS, hint='Write check = "…".'
        )
    options = tuple((name, value) for name, value in told.items() if name not in _COMMON)
    return Check(
        kind,
        _columns(told, place),
        options,  # type: ignore[arg-type]  # Check looks at each
        told.get("where", ""),  # type: ignore[arg-type]
        told.get("mostly", 1.0),  # type: ignore[arg-type]
        told.get("severity", SEVERITIES[0]),  # type: ignore[arg-type]
        told.get("name", ""),  # type: ignore[arg-type]
        place,
    )


def _columns(told: Mapping[str, object], place: str) -> tuple[str, ...]:
    one, several = told.get("column"), told.get("columns", [])
    if one is not None and "columns" in told:
        raise RequestError("CHECK_BAD_VALUE", f"{place}: both column and columns are given", hint="Keep one of them.")
    if not isinstance(several, list):
        raise RequestError("CHECK_BAD_VALUE", f"{place}: columns must be a list of texts, and is {several!r}")
    return cast(tuple[str, ...], tuple(several) if one is None else (one,))  # Check looks at each


def contract_text(contract: Contract) -> str:
    """A contract as TOML, always laid out the same; `parse_contract` gives it back.

    >>> from penstock.quality.check import check
    >>> print(contract_text(Contract("orders", (check("range", "amount", min=0, severity="warn"),))))
    table = "orders"
    version = 1
    <BLANKLINE>
    [[checks]]
    check = "range"
    column = "amount"
    min = 0
    severity = "warn"
    <BLANKLINE>
    """
    head = f"table = {toml_value(contract.table)}\nversion = {contract.version}\n"
    bodies = ("".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in _told(c)) for c in contract.checks)
    return head + "".join(f"\n[[checks]]\n{body}" for body in bodies)


def _told(check: Check) -> Iterator[tuple[str, Option]]:
    yield "check", check.kind
    if len(check.columns) == 1:
        yield "column", check.columns[0]
    elif check.columns:
        yield "columns", check.columns
    yield from check.options
    usual: tuple[tuple[str, Option, Option], ...] = (
        ("where", check.where, ""),
        ("mostly", check.mostly, 1.0),
        ("severity", check.severity, "error"),
        ("name", check.name, check.usual_name),
    )
    yield from ((key, value) for key, value, default in usual if value != default)


def write_contract(folder: str | os.PathLike[str], contract: Contract) -> Contract:
    """Keep a contract beside the tables, and give it back as it was kept.

    Where there is one that promises something else, its version is raised by one; where it promises the same, the
    version stays. The file is replaced at once or not at all.
    """
    path = contract_path(folder, contract.table)
    if path.exists():
        there = read_contract(path)
        raised = there.version + (there.fingerprint != contract.fingerprint)
        contract = replace(contract, version=raised)
    replaced(path, contract_text(contract))
    return contract
