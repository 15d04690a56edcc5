"""Rows laid by key, each key's by an instant: by counting, and a sort of those keys alone that are not in order."""

from __future__ import annotations

from typing import Any

from penstock.engine.kernels.compiled import CODES, INT, INTS, OUT_CODES, OUT_INTS, kernel, step


@kernel(INTS, CODES, INT, OUT_CODES)
def find(values: Any, places: Any, lowest: int, codes: Any) -> None:
    """The place of each value, where ``places`` has an entry for every whole number from ``lowest`` on; else -1."""
    highest = lowest + (len(places) - 1)  # the sum may be the largest number there is
    for row in range(len(values)):
        value = values[row]
        codes[row] = places[value - lowest] if lowest <= value <= highest else -1


@kernel(CODES, OUT_INTS)
def tally(codes: Any, begins: Any) -> None:
    """Where each code's rows begin once they lie by code: ``begins`` (zeros) has an entry more than there are codes.

    Rows with a code below 0 are left out.
    """
    for row in range(len(codes)):
        if codes[row] >= 0:
            begins[codes[row] + 1] += 1
    for code in range(1, len(begins)):
        begins[code] += begins[code - 1]


@step
def _sort(instants: Any, rows: Any, first: int, last: int) -> None:
    """Sort a run of rows by their instants, by D. L. Shell's method (1959) with gaps of 3 * gap + 1."""
    gap = 1
    while gap < (last - first) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for start in range(first + gap, last):
            instant, row, place = instants[start], rows[start], start
            while place >= first + gap and instants[place - gap] > instant:
                instants[place], rows[place] = instants[place - gap], rows[place - gap]
                place -= gap
            instants[place], rows[place] = instant, row
        gap //= 3


@kernel(CODES, INTS, INTS, OUT_INTS, OUT_INTS, OUT_INTS)
def lay(codes: Any, clock: Any, begins: Any, at: Any, rows: Any, instants: Any) -> None:
    """The rows by code and by the clock, and their instants; rows of one instant in no order.

    ``begins`` is what `tally` gave, and ``at`` a copy of it, which is used up.
    """
    for row in range(len(codes)):
        code = codes[row]
        if code >= 0:
            rows[at[code]], instants[at[code]] = row, clock[row]
            at[code] += 1
    for code in range(len(begins) - 1):
        for place in range(begins[code] + 1, begins[code + 1]):
            if instants[place] < instants[place - 1]:
                _sort(instants, rows, begins[code], begins[code + 1])
                break
