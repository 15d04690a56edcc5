"""One engine in memory for all questions of a process: opening one costs more than most answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any


@dataclass
class Cursors:
    """Cursors over one engine, a question each: what one of them is told of, the others do not know.

    ``opened`` opens the engine when it is first needed, or again after it was closed, or in a forked process.
    """

    opened: Callable[[], Any]
    _root: tuple[int, Any] | None = field(default=None, repr=False)
    _inherited: list[Any] = field(default_factory=list, repr=False)
    _turn: Any = field(default_factory=Lock, repr=False)

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A cursor for one question, closed after it."""
        cursor = self._cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def close(self) -> None:
        """Let go of the engine."""
        with self._turn:
            if self._root is not None and self._root[0] == os.getpid():
                self._root[1].close()
                self._root = None

    def _cursor(self) -> Any:
        with self._turn:
            if self._root is None or self._root[0] != os.getpid():
                self._inherited.append(self._root)  # what was forked off has none of its threads
                self._root = os.getpid(), self.opened()
            return self._root[1].cursor()


__all__ = ["Cursors"]
