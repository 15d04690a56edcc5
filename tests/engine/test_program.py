"""A prepared program against the sweep: the same bits, however often and with whatever it ran before."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.program import Asked, Program
from penstock.engine.sweep import Ragged, Request, Result, Segments, Spine, sweep
from penstock.window import END, Lookback, Unit, Window

HOUR = 3_600_000_000
START = int(np.datetime64("2024-01-29T00:00", "us").astype(np.int64))
WINDOWS: list[Window | None] = [
    Lookback(None, 0),
    Lookback(-1, 0),
    Lookback(-30, 0, Unit.HOURS),
    Lookback(-3, -1),
    Lookback(-1, 0, Unit.MONTHS),
    Lookback(None, -1, Unit.MONTHS),
    None,
    Lookback(-3, 0, Unit.ROWS),
    Lookback(-5, -2, Unit.ROWS),
    Lookback(-3, 0, Unit.ROWS),
    Lookback(-4, -1, Unit.ROWS),
]
VALUES, CODES, FLAGS, OTHERS = range(4)
"""The columns' places."""
COUNTED = {len(WINDOWS) - 2: FLAGS, len(WINDOWS) - 1: FLAGS}

NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e3, 1e3),
    st.floats(1e9, 1e9 + 10),
    st.sampled_from([math.nan, math.inf, -0.0, 0.1, 1e200, -1e16, 1e16]),
)


def columns_of(name: str) -> tuple[int | None, ...]:
    """The columns that an aggregate may be asked about."""
    family = AGGREGATES[name].family
    if name in {"COUNT", "FIRST", "LAST", "LAST_N", "TIME_SINCE", "GAP"}:
        return (None, VALUES, CODES, FLAGS)
    return (CODES,) if family in (Family.FREQUENCY, Family.LIST) else (VALUES, OTHERS)


EVERY = [
    Asked(name, window, column, n)
    for window in range(len(WINDOWS))
    for name in AGGREGATES
    for column in columns_of(name)
    for n in ((1, 3) if name == "LAST_N" else (None,))
]
WHOLE = Program.of(WINDOWS, EVERY, COUNTED)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Up to five keys' events, some late, some superseded, some without values; and a cutoff."""
    clocked, rows = draw(st.booleans()), []
    for key in range(keys := draw(st.integers(0, 5))):
        for hours in sorted(draw(st.lists(st.integers(0, 250), max_size=14))):
            learnt = hours + (draw(st.sampled_from([0, 0, 0, 1, 10, 100])) if clocked else 0)
            until = draw(st.sampled_from([None, None, 0, 2, 50])) if clocked else None
            shown = END if until is None else START + (learnt + until) * 6 * HOUR
            values = draw(NUMBERS), draw(st.integers(-1, 4)), draw(st.booleans()), draw(NUMBERS)
            rows.append((key, START + hours * 6 * HOUR, START + learnt * 6 * HOUR, shown, *values))
    at = [START + hours * 6 * HOUR for hours in draw(st.lists(st.integers(0, 260), min_size=keys, max_size=keys))]
    return _world(rows, keys, clocked, np.array(at, np.int64) if draw(st.booleans()) else sum(at[:1]))


def _world(rows: list[Any], keys: int, clocked: bool, cutoff: Any) -> dict[str, Any]:
    def column(place: int, kind: type = np.int64) -> np.ndarray:
        return np.array([row[place] for row in rows], kind)

    return {
        "event_starts": np.searchsorted(column(0), np.arange(keys + 1)),
        "happened": column(1),
        "shown_from": column(2) if clocked else None,
        "shown_until": column(3) if clocked else None,
        "columns": [column(4, np.float64), column(5, np.int32), column(6, np.bool_), column(7, np.float64)],
        "cutoff": cutoff,
    }


def by_sweep(world: dict[str, Any], asked: list[Asked], windows: list[Window | None] = WINDOWS) -> list[Result]:
    """What the sweep says."""
    columns, keys = world["columns"], len(world["event_starts"]) - 1
    requests = [Request(a.function, a.window, None if a.column is None else columns[a.column], a.n) for a in asked]
    segments = Segments(world["event_starts"], world["happened"], world["shown_from"], world["shown_until"])
    spine = Spine(np.arange(keys + 1), np.broadcast_to(np.asarray(world["cutoff"], np.int64), keys))
    flags = {window: columns[place] for window, place in COUNTED.items()} if windows is WINDOWS else {}
    return sweep(segments, spine, windows, requests, counted=flags)


def bits(result: Result) -> tuple[object, ...]:
    arrays = (result.offsets, result.codes) if isinstance(result, Ragged) else (result,)
    return tuple((array.dtype.str, array.tobytes()) for array in arrays)


def agree(world: dict[str, Any], program: Program) -> None:
    expected = by_sweep(world, list(program.jobs.asked))
    for asked, found, wanted in zip(program.jobs.asked, program.run(**world), expected, strict=True):
        assert bits(found) == bits(wanted), (asked, found, wanted)


@settings(max_examples=100, deadline=None)
@given(events())
def test_a_program_gives_the_bits_of_the_sweep(world: dict[str, Any]):
    agree(world, WHOLE)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(EVERY), max_size=6), st.lists(events(), min_size=1, max_size=3))
def test_whatever_is_asked_and_whatever_ran_before(asked: list[Asked], worlds: list[dict[str, Any]]):
    program = Program.of(WINDOWS, asked, COUNTED)
    for world in worlds:
        agree(world, program)


BOUNDED: list[Window | None] = [Lookback(-1, 0), Lookback(-30, 0, Unit.HOURS), Lookback(-9, -2), Lookback(-10, 0)]
RECENT = [Asked(a.function, window, a.column, a.n) for a in EVERY if a.window == 0 for window in range(len(BOUNDED))]
"""Every aggregate over windows none of which reaches back more than ten days."""
CLOSE = {"SUM", "AVG", "VAR", "STDDEV", "TREND", "ENTROPY"}
CLOCKS = ("happened", "shown_from", "shown_until")


@settings(max_examples=60, deadline=None)
@given(events(), st.integers(0, 24))
def test_events_that_no_window_reaches_may_be_left_out(world: dict[str, Any], more: int):
    keys = len(world["event_starts"]) - 1
    cutoffs = np.broadcast_to(np.asarray(world["cutoff"], np.int64), keys)
    key = np.repeat(np.arange(keys), np.diff(world["event_starts"]))
    kept = np.flatnonzero(world["happened"] > cutoffs[key] - (240 + more) * HOUR)
    fewer = {name: None if world[name] is None else world[name][kept] for name in CLOCKS} | {
        "event_starts": np.searchsorted(key[kept], np.arange(keys + 1)),
        "columns": [column[kept] for column in world["columns"]],
        "cutoff": world["cutoff"],
    }
    program = Program.of(BOUNDED, RECENT)
    for asked, found, wanted in zip(RECENT, program.run(**fewer), program.run(**world), strict=True):
        if isinstance(found, np.ndarray) and asked.function in {"FIRST", "LAST", "LAST_N"}:
            found = np.append(kept, -1)[found]
        if isinstance(found, np.ndarray) and asked.function in CLOSE:
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * scale_of(world), err_msg=str(asked))  # type: ignore[arg-type]
        else:
            assert bits(found) == bits(wanted), (asked, found, wanted)


def scale_of(world: dict[str, Any]) -> float:
    """The square of the largest number: what rounding can spoil where large numbers and small ones meet."""
    values = np.concatenate([world["columns"][VALUES], world["columns"][OTHERS]])
    return float(min(1e150, np.max(np.abs(values[np.isfinite(values)]), initial=1.0)) ** 2)


def hot(count: int, seed: int) -> dict[str, Any]:
    """One key of many events, a tenth of them superseded, with a column of each kind."""
    rng = np.random.default_rng(seed)
    happened = START + np.sort(rng.integers(0, 2000, count)) * HOUR
    until = np.where(rng.random(count) < 0.1, happened + HOUR, END)
    columns = [rng.normal(size=count), rng.integers(-1, 300, count).astype(np.int32), rng.random(count) < 0.5]
    return {
        "event_starts": np.array([0, count]),
        "happened": happened,
        "shown_from": happened,
        "shown_until": until,
        "columns": [*columns, rng.lognormal(size=count)],
        "cutoff": START + 2000 * HOUR,
    }


def test_threads_share_a_program_and_large_keys_are_no_exception():
    worlds = [hot(count, seed) for seed, count in enumerate([3, 70_000, 500, 3_000, 9, 1_000, 0, 40])]
    expected = [[bits(result) for result in WHOLE.run(**world)] for world in worlds]
    agree(worlds[1], WHOLE)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda world: [bits(result) for result in WHOLE.run(**world)], worlds * 3))
    assert found == expected * 3


def test_inputs_may_be_views_and_narrow_and_are_left_alone():
    world = hot(50, 1)
    program = Program.of(WINDOWS, [Asked("SUM", 0, VALUES), Asked("TIME_SINCE", 0)])
    expected = [bits(result) for result in program.run(**world)]
    records = np.stack([world[name] for name in CLOCKS], axis=1)
    world |= dict(zip(CLOCKS, records.T, strict=True)) | {"event_starts": world["event_starts"].astype(np.int32)}
    assert [bits(result) for result in program.run(**world)] == expected
    assert records.flags.writeable


def test_lengths_that_do_not_agree_are_refused():
    world = hot(50, 1)
    with pytest.raises(ValueError, match="each key has one cutoff"):
        WHOLE.run(**world | {"cutoff": np.array([1, 2])})
    with pytest.raises(ValueError, match="each event an entry in each column"):
        WHOLE.run(**world | {"columns": [column[1:] for column in world["columns"]]})
