"""Answers as JSON, column by column: keys first, then features, each with its statuses and times.

NaN and infinities are the texts "NaN", "Infinity" and "-Infinity"; instants are seconds since 1970, with a fraction
where there is one. Times are RFC 3339.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from penstock.online.answer import Online, Status
from penstock.schema import Dtype

_ENCODE = msgspec.json.Encoder(enc_hook=str).encode
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # served instants have no zone: they are UTC
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_FEW, _OFTEN = 8, 1000
_STATUSES = tuple(f'"{status.name}"'.encode() for status in Status)


class _Column(msgspec.Struct):
    """A column of an answer; what is the same in many columns is written once."""

    values: Sequence[object]
    statuses: msgspec.Raw
    event_timestamps: msgspec.Raw


class _Metadata(msgspec.Struct, omit_defaults=True):
    feature_names: list[str]
    feature_view_metadata: list[dict[str, str]] = []


class _Told(msgspec.Struct):
    results: list[_Column]
    metadata: _Metadata


def written(
    online: Online, keys: Mapping[str, Sequence[object]], spelt: Spelt, views: Sequence[str] = ()
) -> tuple[bytes, list[int]]:
    """An answer as JSON, and how often each status is in it. ``views`` are told in the metadata."""
    columns = [_Column(column, *_sure(len(column))) for column in keys.values()]
    tallies = [0] * len(Status)
    for run in _runs(online):
        statuses, times = online.statuses[run.start], online.times[run.start]
        texts = msgspec.Raw(_named(statuses)), msgspec.Raw(_dated(times))
        columns += [_Column(values, *texts) for values in online.values[run.start : run.stop]]
        _count(tallies, statuses, len(run))
    metadata = _Metadata([*keys, *online.names], [{"name": name} for name in views])
    return _encoded(_Told(columns, metadata), spelt), tallies


def _runs(online: Online) -> list[range]:
    """Features that follow one another and have the same statuses and times, as those of one view often do."""
    statuses, times, count = online.statuses, online.times, len(online.names)
    if count and statuses.count(statuses[0]) == count and times.count(times[0]) == count:
        return [range(count)]
    pairs = zip(pairwise(statuses), pairwise(times), strict=True)
    ends = [at for at, (its, when) in enumerate(pairs, 1) if its[0] != its[1] or when[0] != when[1]]
    return [range(first, last) for first, last in pairwise([0, *ends, count])] if count else []


def _count(tallies: list[int], statuses: Sequence[Status], columns: int) -> None:
    """Add up the statuses of columns that have the same."""
    for status in set(statuses):
        tallies[status] += statuses.count(status) * columns


def _sure(rows: int) -> tuple[msgspec.Raw, msgspec.Raw]:
    """The statuses and times of keys: they are there, and have no time."""
    return _kept_sure(rows) if rows <= _OFTEN else _made_sure(rows)


def _made_sure(rows: int) -> tuple[msgspec.Raw, msgspec.Raw]:
    return msgspec.Raw(_named([Status.PRESENT] * rows)), msgspec.Raw(_dated([None] * rows))


_kept_sure = functools.lru_cache(128)(_made_sure)


def _named(statuses: Sequence[Status]) -> bytes:
    return b"[" + b",".join([_STATUSES[status] for status in statuses]) + b"]"


# ---------------------------------------------------------------------------------------------------- values


_LOOKED_AT = (Dtype.TIMESTAMP, Dtype.LIST, Dtype.OTHER)


@dataclass(frozen=True)
class Spelt:
    """How many features there are; where those are whose values have to be looked at; and where floats are."""

    features: int
    always: tuple[int, ...]
    floats: tuple[int, ...]

    @classmethod
    def of(cls, dtypes: Sequence[Dtype]) -> Spelt:
        """For features of these dtypes."""
        always = tuple(place for place, dtype in enumerate(dtypes) if dtype in _LOOKED_AT)
        return cls(len(dtypes), always, tuple(place for place, dtype in enumerate(dtypes) if dtype is Dtype.FLOAT))


def _encoded(told: _Told, spelt: Spelt) -> bytes:
    """The answer; what is no number would be written as null, so that it is looked for first."""
    features = told.results[len(told.results) - spelt.features :]
    floats = [features[place] for place in spelt.floats]
    for column in (*(features[place] for place in spelt.always), *_odd(floats)):
        column.values = [plain(value) for value in column.values]
    return _ENCODE(told)


def _odd(columns: Sequence[_Column]) -> list[_Column]:
    """The columns of floats with NaN or an infinity among them: such a sum is none, either."""
    if _finite(column.values for column in columns):
        return []
    return [column for column in columns if not _finite([[value for value in column.values if value is not None]])]


def _finite(columns: Iterable[Sequence[Any]]) -> bool:
    """Whether floats add up to a number; not where there is a NULL."""
    try:
        return math.isfinite(sum(map(sum, columns)))
    except TypeError:
        return False


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
        return b"[" + b",".join([_date(time or 0) for time in times]) + b"]"
    micros = np.clip(np.array([time or 0 for time in times], np.int64), _FIRST, _LAST)
    return _ENCODE(micros.view("M8[us]").tolist())[:-2].replace(b'",', b'Z",') + b'Z"]'


@functools.lru_cache(4096)
def _date(micros: int) -> bytes:
    """An instant as RFC 3339.

    >>> _date(1_500_000)
    b'"1970-01-01T00:00:01.500000Z"'
    """
    when = _EPOCH + dt.timedelta(microseconds=min(max(micros, _FIRST), _LAST))
    return f'"{when.isoformat()}Z"'.encode()
