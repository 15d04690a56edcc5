"""How long whoever asks is willing to wait: said once, and minded wherever a server is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTIL: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Let all that is done meanwhile, in this thread, take no longer; None asks for nothing.

    A shorter wait that was asked for before stays.
    """
    before = _UNTIL.get()
    until = None if seconds is None else time.monotonic() + seconds
    wanted = [one for one in (before, until) if one is not None]
    token = _UNTIL.set(min(wanted, default=None))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def left(most: float | None = None) -> float | None:
    """How many seconds there are left, ``most`` at most; None where nobody minds. Raises ``TimeoutError`` for none.

    >>> with within(60):
    ...     left(5)
    5
    """
    until = _UNTIL.get()
    if until is None:
        return most
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("it took too long")
    return seconds if most is None else min(seconds, most)
