"""Values put into a known type, vectorised: the good ones come through, the others are found and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.dates import instants, iso_instants
from penstock.lake.jsonlines import told
from penstock.lake.landing.facts import Manner
from penstock.lake.landing.plain import plain_floats, plain_wholes
from penstock.lake.reading import COMMAS, FLOAT, NULL_WORDS
from penstock.lake.versioned.stored import stored, stored_type

Bad = npt.NDArray[np.bool_]
_NULLS = pa.array(sorted(NULL_WORDS))
_TRUE, _FALSE = pa.array(["true", "t", "yes", "y", "1"]), pa.array(["false", "f", "no", "n", "0"])


@dataclass(frozen=True, slots=True)
class Fitted:
    """Values in their type, and which of them did not fit (None: all did); those are NULL."""

    values: pa.Array
    bad: Bad | None = None
    nulls: int = 0


def fitted(values: pa.Array, kind: pa.DataType, manner: Manner) -> Fitted:
    """Values of any type in ``kind``, one that lake tables keep. Nothing that is not NULL becomes NULL unsaid."""
    if pa.types.is_dictionary(values.type):
        values = stored(pa.chunked_array([values]), stored_type(values.type)).combine_chunks()
    if _is_text(values.type) and not _is_text(kind):
        return _read(pc.cast(values, pa.string()), kind, manner)
    if values.type == kind:
        plain, nulls = _finite(values) if pa.types.is_floating(kind) else (values, 0)
        return Fitted(plain, nulls=nulls)
    if pa.types.is_nested(values.type) and not pa.types.is_list(kind):
        return _as_json(values, kind)
    if pa.types.is_list(kind) and _is_text(kind.value_type) and _is_list_of_nested(values.type):
        return Fitted(pa.array([v if v is None else list(map(_item, v)) for v in values.to_pylist()], kind))
    if not _akin(values.type, kind):
        return _none_of(values, kind)
    return _converted(values, kind)


def what_is(kind: pa.DataType) -> str:
    """A type in words, for a value that is none.

    >>> what_is(pa.int64()), what_is(pa.date32())
    ('whole number', 'date')
    """
    for test, word in _WORDS:
        if test(kind):
            return word
    return str(kind)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


_WORDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_boolean, "truth value"),
    (pa.types.is_integer, "whole number"),
    (_is_number, "number"),
    (pa.types.is_timestamp, "instant"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time of day"),
    (pa.types.is_list, "list"),
)


def _akin(given: pa.DataType, kind: pa.DataType) -> bool:
    """Whether values of one type can mean the same in the other: a number is no instant, though Arrow casts it."""
    if pa.types.is_null(given) or stored_type(given) == kind:
        return True
    if _is_text(kind):
        return not (pa.types.is_nested(given) or pa.types.is_binary(given) or pa.types.is_large_binary(given))
    alike: tuple[Callable[[pa.DataType], bool], ...] = (_is_number, _is_moment, pa.types.is_list, pa.types.is_time)
    return any(test(stored_type(given)) and test(kind) for test in alike)


def _is_list_of_nested(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType) and bool(pa.types.is_nested(kind.value_type))


def _item(value: object) -> str | None:
    return None if value is None else told(value)


def _as_json(values: pa.Array, kind: pa.DataType) -> Fitted:
    """Objects and lists as JSON, where text is wanted."""
    if not _is_text(kind):
        return _none_of(values, kind)
    return Fitted(pa.array([None if value is None else told(value) for value in values.to_pylist()], kind))


def _none_of(values: pa.Array, kind: pa.DataType) -> Fitted:
    bad = values.is_valid().to_numpy(zero_copy_only=False)
    return Fitted(pa.nulls(len(values), kind), bad if bad.any() else None)


def _finite(values: pa.Array) -> tuple[pa.Array, int]:
    """The numbers with NaN and the infinities as NULL, and how many those are."""
    usable = pc.is_finite(values)
    if pc.all(usable).as_py() is not False:
        return values, 0
    return pc.if_else(usable, values, pa.scalar(None, values.type)), pc.sum(pc.invert(usable)).as_py()


def _converted(values: pa.Array, kind: pa.DataType) -> Fitted:
    plain, nulls = _finite(values) if pa.types.is_floating(values.type) else (values, 0)
    try:
        return Fitted(_stored(plain, kind), nulls=nulls)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return _halves(values, kind)


def _halves(values: pa.Array, kind: pa.DataType) -> Fitted:
    """The misfits among values, found by halving what does not fit as a whole."""
    if len(values) == 1:
        return Fitted(pa.nulls(1, kind), np.ones(1, bool))
    middle = len(values) // 2
    parts = [_converted(values.slice(0, middle), kind), _converted(values.slice(middle), kind)]
    bad = [part.bad if part.bad is not None else np.zeros(len(part.values), bool) for part in parts]
    nulls = sum(part.nulls for part in parts)
    return Fitted(pa.concat_arrays([part.values for part in parts]), np.concatenate(bad), nulls)


def _stored(values: pa.Array, kind: pa.DataType) -> pa.Array:
    found = stored(pa.chunked_array([values]), kind)
    if pa.types.is_floating(kind) and pa.types.is_floating(values.type) and _finite(found)[1] > _finite(values)[1]:
        raise pa.ArrowInvalid("a number is too large")
    if pa.types.is_date(kind) and pa.types.is_timestamp(values.type):
        midnight = pc.cast(pc.cast(found, pa.timestamp("us")), pa.int64())
        if not midnight.equals(pc.cast(stored(pa.chunked_array([values]), pa.timestamp("us")), pa.int64())):
            raise pa.ArrowInvalid("a time of day would be lost")
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


# ---------------------------------------------------------------- texts


def _read(texts: pa.Array, kind: pa.DataType, manner: Manner) -> Fitted:
    """Texts as what they say."""
    if manner.comma != "fraction":
        quick = _quick(texts, kind)
        if quick is not None:
            return Fitted(quick)
    trimmed = pc.utf8_trim_whitespace(texts)
    null = pc.or_(pc.is_null(trimmed), pc.is_in(trimmed, value_set=_NULLS)).to_numpy(zero_copy_only=False)
    spoken = trimmed.filter(pa.array(~null)).dictionary_encode()
    values, bad = _reader(kind)(spoken.dictionary, kind, manner)
    values, bad = pc.take(values, spoken.indices), bad[spoken.indices.to_numpy()]
    places = np.cumsum(~null) - 1
    whole = pc.take(values, pa.array(places, mask=null)) if len(values) else pa.nulls(len(texts), kind)
    misfit = np.zeros(len(texts), bool)
    misfit[~null] = bad
    return Fitted(whole, misfit if misfit.any() else None, int(null.sum()) - texts.null_count)


def _quick(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        if pa.types.is_integer(kind):
            read = plain_wholes(texts)
        elif pa.types.is_floating(kind):
            read = plain_floats(texts)
        elif pa.types.is_timestamp(kind):
            read = iso_instants(texts)
        else:
            return None
        return None if read is None else _stored(read, kind)
    except pa.ArrowInvalid:
        return None


Read = Callable[[pa.Array, pa.DataType, Manner], tuple[pa.Array, Bad]]


def _reader(kind: pa.DataType) -> Read:
    for test, reader in _READERS:
        if test(kind):
            return reader
    return lambda texts, kind, manner: _cast_each(texts, kind)


def _numbers(texts: pa.Array, kind: pa.DataType, manner: Manner) -> tuple[pa.Array, Bad]:
    plain = _without_commas(texts, manner.comma)
    good = pc.match_substring_regex(plain, FLOAT)
    if pa.types.is_integer(kind):
        plain = pc.replace_substring_regex(plain, r"\.0*$", "")
    return _cast_each(pc.if_else(good, plain, pa.scalar(None, pa.string())), kind)


def _without_commas(texts: pa.Array, comma: str) -> pa.Array:
    """Numbers as programs write them; NULL for what may mean two things."""
    if comma:
        pattern, _, group, point = COMMAS[0 if comma == "fraction" else 1]
        fits = pc.match_substring_regex(texts, pattern)
        plain = pc.replace_substring(pc.replace_substring(texts, group, ""), point, ".")
        return pc.if_else(fits, plain, pa.scalar(None, pa.string()))
    return texts


def _cast_each(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Bad]:
    """Texts cast one by one where they do not all fit; NULL is a misfit."""
    found = _converted(texts, kind).values if len(texts) else pa.array([], kind)
    values = _finite(found)[0] if pa.types.is_floating(kind) else found
    return values, pc.is_null(values).to_numpy(zero_copy_only=False)


def _truths(texts: pa.Array) -> tuple[pa.Array, Bad]:
    lower = pc.utf8_lower(texts)
    true, false = pc.is_in(lower, value_set=_TRUE), pc.is_in(lower, value_set=_FALSE)
    known = pc.or_(true, false)
    values = pc.if_else(known, true, pa.scalar(None, pa.bool_()))
    return values, pc.invert(known).to_numpy(zero_copy_only=False)


def _moments(texts: pa.Array, kind: pa.DataType, manner: Manner) -> tuple[pa.Array, Bad]:
    values, bad = instants(texts, day_first=manner.day_first)
    if pa.types.is_timestamp(kind):
        return values, bad
    days = _converted(values, kind)
    return days.values, bad if days.bad is None else bad | days.bad


def _times(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Bad]:
    """Times of day, as they follow a date."""
    micros, bad = instants(pc.binary_join_element_wise("1970-01-01", texts, " "), day_first=True)
    alone = pc.match_substring_regex(texts, r"^[0-9]{1,2}:[0-9:.,]*(?: ?[AaPp]\.?[Mm]\.?)?$").to_numpy(
        zero_copy_only=False
    )
    bad = bad | ~alone
    return pc.cast(pc.if_else(pa.array(bad), pa.scalar(None, pa.int64()), pc.cast(micros, pa.int64())), kind), bad


def _lists(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Bad]:
    """JSON arrays."""
    found = [_one_list(text, kind) for text in texts.to_pylist()]
    return pa.array(found, kind), np.array([value is None for value in found], bool)


def _one_list(text: str, kind: pa.DataType) -> list[object] | None:
    try:
        return pa.array([json.loads(text)], kind)[0].as_py()  # type: ignore[no-any-return]
    except (ValueError, TypeError, RecursionError, pa.ArrowException):
        return None


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Read], ...] = (
    (pa.types.is_boolean, lambda texts, kind, manner: _truths(texts)),
    (_is_number, _numbers),
    (_is_moment, _moments),
    (pa.types.is_time, lambda texts, kind, manner: _times(texts, kind)),
    (pa.types.is_list, lambda texts, kind, manner: _lists(texts, kind)),
)
