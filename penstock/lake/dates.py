"""Dates and times as people write them, read as instants in UTC; a date without a zone is taken as UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
_FARTHEST = 18 * 60

Ints = npt.NDArray[np.int64]


class DoubtError(Exception):
    """Texts that look like dates but cannot be read as such without guessing; its text says why."""


@dataclass(frozen=True, slots=True)
class DateFacts:
    """What texts that may be dates show: it can be gathered piece by piece and `merged`.

    ``dates`` of them have a known form, ``others`` (such as ``other``) none. Where a day and a month stand as numbers
    before the year, ``first`` and ``second`` are the highest of each with an example, ``doubtful`` an example with
    neither past twelve and ``undotted`` whether any is written without points. ``wrong`` and, where it depends on the
    order, ``wrong_by_order`` are texts that are no real day or time.
    """

    dates: int = 0
    others: int = 0
    other: str = ""
    first: tuple[int, str] = (0, "")
    second: tuple[int, str] = (0, "")
    doubtful: str = ""
    undotted: bool = False
    wrong: str = ""
    wrong_by_order: tuple[str, str] = ("", "")

    def merged(self, more: DateFacts) -> DateFacts:
        """The facts of both sets of texts."""
        return DateFacts(
            self.dates + more.dates,
            self.others + more.others,
            self.other or more.other,
            self.first if self.first[0] >= more.first[0] else more.first,
            self.second if self.second[0] >= more.second[0] else more.second,
            self.doubtful or more.doubtful,
            self.undotted or more.undotted,
            self.wrong or more.wrong,
            (self.wrong_by_order[0] or more.wrong_by_order[0], self.wrong_by_order[1] or more.wrong_by_order[1]),
        )

    def order(self) -> tuple[bool, str]:
        """Whether the day comes before the month, and a note. Raises ``DoubtError`` where that cannot be told."""
        (first, first_text), (second, second_text) = self.first, self.second
        if first > 12 and second > 12:
            raise DoubtError("holds dates with day and month in both orders: kept as text")
        if first > 12 or (first and not self.undotted and second <= 12):
            return True, f"dates read with the day first ({first_text})"
        if second > 12:
            return False, f"dates read with the month first ({second_text})"
        if first:
            raise DoubtError(
                f"holds dates such as {self.doubtful!r} that may mean day/month or month/day: kept as text"
            )
        return True, ""

    def settled(self, day_first: bool | None = None) -> tuple[bool, str] | None:
        """The `order` of texts that are all dates (``day_first`` settles it); None if they are not all.

        Raises ``DoubtError`` where a few of many are not, or the order cannot be told.
        """
        if not self.dates or self.dates <= _NEARLY_ALL * (self.dates + self.others):
            return None
        wrong = self.other or self.wrong
        if wrong:
            raise DoubtError(f"holds dates, but {wrong!r} is none: kept as text")
        day_first, note = self.order() if day_first is None else (day_first, "")
        wrong = self.wrong_by_order[0 if day_first else 1]
        if wrong:
            raise DoubtError(f"holds dates, but {wrong!r} is none: kept as text")
        return day_first, note


def read_dates(texts: pa.Array) -> tuple[pa.Array, str] | None:
    """Instants (timestamp[us], UTC) for texts that are all dates, each in any known form; None if they are not.

    Raises ``DoubtError`` where it cannot be told whether day or month comes first, or where a few texts among dates
    are no date.
    """
    quick = iso_instants(texts)
    if quick is not None:
        return quick, ""
    settled = date_facts(texts).settled()
    return None if settled is None else (instants(texts, day_first=settled[0])[0], settled[1])


def date_facts(texts: pa.Array) -> DateFacts:
    """What texts (without NULLs) show of dates."""
    if not len(texts) or iso_instants(texts) is not None:
        return DateFacts(dates=len(texts))
    facts = DateFacts()
    for pattern, part in _by_form(texts):
        facts = facts.merged(
            DateFacts(others=len(part), other=part[0].as_py()) if not pattern else _shown(part, pattern)
        )
    return facts


def instants(texts: pa.Array, *, day_first: bool | None) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Instants (timestamp[us]) of texts without NULLs, and which are none (NULL among the instants).

    Without knowing whether the ``day_first``, dates that may mean two days are none.
    """
    quick = iso_instants(texts)
    if quick is not None:
        return quick, np.zeros(len(texts), bool)
    micros, bad = np.zeros(len(texts), np.int64), np.ones(len(texts), bool)
    places = np.arange(len(texts))
    for pattern, part, at in _by_form_placed(texts, places):
        if pattern:
            parts = _parts(part, pattern)
            micros[at], bad[at] = _assembled(parts, *_day_and_month(parts, day_first=day_first))
    return pa.array(micros, mask=bad).cast(pa.timestamp("us")), bad


def _by_form(texts: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    return ((pattern, part) for pattern, part, _ in _by_form_placed(texts, np.arange(len(texts))))


def _by_form_placed(texts: pa.Array, places: Ints) -> Iterator[tuple[str, pa.Array, Ints]]:
    """The texts of each form with their places; those of no form come last, with an empty pattern."""
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _DAY_NAME, _NAME_DAY):
        matched = pc.match_substring_regex(texts, pattern)
        if pc.any(matched).as_py():
            yield pattern, texts.filter(matched), places[matched.to_numpy(zero_copy_only=False)]
            rest = pc.invert(matched)
            texts, places = texts.filter(rest), places[rest.to_numpy(zero_copy_only=False)]
        if not len(texts):
            return
    yield "", texts, places


def _shown(texts: pa.Array, pattern: str) -> DateFacts:
    """The facts of texts that all have one form."""
    parts = _parts(texts, pattern)
    if "one" not in parts:
        wrong = _assembled(parts, *_day_and_month(parts, day_first=None))[1]
        return DateFacts(dates=len(texts), wrong=_example(texts, wrong))
    one, two = _ints(parts["one"]), _ints(parts["two"])
    day_first, month_first = (
        _example(texts, _assembled(parts, *_day_and_month(parts, day_first=order))[1]) for order in (True, False)
    )
    return DateFacts(
        dates=len(texts),
        first=(int(one.max()), texts[int(one.argmax())].as_py()),
        second=(int(two.max()), texts[int(two.argmax())].as_py()),
        doubtful=_example(texts, (one <= 12) & (two <= 12)),
        undotted=not pc.all(pc.match_substring_regex(texts, r"^[0-9]+\.[0-9]+\.")).as_py(),
        wrong_by_order=(day_first, month_first),
    )


def _example(texts: pa.Array, where: npt.NDArray[np.bool_]) -> str:
    return str(texts[int(np.argmax(where))]) if where.any() else ""


def compact_dates(texts: pa.Array) -> pa.Array | None:
    """Dates written YYYYMMDD; None unless all are real days."""
    matched = pc.match_substring_regex(texts, _COMPACT)
    if not pc.all(matched).as_py():
        return None
    parts = _parts(texts, _COMPACT)
    micros, wrong = _assembled(parts, *_day_and_month(parts, day_first=None))
    return None if wrong.any() else pa.array(micros).cast(pa.timestamp("us"))


def iso_instants(texts: pa.Array) -> pa.Array | None:
    """The quick way for what Arrow reads itself: all without a zone, or all with one; None for all else."""
    first = next((text for text in texts.slice(0, 100).to_pylist() if text is not None), "")
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}|$)", first):
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


def _assembled(parts: Mapping[str, pa.Array], day: Ints, month: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Microseconds since 1970, and which are no real day or time."""
    year = _full_year(parts["year"])
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    micros, wrong = _clock(parts)
    wrong |= (month < 1) | (month > 12) | (day < 1) | (days.astype("datetime64[M]") != months)
    return days.astype("datetime64[us]").astype(np.int64) + micros, wrong


def _day_and_month(parts: Mapping[str, pa.Array], *, day_first: bool | None) -> tuple[Ints, Ints]:
    """Days and months; month 0 where they cannot be told apart."""
    if "name" in parts:
        lower = pc.utf8_slice_codeunits(pc.utf8_lower(parts["name"]), 0, 3)
        return _ints(parts["day"]), _ints(pc.index_in(lower, value_set=pa.array(_MONTHS)), -1) + 1
    if "month" in parts:
        return _ints(parts["day"]), _ints(parts["month"])
    one, two = _ints(parts["one"]), _ints(parts["two"])
    if day_first is None:
        month = np.where(one > 12, two, np.where(two > 12, one, np.where(one == two, one, 0)))
        return np.where(one > 12, one, two), month
    return (one, two) if day_first else (two, one)


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
    offset = _offset(parts["zone"])
    return micros - offset * 60_000_000, wrong | (abs(offset) > _FARTHEST)


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
