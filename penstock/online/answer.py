"""What a store answers: a value, a status and a time for every feature of every entity asked about."""

from __future__ import annotations

from enum import IntEnum

import msgspec
import pyarrow as pa


class Status(IntEnum):
    """What there was to be said of a feature of an entity."""

    INVALID = 0
    PRESENT = 1
    NULL_VALUE = 2
    NOT_FOUND = 3
    OUTSIDE_MAX_AGE = 4

    __hash__ = int.__hash__


class Online(msgspec.Struct, frozen=True):
    """Values in the request's order: ``values[i][j]`` is feature ``names[i]`` of the j-th entity.

    Values are plain Python: int, float, bool, str, list, ``datetime`` (UTC, without a zone), None. ``times`` are
    microseconds since 1970: when the newest row that the value rests on happened; None where there is none. ``at`` is
    the instant of asking, ``kept`` until when the store had followed the lake (both in microseconds).
    """

    names: tuple[str, ...]
    values: list[list[object]]
    statuses: list[list[Status]]
    times: list[list[int | None]]
    at: int
    kept: int

    def to_dict(self) -> dict[str, list[object]]:
        """Each feature's values by its name."""
        return dict(zip(self.names, self.values, strict=True))

    def to_arrow(self) -> pa.Table:
        """The values as a table, a row an entity."""
        return pa.table({name: pa.array(column) for name, column in zip(self.names, self.values, strict=True)})
