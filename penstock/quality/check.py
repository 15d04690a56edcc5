"""A check: something that must hold of a table, as a frozen value. It asks for the rows that offend."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, cast

from penstock.errors import RequestError, SchemaError
from penstock.quality.kinds import KINDS, Kind, Option, Scalar
from penstock.quality.sentences import sentence

Severity = Literal["error", "warn"]
SEVERITIES = ("error", "warn")

DEFAULTS: Mapping[str, Mapping[str, Option]] = {
    "regex": {"matches": True},
    "null_rate": {"rise": 0.05},
    "mean": {"shift": 0.5},
    "share": {"shift": 0.1},
    "psi": {"max": 0.2, "bins": 10},
    "wasserstein": {"max": 0.1},
}
"""What a check takes where it is not told."""
_ENOUGH = 100


@dataclass(frozen=True)
class Check:
    """Something that must hold of a table. Make one with `check`.

    ``where`` (SQL) says which rows it is asked of, ``mostly`` the share of them that must hold. Where a check of
    severity ``error`` fails, nothing is committed; ``warn`` only tells. ``place`` is where it was written; it and the
    name are no part of what is asked.
    """

    kind: str
    columns: tuple[str, ...] = ()
    options: tuple[tuple[str, Option], ...] = ()
    where: str = ""
    mostly: float = 1.0
    severity: Severity = "error"
    name: str = ""
    place: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        at = f"{self.place}: " if self.place else ""
        kind = _kind(self.kind, at)
        given = {name: _plain(value, name, at) for name, value in self.options}
        _must_fit(kind, self, given, at)
        object.__setattr__(self, "options", tuple(sorted(given.items())))
        object.__setattr__(self, "mostly", float(self.mostly))
        if not self.name:
            object.__setattr__(self, "name", self.usual_name)

    @property
    def usual_name(self) -> str:
        """The name of a check that was given none."""
        if self.kind in ("expression", "sql") and not self.columns:
            return f"{self.kind}_{self.fingerprint[:6]}"
        return "_".join((*self.columns, self.kind))

    @property
    def fingerprint(self) -> str:
        """A hash of what is asked: kind, columns, options, ``where`` and ``mostly``."""
        told = [self.kind, self.columns, self.options, self.where, self.mostly]
        return blake2b(json.dumps(told, default=repr).encode(), digest_size=8).hexdigest()

    @property
    def sentence(self) -> str:
        """What it asks, in English."""
        return sentence(self)

    @property
    def compares(self) -> bool:
        """Whether it sets the table beside its last good version."""
        return KINDS[self.kind].compares

    # ------------------------------------------------------------ options

    def option(self, name: str) -> Option | None:
        """An option's value; its default where none was given."""
        return dict(self.options).get(name, DEFAULTS.get(self.kind, {}).get(name))

    def text(self, name: str) -> str:
        """An option that is a text; empty where none was given."""
        return str(self.option(name) or "")

    def number(self, name: str) -> float | None:
        """An option that is a number."""
        value = self.option(name)
        return float(value) if isinstance(value, int | float) else None

    def needed(self, name: str) -> float:
        """An option that is a number and always there, by its default if need be."""
        value = self.number(name)
        return float("inf") if value is None else value

    def flag(self, name: str) -> bool:
        """An option that is true or false."""
        return bool(self.option(name))

    def values(self, name: str) -> tuple[Scalar, ...]:
        """An option that is a list."""
        value = self.option(name)
        return value if isinstance(value, tuple) else ()

    def names(self, name: str) -> tuple[str, ...]:
        """An option that is a list of columns."""
        return tuple(map(str, self.values(name)))

    @property
    def min_rows(self) -> int:
        """Below so many rows, then or now, a comparison raises no alarm."""
        return int(self.number("min_rows") or 0) if "min_rows" in dict(self.options) else _ENOUGH


def check(
    kind: str,
    *columns: str,
    where: str = "",
    mostly: float = 1.0,
    severity: Severity = "error",
    name: str = "",
    place: str = "",
    **options: object,
) -> Check:
    """A check of a kind over columns, with its options.

    Raises ``SchemaError`` for a kind, key or count of columns that does not exist and ``RequestError`` for a value that
    does not fit.

    >>> check("accepted", "status", values=["paid", "open"], severity="warn").sentence
    'status is one of open, paid'
    >>> check("range", "amount", mim=0)
    Traceback (most recent call last):
    penstock.errors.SchemaError: CHECK_UNKNOWN_KEY: a range check has no key 'mim'
      exists: above, below, max, min, where, mostly
      Did you mean 'min'?
    """
    told = tuple((name, cast(Option, value)) for name, value in options.items())
    return Check(kind, columns, told, where, mostly, severity, name, place)


def _kind(name: str, at: str) -> Kind:
    if name not in KINDS:
        raise SchemaError(
            "CHECK_UNKNOWN_KIND", f"{at}there is no check called {name!r}", name=str(name), candidates=KINDS
        )
    return KINDS[name]


def _plain(value: object, name: str, at: str) -> Option:
    """A value in its one form: lists sorted and without doubles, instants in UTC without a zone."""
    if isinstance(value, list | tuple):
        plain = {(type(one).__name__, str(one)): one for one in (_scalar(one, name, at) for one in value)}
        return tuple(plain.values()) if name == "to" else tuple(plain[key] for key in sorted(plain))
    return _scalar(value, name, at)


def _scalar(value: object, name: str, at: str) -> Scalar:
    if isinstance(value, dt.datetime):
        plain = value if value.tzinfo is None else value.astimezone(dt.UTC)
        return plain.replace(tzinfo=None, fold=0)
    fits = isinstance(value, str | bool | int | float | dt.date) and value == value
    if not fits or (isinstance(value, str) and not _writable(value)):
        message = f"{at}{name} cannot be {value!r}"
        raise RequestError("CHECK_BAD_VALUE", message, hint="Write a text, a number, true, false, a date or a time.")
    return cast(Scalar, value)


def _writable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _must_fit(kind: Kind, check: Check, given: Mapping[str, Option], at: str) -> None:
    _keys_must_exist(kind, check, given, at)
    _columns_must_fit(kind, check, at)
    for name, value in given.items():
        if not kind.options[name].fits(value):
            message = f"{at}{name} of a {check.kind} check must be {kind.options[name].says}, and is {value!r}"
            raise RequestError("CHECK_BAD_VALUE", message)
    if check.severity not in SEVERITIES:
        message = f"{at}there is no severity {check.severity!r}"
        raise SchemaError("CHECK_UNKNOWN_SEVERITY", message, name=str(check.severity), candidates=SEVERITIES)
    mostly: object = check.mostly
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 < mostly <= 1:
        raise RequestError("CHECK_BAD_VALUE", f"{at}mostly must lie above 0 and up to 1, and is {mostly!r}")
    for name in ("where", "name"):
        told = getattr(check, name)
        if not isinstance(told, str) or not _writable(told):
            raise RequestError("CHECK_BAD_VALUE", f"{at}{name} must be a text, and is {told!r}")


def _keys_must_exist(kind: Kind, check: Check, given: Mapping[str, Option], at: str) -> None:
    there = [*sorted(kind.options), *(["where"] if kind.filters else []), *(["mostly"] if kind.of_rows else [])]
    asked = [*given, *(["where"] if check.where else []), *(["mostly"] if check.mostly != 1 else [])]
    for name in asked:
        if name not in there:
            message = f"{at}a {check.kind} check has no key {name!r}"
            raise SchemaError("CHECK_UNKNOWN_KEY", message, name=name, candidates=there)
    missing = [name for name in kind.required if name not in given]
    if missing or (kind.one_of and not set(kind.one_of) & set(given)):
        lacks = missing[0] if missing else f"one of {', '.join(kind.one_of)}"
        raise SchemaError("CHECK_MISSING_KEY", f"{at}a {check.kind} check needs {lacks}", candidates=there)


def _columns_must_fit(kind: Kind, check: Check, at: str) -> None:
    least, most = kind.columns
    names: tuple[object, ...] = check.columns
    if not all(isinstance(name, str) and name and _writable(name) for name in names):
        raise RequestError("CHECK_BAD_VALUE", f"{at}a column's name must be a text, and is {check.columns!r}")
    if len(check.columns) < least or (most is not None and len(check.columns) > most):
        needs = "no column" if most == 0 else "one column" if most == 1 else f"{least} or more columns"
        raise SchemaError("CHECK_COLUMNS", f"{at}a {check.kind} check takes {needs}, not {len(check.columns)}")
    if len(set(check.columns)) < len(check.columns):
        raise SchemaError("CHECK_COLUMNS", f"{at}a {check.kind} check names a column twice")
