"""Sorting a few numbers in place, without the seconds that a general sort takes to compile."""

from __future__ import annotations

from typing import Any

from penstock.engine.kernels.compiled import step


@step
def sort_first(numbers: Any, count: int) -> None:
    """Sort the first ``count`` numbers, ascending, by D. L. Shell's method (1959) with gaps of 3 * gap + 1."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for start in range(gap, count):
            number, place = numbers[start], start
            while place >= gap and numbers[place - gap] > number:
                numbers[place] = numbers[place - gap]
                place -= gap
            numbers[place] = number
        gap //= 3


@step
def fill(numbers: Any, count: int, number: int) -> None:
    """Set the first ``count`` numbers."""
    for place in range(count):
        numbers[place] = number
