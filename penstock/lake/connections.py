"""Connections to one database, kept for the next question: opening one costs more than most answers."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from penstock.errors import SourceError


class Closable(Protocol):
    """What every driver's connection is."""

    def close(self) -> None:
        """Let go of it."""
        ...


Connection = TypeVar("Connection", bound=Closable)
Answer = TypeVar("Answer")
MOST = 8
"""So many are kept while nobody uses them."""
IDLE = 60.0
"""Seconds after which one that nobody used is not trusted any more: servers and networks drop such silently."""

_INHERITED: list[object] = []
"""What a forked process has of its parent's: never used, and never closed, which the server would take for the end."""


@dataclass
class Connections(Generic[Connection]):
    """Open connections to a place, each used by one thread at a time.

    ``opened`` opens one, or raises ``SourceError``. ``place`` says where they lead: one that was opened when it said
    something else is not used again. ``explained`` tells a driver's error as ours; ``failures`` are these errors.
    """

    opened: Callable[[], Connection]
    failures: type[Exception] | tuple[type[Exception], ...]
    explained: Callable[[Exception], SourceError]
    place: Callable[[], object] = os.getpid
    most: int = MOST
    _idle: deque[_Idle[Connection]] = field(default_factory=deque, repr=False)
    _turn: Any = field(default_factory=Lock, repr=False)

    def ask(self, question: Callable[[Connection], Answer]) -> Answer:
        """The answer to a question, which may be asked twice: a kept connection that fails is replaced once.

        Raises ``SourceError`` where a fresh one cannot be opened, or fails too.
        """
        kept = self._kept()
        if kept is not None:
            try:
                return self._asked(kept, question)
            except self.failures:
                self.close_idle()  # what broke this one may have broken all
        try:
            return self._asked(_Idle(self.opened(), self._told()), question)
        except self.failures as error:
            raise self.explained(error) from error

    def close(self) -> None:
        """Close what nobody uses, and keep none from now on: those in use are closed after their question."""
        self.most = 0
        self.close_idle()

    def __del__(self) -> None:
        """Whoever forgets to close leaves nothing open."""
        self.close()

    def close_idle(self) -> None:
        """Close what nobody uses."""
        while (one := self._popped()) is not None:
            self._left(one)

    # ------------------------------------------------------------ one connection

    def _asked(self, one: _Idle[Connection], question: Callable[[Connection], Answer]) -> Answer:
        try:
            answer = question(one.connection)
        except BaseException:  # in the midst of an answer it is of no use to anybody
            self._left(one)
            raise
        one.since = time.monotonic()
        with self._turn:
            keeps = len(self._idle) < self.most
            if keeps:
                self._idle.append(one)
        if not keeps:
            self._left(one)
        return answer

    def _kept(self) -> _Idle[Connection] | None:
        """The one used last that still leads to the place."""
        told, moment = self._told(), time.monotonic()
        while (one := self._popped()) is not None:
            if one.told == told and moment - one.since < IDLE:
                return one
            self._left(one)
        return None

    def _popped(self) -> _Idle[Connection] | None:
        with self._turn:
            return self._idle.pop() if self._idle else None

    def _left(self, one: _Idle[Connection]) -> None:
        """Close a connection; one of the process that this was forked from is neither used nor closed."""
        if one.told[0] != os.getpid():
            _INHERITED.append(one.connection)
            return
        try:
            one.connection.close()
        except self.failures:  # it was broken
            return

    def _told(self) -> tuple[int, object]:
        return os.getpid(), self.place()


@dataclass
class _Idle(Generic[Connection]):
    """A connection, what the place said when it was opened, and when it was last used."""

    connection: Connection
    told: tuple[int, object]
    since: float = 0.0


__all__ = ["Closable", "Connections"]
