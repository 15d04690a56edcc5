"""A telecom operator that never was, whose true churn probabilities are known.

Four tables: ``plans``, ``subscribers``, ``usage_events`` (calls, messages, data) and ``support_interactions``. No
column says who left; a subscriber who left has no more usage, and that is what `QUESTION` asks for.

The law, day by day. A subscriber has an *engagement* (four levels, each a share of their own usual usage) and a
*support stage*: calm, complained, asked to cancel out of the blue, or escalated (asked to cancel after a
complaint). Both move as one Markov chain at midnight: unhappy people use less, and people who use less complain
more. Every 30 days, on a date that is the same for all, the contract is renewed or not. The chance that it is not
grows as usage falls below what is usual for this subscriber, with the price of the plan, and most of all with a
complaint that escalated; it shrinks with tenure. Usage is a Poisson process whose rate follows the engagement.

Nothing in this depends on more than the state at a midnight, so `true_probability` is exact: it sums over every way
the days after the cutoff may go, the chance of a silent month while still subscribed included. No model can rank
better than these probabilities do, except by luck.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.errors import RequestError
from penstock.lake.tables import write_duckdb
from penstock.window import Instants, Unit

QUESTION = (
    "PREDICT COUNT(usage_events.*, 0, 30, days) = 0 "
    "FOR EACH subscribers.subscriber_id WHERE COUNT(usage_events.*, -30, 0, days) > 0"
)
"""Which of the subscribers who used something in the last 30 days will use nothing in the next 30?"""

KEYS: Mapping[str, str] = {
    "plans": "plan_id",
    "subscribers": "subscriber_id",
    "usage_events": "usage_id",
    "support_interactions": "interaction_id",
}
LINKS = (
    ("subscribers", "plan_id", "plans"),
    ("usage_events", "subscriber_id", "subscribers"),
    ("support_interactions", "subscriber_id", "subscribers"),
)

PERIOD = 30
"""Days between two renewals; the last one falls on the end of the data."""

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
States: TypeAlias = npt.NDArray[np.int8]

_DAY = Unit.DAYS.microseconds
_END = date(2026, 6, 30)
_EPOCH = date(1970, 1, 1)
_LEVELS = _STAGES = 4
_CALM, _COMPLAINED, _ASKED, _ESCALATED = range(_STAGES)
_LEFT, _ABSENT = 16, -1

# Per level of engagement, from full to almost none.
_USAGE = (1.0, 0.6, 0.24, 0.12)
_COMPLAINT_A_DAY = (0.002, 0.004, 0.007, 0.008)
_ESCALATION_A_DAY = (0.012, 0.02, 0.03, 0.036)
_CANCEL_REQUEST_A_DAY = (0.0008, 0.0012, 0.002, 0.003)
_UP_A_DAY = (0.0, 0.006, 0.003, 0.0015)
_RENEWAL_BY_LEVEL = (0.0, 0.4, 2.5, 3.1)
# Per support stage.
_DOWN_A_DAY = (0.0035, 0.008, 0.005, 0.012)
_FOLLOW_UP_A_DAY = (0.0, 0.014, 0.03, 0.006)
_RENEWAL_BY_STAGE = (0.0, 0.5, 0.6, 4.0)
_RENEWAL_BASE = -3.7

_SEGMENTS = ("consumer", "family", "youth", "business")
_REGIONS = ("harbour", "hills", "lakes", "north", "old town", "plains", "south", "valley")
_PLANS = (
    ("Pebble", 9.0, 2),
    ("Brook", 15.0, 8),
    ("River", 22.0, 20),
    ("River Duo", 29.0, 30),
    ("Delta", 38.0, 60),
    ("Ocean", 55.0, 200),
)
_KINDS = ("call", "sms", "data")
_CHANNELS = ("phone", "chat", "email", "shop")
_REASONS = ("question", "billing", "complaint", "cancel_request", "follow_up")
_RESOLVED = (0.92, 0.8, 0.35, 0.0, 1.0)
_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 9, 8, 8, 9, 10, 9, 8, 8, 9, 11, 12, 12, 11, 8, 5, 2)
_WEEKDAYS = (1.0, 1.0, 1.0, 1.05, 1.15, 0.95, 0.85)


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """What the tables do not say: each subscriber's state on each day, and what is constant about them.

    Rows of every array are subscribers in the order of the table. ``states`` is (days, subscribers): -1 not yet
    subscribed, 16 left, else level of engagement × 4 + support stage. ``usage`` is events a day at full engagement,
    ``leaning`` what the plan, the segment and the person add to the log-odds of not renewing.
    """

    states: States
    signed_up: Instants
    usage: Floats
    leaning: Floats


@dataclass(frozen=True, eq=False)
class Demo:
    """The four tables, the instants (microseconds, UTC) between which they were recorded, and the latent truth."""

    tables: Mapping[str, pa.Table]
    start: int
    end: int
    latent: Latent = field(repr=False)

    @cached_property
    def usage(self) -> tuple[Integers, Instants]:
        """Row of the subscriber and instant of each usage event, by instant."""
        events = self.tables["usage_events"]
        return events["subscriber_id"].to_numpy() - 1, events["happened_at"].cast(pa.int64()).to_numpy()


def generate(seed: int = 7, subscribers: int = 20_000, months: int = 18, end: date = _END) -> Demo:
    """Make the database: the same arguments give the same bytes.

    ``months`` are renewal periods of 30 days, the last of which is over as the day ``end`` begins (UTC). At full
    size: about 2 million usage events. Raises ``RequestError`` when there is no subscriber or no month.
    """
    if subscribers < 1 or months < 1:
        raise RequestError("DEMO_SIZE", f"a demo of {subscribers} subscribers over {months} months is empty")
    last = end.toordinal() - _EPOCH.toordinal()
    first, streams = last - months * PERIOD, np.random.default_rng(seed).spawn(4)
    people = _subscribers(streams[0], subscribers, first, last)
    latent = _live(streams[1], people, first, last)
    tables = {
        "plans": _plans(),
        "subscribers": people,
        "usage_events": _usage_events(streams[2], latent, first),
        "support_interactions": _support_interactions(streams[3], latent, first),
    }
    return Demo(tables, first * _DAY, last * _DAY, latent)


def write(demo: Demo, path: str | os.PathLike[str]) -> Path:
    """Write the four tables, their keys and links, as a DuckDB file; replaces a file that is there."""
    return write_duckdb(path, demo.tables, KEYS, LINKS)


def population(demo: Demo, cutoff: int) -> Integers:
    """The subscriber_id of those whom `QUESTION` is about at a cutoff: signed up, and used something in 30 days."""
    return _present(demo, cutoff) + 1


def outcome(demo: Demo, cutoff: int) -> pa.Table:
    """The answer to `QUESTION` as it turned out: ``entity``, ``target`` (true: no usage in the 30 days).

    Raises ``RequestError`` when the 30 days are not over at the end of the data.
    """
    _check(demo, cutoff, demo.end - PERIOD * _DAY)
    present = _present(demo, cutoff)
    return _table({"entity": present + 1, "target": _counts(demo, cutoff, cutoff + PERIOD * _DAY)[present] == 0})


def true_probability(demo: Demo, cutoff: int) -> pa.Table:
    """The probability of `QUESTION`'s target given everything the law knows at the cutoff: ``entity``, ``probability``.

    Exact, at any instant within the data (microseconds since the epoch, UTC). Rows as in `outcome`. O(subscribers).
    """
    _check(demo, cutoff, demo.end)
    who = _present(demo, cutoff)
    now = _state_before(demo, cutoff, who)
    silent = np.ones(len(who))
    alive = now != _LEFT
    chances = _silence(demo, who[alive], cutoff, cutoff + PERIOD * _DAY)
    silent[alive] = np.take_along_axis(chances, now[alive, None].astype(np.int64), axis=1)[:, 0]
    return _table({"entity": who + 1, "probability": silent})


# The law


def _transitions() -> Floats:
    """From state to state over one midnight, for those who renewed: (16, 16), rows sum to 1."""
    chances = np.zeros((_LEVELS, _STAGES, _LEVELS, _STAGES))
    for level in range(_LEVELS):
        for stage in range(_STAGES):
            chances[level, stage] = np.outer(_level_moves(level, stage), _stage_moves(level, stage))
    return chances.reshape(_LEFT, _LEFT)


def _level_moves(level: int, stage: int) -> Floats:
    moves = np.zeros(_LEVELS)
    if level + 1 < _LEVELS:
        moves[level + 1] = _DOWN_A_DAY[stage] * (1 + level)
    if level > 0:
        moves[level - 1] = _UP_A_DAY[level]
    moves[level] = 1 - moves.sum()
    return moves


def _stage_moves(level: int, stage: int) -> Floats:
    moves = np.zeros(_STAGES)
    if stage == _CALM:
        moves[_COMPLAINED], moves[_ASKED] = _COMPLAINT_A_DAY[level], _CANCEL_REQUEST_A_DAY[level]
    elif stage == _COMPLAINED:
        moves[_ESCALATED] = _ESCALATION_A_DAY[level]
    moves[_CALM] += _FOLLOW_UP_A_DAY[stage]
    moves[stage] += 1 - moves.sum()
    return moves


def _leaving(leaning: Floats, tenure_days: Floats) -> Floats:
    """The chance that each subscriber does not renew, in each state they may be in: (subscribers, 16)."""
    by_state = np.add.outer(np.array(_RENEWAL_BY_LEVEL), np.array(_RENEWAL_BY_STAGE)).ravel()
    personal = _RENEWAL_BASE + leaning - 0.35 * np.log1p(np.maximum(tenure_days, 0) / PERIOD)
    return np.asarray(1 / (1 + np.exp(-np.add.outer(personal, by_state))))


def _silence(demo: Demo, who: Integers, low: int, high: int) -> Floats:
    """The chance of no usage in ``(low, high]`` from each state on the day of ``low``: (subscribers, 16), backwards."""
    latent, first = demo.latent, demo.start // _DAY
    usage = np.outer(latent.usage[who], np.repeat(_USAGE, _STAGES))
    onward, today, chances = _transitions().T, (low - 1) // _DAY, np.ones((len(who), _LEFT))
    for day in range((high - 1) // _DAY, today, -1):
        chances = chances * np.exp(-usage * _exposure(day, day * _DAY, high)) @ onward
        if (day - first) % PERIOD == 0:
            leaving = _leaving(latent.leaning[who], day - latent.signed_up[who] / _DAY)
            chances = leaving + (1 - leaving) * chances
    return np.asarray(chances * np.exp(-usage * _exposure(today, low, high)))


def _exposure(day: int, low: int, high: int) -> float:
    """What part of a usual day's usage falls into ``(low, high]`` of this day."""
    opened, closed = np.clip([low - day * _DAY, high - day * _DAY], 0, _DAY) / _DAY
    return float(_weekday(day) * np.diff(_day_passed(np.array([opened, closed])))[0])


def _weekday(day: Any) -> Any:
    return np.array(_WEEKDAYS)[(day + 3) % 7]  # day 0, 1970-01-01, was a Thursday


def _hours_passed() -> Floats:
    return np.concatenate([[0.0], np.cumsum(_HOURS) / np.sum(_HOURS)])


def _day_passed(time: Floats) -> Floats:
    """The share of a day's usage that is over at a time of day (0 to 1)."""
    return np.interp(time, np.arange(25) / 24, _hours_passed())


def _time_of_day(passed: Floats) -> Floats:
    return np.interp(passed, _hours_passed(), np.arange(25) / 24)


# Lives


def _live(random: np.random.Generator, people: pa.Table, first: int, last: int) -> Latent:
    """Draw every subscriber's states, one midnight after the other."""
    signed_up = people["signed_up_at"].cast(pa.int64()).to_numpy()
    leaning = _leanings(random, people)
    usage = np.clip(np.exp(random.normal(np.log(0.49), 0.35, len(signed_up))), 0.25, 2.0)
    states = np.full((last - first, len(signed_up)), _ABSENT, np.int8)
    bounds = np.cumsum(_transitions(), axis=1)
    before = _at_start(random, signed_up, first)
    for index, day in enumerate(range(first, last)):
        if index % PERIOD == 0 and index > 0:
            before = _renewed(random, before, leaning, day - signed_up / _DAY)
        joining = signed_up // _DAY == day
        states[index] = before = _moved(random, before, bounds, joining)
    return Latent(states, signed_up, usage, leaning)


def _leanings(random: np.random.Generator, people: pa.Table) -> Floats:
    prices = np.array([price for _, price, _ in _PLANS])[people["plan_id"].to_numpy() - 1]
    business = np.array(people["segment"].to_pylist()) == "business"
    return np.asarray((prices - 24) / 22 - 0.5 * business + random.normal(0, 0.1, len(prices)))


def _at_start(random: np.random.Generator, signed_up: Instants, first: int) -> States:
    level = random.choice(_LEVELS, len(signed_up), p=[0.62, 0.2, 0.11, 0.07])
    return np.where(signed_up < first * _DAY, level * _STAGES, _ABSENT).astype(np.int8)


def _renewed(random: np.random.Generator, before: States, leaning: Floats, tenure: Floats) -> States:
    """The states after a renewal date: those who do not renew have left."""
    alive = np.flatnonzero(_subscribed(before))
    leaving = _leaving(leaning[alive], tenure[alive])[np.arange(len(alive)), before[alive]]
    after = before.copy()
    after[alive[random.random(len(alive)) < leaving]] = _LEFT
    return after


def _moved(random: np.random.Generator, before: States, bounds: Floats, joining: npt.NDArray[np.bool_]) -> States:
    after, alive = before.copy(), np.flatnonzero(_subscribed(before))
    draws = random.random((len(alive), 1))
    after[alive] = np.minimum((draws >= bounds[before[alive]]).sum(axis=1), _LEFT - 1)
    after[joining] = 0
    return after


def _subscribed(states: States) -> npt.NDArray[np.bool_]:
    return (states >= 0) & (states < _LEFT)


# Tables


def _plans() -> pa.Table:
    names, prices, gigabytes = zip(*_PLANS, strict=True)
    return _table(
        {
            "plan_id": np.arange(1, len(_PLANS) + 1),
            "name": list(names),
            "monthly_price": np.array(prices),
            "data_gb": np.array(gigabytes),
        }
    )


def _subscribers(random: np.random.Generator, count: int, first: int, last: int) -> pa.Table:
    """Four in nine were there when recording began, the others sign up at an even pace after it."""
    earlier = round(count * 0.45)
    ages = np.minimum(random.exponential(400, earlier), 1_500)
    days = np.concatenate([first - ages, random.uniform(first, last, count - earlier)])
    births = (last - random.normal(43, 14, count).clip(18, 90) * 365.25).astype("datetime64[D]")
    return _table(
        {
            "subscriber_id": np.arange(1, count + 1),
            "plan_id": random.choice(len(_PLANS), count, p=[0.14, 0.24, 0.26, 0.16, 0.13, 0.07]) + 1,
            "segment": _words(random.choice(len(_SEGMENTS), count, p=[0.5, 0.22, 0.16, 0.12]), _SEGMENTS),
            "region": _words(random.choice(len(_REGIONS), count), _REGIONS, random.random(count) < 0.01),
            "birth_date": pa.array(births, pa.date32(), mask=random.random(count) < 0.02),
            "signed_up_at": _moments(np.sort((days * _DAY).astype(np.int64))),
        }
    )


def _usage_events(random: np.random.Generator, latent: Latent, first: int) -> pa.Table:
    index, who = np.nonzero(_subscribed(latent.states))
    level = latent.states[index, who] // _STAGES
    joined = latent.signed_up[who] / _DAY - (index + first)
    passed = _day_passed(np.clip(joined, 0, 1))
    share = np.array(_USAGE)[level]
    counts = random.poisson(latent.usage[who] * share * _weekday(index + first) * (1 - passed))
    cell = np.repeat(np.arange(len(who)), counts)
    time = _time_of_day(passed[cell] + (1 - passed[cell]) * random.random(len(cell)))
    happened = np.maximum(((index[cell] + first + time) * _DAY).astype(np.int64), latent.signed_up[who[cell]])
    order = np.argsort(happened, kind="stable")
    cell = cell[order]
    kind, amount = _amounts(random, level[cell])
    return _table(
        {
            "usage_id": np.arange(1, len(order) + 1),
            "subscriber_id": who[cell] + 1,
            "happened_at": _moments(happened[order]),
            "kind": _words(kind, _KINDS),
            "amount": amount,
        }
    )


def _amounts(random: np.random.Generator, level: States) -> tuple[Integers, Floats]:
    """Kind, and amount in minutes, messages or megabytes: those who cool down make shorter calls and move less data."""
    mix = np.cumsum([[0.36, 0.14, 0.5], [0.36, 0.2, 0.44], [0.34, 0.3, 0.36], [0.32, 0.4, 0.28]], axis=1)
    kind = np.minimum((random.random((len(level), 1)) >= mix[level]).sum(axis=1), len(_KINDS) - 1)
    typical = np.array([4.0, 1.0, 180.0])[kind] * np.array(_USAGE)[level]
    amount = np.maximum(np.round(typical * np.exp(random.normal(0, 0.45, len(level))), 2), 0.01)
    return kind, np.where(kind == 1, 1.0, amount)


def _support_interactions(random: np.random.Generator, latent: Latent, first: int) -> pa.Table:
    parts = [*_turns(latent.states), *_chatter(random, latent.states)]
    index, who, reason = (np.concatenate(part) for part in zip(*parts, strict=True))
    time = random.uniform(8.0, 20.0, len(who)) / 24
    happened = ((index + first + time) * _DAY).astype(np.int64)
    order = np.lexsort((reason, who, happened))
    who, reason = who[order], reason[order]
    channel = random.choice(len(_CHANNELS), len(who), p=[0.45, 0.3, 0.17, 0.08])
    return _table(
        {
            "interaction_id": np.arange(1, len(who) + 1),
            "subscriber_id": who + 1,
            "happened_at": _moments(happened[order]),
            "channel": _words(channel, _CHANNELS),
            "reason": _words(reason, _REASONS),
            "resolved": random.random(len(who)) < np.array(_RESOLVED)[reason],
        }
    )


def _turns(states: States) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Day, subscriber and reason of the interactions that move somebody to another support stage."""
    before, after = states[:-1], states[1:]
    moved = _subscribed(before) & _subscribed(after) & (before % _STAGES != after % _STAGES)
    index, who = np.nonzero(moved)
    reasons = np.array([4, 2, 3, 3])  # calm again: a follow-up; complained; asked; escalated
    yield index + 1, who, reasons[after[index, who] % _STAGES]


def _chatter(random: np.random.Generator, states: States) -> Iterator[tuple[Integers, Integers, Integers]]:
    """The interactions that change nothing: questions, bills, and complaints and requests that were made before."""
    index, who = np.nonzero(_subscribed(states[1:]) & (states[:-1] != _ABSENT))
    level, stage = np.divmod(states[index + 1, who], _STAGES)
    again = np.array([[0, 0.006, 0.008, 0.004], [0, 0, 0.006, 0.012]])
    bills = np.array([0.0015, 0.002, 0.0025, 0.0025])[level]
    rates = (np.full(len(who), 0.003), bills, again[0, stage], again[1, stage])
    for reason, rate in enumerate(rates):
        hit = random.random(len(who)) < rate
        yield index[hit] + 1, who[hit], np.full(int(hit.sum()), reason)


def _table(columns: dict[str, Any]) -> pa.Table:
    return pa.table(columns)


def _words(codes: npt.NDArray[Any], words: tuple[str, ...], missing: Any = None) -> pa.Array[Any]:
    return pa.array(words).take(pa.array(codes, pa.int32(), mask=missing))


def _moments(instants: Instants) -> pa.Array[Any]:
    return pa.array(instants, pa.timestamp("us"))


# Cutoffs


def _check(demo: Demo, cutoff: int, latest: int) -> None:
    if not demo.start < cutoff <= latest:
        low, high = (datetime.fromtimestamp(at / 1e6, UTC).isoformat() for at in (demo.start, latest))
        raise RequestError("DEMO_CUTOFF", f"the cutoff lies outside what was recorded: after {low}, up to {high}")


def _counts(demo: Demo, low: int, high: int) -> Integers:
    """Usage events in ``(low, high]`` of each subscriber."""
    who, happened = demo.usage
    begin, stop = np.searchsorted(happened, [low, high], side="right")
    return np.bincount(who[begin:stop], minlength=len(demo.latent.signed_up))


def _present(demo: Demo, cutoff: int) -> Integers:
    used = _counts(demo, cutoff - PERIOD * _DAY, cutoff) > 0
    return np.flatnonzero(used & (demo.latent.signed_up <= cutoff))


def _state_before(demo: Demo, cutoff: int, who: Integers) -> States:
    """The state in which the cutoff finds each subscriber; a renewal at the very cutoff is still to come."""
    states: States = demo.latent.states[(cutoff - 1) // _DAY - demo.start // _DAY, who]
    return states
