"""Connections to a PostgreSQL server, one to a thread at a time, kept for the next one who needs one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
_SESSION = (
    "SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
)
"""Keys are looked up one by one: no statistics shall persuade the server to read a whole table.

And the server shall notice within a minute that the machine of a writer is gone, whose lock it holds.
"""
_NOTICED: Any = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
            "tcp_user_timeout": 15_000}  # fmt: skip
"""That the server's machine is gone is noticed within half a minute, too."""
_MOST = 32
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
        connection = psycopg.connect(self._url, autocommit=True, prepare_threshold=2, **_NOTICED)
        connection.execute(_SESSION)
        return connection
