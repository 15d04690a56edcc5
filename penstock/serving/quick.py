"""The shortest way from a socket to features and back: requests that came whole are answered where they are parsed.

Most requests for features come in one piece and are answered in less time than it takes to start a task for them. This
protocol of uvicorn's answers those itself; everything else (bodies in pieces, other routes, much that is asked for,
readers that are slow to take their answers) goes the usual way. And most have the same head as one before, to the byte:
that was parsed and admitted then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from penstock.serving.faults import Answer

if TYPE_CHECKING:
    from penstock.serving.app import ServingApp

PATH = b"/get-online-features"
_UNUSUAL = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"))
_KEPT_HEADS, _LONGEST_HEAD = 256, 2048


class QuickProtocol(HttpToolsProtocol):
    """One connection; ``_body`` holds what has come of a request that may be answered at once.

    A head has ``most_head`` bytes and ``head_seconds`` seconds to come: nobody holds a place by saying nothing.
    ``_rests`` says that nothing of a request has come since the last one was whole.
    """

    most_head = 1 << 16
    head_seconds = 30.0
    _body: bytes | None = None
    _begun = False
    _rests = True
    _whole = b""
    _head = 0
    _answered = 0.0
    _usual: Sequence[tuple[bytes, bytes]] = ()
    _lines = b""  # of the usual headers
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
        self._begun, self._rests = True, False

    def _await_head(self) -> None:
        if self._deadline is None:
            self._head, self._deadline = 0, self.loop.call_later(self.head_seconds, self.transport.close)

    def _end_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that is not whole by then goes the usual way."""
        if self._rests and self._is_known(data):
            return
        if self._deadline is not None and self._head > self.most_head:
            self.send_400_response("The head of the request is too long.")
            return
        self._head += len(data)
        self._whole = data if self._rests else b""
        super().data_received(data)
        self._whole = b""
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
        self._rests = True
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
            return
        stays = self.parser.should_keep_alive()
        self._send(answer, stays=stays)
        if stays and answer.status == 200:
            self._keep_head(app.heads, len(body))
        self.on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection of which nothing was heard for long; answers to known heads move no timer."""
        rest = self._answered + self.timeout_keep_alive - self.loop.time()
        if rest <= 0:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)

    # ------------------------------------------------------------------------------------------------- known heads

    def _keep_head(self, heads: dict[bytes, int], length: int) -> None:
        """Remember the head of a request that came in one piece, alone, and was admitted and answered."""
        end = self._whole.find(b"\r\n\r\n") + 4
        if len(self._whole) == end + length and end <= _LONGEST_HEAD:
            if len(heads) >= _KEPT_HEADS:
                heads.clear()
            heads[self._whole[:end]] = length

    def _is_known(self, data: bytes) -> bool:
        """Whether this was a whole request with a head that is known, which is answered then."""
        app: ServingApp = self.config.app  # type: ignore[assignment]
        end = data.find(b"\r\n\r\n", 0, _LONGEST_HEAD) + 4
        if app.heads.get(data[:end]) != len(data) - end or self.transport.is_closing() or not self._is_free():
            return False
        answer = app.quick(None, data[end:])
        if answer is None:
            return False
        self._send(answer, stays=True)
        self._answered = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._end_head()
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
        return True

    def _is_free(self) -> bool:
        """Whether a request may be answered at once: none is under way, and there is room."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first
        if self.flow.write_paused or not (cycle is None or cycle.response_complete):
            return False
        limit = self.limit_concurrency
        return limit is None or (len(self.connections) < limit and len(self.tasks) < limit)

    def _may_be_quick(self) -> bool:
        plain = self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1"
        usual = _UNUSUAL.isdisjoint([name for name, _ in self.headers])
        return self.url == PATH and plain and usual and self._is_free()

    def _send(self, answer: Answer, *, stays: bool) -> None:
        if self.transport.is_closing():
            return
        usual = self.server_state.default_headers
        if usual is not self._usual:  # the date is another
            self._usual, self._lines = usual, _lines(usual)
        status, body, kind, headers = answer
        more = headers if stays else (*headers, (b"connection", b"close"))
        lines = self._lines + _lines(more) if more else self._lines
        parts = STATUS_LINE[status], lines, kind, len(body), body
        self.transport.write(b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % parts)
        if more and any(name == b"connection" for name, _ in more):
            self.transport.close()


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
