"""LightGBM through its C interface: the only file that talks to it.

Importing LightGBM's Python package also imports scikit-learn, SciPy and pandas where they are installed (2 to 4 s
from cold), only to see whether they are there. Its library alone loads in milliseconds and is all that training and
scoring need. A trained booster is LightGBM's own model text, so ``lightgbm.Booster(model_str=text)`` reads it too.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.errors import RequestError

Floats: TypeAlias = npt.NDArray[np.float64]
Parameters: TypeAlias = Mapping[str, "str | int | float | bool"]

_FLOAT32, _INT32 = 0, 2
_NORMAL, _RAW, _CONTRIBUTIONS = 0, 1, 3
_BIGGER_IS_BETTER = {"auc", "average_precision", "ndcg", "map"}
_SCORED_AT_ONCE = 1 << 16
_CELLS_A_THREAD = 4_000_000


@functools.cache
def _library() -> ctypes.CDLL:
    """The shared library inside the installed ``lightgbm`` package, loaded once, quiet but for fatal errors."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin where cores are shared
    spec = importlib.util.find_spec("lightgbm")
    name = {"darwin": "lib_lightgbm.dylib", "win32": "lib_lightgbm.dll"}.get(sys.platform, "lib_lightgbm.so")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    found = [path for path in (folder / "lib" / name, folder / "bin" / name, folder / name) if path.is_file()]
    if spec is None or not found:
        raise RequestError("LEARNING_NO_LIGHTGBM", "LightGBM is not installed", hint="pip install lightgbm")
    library = ctypes.CDLL(str(found[0]))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments: object) -> None:
    library = _library()
    if getattr(library, name)(*arguments) != 0:
        raise RuntimeError(f"LightGBM: {library.LGBM_GetLastError().decode()}")


def _text(parameters: Parameters) -> bytes:
    return " ".join(f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in parameters.items()).encode()


@dataclass(frozen=True)
class Examples:
    """Rows to learn from: a float32 matrix (rows × columns), a target, and what LightGBM may be told about them.

    ``categorical`` are the columns that hold category codes (NaN for NULL). ``groups`` are the sizes of consecutive
    runs of rows that are ranked against each other. ``start`` is a score that training begins from.
    """

    values: npt.NDArray[np.float32]
    target: Floats
    categorical: tuple[int, ...] = ()
    groups: npt.NDArray[np.int32] | None = None
    start: Floats | None = None


class _Dataset:
    """LightGBM's own copy of the examples, in bins; a validation set takes the bins of its training set."""

    def __init__(self, examples: Examples, parameters: Parameters, like: _Dataset | None = None) -> None:
        values = examples.values
        by_row = bool(values.flags.c_contiguous)
        if not by_row:
            values = np.asfortranarray(values)
        told = {**parameters, "categorical_feature": ",".join(map(str, examples.categorical))}
        self.handle = ctypes.c_void_p()
        _call(
            "LGBM_DatasetCreateFromMat",
            values.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(_FLOAT32),
            ctypes.c_int32(values.shape[0]),
            ctypes.c_int32(values.shape[1]),
            ctypes.c_int(by_row),
            ctypes.c_char_p(_text({k: v for k, v in told.items() if v != ""})),
            like.handle if like is not None else None,
            ctypes.byref(self.handle),
        )
        weakref.finalize(self, _library().LGBM_DatasetFree, self.handle)
        self.tell(examples)

    def tell(self, examples: Examples) -> None:
        """Take the targets (groups, start) of these examples, whose matrix is the one that is in bins."""
        self._set("label", np.ascontiguousarray(examples.target, np.float32), _FLOAT32)
        if examples.groups is not None:
            self._set("group", np.ascontiguousarray(examples.groups, np.int32), _INT32)
        if examples.start is not None:
            self._set("init_score", np.ascontiguousarray(examples.start, np.float64), 1)

    def _set(self, name: str, values: npt.NDArray[np.generic], kind: int) -> None:
        pointer = values.ctypes.data_as(ctypes.c_void_p)
        length = ctypes.c_int(len(values))
        _call("LGBM_DatasetSetField", self.handle, ctypes.c_char_p(name.encode()), pointer, length, ctypes.c_int(kind))


Bins: TypeAlias = tuple[_Dataset, "_Dataset | None"]


def binned(examples: Examples, validation: Examples | None, parameters: Parameters) -> Bins:
    """Matrices in bins, to `train` on several times: other targets, other objectives, the same matrices.

    Whatever says how bins are made (``max_bin``, ``min_data_in_leaf``, the categories) must stay the same.
    """
    told = _told(examples, parameters)
    data = _Dataset(examples, told)
    return data, None if validation is None else _Dataset(validation, told, like=data)


def _told(examples: Examples, parameters: Parameters) -> dict[str, str | int | float | bool]:
    told = {"deterministic": True, "force_row_wise": True, "verbosity": -1, **parameters}
    told["num_threads"] = _worthwhile(int(parameters.get("num_threads", 0)), examples.values.size)
    return told


@dataclass(frozen=True)
class Grown:
    """What training gave: the booster, how many rounds were kept, and the validation metric at the last kept one."""

    booster: Booster
    rounds: int
    loss: float


def train(
    examples: Examples,
    validation: Examples | None,
    parameters: Parameters,
    *,
    rounds: int,
    patience: int = 0,
    progress: Callable[[float], None] | None = None,
    bins: Bins | None = None,
) -> Grown:
    """Grow up to ``rounds`` rounds of trees.

    With a validation set and ``patience``, stop when its metric (``parameters["metric"]``) has not improved for so
    many rounds, and keep the best. The same arguments give the same booster, whatever the machine is doing.
    ``bins`` are what `binned` made of the same matrices.
    """
    told = _told(examples, parameters)
    data, watched = bins or binned(examples, validation, parameters)
    data.tell(examples)
    handle = ctypes.c_void_p()
    _call("LGBM_BoosterCreate", data.handle, ctypes.c_char_p(_text(told)), ctypes.byref(handle))
    held = _Held(handle)
    if watched is not None and validation is not None:
        watched.tell(validation)
        _call("LGBM_BoosterAddValidData", handle, watched.handle)
    sign = -1.0 if str(parameters.get("metric")).split("@")[0] in _BIGGER_IS_BETTER else 1.0
    best, best_round, finished = np.inf, 0, ctypes.c_int(0)
    done = 0
    while done < rounds and not finished.value:
        _call("LGBM_BoosterUpdateOneIter", handle, ctypes.byref(finished))
        done += 1
        if progress is not None:
            progress(done / rounds)
        if watched is None:
            continue
        loss = sign * _metric(handle)
        if loss < best:
            best, best_round = loss, done
        if patience and done - best_round >= patience:
            break
    kept = best_round if watched is not None and best_round else done
    return Grown(Booster(held.text(kept)), kept, float(sign * best))


def _worthwhile(threads: int, cells: int) -> int:
    """How many threads (0: of all there are) to learn so many numbers on: with few, threads wait more than they work.

    The trees are the same for any count.
    """
    return min(threads or os.cpu_count() or 1, 1 + cells // _CELLS_A_THREAD)


class _Held:
    """A booster in the library's memory, freed with this object."""

    def __init__(self, handle: ctypes.c_void_p) -> None:
        self.handle = handle
        weakref.finalize(self, _library().LGBM_BoosterFree, handle)

    def text(self, rounds: int) -> str:
        """The model text of the first ``rounds`` rounds."""
        size = 1 << 20
        while True:
            buffer, needed = ctypes.create_string_buffer(size), ctypes.c_int64()
            arguments = (ctypes.c_int(0), ctypes.c_int(rounds), ctypes.c_int(0), ctypes.c_int64(size))
            _call("LGBM_BoosterSaveModelToString", self.handle, *arguments, ctypes.byref(needed), buffer)
            if needed.value <= size:
                return buffer.value.decode()
            size = needed.value


def _metric(handle: ctypes.c_void_p) -> float:
    values, count = (ctypes.c_double * 8)(), ctypes.c_int(0)
    _call("LGBM_BoosterGetEval", handle, ctypes.c_int(1), ctypes.byref(count), values)
    return values[0]


@dataclass(frozen=True)
class Booster:
    """A trained booster: its text, loaded into the library when it is first asked."""

    text: str

    @cached_property
    def _held(self) -> _Held:
        handle, rounds = ctypes.c_void_p(), ctypes.c_int(0)
        _call(
            "LGBM_BoosterLoadModelFromString",
            ctypes.c_char_p(self.text.encode()),
            ctypes.byref(rounds),
            ctypes.byref(handle),
        )
        return _Held(handle)

    def __reduce__(self) -> tuple[type[Booster], tuple[str]]:
        return Booster, (self.text,)

    def predict(self, values: npt.NDArray[np.float32], *, threads: int = 0, raw: bool = False) -> Floats:
        """One number a row (or one a class): a probability or a value; with ``raw`` the sum of the leaves."""
        return self._asked(values, _RAW if raw else _NORMAL, threads)

    def contributions(self, values: npt.NDArray[np.float32], *, threads: int = 0) -> Floats:
        """TreeSHAP: for each row (and class) a number a column, last the expected value; they sum to the raw score."""
        return self._asked(values, _CONTRIBUTIONS, threads)

    def importance(self, columns: int) -> Floats:
        """The total gain of the splits on each column."""
        gains = np.zeros(columns)
        pointer = gains.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        _call("LGBM_BoosterFeatureImportance", self._held.handle, ctypes.c_int(0), ctypes.c_int(1), pointer)
        return gains

    def _asked(self, values: npt.NDArray[np.float32], what: int, threads: int) -> Floats:
        parts = [
            self._asked_at_once(values[start : start + _SCORED_AT_ONCE], what, threads)
            for start in range(0, max(len(values), 1), _SCORED_AT_ONCE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _asked_at_once(self, values: npt.NDArray[np.float32], what: int, threads: int) -> Floats:
        values = np.ascontiguousarray(values, np.float32)
        rows, columns = values.shape
        if rows == 0:  # the library refuses, but how many columns an answer has matters
            return self._asked_at_once(np.zeros((1, columns), np.float32), what, threads)[:0]
        size = ctypes.c_int64()
        span = (ctypes.c_int(what), ctypes.c_int(0), ctypes.c_int(-1))
        parameters = ctypes.c_char_p(_text({"num_threads": threads}))
        handle = self._held.handle
        _call("LGBM_BoosterCalcNumPredict", handle, ctypes.c_int(rows), *span, ctypes.byref(size))
        answer = np.empty(size.value)
        _call(
            "LGBM_BoosterPredictForMat",
            handle,
            values.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(_FLOAT32),
            ctypes.c_int32(rows),
            ctypes.c_int32(columns),
            ctypes.c_int(1),
            *span,
            parameters,
            ctypes.byref(size),
            answer.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )
        return answer if len(answer) == rows else answer.reshape(rows, -1)
