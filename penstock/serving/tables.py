"""Rows that requests carry as JSON columns, as an Arrow table of the dtypes that their view declares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain

import pyarrow as pa

from penstock.errors import RequestError
from penstock.features.views.bound import BoundView
from penstock.online.coercing import coerced
from penstock.schema import Dtype

EVENT, CREATED = "event_timestamp", "created"
_NO_INSTANT = "NaT"
_ARROW = {
    Dtype.INT: pa.int64(),
    Dtype.FLOAT: pa.float64(),
    Dtype.BOOL: pa.bool_(),
    Dtype.STRING: pa.string(),
    Dtype.TIMESTAMP: pa.timestamp("us", "UTC"),
}


def table(view: BoundView, columns: Mapping[str, Sequence[object]]) -> pa.Table:
    """The rows of a view: its keys, features, ``event_timestamp`` and ``created`` typed, other columns as they say.

    Raises ``RequestError`` for columns of several lengths, for values that are not what they should be
    (``PUSH_VALUE``), and where a key is missing.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise RequestError("PUSH_LENGTHS", f"the columns differ in length: {told}")
    if lacking := [name for name in view.entity.keys if name not in columns]:
        message = f"the rows have no {' and no '.join(lacking)}"
        raise RequestError("PUSH_KEY", message, name=lacking[0], candidates=columns)
    declared, items = _declared(view), {one.name: one.list_of for one in view.features if one.dtype is Dtype.LIST}
    return pa.table(
        {
            name: _lists(name, column, items[name] or Dtype.STRING)
            if name in items
            else _column(name, column, declared.get(name))
            for name, column in columns.items()
        }
    )


def _declared(view: BoundView) -> dict[str, Dtype]:
    features = {one.name: one.dtype for one in view.features}
    keys = dict(zip(view.entity.keys, view.entity.dtypes, strict=True))
    return {**features, EVENT: Dtype.TIMESTAMP, CREATED: Dtype.TIMESTAMP, **keys}


def _column(name: str, values: Sequence[object], dtype: Dtype | None) -> pa.Array:
    if dtype in _ARROW:
        given = instants(values) if dtype is Dtype.TIMESTAMP else values
        return pa.array(coerced(given, dtype, name, code="PUSH_VALUE"), _ARROW[dtype])
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        message = f"{name} cannot be a column: {' '.join(str(error).split())}"
        raise RequestError("PUSH_VALUE", message, name=name) from None


def _lists(name: str, values: Sequence[object], items: Dtype) -> pa.Array:
    """Lists, the items of all of them in their dtype; NULL and empty lists stay."""
    lists: list[list[object]] = []
    for place, value in enumerate(values):
        if value is not None and not isinstance(value, list):
            raise RequestError("PUSH_VALUE", f"{name}[{place}] is {str(value)[:40]!r}, which is no list", name=name)
        lists.append(value or [])
    inner = _column(f"{name}[…]", list(chain.from_iterable(lists)), items)
    offsets = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, inner, mask=pa.array([value is None for value in values], pa.bool_()))


def instants(values: Sequence[object]) -> list[object]:
    """JSON's numbers are seconds since 1970, as Feast's clients write them: in microseconds; others as they are.

    ``NaT`` is how clients write an instant that is NULL; seconds beyond all microseconds stay, and are refused as such.

    >>> instants([1, 0.5, "1970-01-02", "NaT", None])
    [1000000, 500000, '1970-01-02', None, None]
    """
    return list(map(_micros, values))


def _micros(value: object) -> object:
    if type(value) is int:
        return value * 1_000_000
    if type(value) is float:
        micros = value * 1_000_000
        return round(micros) if math.isfinite(micros) else micros
    return None if value == _NO_INSTANT else value
