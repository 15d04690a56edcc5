"""Tiles: what runs of a key's events come to, so that a hot key's windows are answered without its events.

A tile stands for consecutive events of one key that show for good: known when they happened, or at least before any
instant that is asked about, and never superseded. Tiles merge, in any grouping, and a window that covers some wholly
is answered from them; only the events of tiles that a window cuts through are needed (`cut_by` says which). All
answers are those of `Program`; sums and moments to 1e-12 of their size, everything else exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from penstock.engine.cutting import Cut, Line, cut_at, cut_by
from penstock.engine.kernels import tiling
from penstock.engine.kernels.tiling import NULL
from penstock.engine.runs import Run, Tiles, merge, tile
from penstock.engine.segments import Array, Asked
from penstock.window import Window

TABLED = frozenset({"COUNT_DISTINCT", "MODE", "ENTROPY", "LIST_DISTINCT"})
"""The aggregates that need to know how often each value comes."""

NUMBERS = frozenset({"SUM", "AVG", "VAR", "STDDEV", "MIN", "MAX", "TREND"})
"""The aggregates of floats."""

Value: TypeAlias = float | int | tuple[int, ...] | None
"""An answer: None for NULL. Of floats a float, of whole numbers an int; a tuple of them for LIST_DISTINCT."""

_DAY = 86_400_000_000


def can_tile(asked: Asked) -> bool:
    """Whether tiles answer this: not MEDIAN and LAST_N, nor which event is FIRST or LAST where no column says it.

    Nor do they answer windows of rows that count flagged events alone.

    >>> can_tile(Asked("SUM", 0, 0)), can_tile(Asked("MEDIAN", 0, 0))
    (True, False)
    """
    return asked.function not in {"MEDIAN", "LAST_N"} and (
        asked.column is not None or asked.function not in {"FIRST", "LAST"}
    )


def tabled(asked: Sequence[Asked]) -> frozenset[int]:
    """The columns whose tiles must tell how often each value comes."""
    return frozenset(one.column for one in asked if one.function in TABLED and one.column is not None)


def answer(
    windows: Sequence[Window | None],
    asked: Sequence[Asked],
    pieces: Sequence[Tiles | Run],
    cutoff: int,
    ranks: Mapping[int, Callable[[Array], Array]] = MappingProxyType({}),
) -> list[Value]:
    """What was asked of one key's events, given as tiles and runs in time order; see `Value`.

    FIRST and LAST are values, TIME_SINCE is in microseconds. ``ranks`` gives for a column that is no floats the ranks
    of its values, where they are not ordered as they are. Raises ``ValueError`` where a window cuts through a tile, a
    tile lacks a table, or sums are asked of what is no floats.

    >>> tiles = tile(Run(np.array([10, 20]), [np.array([0.5, 2.0])]))
    >>> newer = Run(np.array([30, 40, 50]), [np.array([1.0, 4.0, 9.0])])
    >>> answer([None], [Asked("SUM", 0, 0), Asked("COUNT", 0), Asked("LAST", 0, 0)], [tiles, newer], 40)
    [7.5, 4, 4.0]
    """
    cut = Cut.of(Line.of(pieces), windows, cutoff)
    counted = {column: _ranked(*cut.tally(column), ranks.get(column)) for column in tabled(asked)}
    plain = [one for one in asked if one.function not in TABLED]
    columns = sorted({_block(one) for one in plain})
    trended = frozenset(_block(one) for one in plain if one.function == "TREND")
    blocks = {
        column: list(zip(found.tolist(), found.view(np.float64).tolist(), strict=True))
        for column, found in cut.blocks(columns, trended).items()
    }
    return [
        _of_counts(one.function, counted[_block(one)][0], counted[_block(one)][1][:, one.window])
        if one.function in TABLED
        else _of_block(one.function, *blocks[_block(one)][one.window], cutoff)
        for one in asked
    ]


def _block(asked: Asked) -> int:
    return -1 if asked.column is None else asked.column


def _ranked(keys: Array, counts: Array, ranks: Callable[[Array], Array] | None) -> tuple[Array, Array]:
    """Values, and how often they come, in the values' order."""
    order = np.argsort(keys if ranks is None else ranks(keys), kind="stable")
    return keys[order], counts[order]


def _of_counts(function: str, keys: Array, counts: Array) -> Value:
    """An aggregate of the values that come so often."""
    there = counts > 0
    if function == "COUNT_DISTINCT":
        return int(there.sum())
    if not there.any():
        return None
    if function == "MODE":
        return int(keys[counts.argmax()])
    if function == "LIST_DISTINCT":
        return tuple(keys[there].tolist())
    shown, total = counts[there], int(counts.sum())
    return 0.0 if len(shown) == 1 else math.log(total) - float((shown * np.log(shown)).sum()) / total


def _of_block(function: str, whole: list[int], floats: list[float], cutoff: int) -> Value:
    """An aggregate of what a block says."""
    count, first_at, last_at = whole[tiling.COUNT], whole[tiling.FIRST_AT], whole[tiling.LAST_AT]
    if function == "COUNT":
        return count
    if function in NUMBERS:
        if count and not whole[tiling.KIND]:
            raise ValueError(f"{function} is asked of a column that is no floats")
        return _of_floats(function, count, last_at > first_at, floats)
    if count == 0:
        return None
    if function == "GAP":
        return (last_at - first_at) / _DAY / (count - 1) if count > 1 else None
    if function == "TIME_SINCE":
        return cutoff - last_at
    word = {"FIRST": tiling.FIRST, "LAST": tiling.LAST}[function]
    return floats[word] if whole[tiling.KIND] else whole[word]


def _of_floats(function: str, count: int, passed: bool, floats: list[float]) -> float | None:
    """An aggregate of so many floats; ``passed`` says whether time passed between them."""
    if function == "SUM":
        return _finite(floats[tiling.SUM]) if count else 0.0
    if count == 0:
        return None
    if function in {"AVG", "MIN", "MAX"}:
        word, by = {"AVG": (tiling.SUM, count), "MIN": (tiling.LEAST, 1), "MAX": (tiling.MOST, 1)}[function]
        return _finite(floats[word] / by + 0.0)
    if count == 1 or (function == "TREND" and not passed):
        return None
    if floats[tiling.LEAST] == floats[tiling.MOST]:
        return 0.0
    if function == "TREND":
        return _finite(floats[tiling.CROSS] / floats[tiling.SPREAD] * _DAY)
    variance = _finite(max(0.0, floats[tiling.SQUARES]) / (count - 1))
    return variance if function == "VAR" or variance is None else math.sqrt(variance)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


__all__ = ["NULL", "Run", "Tiles", "Value", "answer", "can_tile", "cut_at", "cut_by", "merge", "tabled", "tile"]
