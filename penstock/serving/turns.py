"""Work that waits its turn in threads: so much at once, so much waiting, and nothing longer than its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from penstock.errors import FailedError, StoreError
from penstock.online.waiting import within

T = TypeVar("T")
P = ParamSpec("P")
_GRACE = 0.25
"""Seconds for those who mind the deadline themselves: what they say tells more."""


@dataclass
class Turns:
    """Threads for one kind of work: ``threads`` do some at once, and ``waiting`` may wait for them."""

    name: str
    threads: int
    waiting: int
    _taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, self.name)

    async def do(self, seconds: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives; it learns by `penstock.online.waiting` how long it may take.

        Raises ``FailedError`` (``SERVE_BUSY``) where too much waits, and ``StoreError`` (``STORE_SLOW``) where it is
        not done within ``seconds`` (None: however long it takes). Work that has begun goes on then, and keeps its
        thread until it ends.
        """
        future = self.begin(_by(seconds), work, *args, **kwargs)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), None if seconds is None else seconds + _GRACE)
        except TimeoutError:
            message = f"the store has not answered within {seconds:g} seconds"
            raise StoreError("STORE_SLOW", message, hint="Is its server running? Ask again.") from None

    def begin(self, until: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin work that nobody may wait for. Raises ``FailedError`` (``SERVE_BUSY``)."""
        with self._lock:
            if self._taken >= self.threads + self.waiting:
                message = f"{self._taken} requests of this kind are under way or wait already"
                raise FailedError("SERVE_BUSY", message, hint="Ask again in a moment.")
            self._taken += 1
        future = self._pool.submit(_minding, until, partial(work, *args, **kwargs))
        future.add_done_callback(self._give_back)
        return future

    def _give_back(self, _future: Future[T]) -> None:
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Finish what is under way."""
        self._pool.shutdown()


def _by(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _minding(until: float | None, work: Callable[[], T]) -> T:
    with within(None if until is None else until - time.monotonic()):
        return work()
