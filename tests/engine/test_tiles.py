"""Answers from tiles against the program's over all events, however the events are cut and merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.program import Asked, Program
from penstock.engine.segments import Ragged
from penstock.engine.tiles import NULL, Run, Tiles, answer, can_tile, cut_by, merge, tabled, tile
from penstock.errors import FailedError
from penstock.window import Lookback, Unit, Window

HOUR = 3_600_000_000
START = int(np.datetime64("2024-01-29T00:00", "us").astype(np.int64))
WINDOWS: list[Window | None] = [
    Lookback(None, 0),
    Lookback(-1, 0),
    Lookback(-30, 0, Unit.HOURS),
    Lookback(-30, -10),
    Lookback(-1, 0, Unit.MONTHS),
    Lookback(None, -1, Unit.MONTHS),
    None,
    Lookback(-3, 0, Unit.ROWS),
    Lookback(-9, -2, Unit.ROWS),
]
VALUES, CODES, FLAGS = range(3)
MEANT = np.array([50, -7, 2**60, 3, 11])
"""What each code stands for; their order is not that of the codes."""

NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e3, 1e3).map(lambda x: round(x, 3)),
    st.floats(1e9, 1e9 + 10),
    st.sampled_from([math.nan, math.inf, 0.1, 1e12, -1e12]),
)
CLOSE = {"SUM", "AVG", "VAR", "STDDEV", "TREND", "ENTROPY"}


def columns_of(name: str) -> tuple[int | None, ...]:
    """The columns that an aggregate may be asked about."""
    if name in {"FIRST", "LAST", "COUNT", "TIME_SINCE", "GAP"}:
        return (VALUES, CODES, FLAGS) if name in {"FIRST", "LAST"} else (None, VALUES, CODES, FLAGS)
    return (CODES,) if AGGREGATES[name].family in (Family.FREQUENCY, Family.LIST) else (VALUES,)


EVERY = [
    Asked(name, window, column)
    for window in range(len(WINDOWS))
    for name in AGGREGATES
    for column in columns_of(name)
    if can_tile(Asked(name, window, column))
]
PROGRAM = Program.of(WINDOWS, EVERY)


@dataclass(frozen=True)
class World:
    """A key's events, the places where they are cut, which parts are tiles that merge with the next, and a cutoff."""

    happened: np.ndarray
    values: np.ndarray
    codes: np.ndarray
    flags: np.ndarray
    cuts: list[int]
    merged: list[bool]
    cutoff: int

    def run(self, first: int, last: int) -> Run:
        """Some of the events, their codes as what they stand for."""
        codes = self.codes[first:last]
        meant = np.where(codes < 0, NULL, MEANT[codes])
        return Run(self.happened[first:last], [self.values[first:last], meant, self.flags[first:last]])

    def pieces(self) -> list[Tiles | Run]:
        """The events as tiles where no window cuts them, and the others as they are."""
        tiles: list[Tiles] = []
        edges = [0]
        for number, (first, last) in enumerate(pairwise(self.cuts)):
            one = tile(self.run(first, last), tabled(EVERY))
            if tiles and self.merged[number]:
                tiles[-1], edges[-1] = merge(join([tiles[-1], one])), last
            else:
                tiles.append(one)
                edges.append(last)
        needed = set(cut_by(WINDOWS, join(tiles), self.cutoff))
        parts = [self.run(first, last) for first, last in pairwise(edges)]
        return [parts[number] if number in needed else one for number, one in enumerate(tiles)]


def join(tiles: list[Tiles]) -> Tiles:
    """Tiles one after the other, by way of their bytes."""
    return Tiles.from_bytes(b"".join(one.to_bytes() for one in tiles))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to thirty events, ties and NULLs among them, none after the cutoff."""
    hours = np.array(sorted(draw(st.lists(st.integers(0, 200), max_size=30))), np.int64) * 6
    count = len(hours)
    values = draw(st.lists(NUMBERS, min_size=count, max_size=count))
    codes = draw(st.lists(st.integers(-1, 4), min_size=count, max_size=count))
    flags = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    cuts = draw(st.lists(st.integers(0, count), max_size=12))
    merged = draw(st.lists(st.booleans(), min_size=14, max_size=14))
    cutoff = START + (int(hours.max(initial=0)) + draw(st.sampled_from([0, 0, 5, 100]))) * HOUR
    columns = np.array(values, np.float64), np.array(codes, np.int32), np.array(flags, np.bool_)
    return World(START + hours * HOUR, *columns, sorted({0, count, *cuts}), merged, cutoff)


def expected(world: World) -> list[Any]:
    """What the program says, as values."""
    starts = np.array([0, len(world.happened)])
    columns = [world.values, world.codes, world.flags]
    found = PROGRAM.run(starts, world.happened, None, None, columns, world.cutoff)
    return [_value(world, asked, result) for asked, result in zip(EVERY, found, strict=True)]


def _value(world: World, asked: Asked, result: Any) -> Any:
    if isinstance(result, Ragged):
        return tuple(MEANT[result.codes].tolist()) or None
    value = result[0].item()
    if value != value or (value == -1 and result.dtype.kind == "i"):
        return None
    if asked.function == "MODE":
        return MEANT[value]
    if asked.function not in {"FIRST", "LAST"}:
        return value
    return (world.values[value], MEANT[world.codes[value]], 1)[asked.column or 0]


def ranks(keys: np.ndarray) -> np.ndarray:
    """The codes that stand for these."""
    return np.array([MEANT.tolist().index(key) for key in keys.tolist()], np.int64)


def check(world: World, every: list[Asked], found: list[Any], wanted: list[Any]) -> None:
    """Sums and moments may differ by 1e-12, of their size or of what a lone value would change; all else is equal."""
    largest = float(np.max(np.abs(world.values[np.isfinite(world.values)]), initial=1.0))
    for asked, one, other in zip(every, found, wanted, strict=True):
        if asked.function in CLOSE and one is not None and other is not None:
            power = {"VAR": 2, "SUM": 0, "AVG": 0, "ENTROPY": 0}.get(asked.function, 1)
            tiny = 1e-15 * largest**power if power else 1e-12 if asked.function == "ENTROPY" else 0
            assert math.isclose(one, other, rel_tol=1e-12, abs_tol=tiny), (asked, one, other)
        else:
            assert one == other, (asked, one, other)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_tiles_answer_what_the_program_answers_over_all_events(world: World):
    check(world, EVERY, answer(WINDOWS, EVERY, world.pieces(), world.cutoff, {CODES: ranks}), expected(world))


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_bytes_give_the_same_tiles_back(world: World):
    for piece in world.pieces():
        if isinstance(piece, Tiles):
            assert Tiles.from_bytes(piece.to_bytes()).to_bytes() == piece.to_bytes()
            assert piece.counts.sum() >= 0


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_tiles_merge_in_any_grouping(world: World):
    assume(len(world.cuts) > 3)
    tiles = [tile(world.run(a, b), tabled(EVERY)) for a, b in pairwise(world.cuts)]
    left, right = tiles[0], tiles[-1]
    for one, other in zip(tiles[1:], tiles[-2::-1], strict=True):
        left, right = merge(join([left, one])), merge(join([other, right]))
    whole = [window for window in EVERY if WINDOWS[window.window] is None]
    cutoff = int(world.happened[-1])
    found = [answer([None], [Asked(a.function, 0, a.column) for a in whole], [one], cutoff) for one in (left, right)]
    check(world, whole, *found)
    assert left.counts.tolist() == right.counts.tolist() == [len(world.happened)]


def line(count: int, tabled: frozenset[int] = frozenset({1})) -> tuple[Run, Tiles]:
    """Events an hour apart, the first half of them a tile; the second column has ever other values."""
    happened = START + np.arange(count) * HOUR
    run = Run(happened, [np.arange(count) / 7, np.arange(count)])
    half = Run(happened[: count // 2], [column[: count // 2] for column in run.columns])
    return run, tile(half, tabled)


def test_tiles_that_a_window_cuts_are_named_and_refused():
    _, tiles = line(20)
    window = Lookback(-12, 0, Unit.HOURS)
    at = START + 15 * HOUR
    assert cut_by([window], tiles, at) == [0]
    assert cut_by([Lookback(-15, 0, Unit.HOURS), Lookback(-16, 0, Unit.HOURS)], tiles, at) == [0]
    assert cut_by([Lookback(-16, 0, Unit.HOURS), Lookback(-6, 0, Unit.HOURS), None], tiles, at) == []
    assert cut_by([Lookback(-8, 0, Unit.ROWS)], tiles, at, newer=5) == [0]
    assert cut_by([Lookback(-5, 0, Unit.ROWS)], tiles, at, newer=5) == []
    with pytest.raises(ValueError, match="cuts through a tile"):
        answer([window], [Asked("COUNT", 0)], [tiles], at)
    with pytest.raises(ValueError, match="cuts through a tile"):
        answer([Lookback(-3, 0, Unit.ROWS)], [Asked("COUNT", 0)], [tiles], at)


def test_a_tile_without_a_table_answers_what_needs_none():
    _, tiles = line(20, frozenset())
    assert answer([None], [Asked("COUNT", 0, 1), Asked("LAST", 0, 1)], [tiles], START + 20 * HOUR) == [10, 9]
    with pytest.raises(ValueError, match="does not tell how often"):
        answer([None], [Asked("MODE", 0, 1)], [tiles], START + 20 * HOUR)


def test_a_table_that_grows_too_long_is_left_out():
    run, tiles = line(500)
    rest = tile(Run(run.happened[250:], [column[250:] for column in run.columns]), frozenset({1}))
    both = join([tiles, rest])
    assert answer([None], [Asked("COUNT_DISTINCT", 0, 1)], [both], START + 500 * HOUR) == [500]
    with pytest.raises(ValueError, match="does not tell how often"):
        answer([None], [Asked("COUNT_DISTINCT", 0, 1)], [merge(both)], START + 500 * HOUR)


def test_sums_are_not_asked_of_whole_numbers():
    _, tiles = line(20)
    with pytest.raises(ValueError, match="SUM is asked of a column that is no floats"):
        answer([None], [Asked("SUM", 0, 1)], [tiles], START + 20 * HOUR)


def test_empty_tiles_and_runs_hold_a_place_and_change_nothing():
    run, tiles = line(20)
    none = Run(run.happened[:0], [column[:0] for column in run.columns])
    rest = Run(run.happened[10:], [column[10:] for column in run.columns])
    empty = tile(none, frozenset({1}))
    windows: list[Window | None] = [None, Lookback(-4, 0, Unit.HOURS)]
    asked = [Asked(name, w, 1) for w in (0, 1) for name in ("COUNT", "FIRST", "COUNT_DISTINCT", "TIME_SINCE")]
    pieces = [empty, tiles, none, join([empty, empty]), rest, empty]
    at = START + 19 * HOUR
    assert answer(windows, asked, pieces, at) == answer(windows, asked, [tiles, rest], at)
    assert answer(windows, asked, pieces, at) == [20, 0, 20, 0, 4, 16, 4, 0]
    assert answer(windows, asked, [], at) == answer(windows, asked, [empty], at) == [0, None, 0, None] * 2
    assert answer(windows, asked, [merge(join([empty, tiles, empty])), rest], at)[0] == 20


def short(record: bytes) -> bytes:
    """A record too short for its columns, that says so itself."""
    return np.array([8]).tobytes() + record[8:64]


def boastful(record: bytes) -> bytes:
    """A record whose last table is said to be longer than it is."""
    words = np.frombuffer(record, np.int64).copy()
    words[-21] = 11
    return words.tobytes()


DAMAGES = [lambda b: b[:-8], lambda b: b[:-3], lambda b: b + b[:16], lambda b: b"\0" * 8 + b, short, boastful]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes_are_refused(damage: Any):
    _, tiles = line(20)
    with pytest.raises(FailedError, match="these bytes are no tiles"):
        Tiles.from_bytes(damage(tiles.to_bytes())).tables(1)


def test_a_huge_value_spoils_only_the_tiles_that_hold_it():
    run, _ = line(40)
    values = np.concatenate(([1e200, -1e200], run.columns[0][2:]))
    parts = [Run(run.happened[a:b], [values[a:b]]) for a, b in ((0, 10), (10, 30), (30, 40))]
    window = Lookback(-30, 0, Unit.HOURS)
    asked = [Asked(name, 0, 0) for name in ("SUM", "STDDEV", "TREND")]
    found = answer([window], asked, [join([tile(part) for part in parts])], int(run.happened[-1]))
    wanted = answer([None], asked, parts[1:], int(run.happened[-1]))
    assert found == pytest.approx(wanted, rel=1e-12)
