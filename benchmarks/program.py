"""What it costs to ask 50 windowed features of a few keys at one instant: a prepared program against a fresh sweep.

    python -m benchmarks.program [--events 200] [--seconds 1]

Ten windows, COUNT, SUM, AVG, MIN, MAX, STDDEV and LAST over two columns, in turn. Both give the same bits. Then one
key of a million events, exactly and by tiles, with the edges of its windows read as events.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle, pairwise
from statistics import median

import numpy as np

from penstock.engine.kernels import warm
from penstock.engine.program import Asked, Program
from penstock.engine.sweep import Request, Result, Segments, Spine, sweep
from penstock.engine.tiles import Run, Tiles, Value, answer, cut_by, tabled, tile
from penstock.window import Lookback, Unit, Window

DAY = Unit.DAYS.microseconds
NOW = 20_000 * DAY + 12_345
FEATURES = 50
FUNCTIONS = ("COUNT", "SUM", "AVG", "MIN", "MAX", "STDDEV", "LAST")
WINDOWS: list[Window | None] = [*(Lookback(-days, 0) for days in (1, 2, 3, 7, 14, 30, 60, 90, 180)), Lookback(None, 0)]


def asked() -> list[Asked]:
    """The features: every window has five, and every function seven or eight."""
    functions, windows, columns = cycle(FUNCTIONS), cycle(range(len(WINDOWS))), cycle([0, 0, 0, 1, 1])
    return [Asked(next(functions), next(windows), next(columns)) for _ in range(FEATURES)]


def events(keys: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Where each key's events begin, when they happened and showed, and two columns of money."""
    rng = np.random.default_rng(3)
    happened = NOW - np.sort(rng.integers(0, 200 * DAY, (keys, count)))[:, ::-1]
    prices = [np.round(rng.lognormal(3, 1, keys * count), 2) for _ in range(2)]
    return np.arange(keys + 1) * count, happened.ravel(), happened.ravel() + 1, prices


def timed(work: Callable[[], object], seconds: float) -> float:
    """The median of many runs, in microseconds."""
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 5:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken) * 1e6


def same(one: Result, other: Result) -> bool:
    """Whether two results have the same bits."""
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.tobytes() == other.tobytes()


def report(keys: int, count: int, seconds: float) -> None:
    """Measure so many keys and print what came of it."""
    starts, happened, shown, columns = events(keys, count)
    until = np.full(len(happened), 2**62)
    program, features = Program.of(WINDOWS, asked()), asked()
    requests = [Request(a.function, a.window, columns[a.column or 0]) for a in features]
    segments, spine = Segments(starts, happened, shown, until), Spine(np.arange(keys + 1), np.full(keys, NOW))

    def ours() -> list[Result]:
        return program.run(starts, happened, shown, until, columns, NOW)

    def theirs() -> list[Result]:
        return sweep(segments, spine, WINDOWS, requests)

    assert all(same(a, b) for a, b in zip(ours(), theirs(), strict=True))
    fast, slow = timed(ours, seconds), timed(theirs, seconds)
    print(f"{keys:4} keys x {count} events, {FEATURES} features: program {fast:8.1f} us   sweep {slow:8.1f} us")


@dataclass(frozen=True)
class Hot:
    """A key of many events, also as tiles of so many of them, which are kept as bytes; ``cut`` are those read whole."""

    happened: np.ndarray
    columns: list[np.ndarray]
    runs: list[Run]
    blobs: list[bytes]
    cut: list[int]

    @classmethod
    def of(cls, count: int, size: int, told: frozenset[int]) -> Hot:
        """Two columns of money, and one of a hundred kinds where tiles tell how often each comes."""
        _, happened, _, columns = events(1, count)
        columns += [np.random.default_rng(4).integers(0, 100, count) for _ in told]
        runs = [Run(happened[a : a + size], [c[a : a + size] for c in columns]) for a in range(0, count, size)]
        blobs = [tile(run, told).to_bytes() for run in runs]
        return cls(happened, columns, runs, blobs, cut_by(WINDOWS, Tiles.from_bytes(b"".join(blobs)), NOW))

    def answer(self, features: list[Asked]) -> list[Value]:
        """The features, from the tiles' bytes on."""
        pieces: list[Tiles | Run] = []
        for before, number in pairwise([-1, *self.cut, len(self.runs)]):
            pieces.append(Tiles.from_bytes(b"".join(self.blobs[before + 1 : number])))
            pieces += self.runs[number : number + 1]
        return answer(WINDOWS, features, pieces, NOW)

    def differing(self, features: list[Asked], results: list[Result]) -> list[Asked]:
        """Those that are not what the program says, to 1e-12."""
        wrong = []
        for one, result, value in zip(features, results, self.answer(features), strict=True):
            assert isinstance(result, np.ndarray)
            assert isinstance(value, float | int)
            wanted = self.columns[one.column or 0][result[0]] if one.function == "LAST" else result[0]
            if not math.isclose(wanted, value, rel_tol=1e-12):
                wrong.append(one)
        return wrong


def report_tiles(count: int, size: int, seconds: float) -> None:
    """Measure one hot key, exactly and by tiles, and print what came of it."""
    features, modes = asked(), [Asked("MODE", window, 2) for window in range(len(WINDOWS))]
    program, starts = Program.of(WINDOWS, features), np.array([0, count])
    for more in ([], modes):
        hot = Hot.of(count, size, tabled(more))
        results = program.run(starts, hot.happened, None, None, hot.columns, NOW)
        assert not hot.differing(features, results)
        fast = timed(partial(hot.answer, features + more), seconds)
        kept = f"{sum(map(len, hot.blobs)) / 1e6:.2f} MB and {len(hot.cut)} x {size} events read"
        print(f"   1 key of {count} events, {len(features + more)} features: tiles {fast:8.1f} us   {kept}")
    exact = timed(lambda: program.run(starts, hot.happened, None, None, hot.columns, NOW), seconds)
    kept = f"{count * 32 / 1e6:.0f} MB read"
    print(f"   1 key of {count} events, {len(features)} features: program {exact:8.1f} us   {kept}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200, help="events a key (default 200)")
    parser.add_argument("--seconds", type=float, default=1, help="how long to measure each (default 1)")
    given = parser.parse_args()
    warm()
    for keys in (1, 10, 100):
        report(keys, given.events, given.seconds)
    report_tiles(1_000_000, 1_000, given.seconds)


if __name__ == "__main__":
    main()
