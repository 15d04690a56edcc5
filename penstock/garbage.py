"""Python's collector of garbage, looking seldom while a process goes about its daily work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW, _YOUNG, _OLD = 20_000, 20, 50
"""It looks after so many new containers: requests and messages make few cycles, if any."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """What is loaded stays, and is not looked through again and again: that would stop all threads for a tenth of a
    second each time."""
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(_NEW, _YOUNG, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
