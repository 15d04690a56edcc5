"""Engines that all tests of a process share, for to open one costs 12 ms, which many small questions do not."""

from __future__ import annotations

import atexit
import os
from functools import cache

import duckdb

from penstock.engine.relational import Relational, opened
from penstock.plan import Rows
from penstock.settings import Settings


def relational(rows: Rows, settings: Settings) -> Relational:
    """The engine's view of some rows, which no other sees."""
    return Relational(rows, settings, given=engine(os.getpid(), settings).cursor())


@cache
def engine(process: int, settings: Settings) -> duckdb.DuckDBPyConnection:
    """An engine of this process: one that was forked off has not the threads of its parent's."""
    made = opened(settings)
    atexit.register(engine.cache_clear)  # or it outlives the interpreter, which says so
    return made


__all__ = ["engine", "relational"]
