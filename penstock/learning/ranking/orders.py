"""Why an item stands where it does: what moved a ranking's score most, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.ranking.candidates import FEATURES, Log, candidates, places
from penstock.learning.ranking.rank import Ranker
from penstock.learning.reasons.explain import Reason, shown
from penstock.learning.rows.dataset import Samples

Said: TypeAlias = Callable[[float], str]


def _times(noun: str) -> Said:
    """How often something was.

    >>> _times("met in the last horizon")(2.0), _times("met before")(0.0)
    ('met in the last horizon 2 times', 'never met before')
    """
    return lambda value: (
        f"never {noun}" if value == 0 else f"{noun} {'once' if value == 1 else shown(value) + ' times'}"
    )


def _fading(noun: str) -> Said:
    return lambda value: (
        f"never {noun}" if value == 0 else f"{noun} {shown(round(value, 2))} times, old ones counting less"
    )


def _days(noun: str) -> Said:
    return lambda value: f"{noun}: {shown(round(value, 1))} {'day' if round(value, 1) == 1 else 'days'} ago"


def _is(noun: str) -> Said:
    return lambda value: f"{noun} is {shown(value)}"


def _part(noun: str) -> Said:
    """A share of something.

    >>> _part("of all that was met")(0.0225)
    '2.2 % of all that was met'
    """
    return lambda value: f"{100 * value:.1f} % {noun}"


def _rise(value: float) -> str:
    """How much of late, compared with what is usual.

    >>> _rise(2.29), _rise(0.5)
    ('rising: 2.3 times what is usual of late', 'falling: 0.5 times what is usual of late')
    """
    return f"{'rising' if value >= 1 else 'falling'}: {value:.1f} times what is usual of late"


def _place(noun: str, unknown: int) -> Said:
    """A place counted from 0, said from 1; from ``unknown`` on it is none."""
    return lambda value: f"not {noun}" if value >= unknown else f"number {shown(value + 1)} {noun}"


def _many(noun: str) -> Said:
    return lambda value: f"{shown(value) if value else 'nobody'} {noun}"


ORDERS: Mapping[str, tuple[str, Said]] = {
    "own count": ("how often it was met before", _times("met before")),
    "own count, 1 horizon": ("how often it was met lately", _times("met in the last horizon")),
    "own count, 3 horizons": ("how often it was met in three horizons", _times("met in the last three horizons")),
    "own count, fading": ("how often it was met, lately most of all", _fading("met")),
    "days since own last": ("days since it was last met", _days("last met")),
    "days since own first": ("days since it was first met", _days("first met")),
    "own mean gap, days": ("days between two meetings", _is("days between two meetings")),
    "own last over mean gap": ("time since the last meeting, in usual gaps", _is("time since, in usual gaps,")),
    "own share": ("its share of all that was met", _part("of all that was met")),
    "own place by fading count": ("its place among what was met", _place("among what was met", 50)),
    "met together": ("how much it goes with what was met lately", _is("how much it goes with what was met lately")),
    "place by met together": ("its place among what goes with it", _place("among what goes with what was met", 300)),
    "entities, 1 horizon": ("how many met it lately", _many("met it in the last horizon")),
    "entities, 3 horizons": ("how many met it in three horizons", _many("met it in the last three horizons")),
    "entities ever": ("how many ever met it", _many("ever met it")),
    "rise": ("whether it is rising", _rise),
    "place by entities": ("its place by popularity", _place("by popularity", 1 << 62)),
    "days since anyone's first": ("days since anybody first met it", _days("first met by anybody")),
    "days since anyone's last": ("days since anybody last met it", _days("last met by anybody")),
    "share of entities that come back": ("how many come back to it", _part("of those who met it come back")),
    "entity's rows": ("how much the entity has met", _is("how much was met so far")),
    "entity's items": ("how many different items the entity has met", _is("different items met so far")),
    "entity's rows, 1 horizon": ("how much the entity has met lately", _is("how much was met lately")),
    "days since entity's last": ("days since the entity met anything", _days("anything last met")),
    "entity's new items share": ("how much of what the entity meets is new", _part("of what is met is new")),
    "count the other way round": ("how often it met the entity", _times("met the other way round")),
    "the other way round, fading": (
        "how often it met the entity, lately most of all",
        _fading("met the other way round"),
    ),
    "days since last the other way round": ("days since it last met the entity", _days("last met the other way round")),
    "drawn by factors": ("how well it fits what was met", _is("how well it fits what was met")),
    "place by factors": ("its place by how well it fits", _place("by how well it fits what was met", 1 << 62)),
}
"""A ranking's own columns: each as a noun, and what is said of a value of it."""


def order_reasons(
    ranker: Ranker, samples: Samples, ranked: pa.Table, *, most: int = 5, threads: int = 0
) -> list[list[Reason]]:
    """For each row of ``ranked`` (its place among the samples in ``row``, its ``item``) the strongest reasons.

    Contributions are TreeSHAP's on the score, which orders the items of one row and is no probability. An item that
    is no candidate of its row has none.
    """
    if samples.log is None:
        raise ValueError("samples of a ranking need their log")
    log, row = Log.of(samples.log), np.asarray(ranked["row"], np.int64)
    item, found = places(ranked["item"], log.items), [list[Reason]() for _ in row]
    for cutoff in np.unique(samples.cutoff).tolist():
        asked = np.flatnonzero(samples.cutoff == cutoff)
        chosen = candidates(
            log.until(cutoff, ranker.horizon), places(samples.entity.take(pa.array(asked)), log.entities)
        )
        keys = asked[chosen.row] * len(log.items) + chosen.item
        wanted = np.flatnonzero((samples.cutoff[row] == cutoff) & (item >= 0))
        at = np.searchsorted(keys, row[wanted] * len(log.items) + item[wanted])
        there = (
            keys[np.minimum(at, len(keys) - 1)] == row[wanted] * len(log.items) + item[wanted] if len(keys) else at < 0
        )
        values = chosen.values[at[there]]
        parts = ranker.booster.contributions(values, threads=threads)
        for place, told, part in zip(wanted[there].tolist(), values, parts, strict=True):
            found[place] = _strongest(told, part, most, ranker.horizon)
    return found


def _strongest(values: Sequence[Any], parts: Floats, most: int, horizon: int) -> list[Reason]:
    chosen = [place for place in np.argsort(-np.abs(parts[:-1]), kind="stable").tolist() if parts[place]][:most]
    return [_reason(FEATURES[place], float(values[place]), float(parts[place]), horizon) for place in chosen]


def _reason(name: str, value: float, part: float, horizon: int) -> Reason:
    noun, said = ORDERS.get(name, (name, _is(name)))
    known = not np.isnan(value)
    sentence = said(value) if known else f"{noun}: never yet"
    for words, span in (("the last three horizons", 3 * horizon), ("the last horizon", horizon)):
        sentence = sentence.replace(words, f"the last {_span(span)}")
    return Reason(name, value if known else None, round(part, 6), sentence)


def _span(microseconds: int) -> str:
    """A length of time in days, or in hours where it is less than two.

    >>> _span(30 * 86_400_000_000), _span(3_600_000_000)
    ('30 days', '1 hours')
    """
    days = microseconds / 86_400_000_000
    return f"{shown(round(days, 1))} days" if days >= 2 else f"{shown(round(24 * days, 1))} hours"
