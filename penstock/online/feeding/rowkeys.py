"""Which keys of rows were seen, as 64 bits each: two that share them are only looked at more carefully than needed."""

from __future__ import annotations

import numpy as np

_LARGER = 4


class RowKeys:
    """The keys of a table's rows: sorted runs without a key in common, each some times as long as the next one.

    What is added comes behind as a run of its own; a run that is not much longer than the one behind it is merged with
    it. So a few keys cost little, however many there are already.

    >>> keys = RowKeys(np.array([3, 1], np.uint64))
    >>> keys.fresh(np.array([1, 2, 2, 5], np.uint64)).tolist()
    [False, True, False, True]
    >>> keys.add(np.array([2, 5], np.uint64))
    >>> len(keys), keys.fresh(np.array([5, 6], np.uint64)).tolist()
    (4, [False, True])
    """

    def __init__(self, seen: np.ndarray) -> None:
        self._runs = [_distinct(seen)]

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def fresh(self, keys: np.ndarray) -> np.ndarray:
        """Which of these were not seen, nor come before in ``keys``."""
        order = np.argsort(keys, kind="stable")
        first = np.zeros(len(keys), bool)
        first[order[_begins(keys[order])]] = True
        first &= self._unseen(keys)
        return first

    def add(self, keys: np.ndarray) -> None:
        """Remember these."""
        run = _distinct(keys[self._unseen(keys)])
        while self._runs and len(self._runs[-1]) < _LARGER * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs += [run] if len(run) else []

    def _unseen(self, keys: np.ndarray) -> np.ndarray:
        unseen = np.ones(len(keys), bool)
        for run in self._runs:
            unseen &= ~_in(run, keys)
        return unseen


def _distinct(keys: np.ndarray) -> np.ndarray:
    """The keys in order, each once."""
    inorder = np.sort(keys)
    distinct: np.ndarray = inorder[_begins(inorder)]
    return distinct


def _begins(inorder: np.ndarray) -> np.ndarray:
    """Where another key begins among sorted ones."""
    begins = np.ones(len(inorder), bool)
    np.not_equal(inorder[1:], inorder[:-1], out=begins[1:])
    return begins


def _in(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    if not len(sorted_keys):
        return np.zeros(len(keys), bool)
    places = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found = np.zeros(len(keys), bool)
    np.equal(sorted_keys[places], keys, out=found)
    return found
