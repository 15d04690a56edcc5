"""What entities have in common, in few numbers: a truncated singular value decomposition of who met what.

An entity is drawn to items that those like it have met, even if it met none of them itself (Koren, Bell & Volinsky
2009 describe the family). Each meeting is damped by how busy both sides are, so that the busiest do not fill all
factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

FACTORS = 24
_PER_FACTOR = 5
"""Entities, and items, for each factor: with fewer, factors would only repeat what met what."""
_TOLERANCE = 1e-2
_TINY = 1e-9


@dataclass(frozen=True)
class Factors:
    """One row of numbers an entity and one an item; their product says how much the one is drawn to the other."""

    entity: Floats
    item: Floats

    def drawn(self, entity: Ints, item: Ints) -> Floats:
        """How much each entity is drawn to the item beside it; 0 for an entity unknown (-1)."""
        found = np.einsum("ij,ij->i", self.entity[np.maximum(entity, 0)], self.item[item])
        return np.where(entity >= 0, found, 0.0)


def _decomposed(entity: Ints, item: Ints, weight: Floats, entities: int, items: int) -> Factors:
    smaller = min(entities, items)
    width = min(FACTORS, smaller // _PER_FACTOR)
    if width < 1 or len(weight) <= width:
        return Factors(np.zeros((entities, 1)), np.zeros((items, 1)))
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    busy = np.bincount(entity, weight, minlength=entities) + _TINY
    liked = np.bincount(item, weight, minlength=items) + _TINY
    damped = csr_matrix((weight / np.sqrt(busy[entity] * liked[item]), (entity, item)), shape=(entities, items))
    # a fixed start makes the factors the same each time
    start = np.random.default_rng(0).standard_normal(smaller)
    left, size, right = svds(damped, k=width, v0=start, tol=_TOLERANCE)
    return Factors(left * size * np.sqrt(busy)[:, None], right.T * np.sqrt(liked)[:, None])


def factors(entity: Ints, item: Ints, weight: Floats, entities: int, items: int) -> Factors:
    """The factors of pairs that met, each pair once, with the weight of their meeting (above 0).

    They are found from those that met alone: who and what is met only later must not move a bit of them.
    """
    (who, owner), (what, met) = (np.unique(codes, return_inverse=True) for codes in (entity, item))
    found = _decomposed(owner, met, weight, len(who), len(what))
    whole = Factors(np.zeros((entities, found.entity.shape[1])), np.zeros((items, found.item.shape[1])))
    whole.entity[who], whole.item[what] = found.entity, found.item
    return whole
