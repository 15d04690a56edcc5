"""How a project's own Python file says that a function makes a table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import pyarrow as pa

Function: TypeAlias = Callable[..., pa.Table]
_F = TypeVar("_F", bound=Function)
_MARK = "__penstock_table__"


@dataclass(frozen=True)
class Declared:
    """What `table` was told of a function: the roles of its columns, what it reads, what it gives."""

    key: tuple[str, ...] = ()
    time: str | None = None
    known: str | None = None
    links: Mapping[str, str] | None = None
    reads: Mapping[str, tuple[str, ...]] | None = None
    columns: pa.Schema | None = None
    description: str = ""


def table(
    *,
    key: str | Sequence[str] = (),
    time: str | None = None,
    known: str | None = None,
    links: Mapping[str, str] | None = None,
    reads: Mapping[str, Sequence[str]] | None = None,
    columns: pa.Schema | None = None,
    description: str = "",
) -> Callable[[_F], _F]:
    """Mark a function whose parameters are named after the tables it reads, and that returns the table to keep.

    The table is called as the file. ``reads`` names the columns of a table that the function gets (and no others);
    a table that it leaves out is given whole. ``columns`` says what the function returns; without it, the function
    is called once with empty tables to see. ``key``, ``time``, ``known`` and ``links`` are as in a SQL file.

    >>> @table(key="customer_id", reads={"orders": ["customer_id", "amount"]})
    ... def spending(orders):
    ...     return orders.group_by("customer_id").aggregate([("amount", "sum")])
    >>> declared(spending).key, parameters(spending)
    (('customer_id',), ('orders',))
    """
    told = Declared(
        (key,) if isinstance(key, str) else tuple(key),
        time,
        known,
        dict(links) if links else None,
        None if reads is None else {name: tuple(given) for name, given in reads.items()},
        columns,
        description,
    )

    def mark(function: _F) -> _F:
        setattr(function, _MARK, told)
        return function

    return mark


def declared(function: object) -> Declared | None:
    """What `table` was told of a function; None for one that it does not mark."""
    told = getattr(function, _MARK, None)
    return told if isinstance(told, Declared) else None


def parameters(function: Function) -> tuple[str, ...]:
    """The names of a function's parameters: the tables that it reads."""
    return tuple(inspect.signature(function).parameters)
