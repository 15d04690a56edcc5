"""Rows that are pushed by HTTP: ``http://HOST:PORT/push/TABLE``; streams of one port share one server."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from penstock.errors import SourceError
from penstock.lake.source import printable
from penstock.lake.streams.asgi import AnswerError
from penstock.lake.streams.listening import Listening, bound, check_open
from penstock.lake.streams.message import Message, Tally
from penstock.lake.streams.parsing import Row
from penstock.lake.streams.positions import ONCE
from penstock.lake.streams.push_app import Inlet, PushApp, Pushed
from penstock.lake.streams.stream import USUAL, Limits

TOKEN = "PENSTOCK_PUSH_TOKEN"
_PARTITION = "push"
_DURABLE_SECONDS = 30.0


@dataclass(frozen=True)
class _Request:
    """Rows that wait to be durable."""

    rows: list[Row]
    receipt: tuple[str, int] | None
    done: Future[Tally] = field(default_factory=Future)


@dataclass
class PushReader:
    """The requests for one table: a bounded queue between the server's thread and the one that writes."""

    most_bytes: int
    _server: _Server
    _path: str
    _offset: int
    _receipts: dict[str, int]
    _queue: queue.Queue[_Request]
    _underway: dict[str, _Request] = field(default_factory=dict)
    _read: list[_Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    # ------------------------------------------------------------ in the server's thread

    async def push(self, rows: list[Row], receipt: tuple[str, int] | None) -> Pushed:
        """Hand rows over and wait; a request that came before is answered without its rows."""
        with self._lock:
            request = self._accepted(rows, receipt)
        if request is None:
            return Pushed(Tally(), repeated=True)
        try:
            tally = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(request.done)), _DURABLE_SECONDS)
        except TimeoutError:
            raise _later(503, "the rows are not durable yet; repeat with the same Idempotency-Key") from None
        return Pushed(tally, repeated=request.rows is not rows)

    def _accepted(self, rows: list[Row], receipt: tuple[str, int] | None) -> _Request | None:
        """The request that these rows wait for: a new one, or the one under way that they repeat; None: done before."""
        if receipt is not None:
            name, content = receipt
            before = self._underway.get(name)
            known = self._receipts.get(name) if before is None or before.receipt is None else before.receipt[1]
            if known is not None and known != content:
                raise AnswerError(422, "PUSH_KEY_REUSED", "this Idempotency-Key came before with other rows")
            if known is not None:
                return before
        if self._closed:
            raise _later(503, "the stream is stopping")
        request = _Request(rows, receipt)
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            raise _later(429, "more has come than can be written now") from None
        if receipt is not None:
            self._underway[receipt[0]] = request
        return request

    # ------------------------------------------------------------ in the writer's thread

    def read(self, most: int, wait: float) -> Sequence[Message]:
        """Whole requests, until they have ``most`` rows."""
        requests, rows = [], 0
        try:
            requests.append(self._queue.get(timeout=wait))
            rows = len(requests[0].rows)
            while rows < most:
                requests.append(self._queue.get_nowait())
                rows += len(requests[-1].rows)
        except queue.Empty:
            pass
        self._read = requests
        return [message for request in requests for message in self._messages(request)]

    def _messages(self, request: _Request) -> list[Message]:
        first = self._offset + 1
        self._offset += len(request.rows)
        mark = None if request.receipt is None else (ONCE + request.receipt[0], request.receipt[1])
        last = len(request.rows) - 1
        return [
            Message(_PARTITION, first + at, row, mark=mark if at == last else None)
            for at, row in enumerate(request.rows)
        ]

    def settle(self, tallies: Sequence[Tally]) -> None:
        """Answer the requests of the last `read`."""
        at = 0
        for request in self._read:
            own = tallies[at : at + len(request.rows)]
            at += len(request.rows)
            with self._lock:
                if request.receipt is not None:
                    self._receipts[request.receipt[0]] = request.receipt[1]
                    del self._underway[request.receipt[0]]
            request.done.set_result(Tally(*map(sum, zip(*own, strict=True))))
        self._read = []

    def lag(self) -> int | None:
        """The requests that wait."""
        return self._queue.qsize()

    def close(self) -> None:
        """Take no more, and answer 503 to what waits: none of it was written."""
        with self._lock:
            self._closed = True
        waiting = self._read
        self._read = []
        while not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        for request in waiting:
            request.done.set_exception(_later(503, "the stream is stopping"))
        self._server.leave(self._path)


def _later(status: int, message: str) -> AnswerError:
    return AnswerError(status, "PUSH_LATER", message, **{"retry-after": "1"})


def open_push(url: str, positions: Mapping[str, int], limits: Limits = USUAL) -> PushReader:
    """Listen for a table's rows. Raises ``SourceError``: ``PUSH_OPEN`` where others could reach it and no token is set
    in ``PENSTOCK_PUSH_TOKEN``; ``PUSH_PORT`` where the port is taken."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    name = unquote(parts.path).removeprefix("/push/")
    if not parts.path.startswith("/push/") or not name:
        raise SourceError("STREAM_URL", f"{printable(url)} is no address to push to", hint="Write …/push/TABLE.")
    token = os.environ.get(TOKEN) or None
    check_open(host, token, TOKEN, "PUSH")
    receipts = {found.removeprefix(ONCE): value for found, value in positions.items() if found.startswith(ONCE)}
    with _SERVERS_LOCK:
        server = _SERVERS.get((host, port)) or _Server(host, port, token)
        waiting: queue.Queue[_Request] = queue.Queue(limits.requests)
        reader = PushReader(limits.request_bytes, server, name, positions.get(_PARTITION, 0), receipts, waiting)
        server.enter(name, reader)
    return reader


# ---------------------------------------------------------------------------------------------------- servers


@dataclass
class _Server:
    """One port's server, alive while a table is pushed to."""

    host: str
    port: int
    token: str | None
    inlets: dict[str, Inlet] = field(default_factory=dict)
    _listening: Listening | None = None

    def enter(self, name: str, inlet: Inlet) -> None:
        """Take a table's rows from now on."""
        if name in self.inlets:
            raise SourceError("PUSH_PORT", f"two streams take rows at {self.host}:{self.port}/push/{name}")
        self.inlets[name] = inlet  # before the server answers for it
        if self._listening is None:
            where = bound(self.host, self.port, "PUSH")
            self._listening = Listening(PushApp(self.inlets, self.token), where, "HTTP push")
        _SERVERS[(self.host, self.port)] = self

    def leave(self, name: str) -> None:
        """Take a table's rows no more; the last one to leave stops the server."""
        with _SERVERS_LOCK:
            self.inlets.pop(name, None)
            if self.inlets or self._listening is None:
                return
            _SERVERS.pop((self.host, self.port), None)
            self._listening.stop()
        self._listening.join()


_SERVERS: dict[tuple[str, int], _Server] = {}
_SERVERS_LOCK = threading.Lock()
