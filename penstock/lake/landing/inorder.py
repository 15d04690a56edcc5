"""Work shared among threads, its results in the order of what was given, and only so much of it at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_I = TypeVar("_I")
_O = TypeVar("_O")


def in_order(work: Callable[[_I], _O], items: Iterable[_I], threads: int) -> Iterator[_O]:
    """What ``work`` makes of each item, in order; at most ``threads`` and one more are held at a time.

    >>> list(in_order(lambda n: n * n, range(4), threads=2))
    [0, 1, 4, 9]
    """
    if threads < 2:
        yield from map(work, items)
        return
    waiting: deque[Future[_O]] = deque()
    with ThreadPoolExecutor(threads, "landing") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()
