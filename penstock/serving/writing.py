"""Answers as JSON, column by column: keys first, then features, each with its statuses and times.

NaN and infinities are the texts "NaN", "Infinity" and "-Infinity"; instants are seconds since 1970, with a fraction
where there is one. Times are RFC 3339.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import msgspec
import numpy as np

from penstock.online.answer import Online, Status
from penstock.schema import Dtype

_ENCODE = msgspec.json.Encoder(enc_hook=str).encode
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # served instants have no zone: they are UTC
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_FEW, _OFTEN = 8, 1000
_NULL = b"null"
_OPEN, _FIRST_OPEN = b',{"values":', b'{"results":[{"values":'
_STATUSES = tuple(f'"{status.name}"'.encode() for status in Status)


class _Metadata(msgspec.Struct, omit_defaults=True):
    feature_names: list[str]
    feature_view_metadata: list[dict[str, str]] = []


def written(
    online: Online, keys: Mapping[str, Sequence[object]], dtypes: Sequence[Dtype], views: tuple[str, ...] = ()
) -> tuple[bytes, list[int]]:
    """An answer as JSON, and how often each status is in it. ``dtypes`` are those of its features.

    ``views`` are told in the metadata.
    """
    pieces: list[bytes] = []
    for column in keys.values():
        pieces += _OPEN, _ENCODE(column), _sure(len(column))
    tallies = [0] * len(_STATUSES)
    for first, last in _runs(online):
        statuses = online.statuses[first]
        rest = _rest(statuses, online.times[first])
        pieces += _OPEN, _texts(online.values[first:last], dtypes[first:last], rest + _OPEN), rest
        _count(tallies, statuses, last - first)
    pieces[0] = _FIRST_OPEN
    names = (*keys, *online.names)
    metadata = (_kept_metadata if len(names) <= _OFTEN else _made_metadata)(names, views)
    return b"".join([*pieces, metadata]), tallies


def _made_metadata(names: tuple[str, ...], views: tuple[str, ...]) -> bytes:
    """The end of an answer, which is the same for all that are asked the same."""
    told = _Metadata(list(names), [{"name": name} for name in views])
    return b'],"metadata":%b}' % _ENCODE(told)


_kept_metadata = functools.lru_cache(128)(_made_metadata)


def _runs(online: Online) -> Sequence[tuple[int, int]]:
    """From where to where features have the same statuses and times, as those of one view often do."""
    statuses, times, count = online.statuses, online.times, len(online.names)
    if count and statuses.count(statuses[0]) == count and times.count(times[0]) == count:
        return ((0, count),)
    pairs = zip(pairwise(statuses), pairwise(times), strict=True)
    ends = [at for at, (its, when) in enumerate(pairs, 1) if its[0] != its[1] or when[0] != when[1]]
    return list(pairwise([0, *ends, count])) if count else []


def _count(tallies: list[int], statuses: Sequence[Status], columns: int) -> None:
    """Add up the statuses of columns that have the same."""
    for status in statuses[:1] if _is_one(statuses) else set(statuses):
        tallies[status] += statuses.count(status) * columns


def _is_one(statuses: Sequence[Status]) -> bool:
    """Whether all are the same, as they mostly are."""
    return bool(statuses) and statuses.count(statuses[0]) == len(statuses)


def _rest(statuses: Sequence[Status], times: Sequence[int | None]) -> bytes:
    """What follows the values of a column; what is the same for many columns is written once."""
    if len(statuses) == 1:
        return b',"statuses":[%b],"event_timestamps":[%b]}' % (_STATUSES[statuses[0]], _date(times[0] or 0))
    return b',"statuses":%b,"event_timestamps":%b}' % (_named(statuses), _dated(times))


def _sure(rows: int) -> bytes:
    """What follows the values of keys: they are there, and have no time."""
    return _kept_sure(rows) if rows <= _OFTEN else _made_sure(rows)


def _made_sure(rows: int) -> bytes:
    return _rest([Status.PRESENT] * rows, [None] * rows)


_kept_sure = functools.lru_cache(128)(_made_sure)


def _named(statuses: Sequence[Status]) -> bytes:
    texts = [_STATUSES[statuses[0]]] * len(statuses) if _is_one(statuses) else [_STATUSES[one] for one in statuses]
    return b"[%b]" % b",".join(texts)


# ---------------------------------------------------------------------------------------------------- values


_NUMBERS = frozenset((Dtype.INT, Dtype.FLOAT, Dtype.BOOL))
_LOOKED_AT = frozenset((Dtype.TIMESTAMP, Dtype.LIST, Dtype.OTHER))


def _texts(columns: Sequence[Sequence[Any]], dtypes: Sequence[Dtype], between: bytes) -> bytes:
    """The values of columns, with something between. Numbers are written together, and parted at commas or brackets.

    There are more of these where values are no numbers, as when definitions change between two looks at them.

    >>> _texts([[1, 2], [0.5, None]], [Dtype.INT, Dtype.FLOAT], b";"), _texts([[1], [2]], [Dtype.INT] * 2, b";")
    (b'[1,2];[0.5,null]', b'[1];[2]')
    >>> _texts([["],["]], [Dtype.STRING], b";")
    b'["],["]'
    """
    if _NUMBERS.issuperset(dtypes):
        if len(columns[0]) == 1:
            text = _ENCODE(list(chain.from_iterable(columns)))
            if text.find(_NULL) < 0 and text.count(b",") == len(columns) - 1:
                return text.replace(b",", b"]%b[" % between)
        else:
            text = _ENCODE(columns)
            parts = text[1:-1].replace(b"],[", b"]\n[").split(b"\n") if text.find(_NULL) < 0 else ()
            if len(parts) == len(columns):
                return between.join(parts)
    return between.join(map(_text, columns, dtypes))


def _text(column: Sequence[Any], dtype: Dtype) -> bytes:
    """The values of a column.

    >>> _text([0.5, None, float("nan")], Dtype.FLOAT)
    b'[0.5,null,"NaN"]'
    """
    text = b"" if dtype in _LOOKED_AT else _ENCODE(column)
    if not text or (dtype is Dtype.FLOAT and text.find(_NULL) >= 0):  # as NaN and infinities are written, too
        return _ENCODE([plain(value) for value in column])
    return text


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
