"""What text says: numbers, truth values and instants, decided on all values of a column and never on a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from penstock.inference.words import words
from penstock.lake.canonical import Canonical, finite
from penstock.lake.dates import DoubtError, compact_dates, read_dates
from penstock.schema import Dtype

NULL_WORDS = frozenset({
    "", "NA", "N/A", "n/a", "NULL", "null", "Null", "None", "none", "NaN", "nan", "NAN", "#N/A", r"\N", "-",
    "?", "inf", "-inf", "Inf", "-Inf", "Infinity", "-Infinity", "NaT", "0000-00-00", "0000-00-00 00:00:00",
})  # fmt: skip
"""What stands for NULL in a column of numbers, truth values or dates; in a column of text it is a text."""

_GLANCE = 64
INTEGER = r"^(?:0|-?[1-9][0-9]*)$"
FLOAT = r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
FRACTION = r"^-?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)(?:,[0-9]+)?$"
THOUSANDS = r"^-?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]+)?$"
COMMAS = (
    (FRACTION, r",[0-9]{1,2}$|,[0-9]{4,}$|\..*,|^-?0,", ".", ","),
    (THOUSANDS, r",.*,|,.*\.", ",", "."),
)
"""Numbers with commas: how all look, what one at least must show, what groups thousands, what begins the fraction."""
_TIME_WORDS = frozenset(
    {
        "at",
        "on",
        "time",
        "ts",
        "timestamp",
        "date",
        "datetime",
        "epoch",
        "utc",
        "when",
        "dt",
        "day",
        "created",
        "updated",
    }
)
_EPOCHS = (
    (10**8, 4 * 10**9, "seconds", 10**6),
    (10**11, 4 * 10**12, "milliseconds", 10**3),
    (10**14, 4 * 10**15, "microseconds", 1),
)
Reader = Callable[[pa.Array], "Canonical | None"]


def read_text(name: str, values: pa.ChunkedArray, *, numbers: bool) -> Canonical:
    """A text column as what all its texts say; text when they agree on nothing.

    Without ``numbers`` (the source has types of its own, and chose text) only instants are looked for.
    """
    texts = pc.unique(values).drop_null()
    if not len(texts):
        return Canonical(values, Dtype.STRING)
    trimmed = pc.utf8_trim_whitespace(texts)
    says = pc.invert(pc.is_in(trimmed, value_set=pa.array(sorted(NULL_WORDS))))
    texts, spoken = texts.filter(says), trimmed.filter(says)
    readers: list[Reader] = [_truth, _integer, _float, _with_commas] if numbers else []
    timely = says_time(name)
    try:
        found = _first(spoken, [*readers, lambda t: _date(t, timely=timely)]) if len(spoken) else None
    except DoubtError as doubt:
        return Canonical(values, Dtype.STRING, str(doubt))
    if found is None:
        return Canonical(values, Dtype.STRING)
    if found.dtype is Dtype.STRING:
        return Canonical(values, Dtype.STRING, found.note)
    read = found.values.combine_chunks() if isinstance(found.values, pa.ChunkedArray) else found.values
    placed = pc.take(read, pc.index_in(values, value_set=texts))
    return Canonical(placed, found.dtype, found.note)


def read_number(name: str, values: pa.ChunkedArray, *, timely: bool = False) -> Canonical | None:
    """Whole numbers as instants where the name (or ``timely``) says time and all are plausible dates; else None."""
    if not timely and not says_time(name):
        return None
    low, high = pc.min_max(values).as_py().values()
    if low is None:
        return None
    for least, most, unit, factor in _EPOCHS:
        if least <= low and high < most:
            instants = pc.cast(pc.multiply(values, factor), pa.timestamp("us"))
            return Canonical(instants, Dtype.TIMESTAMP, f"whole numbers read as {unit} since 1970")
    if low >= 19_000_101 and high <= 21_001_231:
        days = compact_dates(pc.cast(values, pa.string()).combine_chunks())
        if days is not None:
            return Canonical(pa.chunked_array([days]), Dtype.TIMESTAMP, "whole numbers read as dates (YYYYMMDD)")
    return None


def says_time(name: str) -> bool:
    """Whether a column's name speaks of time.

    >>> says_time("created_at"), says_time("amount")
    (True, False)
    """
    return bool(_TIME_WORDS & set(words(name)[-1:] + words(name)[:1]))


def _first(texts: pa.Array, readers: Iterable[Reader]) -> Canonical | None:
    """What the first reader that understands all texts makes of them; a glance at a few spares most of the work."""
    glance = texts.slice(0, _GLANCE)
    for reader in readers:
        if (len(glance) == len(texts) or reader(glance) is not None) and (found := reader(texts)) is not None:
            return found
    return None


def _all(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _truth(texts: pa.Array) -> Canonical | None:
    lower = pc.utf8_lower(texts)
    if len(texts) > 6 or not _all(lower, "^(?:true|false)$"):
        return None
    return Canonical(pc.equal(lower, "true"), Dtype.BOOL)


def _integer(texts: pa.Array) -> Canonical | None:
    if not _all(texts, INTEGER):
        return None
    try:
        return Canonical(pc.cast(texts, pa.int64()), Dtype.INT)
    except pa.ArrowInvalid:
        return Canonical(texts, Dtype.STRING, "whole numbers do not fit 64 bits: kept as text")


def _float(texts: pa.Array) -> Canonical | None:
    if not _all(texts, FLOAT):
        return None
    return Canonical(finite(pc.cast(texts, pa.float64())), Dtype.FLOAT)


def _with_commas(texts: pa.Array) -> Canonical | None:
    """Numbers in which a comma groups thousands or begins the fraction, if one of them shows which."""
    fitting = [form for form in COMMAS if _all(texts, form[0])]
    for _, telling, group, point in fitting:
        if pc.any(pc.match_substring_regex(texts, telling)).as_py():
            plain = pc.replace_substring(pc.replace_substring(texts, group, ""), point, ".")
            word = "decimal points" if point == "," else "grouping thousands"
            return Canonical(finite(pc.cast(plain, pa.float64())), Dtype.FLOAT, f"commas read as {word}")
    return Canonical(texts, Dtype.STRING, "a comma may mean thousands or decimals: kept as text") if fitting else None


def _date(texts: pa.Array, *, timely: bool) -> Canonical | None:
    found = read_dates(texts)
    if found is not None:
        return Canonical(found[0], Dtype.TIMESTAMP, found[1])
    days = compact_dates(texts) if timely else None
    return None if days is None else Canonical(days, Dtype.TIMESTAMP, "texts read as dates (YYYYMMDD)")
