"""Connections to a PostgreSQL server, one to a thread at a time, kept for the next one who needs one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from penstock.online.waiting import left

_SESSION = (
    "SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
)
"""Keys are looked up one by one: no statistics shall persuade the server to read a whole table.

And the server shall notice within a minute that the machine of a writer is gone, whose lock it holds.
"""
_CONNECT = 5.0
"""Seconds that connecting may take."""
_NOTICED: Any = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
            "tcp_user_timeout": 15_000}  # fmt: skip
"""That the server's machine is gone is noticed within half a minute, too."""
_MOST = 32


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is given up where a server is silent for longer than who asks is willing to wait."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Go on with what is done over the connection until it is done."""
        return super().wait(gen if left() is None else self._minding(gen), *args, **kwargs)

    def _minding(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The same steps, each taken while there is time; the driver comes by every tenth of a second."""
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                self._must_have_time()
                wanted = steps.send(ready)
        except StopIteration as done:
            return done.value

    def _must_have_time(self) -> None:
        try:
            left()
        except TimeoutError:
            self.pgconn.finish()
            raise psycopg.OperationalError("it was silent for too long") from None


_INHERITED: list[Connection] = []
"""What a forked process has of its parent's: never used, and never closed."""


class Connections:
    """Connections to a server that nobody uses now."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: deque[tuple[int, Connection]] = deque()

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection that nobody else uses; a broken one is not kept."""
        connection = self._kept() or self._opened()
        try:
            yield connection
        finally:
            if connection.closed or len(self._idle) >= _MOST:
                connection.close()
            else:
                self._idle.append((os.getpid(), connection))

    def close(self) -> None:
        """Close those that are kept."""
        while connection := self._kept():
            connection.close()

    def _kept(self) -> Connection | None:
        while True:
            try:
                owner, connection = self._idle.pop()
            except IndexError:
                return None
            if owner != os.getpid():
                _INHERITED.append(connection)
            elif not connection.closed:
                return connection

    def _opened(self) -> Connection:
        connection = Connection.connect(
            self._url, autocommit=True, prepare_threshold=2, connect_timeout=_seconds(left(_CONNECT)), **_NOTICED
        )
        connection.execute(_SESSION)
        return connection


def _seconds(wait: float | None) -> int:
    """A wait as the driver takes it: whole seconds, and no fewer than two."""
    return max(2, round(wait or 0))
