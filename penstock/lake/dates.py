"""Dates and times as people write them, read as instants in UTC; a date without a zone is taken as UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_CLOCK = (
    r"(?:(?:[Tt]|,? +)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp]\.?[Mm]\.?))?(?: ?(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)
_YEAR_FIRST = r"^(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})" + _CLOCK
_YEAR_LAST = r"^(?P<one>[0-9]{1,2})[-/.](?P<two>[0-9]{1,2})[-/.](?P<year>[0-9]{4}|[0-9]{2})" + _CLOCK
_DAY_NAME = (
    r"^(?:[A-Za-z]{3,9},? +)?(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?[ -](?P<name>[A-Za-z]{3,9})\.?,?[ -]"
    r"(?P<year>[0-9]{4}|[0-9]{2})" + _CLOCK
)
_NAME_DAY = (
    r"^(?:[A-Za-z]{3,9},? +)?(?P<name>[A-Za-z]{3,9})\.? (?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<year>[0-9]{4})"
    + _CLOCK
)
_COMPACT = r"^(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})$"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CENTURY_TURNS = 70
_NEARLY_ALL = 0.9

Ints = npt.NDArray[np.int64]


class DoubtError(Exception):
    """Texts that look like dates but cannot be read as such without guessing; its text says why."""


def read_dates(texts: pa.Array) -> tuple[pa.Array, str] | None:
    """Instants (timestamp[us], UTC) for texts that are all dates of one form, and a note; None if they are not.

    Raises ``DoubtError`` where it cannot be told whether day or month comes first, or where a few texts among dates
    are no date.
    """
    quick = _iso(texts)
    if quick is not None:
        return quick, ""
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _DAY_NAME, _NAME_DAY):
        matched = pc.match_substring_regex(texts, pattern)
        share = pc.mean(pc.cast(matched, pa.float64())).as_py()
        if share == 1.0:
            return _assembled(texts, _parts(texts, pattern))
        if share > _NEARLY_ALL:
            raise DoubtError(
                f"holds dates, but {pc.filter(texts, pc.invert(matched))[0].as_py()!r} is none: kept as text"
            )
    return None


def compact_dates(texts: pa.Array) -> pa.Array | None:
    """Dates written YYYYMMDD; None unless all are real days."""
    matched = pc.match_substring_regex(texts, _COMPACT)
    if not pc.all(matched).as_py():
        return None
    try:
        return _assembled(texts, _parts(texts, _COMPACT))[0]
    except DoubtError:
        return None


def _iso(texts: pa.Array) -> pa.Array | None:
    """The quick way for what Arrow reads itself: all without a zone, or all with one."""
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|$)", texts[0].as_py()):
        return None
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pc.cast(pc.cast(texts, kind), pa.timestamp("us"))
        except pa.ArrowInvalid:
            continue
    return None


def _parts(texts: pa.Array, pattern: str) -> dict[str, pa.Array]:
    found = pc.extract_regex(texts, pattern)
    return {field.name: pc.struct_field(found, [at]) for at, field in enumerate(found.type)}


def _assembled(texts: pa.Array, parts: Mapping[str, pa.Array]) -> tuple[pa.Array, str]:
    note, day, month = _day_and_month(texts, parts)
    year = _full_year(parts["year"])
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    micros, wrong = _clock(parts)
    wrong |= (month < 1) | (month > 12) | (day < 1) | (days.astype("datetime64[M]") != months)
    if wrong.any():
        raise DoubtError(f"holds dates, but {texts[int(np.argmax(wrong))].as_py()!r} is none: kept as text")
    instants = days.astype("datetime64[us]").astype(np.int64) + micros
    return pa.array(instants).cast(pa.timestamp("us")), note


def _day_and_month(texts: pa.Array, parts: Mapping[str, pa.Array]) -> tuple[str, Ints, Ints]:
    if "name" in parts:
        lower = pc.utf8_slice_codeunits(pc.utf8_lower(parts["name"]), 0, 3)
        return "", _ints(parts["day"]), _ints(pc.index_in(lower, value_set=pa.array(_MONTHS)), -1) + 1
    if "month" in parts:
        return "", _ints(parts["day"]), _ints(parts["month"])
    one, two = _ints(parts["one"]), _ints(parts["two"])
    if one.max() > 12 and two.max() > 12:
        raise DoubtError("holds dates with day and month in both orders: kept as text")
    dotted = bool(pc.all(pc.match_substring_regex(texts, r"^[0-9]+\.[0-9]+\.")).as_py())
    if one.max() > 12 or (dotted and two.max() <= 12):
        return f"dates read with the day first ({texts[int(one.argmax())].as_py()})", one, two
    if two.max() > 12:
        return f"dates read with the month first ({texts[int(two.argmax())].as_py()})", two, one
    raise DoubtError(f"holds dates such as {texts[0].as_py()!r} that may mean day/month or month/day: kept as text")


def _full_year(years: pa.Array) -> Ints:
    year, short = _ints(years), pc.less(pc.utf8_length(years), 4).to_numpy(zero_copy_only=False)
    return np.where(short, year + np.where(year < _CENTURY_TURNS, 2000, 1900), year)


def _clock(parts: Mapping[str, pa.Array]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Microseconds since midnight UTC of the day, and where the time of day is impossible."""
    if "hour" not in parts:
        zeros = np.zeros(len(parts["year"]), np.int64)
        return zeros, zeros.astype(bool)
    hour, minute, second = (_ints(parts[name]) for name in ("hour", "minute", "second"))
    half = pc.utf8_slice_codeunits(pc.utf8_lower(parts["half"]), 0, 1).to_numpy(zero_copy_only=False)
    hour = np.where(half == "p", hour % 12 + 12, np.where(half == "a", hour % 12, hour))
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(parts["fraction"], 6, "0"), 0, 6)
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + _ints(padded)
    wrong = (hour > 23) | (minute > 59) | (second > 59)
    return micros - _offset(parts["zone"]) * 60_000_000, wrong


def _offset(zone: pa.Array) -> Ints:
    """Minutes ahead of UTC."""
    digits = pc.replace_substring_regex(zone, "[^0-9]", "")
    hours, minutes = pc.utf8_slice_codeunits(digits, 0, 2), pc.utf8_slice_codeunits(digits, 2, 4)
    west = pc.fill_null(pc.starts_with(zone, "-"), False).to_numpy(zero_copy_only=False)
    ahead: Ints = np.where(west, -1, 1) * (_ints(hours) * 60 + _ints(minutes))
    return ahead


def _ints(texts: pa.Array, absent: int = 0) -> Ints:
    """Numbers of texts of digits; ``absent`` where there is none."""
    if pa.types.is_string(texts.type):
        texts = pc.cast(pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts), pa.int64())
    found: Ints = pc.fill_null(texts, absent).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
