"""The shortest way from a socket to features and back: requests that came whole are answered where they are parsed.

Most requests for features come in one piece and are answered in less time than it takes to start a task for them. This
protocol of uvicorn's answers those itself; everything else (bodies in pieces, other routes, much that is asked for,
readers that are slow to take their answers) goes the usual way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from penstock.serving.faults import Answer

if TYPE_CHECKING:
    from penstock.serving.app import ServingApp

PATH = b"/get-online-features"
_UNUSUAL = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"))


class QuickProtocol(HttpToolsProtocol):
    """One connection; ``_body`` holds what has come of a request that may be answered at once.

    A head has ``most_head`` bytes and ``head_seconds`` seconds to come: nobody holds a place by saying nothing.
    """

    most_head = 1 << 16
    head_seconds = 30.0
    _body: bytes | None = None
    _begun = False
    _head = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Take the first of a request."""
        super().on_message_begin()
        self._begun = True

    def _await_head(self) -> None:
        if self._deadline is None:
            self._head, self._deadline = 0, self.loop.call_later(self.head_seconds, self.transport.close)

    def _end_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that is not whole by then goes the usual way."""
        if self._deadline is not None and self._head > self.most_head:
            self.send_400_response("The head of the request is too long.")
            return
        self._head += len(data)
        super().data_received(data)
        if self._begun and not self.transport.is_closing():
            self._await_head()
        if self._body is not None:
            body, self._body = self._body, None
            if self.transport.is_closing():
                return
            super().on_headers_complete()
            if body:
                super().on_body(body)

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._begun = False
        self._end_head()
        if self._may_be_quick():
            self._body = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer a request that is whole."""
        if self._body is None:
            super().on_message_complete()
            return
        body, self._body = self._body, None
        app: ServingApp = self.config.app  # type: ignore[assignment]
        answer = app.quick(dict(reversed(self.headers)), body)
        if answer is None:
            super().on_headers_complete()
            super().on_body(body)
            super().on_message_complete()
        else:
            self._send(answer)

    def _may_be_quick(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first
        free = cycle is None or cycle.response_complete
        limit = self.limit_concurrency
        room = limit is None or (len(self.connections) < limit and len(self.tasks) < limit)
        plain = self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1"
        usual = _UNUSUAL.isdisjoint([name for name, _ in self.headers])
        return self.url == PATH and plain and usual and free and room and not self.flow.write_paused

    def _send(self, answer: Answer) -> None:
        if self.transport.is_closing():
            return
        stays = self.parser.should_keep_alive()
        told: list[tuple[bytes, bytes]] = [
            *self.server_state.default_headers,
            (b"content-type", answer.kind),
            (b"content-length", b"%d" % len(answer.body)),
            *answer.headers,
        ]
        if not stays:
            told.append((b"connection", b"close"))
        head = b"".join([b"%b: %b\r\n" % header for header in told])
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[answer.status], head, answer.body))
        self.on_response_complete()
        if not stays or any(name == b"connection" for name, _ in answer.headers):
            self.transport.close()
