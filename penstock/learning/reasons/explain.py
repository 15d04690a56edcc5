"""Why a prediction is what it is: the features that moved it most, in plain words.

Contributions are TreeSHAP's (Lundberg et al. 2020): they sum, with the expected score, to the row's own. Several
columns of one expression count as one; of expressions that differ only in their window the strongest is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.fitting.trained import STEP, Trained, with_step
from penstock.learning.rows.dataset import Samples

Phrase: TypeAlias = "str | Callable[[Any], str]"
"""A noun phrase ("orders in the last 30 days"), a text with ``{value}`` in it, or a function of the value."""


@dataclass(frozen=True)
class Reason:
    """A feature's part in one prediction.

    ``contribution`` is in the unit of the model's score (log-odds for a probability, logs or the target's own unit for
    a number); above 0 it raises the prediction.
    """

    expression: str
    value: Any
    contribution: float
    sentence: str

    def __str__(self) -> str:
        return f"{'↑' if self.contribution > 0 else '↓'} {self.sentence} ({self.contribution:+.2f})"


def reasons(
    trained: Trained,
    samples: Samples,
    phrases: Mapping[str, Phrase] | None = None,
    *,
    most: int = 5,
    threads: int = 0,
) -> list[list[Reason]]:
    """For each row the ``most`` strongest reasons, strongest first; of classes and labels, for the likeliest one.

    ``phrases`` says each feature in words, by its name; one without is called by its name. Takes milliseconds a row.
    """
    parts = trained.contributions(samples, threads)
    if parts.ndim == 3:
        parts = parts[np.arange(len(samples)), _likeliest(trained, samples, threads)]
    names = trained.encoding.features
    table, usual = with_step(samples), dict(trained.usual)
    chosen = [_strongest(row[:-1], names, most) for row in parts]
    values = {places: table.column(names[places]) for places in {place for row in chosen for place in row}}
    told = phrases or {}
    return [
        [
            _reason(names[place], values[place][number].as_py(), float(parts[number, place]), told, usual)
            for place in row
        ]
        for number, row in enumerate(chosen)
    ]


def _likeliest(trained: Trained, samples: Samples, threads: int) -> np.ndarray[Any, Any]:
    estimates = trained.estimates(samples, threads)
    likeliest: np.ndarray[Any, Any] = estimates.argmax(axis=1)
    return likeliest


def _strongest(parts: Floats, names: tuple[str, ...], most: int) -> list[int]:
    """The places of the strongest contributions, one of each family of expressions."""
    chosen: dict[str, int] = {}
    for place in np.argsort(-np.abs(parts), kind="stable").tolist():
        if len(chosen) == most or parts[place] == 0:
            break
        chosen.setdefault(family(names[place]), place)
    return list(chosen.values())


def family(name: str) -> str:
    """An expression without the numbers of its windows.

    >>> family("COUNT(orders.*, -30, 0, days)") == family("COUNT(orders.*, -INF, 0, days)")
    True
    """
    return re.sub(r"(?:, \d+)?, (?:-\d+|-INF), -?\d+, \w+(?=\))", "", name)


def _reason(name: str, value: Any, part: float, phrases: Mapping[str, Phrase], usual: Mapping[str, float]) -> Reason:
    said = "frame ahead" if name == STEP else phrases.get(name, name)
    return Reason(name, value, round(part, 6), sentence(said, value, counted=_counts(name), usual=usual.get(name)))


def _counts(name: str) -> bool:
    """Whether a feature says how many: a bare COUNT or TIME_SINCE."""
    return re.fullmatch(r"(?:COUNT|TIME_SINCE)\([^()]*(?:\([^()]*\)[^()]*)*\)", name) is not None


# ---------------------------------------------------------------- English


def sentence(phrase: Phrase, value: Any, *, counted: bool = False, usual: float | None = None) -> str:
    """A value in plain words. ``counted`` says that the phrase names things, so that their number stands before it.

    >>> orders = "orders in the last 30 days"
    >>> sentence(orders, 0, counted=True), sentence(orders, 1, counted=True), sentence(orders, 8, counted=True, usual=3)
    ('no orders in the last 30 days', '1 order in the last 30 days', '8 orders in the last 30 days (usually 3)')
    >>> sentence("country", "France"), sentence("country", None), sentence("average price of orders so far", 12.345)
    ('country is France', 'country is not known', 'average price of orders so far is 12.3')
    >>> sentence("orders in the last 90 days is 0", True), sentence("orders in the last 90 days is 0", False)
    ('no orders in the last 90 days', 'some orders in the last 90 days')
    >>> (
    ...     sentence("days since the last orders", None, counted=True),
    ...     sentence("days since the last orders", 12, counted=True),
    ... )
    ('no orders yet', '12 days since the last order')
    """
    if callable(phrase):
        return phrase(value)
    if "{value}" in phrase:
        return phrase.replace("{value}", shown(value))
    if isinstance(value, float) and math.isnan(value):
        value = None
    if isinstance(value, bool):
        return _truth(phrase, value)
    if counted:
        return _number_of(phrase, value) + _usually(value, usual)
    if value is None or (isinstance(value, list) and not value):
        return f"{phrase} is {'not known' if value is None else 'empty'}"
    return f"{phrase} is {shown(value)}{_usually(value, usual)}"


def _truth(phrase: str, value: bool) -> str:
    none = phrase.removesuffix(" is 0")
    if none != phrase:
        return f"{'no' if value else 'some'} {none}"
    return phrase if value else f"not: {phrase}"


def _number_of(phrase: str, value: Any) -> str:
    since = re.match(r"(\w+) since the last (.*)", phrase)
    if since is None:
        return f"no {phrase}" if not value else f"{shown(value)} {_singular(phrase) if value == 1 else phrase}"
    if value is None:
        return f"no {since[2]}" if re.search(r"\bin the last\b|\bago\b", since[2]) else f"no {since[2]} yet"
    unit = since[1].removesuffix("s") if value == 1 else since[1]
    return f"{shown(value)} {unit} since the last {_singular(since[2])}"


def _usually(value: Any, usual: float | None) -> str:
    if usual is None or not isinstance(value, int | float):
        return ""
    return "" if shown(value) == shown(usual) else f" (usually {shown(usual)})"


def _singular(phrase: str) -> str:
    """The phrase with its head, the last word before what qualifies it, in the singular."""
    head = re.match(r"(.*?)(?= with | where | of | in the | from | up to | so far|$)", phrase)
    noun = head[1] if head else phrase
    return one(noun) + phrase[len(noun) :]


def titled(phrase: str) -> str:
    """A feature's phrase as it stands by itself, without a value.

    >>> titled("days since the last orders in the last 90 days"), titled("orders in the last 30 days")
    ('days since the last order in the last 90 days', 'orders in the last 30 days')
    >>> titled("days since the last orders relative to days between orders so far")
    'days since the last order relative to days between orders so far'
    """
    if " relative to " in phrase:
        return " relative to ".join(map(titled, phrase.split(" relative to ")))
    since = re.match(r"((?:second|minute|hour|day|week|month)s since the last )(.*)", phrase)
    return phrase if since is None else since[1] + _singular(since[2])


def one(noun: str) -> str:
    """The singular of an English plural, as well as rules can tell.

    >>> [one(noun) for noun in ("orders", "support entries", "boxes", "addresses", "status", "usage")]
    ['order', 'support entry', 'box', 'address', 'status', 'usage']
    """
    for plural, single in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")):
        if noun.endswith(plural):
            return noun.removesuffix(plural) + single
    return noun if noun.endswith(("ss", "us", "is")) else noun.removesuffix("s")


def shown(value: Any) -> str:
    """A value as people write it: three digits that matter, thousands apart, lists in a row.

    >>> [shown(value) for value in (3.0, 0.12345, 1234567.8, True, ["a", "b"], None)]
    ['3', '0.123', '1,234,568', 'yes', 'a, b', 'not known']
    """
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(shown, value[:5])) + (", …" if len(value) > 5 else "")
    if isinstance(value, int | float):
        whole = float(value).is_integer() or abs(value) >= 1000
        return f"{value:,.0f}" if whole else f"{value:.3g}"
    return str(value)
