"""The pattern that all of some codes share: e-mail addresses, UUIDs, dates, or their letters and digits in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

_KNOWN = {
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$": re.compile(
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    ),
    r"^[^@\s]+@[^@\s]+\.[^@\s.]+$": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+"),
    r"^https?://\S+$": re.compile(r"https?://\S+"),
    r"^\d{4}-\d{2}-\d{2}$": re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
}
_CLASSES = {"d": "[0-9]", "U": "[A-Z]", "l": "[a-z]"}
_MOST_PARTS = 12
_ENOUGH = 20


def pattern_of(values: Sequence[str]) -> str | None:
    """A regular expression that each value matches and that says something; None where they share none.

    Parts that are the same in all values are kept as they are where they are no digits; runs of varying length take
    any length.

    >>> pattern_of([f"ORD-{n:05d}" for n in range(50)])
    '^ORD-[0-9]{5}$'
    >>> pattern_of([f"name {n}" for n in range(50)]) is None
    True
    """
    if len(set(values)) < _ENOUGH:
        return None
    for pattern, known in _KNOWN.items():
        if all(map(known.fullmatch, values)):
            return pattern
    return _of_runs(values)


def _of_runs(values: Sequence[str]) -> str | None:
    first = _runs(values[0])
    if len(first) > _MOST_PARTS or not {"d"} & {kind for kind, _ in first} or " " in values[0]:
        return None
    spread: list[set[str]] = [set() for _ in first]
    for value in values:
        runs = _runs(value)
        if [kind for kind, _ in runs] != [kind for kind, _ in first]:
            return None
        for seen, (_, part) in zip(spread, runs, strict=True):
            seen.add(part)
    if len(first) == 1:
        return _single(first[0][0], spread[0])
    return "^" + "".join(_part(kind, seen) for (kind, _), seen in zip(first, spread, strict=True)) + "$"


def _single(kind: str, seen: set[str]) -> str | None:
    """Digits alone are a code only where all have one length, of at least four."""
    lengths = set(map(len, seen))
    return f"^{_part(kind, seen)}$" if len(lengths) == 1 and min(lengths) >= 4 else None


def _runs(value: str) -> list[tuple[str, str]]:
    return [(kind, "".join(run)) for kind, run in groupby(value, _class)]


def _class(letter: str) -> str:
    if letter.isascii() and letter.isalnum():
        return "d" if letter.isdigit() else "U" if letter.isupper() else "l"
    return letter


def _part(kind: str, seen: set[str]) -> str:
    if kind not in _CLASSES or (kind != "d" and len(seen) == 1):
        only = next(iter(seen))
        return _literal(only) if len(seen) == 1 else f"{_literal(kind)}+"
    lengths = set(map(len, seen))
    if len(lengths) > 1:
        return f"{_CLASSES[kind]}+"
    (length,) = lengths
    return f"{_CLASSES[kind]}{{{length}}}" if length > 1 else _CLASSES[kind]


def _literal(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\.^$*+?{}[]()|" else letter for letter in text)
