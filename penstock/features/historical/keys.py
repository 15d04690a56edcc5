"""Values from outside in the dtype that is declared: the same value or a refusal, never another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import ARROW
from penstock.errors import RequestError
from penstock.features.historical.spine import found, plain
from penstock.features.views.bound import BoundEntity
from penstock.features.views.entities import composed
from penstock.lake.canonical import canonical, items_of, listed
from penstock.schema import Dtype
from penstock.window import instant

_NUMBER = r"^(-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity)$"
"""How a number is written in a request, whether the past is asked or the store."""


def entities(spine: pa.Table, entity: BoundEntity) -> pa.Array:
    """The entity of each row, as the key of the entity's table says it; NULL where a part of its key is NULL.

    Raises ``RequestError`` for a column that is not there (``SPINE_COLUMN``) or that cannot be a key (``SPINE_VALUE``).
    """
    why = f", which names the {entity.name}"
    parts = [
        coerced(spine[found(spine, name, why)], dtype, name)
        for name, dtype in zip(entity.keys, entity.dtypes, strict=True)
    ]
    return composed(parts) if entity.composed else parts[0]


def coerced(column: pa.ChunkedArray, dtype: Dtype, name: str) -> pa.Array:
    """A column's values in a dtype; ``name`` is for messages.

    Whole numbers may be written as fractions or as texts that say exactly that number, fractions as whole numbers that
    a fraction can be, or as decimal texts (it is the nearest to those); instants as dates or texts. NaN and infinities
    are NULL, also as the texts ``NaN``, ``Infinity`` and ``-Infinity``. Lists are as they are. Everything else is
    refused: ``SPINE_VALUE``.

    >>> coerced(pa.chunked_array([["7", None]]), Dtype.INT, "id").to_pylist()
    [7, None]
    """
    items = items_of(column.type)
    if dtype is Dtype.LIST and items is not None:
        return _whole(listed(column, items))
    values = canonical(plain(column))
    if values.values.null_count == len(values.values):
        return pa.nulls(len(values.values), ARROW[dtype])
    way = _WAYS.get((values.dtype, dtype), _refused)
    try:
        return _whole(way(values.values))
    except (pa.ArrowException, RequestError) as error:
        told = getattr(error, "message", str(error)) or f"it holds {values.dtype}"
        message = f"{name} of the spine is {column.type} and cannot be {dtype}: {told}"
        raise RequestError("SPINE_VALUE", message, name=name, hint=f"Give it as {dtype}.") from error


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _same(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values


def _refused(_values: pa.ChunkedArray) -> pa.ChunkedArray:
    raise pa.ArrowInvalid("no value of the one is a value of the other")


def _whole_number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = texts.cast(pa.int64())
    exact = pc.equal(numbers.cast(pa.string()), texts)
    if pc.all(exact).as_py() is False:
        other = texts.filter(pc.invert(exact))[0].as_py()
        raise pa.ArrowInvalid(f"{other!r} is not how a whole number is written")
    return numbers


def _number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    told = pc.match_substring_regex(texts, _NUMBER)
    if pc.all(told).as_py() is False:
        other = texts.filter(pc.invert(told))[0].as_py()
        raise pa.ArrowInvalid(f"{other!r} is not how a number is written")
    return canonical(texts.cast(pa.float64())).values


def _moment(texts: pa.ChunkedArray) -> pa.Array:
    told = texts.combine_chunks().dictionary_encode()
    read = pa.array([instant(text) for text in told.dictionary.to_pylist()], pa.int64())
    return read.take(told.indices).cast(pa.timestamp("us"))


_WAYS: Mapping[tuple[Dtype, Dtype], Callable[[pa.ChunkedArray], pa.ChunkedArray | pa.Array]] = {
    **{(dtype, dtype): _same for dtype in Dtype if dtype is not Dtype.OTHER},
    (Dtype.INT, Dtype.FLOAT): lambda values: values.cast(pa.float64()),
    (Dtype.FLOAT, Dtype.INT): lambda values: values.cast(pa.int64()),
    (Dtype.STRING, Dtype.INT): _whole_number,
    (Dtype.STRING, Dtype.FLOAT): _number,
    (Dtype.STRING, Dtype.TIMESTAMP): _moment,
}
"""How values of one dtype are told in another without becoming others."""


__all__ = ["coerced", "entities"]
