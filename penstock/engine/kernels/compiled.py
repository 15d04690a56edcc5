"""The one door to numba: how a kernel is compiled, and the types that kernels take.

A kernel has one signature, given here, so that nothing compiles in the middle of the work. Input arrays are read-only
and contiguous (`frozen` makes them so, without a copy); only outputs can be written to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
Array = np.ndarray[Any, Any]


class Walk(NamedTuple):
    """The keys to sweep: ``[first_key, last_key)`` of the CSR arrays, and the ranges of their rows.

    ``event_starts`` and ``spine_starts`` have one entry more than there are keys. ``begin`` and ``end`` have one row a
    window and one column a spine row, from the first key's first; they count from their key's first event. ``longest``
    is how many events the key with the most has.
    """

    first_key: int
    last_key: int
    event_starts: Array
    spine_starts: Array
    begin: Array
    end: Array
    longest: int


def _array(dtype: Any, dimensions: int = 1, *, readonly: bool = True) -> Any:
    return types.Array(dtype, dimensions, "C", readonly=readonly)


INT = types.int64
FLOAT = types.float64
BOOL = types.boolean
INTS = _array(types.int64)
CODES = _array(types.int32)
FLOATS = _array(types.float64)
FLAGS = _array(types.boolean)
SLOTS = _array(types.int64, 2)
FLOATS_2 = _array(types.float64, 2)
OUT_INTS = _array(types.int64, readonly=False)
OUT_CODES = _array(types.int32, readonly=False)
OUT_FLOATS = _array(types.float64, readonly=False)
OUT_FLAGS = _array(types.boolean, readonly=False)
OUT_INTS_2 = _array(types.int64, 2, readonly=False)
OUT_CODES_2 = _array(types.int32, 2, readonly=False)
OUT_FLOATS_2 = _array(types.float64, 2, readonly=False)
RANGE = _array(types.int32)
RANGES = _array(types.int32, 2)
WALK: Any = types.NamedTuple([INT, INT, INTS, INTS, RANGES, RANGES, INT], Walk)  # type: ignore[no-untyped-call]


# A division by zero gives an infinity. Without the bookkeeping of references, which those who allocate nothing can do
# without, loops take half the time.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_INNER: dict[str, Any] = {**_OPTIONS, "forceinline": True, "no_cpython_wrapper": True}


def kernel(*arguments: Any) -> Callable[[F], F]:
    """Compile for these types, ahead of the first call; other threads run on while it runs. It may not allocate."""
    return cast("Callable[[F], F]", njit(types.void(*arguments), cache=True, **_OPTIONS))


def step(function: F) -> F:
    """Compile as a part of the kernels that call it."""
    return cast("F", njit(**_INNER)(function))


@intrinsic
def _fma(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return FLOAT(FLOAT, FLOAT, FLOAT), generate


fma = cast("Callable[[float, float, float], float]", _fma)
"""``a * b + c``, rounded once; in kernels only."""


def frozen(array: Array) -> Array:
    """The same numbers as a read-only, contiguous array.

    >>> frozen(np.arange(3)).flags.writeable
    False
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
