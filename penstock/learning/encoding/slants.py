"""Which way a text leans: the outcome that its terms have usually come with, as one more theme.

A ridge regression (Hoerl & Kennard 1970) of the outcome on the weighted terms, fitted out of time: a training row is
told what a regression says that was fitted, at one of a few cutoffs, to rows complete by then. Rows to be predicted
are told what all training rows say. Where time cannot part the rows, the entities of the other folds stand in for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.encoding.encoders import Column, Values, texts
from penstock.learning.encoding.targets import FOLDS, Past
from penstock.learning.encoding.textual import Theme, Words, sparse
from penstock.learning.rows.dataset import Rows

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

PENALTY = 2.0
_REVISIONS = 5
_ITERATIONS, _ENOUGH = 40, 1e-4
_UNIT, _STEPS, _LIMIT, _TINY = 2.0**16, 32, 1000.0, 2.0**-7


def slants(known: Words, column: Column, past: Past) -> Iterator[tuple[Theme, Values]]:
    """For each outcome the encoder, and its column for the training rows: 0 before anything was known, NaN for NULL."""
    distinct: Any = pc.unique(texts(column).drop_null()).sort()
    place = np.asarray(pc.fill_null(pc.index_in(texts(column), value_set=distinct), -1).to_numpy(), np.int64)
    terms = len(known.rarity) // 2
    matrix = sparse(known.count(pa.chunked_array([distinct])), terms)
    for outcome in range(past.truth.shape[1]):
        work = _Work(matrix, place, np.clip(past.truth[:, outcome], -_LIMIT, _LIMIT))
        own = np.zeros(len(place))
        for fitting, told in _turns(past):
            own[told] = np.append(matrix @ work.weights(fitting), 0.0)[place[told]]
        values = np.where(place < 0, np.nan, np.round(own * _STEPS) / _STEPS).astype(np.float32)
        yield Theme.weighing(known, work.weights(np.ones(len(place), bool)), outcome), values


def _turns(past: Past) -> Iterator[tuple[Bools, Bools]]:
    """Pairs of (rows to fit to, rows that are told the result)."""
    place, until = past.known_before()
    if not until.any():
        yield from ((past.fold != fold, past.fold == fold) for fold in range(FOLDS))
        return
    first = int(np.argmax(until > 0))
    starts = np.unique(np.linspace(first, len(until) - 1, _REVISIONS + 1).astype(np.int64)[:_REVISIONS])
    for start, end in zip(starts, [*starts[1:], len(until)], strict=True):
        yield place < until[start], (place >= start) & (place < end)


@dataclass(frozen=True)
class _Work:
    """Distinct texts (× terms), which of them each row has (-1 for NULL), and the rows' outcome."""

    matrix: Any
    place: Rows
    truth: Floats

    def weights(self, fitting: Bools) -> Floats:
        """The weight of each term, in standard deviations of the outcome, by conjugate gradients.

        Sums over rows are of whole numbers, and no product is left to BLAS: neither the order of rows nor the number
        of threads shows in the result.
        """
        held = fitting & (self.place >= 0)
        texts, whole = self.matrix.shape[0], np.round(self.truth[held] * _UNIT)
        often = np.bincount(self.place[held], minlength=texts).astype(float)
        sums = np.bincount(self.place[held], weights=whole, minlength=texts) / _UNIT
        mean = sums.sum() / max(1.0, often.sum())
        rows = max(1, int(held.sum()))
        spread = max(_TINY, float(np.sqrt(max(0.0, float((whole**2).sum()) / _UNIT**2 / rows - mean**2))))
        return _solved(self.matrix, often, self.matrix.T @ ((sums - often * mean) / spread))


def _solved(matrix: Any, often: Floats, wanted: Floats) -> Floats:
    """The weights for which (XᵀNX + penalty) w is what is wanted."""
    across = matrix.T.tocsr()
    weights, rest = np.zeros(len(wanted)), wanted.copy()
    step, size = rest.copy(), _dot(rest, rest)
    enough = _ENOUGH**2 * size
    for _ in range(_ITERATIONS):
        if size <= enough:
            break
        image = across @ (often * (matrix @ step)) + PENALTY * step
        share = size / _dot(step, image)
        weights, rest = weights + share * step, rest - share * image
        size, before = _dot(rest, rest), size
        step = rest + size / before * step
    return weights


def _dot(first: Floats, second: Floats) -> float:
    return float(np.einsum("i,i->", first, second))
