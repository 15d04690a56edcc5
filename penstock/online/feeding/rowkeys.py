"""Which keys of rows were seen, as 64 bits each: two that share them are only looked at more carefully than needed."""

from __future__ import annotations

import numpy as np

_MERGE = 65_536


class RowKeys:
    """The keys of a table's rows: a large sorted array, a smaller one of those that came last.

    >>> keys = RowKeys(np.array([3, 1], np.uint64))
    >>> keys.fresh(np.array([1, 2, 2, 5], np.uint64)).tolist()
    [False, True, False, True]
    >>> keys.add(np.array([2, 5], np.uint64))
    >>> len(keys), keys.fresh(np.array([5, 6], np.uint64)).tolist()
    (4, [False, True])
    """

    def __init__(self, seen: np.ndarray) -> None:
        self._seen = np.unique(seen)
        self._recent = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._seen) + len(self._recent)

    def fresh(self, keys: np.ndarray) -> np.ndarray:
        """Which of these were not seen, nor come before in ``keys``."""
        first = np.zeros(len(keys), bool)
        first[np.unique(keys, return_index=True)[1]] = True
        first &= ~_in(self._seen, keys)
        first &= ~_in(self._recent, keys)
        return first

    def add(self, keys: np.ndarray) -> None:
        """Remember these."""
        self._recent = np.union1d(self._recent, keys[~_in(self._seen, keys)])
        if len(self._recent) > max(_MERGE, len(self._seen) // 8):
            self._seen = np.union1d(self._seen, self._recent)
            self._recent = np.empty(0, np.uint64)


def _in(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    if not len(sorted_keys):
        return np.zeros(len(keys), bool)
    places = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found = np.zeros(len(keys), bool)
    np.equal(sorted_keys[places], keys, out=found)
    return found
