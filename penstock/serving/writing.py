"""Answers as JSON, column by column: keys first, then features, each with its statuses and times.

NaN and infinities are the texts "NaN", "Infinity" and "-Infinity"; instants are seconds since 1970, with a fraction
where there is one. Times are RFC 3339.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from penstock.online.answer import Online, Status
from penstock.schema import Dtype

_ENCODE = msgspec.json.Encoder(enc_hook=str).encode
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # served instants have no zone: they are UTC
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_FEW, _OFTEN = 8, 1000
_STATUSES = {status: f'"{status.name}"'.encode() for status in Status}


def written(
    online: Online, keys: Mapping[str, Sequence[object]], dtypes: Sequence[Dtype], more: bytes = b""
) -> tuple[bytes, list[int]]:
    """An answer as JSON, and how often each status is in it. ``more`` follows the names in the metadata."""
    rows = len(online.values[0]) if online.values else 0
    parts = [b'{"results":[']
    for column in keys.values():
        parts += [b'{"values":', _values(column, Dtype.OTHER), _sure(len(column)), b","]
    tallies, tail = [0] * len(Status), b""
    statuses: Sequence[Status] | None = None
    times: Sequence[int | None] | None = None
    for column, its, when, dtype in zip(online.values, online.statuses, online.times, dtypes, strict=True):
        if its != statuses or when != times:
            statuses, times = its, when
            tail = b"".join((b',"statuses":[', _named(its), b'],"event_timestamps":[', _dated(when), b"]},"))
        parts += [b'{"values":', _values(column, dtype), tail]
        _count(tallies, its, rows)
    parts[-1] = parts[-1].rstrip(b",")
    names = _ENCODE([*keys, *online.names])
    parts += [b'],"metadata":{"feature_names":', names, more, b"}}"]
    return b"".join(parts), tallies


def _count(tallies: list[int], statuses: Sequence[Status], rows: int) -> None:
    if rows and statuses.count(statuses[0]) == rows:
        tallies[statuses[0]] += rows
    else:
        for status in statuses:
            tallies[status] += 1


def _sure(rows: int) -> bytes:
    """What follows the values of keys: they are there, and have no time."""
    return _kept_sure(rows) if rows <= _OFTEN else _made_sure(rows)


def _made_sure(rows: int) -> bytes:
    present = ",".join(['"PRESENT"'] * rows)
    times = ",".join(['"1970-01-01T00:00:00Z"'] * rows)
    return f',"statuses":[{present}],"event_timestamps":[{times}]}}'.encode()


_kept_sure = functools.lru_cache(128)(_made_sure)


def _named(statuses: Sequence[Status]) -> bytes:
    return b",".join([_STATUSES[status] for status in statuses])


# ---------------------------------------------------------------------------------------------------- values


def _values(column: Sequence[object], dtype: Dtype) -> bytes:
    if dtype is Dtype.TIMESTAMP:
        return _ENCODE([plain(value) for value in column])
    text = _ENCODE(column)
    # what is no number is written as null: look again where there is one
    return text if b"null" not in text and dtype is not Dtype.LIST else _ENCODE([plain(value) for value in column])


def plain(value: Any) -> Any:
    """A value as JSON can say it.

    >>> plain(float("nan")), plain([1.5, float("-inf")]), plain(dt.datetime(1970, 1, 2)), plain(None)
    ('NaN', [1.5, '-Infinity'], 86400, None)
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    if isinstance(value, dt.datetime):
        micros = (value.replace(tzinfo=None) - _EPOCH) // dt.timedelta(microseconds=1)
        return micros // 1_000_000 if micros % 1_000_000 == 0 else micros / 1_000_000
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


# ---------------------------------------------------------------------------------------------------- times


def _dated(times: Sequence[int | None]) -> bytes:
    if len(times) <= _FEW:
        return b",".join([_date(time or 0) for time in times])
    micros = np.clip(np.array([time or 0 for time in times], np.int64), _FIRST, _LAST)
    return _ENCODE(micros.view("M8[us]").tolist())[1:-1].replace(b'",', b'Z",')[:-1] + b'Z"'


@functools.lru_cache(4096)
def _date(micros: int) -> bytes:
    """An instant as RFC 3339.

    >>> _date(1_500_000)
    b'"1970-01-01T00:00:01.500000Z"'
    """
    when = _EPOCH + dt.timedelta(microseconds=min(max(micros, _FIRST), _LAST))
    return f'"{when.isoformat()}Z"'.encode()
