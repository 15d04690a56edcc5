"""Every aggregate of the sweep against the aggregates' own algebra, one row and one event at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.aggregates import AGGREGATES, Event, Family
from penstock.engine import pieces
from penstock.engine.sweep import Ragged, Request, Result, Segments, Spine, sweep
from penstock.window import END, Lookahead, Lookback, Unit, Window

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
    Lookback(-1, 0, Unit.ROWS),
    Lookback(-5, -2, Unit.ROWS),
    Lookback(-3, 0, Unit.ROWS),
    Lookback(-4, -1, Unit.ROWS),
]
FLAGGED = (len(WINDOWS) - 2, len(WINDOWS) - 1)
"""The windows that count only the events with a flag."""
AHEAD: list[Window | None] = [Lookahead(0, 2), Lookahead(1, 3), Lookahead(0, 1, Unit.MONTHS)]
ON_CODES = (Family.FREQUENCY, Family.LIST)


@dataclass(frozen=True)
class World:
    """Some keys' events and rows, with a column of each kind."""

    segments: Segments
    spine: Spine
    values: np.ndarray
    codes: np.ndarray
    flags: np.ndarray

    @property
    def counted(self) -> dict[int, np.ndarray]:
        """The flags of the windows that have some."""
        return dict.fromkeys(FLAGGED, self.flags)

    @property
    def requests(self) -> list[Request]:
        """Every aggregate over every window, and LAST_N for several n."""
        return [self.request(name, window, n) for window in range(len(WINDOWS)) for name, n in EVERY]

    def request(self, name: str, window: int, n: int | None = None) -> Request:
        """One aggregate over one window, of the column that it takes."""
        family = AGGREGATES[name].family
        column = None if family is Family.COUNT else self.codes if family in ON_CODES else self.values
        return Request(name, window, column, n)


EVERY: list[tuple[str, int | None]] = [(name, None) for name in AGGREGATES if name != "LAST_N"]
EVERY += [("LAST_N", n) for n in (1, 2, 3)]

FLAGS = st.sampled_from([True, True, False])
NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e3, 1e3).map(lambda x: round(x, 3)),
    st.floats(1e9, 1e9 + 10),
    st.sampled_from([math.nan, math.inf, 0.1, 1e200, -1e16, 1e16]),
)


@st.composite
def worlds(draw: st.DrawFn, *, clocks: bool = False, numbers: st.SearchStrategy[float] = NUMBERS) -> World:
    """Up to four keys; ties, gaps, NULLs and keys without events or rows are common."""
    events, rows = [], []
    for key in range(draw(st.integers(1, 4))):
        for hours in sorted(draw(st.lists(st.integers(0, 1500), max_size=14)), key=lambda h: h // 6):
            learnt = hours // 6 * 6 + (draw(st.sampled_from([0, 0, 0, 6, 60, 600])) if clocks else 0)
            until = draw(st.sampled_from([None, None, 0, 12, 300])) if clocks else None
            shown = None if until is None else learnt + until
            events.append((key, hours // 6 * 6, learnt, shown, draw(numbers), draw(st.integers(-1, 4)), draw(FLAGS)))
        rows += [(key, hours) for hours in sorted(draw(st.lists(st.integers(0, 1600), max_size=10)))]
    return _world(events, rows, clocks)


def _world(events: list[Any], rows: list[Any], clocks: bool) -> World:
    keys = 4

    def column(place: int, kind: type = np.int64) -> np.ndarray:
        return np.array([event[place] for event in events], kind)

    def starts(codes: list[int]) -> np.ndarray:
        return np.searchsorted(np.array(codes, np.int64), np.arange(keys + 1))

    shown_until = np.array([END if e[3] is None else START + e[3] * HOUR for e in events], np.int64)
    segments = Segments(
        starts([e[0] for e in events]),
        START + column(1) * HOUR,
        START + column(2) * HOUR if clocks else None,
        shown_until if clocks else None,
    )
    cutoff = np.array([START + hours * HOUR for _, hours in rows], np.int64)
    spine = Spine(starts([key for key, _ in rows]), cutoff)
    return World(segments, spine, column(4, np.float64), column(5, np.int32), column(6, np.bool_))


def naive(world: World, windows: list[Window | None], request: Request, sees: Callable[[int, int], bool]) -> list[Any]:
    """The aggregate for each row by the algebra of `aggregates`; ORDER gives the event instead of its value."""
    spec, window = AGGREGATES[request.function], windows[request.window_index]
    answers = []
    for key in range(len(world.spine.spine_starts) - 1):
        for row in range(world.spine.spine_starts[key], world.spine.spine_starts[key + 1]):
            cutoff = int(world.spine.cutoff[row])
            state = spec.start()
            events = range(world.segments.event_starts[key], world.segments.event_starts[key + 1])
            for event in _within(world, request, window, [e for e in events if sees(e, cutoff)], cutoff):
                happened = int(world.segments.happened[event])
                value = _value(request, event)
                if value is not None:
                    held = event if spec.family is Family.ORDER else value
                    state = spec.step(state, Event(happened, event, held))
            answers.append(spec.finish(state, request.n or 0, cutoff))
    return answers


def _within(world: World, request: Request, window: Window | None, events: list[int], cutoff: int) -> list[int]:
    """The events that lie in the window, of those of a key that show."""
    if window is not None and window.unit is Unit.ROWS:
        assert window.start is not None
        counts = [e for e in events if request.window_index not in FLAGGED or world.flags[e]]
        newest = counts[::-1][-window.end : -window.start]
        return newest[::-1]
    low, high = (-END, cutoff) if window is None else (int(b[0]) for b in window.bounds(np.array([cutoff])))
    return [e for e in events if low < int(world.segments.happened[e]) <= high]


def _value(request: Request, event: int) -> Any:
    if request.column is None:
        return True
    value = request.column[event].item()
    return None if (value < 0 if request.column.dtype.kind == "i" else not math.isfinite(value)) else value


def shows(world: World) -> Callable[[int, int], bool]:
    """Whether an event shows at a cutoff, by the two clocks."""
    start, until = world.segments.visible_from, world.segments.visible_until
    if start is None or until is None:
        return lambda event, cutoff: bool(world.segments.happened[event] <= cutoff)
    return lambda event, cutoff: bool(start[event] <= cutoff < until[event])


def plain(result: Result) -> list[Any]:
    """A result as plain values, None for NULL."""
    if isinstance(result, Ragged):
        bounds = zip(result.offsets[:-1], result.offsets[1:], strict=True)
        return [result.codes[a:b].tolist() or None for a, b in bounds]
    return [
        None if value != value or (value == -1 and result.dtype.kind == "i") else value for value in result.tolist()
    ]


def check(found: list[Any], expected: list[Any], request: Request, scale: float) -> None:
    """Sums and means may differ in the last bits, by the values' own scale; all else is equal."""
    if request.function in {"SUM", "AVG", "VAR", "STDDEV", "TREND", "ENTROPY", "MEDIAN"}:
        for a, b in zip(found, expected, strict=True):
            assert (a is None) == (b is None), (request, found, expected)
            if a is not None:
                tiny = {"SUM": 0, "AVG": 0, "MEDIAN": 0, "ENTROPY": 1e-12}.get(request.function, 1e-12 * scale)
                assert math.isclose(a, b, rel_tol=1e-9, abs_tol=tiny), (request, found, expected)
    else:
        assert found == expected, request


def everything(world: World, requests: list[Request], spine: Spine | None = None, threads: int = 1) -> list[Result]:
    """The requests' answers over `WINDOWS`; a window with flags takes only values that have one."""
    asked = [_flagged(world, r) if r.window_index in FLAGGED else r for r in requests]
    return sweep(world.segments, spine or world.spine, WINDOWS, asked, threads, counted=world.counted)


def _flagged(world: World, request: Request) -> Request:
    column = world.flags if request.column is None else request.column
    blank = -1 if column.dtype.kind == "i" else False if column.dtype.kind == "b" else np.nan
    return replace(request, column=np.where(world.flags, column, blank).astype(column.dtype))


def scale_of(world: World) -> float:
    finite = np.abs(world.values[np.isfinite(world.values)])
    return float(np.max(finite, initial=1.0))


@settings(max_examples=60, deadline=None)
@given(worlds(numbers=st.one_of(st.integers(-3, 3).map(float), st.floats(-1e3, 1e3), st.just(math.nan))))
def test_every_aggregate_is_what_its_algebra_says(world: World):
    requests = world.requests
    for request, result in zip(requests, everything(world, requests), strict=True):
        check(plain(result), naive(world, WINDOWS, request, shows(world)), request, scale_of(world))


@settings(max_examples=60, deadline=None)
@given(worlds(clocks=True, numbers=st.one_of(st.integers(-3, 3).map(float), st.just(math.nan))))
def test_a_row_sees_what_was_known_and_not_yet_superseded_at_its_cutoff(world: World):
    requests = world.requests
    for request, result in zip(requests, everything(world, requests), strict=True):
        check(plain(result), naive(world, WINDOWS, request, shows(world)), request, scale_of(world))


@settings(max_examples=40, deadline=None)
@given(worlds(clocks=True, numbers=st.one_of(st.integers(-3, 3).map(float), st.just(math.nan))))
def test_a_label_sees_what_turned_out_true(world: World):
    until = world.segments.visible_until
    assert until is not None
    requests = [world.request(name, window, n) for window in range(len(AHEAD)) for name, n in EVERY]
    requests = [request for request in requests if AGGREGATES[request.function].target]
    results = sweep(world.segments, world.spine, AHEAD, requests, lookahead=True)
    for request, result in zip(requests, results, strict=True):
        expected = naive(world, AHEAD, request, lambda event, _cutoff: bool(until[event] == END))
        check(plain(result), expected, request, scale_of(world))


def bits(result: Result) -> tuple[bytes, ...]:
    arrays = (result.offsets, result.codes) if isinstance(result, Ragged) else (result,)
    return tuple(array.tobytes() for array in arrays)


@settings(max_examples=25, deadline=None)
@given(worlds(clocks=True), st.integers(1, 30), st.integers(1, 3))
def test_neither_chunks_nor_threads_change_a_bit(world: World, size: int, threads: int):
    whole = everything(world, world.requests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CHUNK", size)
        cut = everything(world, world.requests, threads=threads)
    assert [bits(result) for result in whole] == [bits(result) for result in cut]


@settings(max_examples=25, deadline=None)
@given(worlds(clocks=True))
def test_one_row_alone_gets_the_bits_it_gets_among_others(world: World):
    requests = [r for r in world.requests if r.function != "LIST_DISTINCT"]
    whole = everything(world, requests)
    for row in range(len(world.spine.cutoff)):
        starts = np.clip(world.spine.spine_starts - row, 0, 1)
        alone = everything(world, requests, Spine(starts, world.spine.cutoff[row : row + 1]))
        assert [r[row : row + 1].tobytes() for r in whole] == [r.tobytes() for r in alone]  # type: ignore[index,union-attr]


def line(values: list[float], step: int = HOUR) -> World:
    """One key whose values come at equal steps, and a row at each."""
    happened = START + np.arange(len(values)) * step
    starts = np.array([0, len(values)])
    codes = np.zeros(len(values), np.int32)
    return World(Segments(starts, happened), Spine(starts, happened), np.array(values), codes, codes == 0)


def swept(world: World, function: str, window: Window, n: int | None = None) -> np.ndarray:
    (result,) = sweep(world.segments, world.spine, [window], [world.request(function, 0, n)])
    assert isinstance(result, np.ndarray)
    return result


@pytest.mark.parametrize("offset", [0.0, 1e9, 1e12, -1e15])
def test_a_small_spread_around_a_huge_offset_is_kept(offset: float):
    noise = np.round(np.random.default_rng(1).normal(size=3000), 1 if offset < 1e15 else 0)
    world = line(list(offset + noise))
    found = swept(world, "VAR", Lookback(-40, 0, Unit.HOURS))
    exact = [np.var((world.values[max(0, i - 39) : i + 1] - offset), ddof=1) for i in range(1, 3000)]
    np.testing.assert_allclose(found[1:], exact, rtol=1e-9)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e9 + 0.1, 123456.789])
def test_equal_values_spread_by_nothing_at_all(value: float):
    world = line([5.0, 7.25, *[value] * 50])
    assert swept(world, "VAR", Lookback(-20, 0, Unit.HOURS))[-20:].tolist() == [0.0] * 20
    assert swept(world, "TREND", Lookback(-20, 0, Unit.HOURS))[-20:].tolist() == [0.0] * 20


@pytest.mark.parametrize("outlier", [1e17, -1e40, 1e200, 1.7e308])
def test_a_huge_value_spoils_only_the_windows_that_hold_it(outlier: float):
    tail = np.round(np.random.default_rng(2).normal(size=60), 2)
    found = {
        name: swept(line([1.0, outlier, -outlier, outlier, *tail]), name, Lookback(-8, 0, Unit.HOURS))[-40:]
        for name in ("SUM", "AVG", "STDDEV", "TREND")
    }
    clean = {name: swept(line([1.0, 1.0, 1.0, 1.0, *tail]), name, Lookback(-8, 0, Unit.HOURS))[-40:] for name in found}
    for name, values in found.items():
        np.testing.assert_allclose(values, clean[name], rtol=1e-12, atol=1e-14, err_msg=name)


def test_whole_sums_are_exact_and_fractions_rounded_once():
    whole = np.random.default_rng(3).integers(-(2**50), 2**50, 500).astype(float)
    found = swept(line(list(whole)), "SUM", Lookback(-4, 0, Unit.HOURS))
    assert found.tolist() == [float(sum(int(v) for v in whole[max(0, i - 3) : i + 1])) for i in range(500)]
    cents = np.random.default_rng(4).integers(0, 10**6, 500) / 100
    found = swept(line(list(cents)), "SUM", Lookback(-100, 0, Unit.HOURS))
    assert found.tolist() == [math.fsum(cents[max(0, i - 99) : i + 1]) for i in range(500)]


def test_a_trend_of_events_a_microsecond_apart_after_twenty_years():
    world = line([0.0, 1.0, 3.0, 5.0], 1)
    happened = world.segments.happened.copy()
    happened[0] -= 20 * 365 * 24 * HOUR
    world = replace(world, segments=Segments(world.segments.event_starts, happened))
    assert swept(world, "TREND", Lookback(-1, 0)).tolist()[3] == pytest.approx(2 * 86_400_000_000, rel=1e-12)


def test_many_codes_and_many_ties_keep_the_smallest_mode():
    rng = np.random.default_rng(5)
    codes = rng.permutation(np.repeat(np.arange(0, 30_000, 2), 2)).astype(np.int32)
    starts, happened = np.array([0, len(codes)]), START + np.arange(len(codes)) * HOUR
    rows = np.arange(0, len(codes), 97)
    spine = Spine(np.array([0, len(rows)]), happened[rows])
    windows: list[Window | None] = [Lookback(None, 0), Lookback(-500, 0, Unit.HOURS)]
    asked = [Request(name, w, codes) for w in (0, 1) for name in ("MODE", "COUNT_DISTINCT", "ENTROPY")]
    found = sweep(Segments(starts, happened), spine, windows, asked)
    for number, row in enumerate(rows):
        for window, low in ((0, 0), (1, max(0, row - 499))):
            kinds, counts = np.unique(codes[low : row + 1], return_counts=True)
            share = counts / counts.sum()
            got = [result[number] for result in found[3 * window : 3 * window + 3]]  # type: ignore[index]
            assert got[:2] == [kinds[counts.argmax()], len(kinds)]
            assert got[2] == pytest.approx(-(share * np.log(share)).sum(), rel=1e-12, abs=1e-12)


def test_keys_without_events_and_spines_without_rows_are_answered():
    nothing = np.array([0, 0, 0])
    world = World(
        Segments(nothing, np.empty(0, np.int64)),
        Spine(np.array([0, 2, 3]), np.array([START, START, START])),
        np.empty(0),
        np.empty(0, np.int32),
        np.empty(0, np.bool_),
    )
    for request, result in zip(world.requests, everything(world, world.requests), strict=True):
        assert plain(result) == [AGGREGATES[request.function].empty] * 3
    empty = Spine(nothing, np.empty(0, np.int64))
    for result in everything(world, world.requests, empty, threads=2):
        assert plain(result) == []


def test_inputs_may_be_views_and_narrow_and_are_left_alone():
    world = line([1.0, 2.0, 4.0, 8.0])
    strided = np.repeat(world.values, 2)[::2]
    segments = Segments(world.segments.event_starts.astype(np.int32), world.segments.happened)
    request = Request("SUM", 0, strided)
    assert sweep(segments, world.spine, [Lookback(None, 0)], [request])[0].tolist() == [1, 3, 7, 15]  # type: ignore[union-attr]
    assert strided.flags.writeable


def test_only_true_values_of_a_flag_count():
    world = line([1.0, 2.0, 4.0])
    flags = np.array([True, False, True])
    asked = [Request("COUNT", 0, flags), Request("LAST", 0, flags), Request("TIME_SINCE", 0, flags)]
    found = [plain(r) for r in sweep(world.segments, world.spine, [Lookback(None, 0)], asked)]
    assert found == [[1, 1, 2], [0, 0, 2], [0, HOUR, 0]]


def test_a_window_of_rows_holds_as_many_as_there_are_and_ends_where_it_says():
    world = line([1.0, math.nan, 4.0, 8.0])
    assert swept(world, "COUNT", Lookback(-3, 0, Unit.ROWS)).tolist() == [1, 2, 3, 3]
    assert plain(swept(world, "SUM", Lookback(-2, 0, Unit.ROWS))) == [1, 1, 4, 12]
    assert plain(swept(world, "MAX", Lookback(-3, -1, Unit.ROWS))) == [None, 1, 1, 4]
    assert plain(swept(world, "GAP", Lookback(-3, 0, Unit.ROWS))) == [None, None, 1 / 12, 1 / 24]


def test_the_gap_is_the_mean_time_between_neighbours_in_days():
    world = line([1.0] * 3, 48 * HOUR)
    assert plain(swept(world, "GAP", Lookback(None, 0))) == [None, 2.0, 2.0]
    assert plain(swept(world, "GAP", Lookback(-47, 0, Unit.HOURS))) == [None, None, None]
