"""The HTTP door: rows are posted to ``/push/TABLE`` and answered once they are durable. A plain ASGI application."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from penstock.lake.streams.message import Tally
from penstock.lake.streams.parsing import Row, UnreadableError, flat, parsed

Scope = MutableMapping[str, object]
Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
Send = Callable[[MutableMapping[str, object]], Awaitable[None]]

_BODY_SECONDS = 30.0
_TYPES = ("application/json", "application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?", re.I)
_PATH = "/push/"


class AnswerError(Exception):
    """An answer that is no success: status, a stable code, what is wrong, and further headers."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


@dataclass(frozen=True)
class Pushed:
    """What became of a request's rows; ``repeated`` when they had come before."""

    tally: Tally
    repeated: bool = False


class Inlet(Protocol):
    """Where a table's pushed rows go in."""

    @property
    def most_bytes(self) -> int:
        """The longest body that is taken."""
        ...

    async def push(self, rows: list[Row], receipt: tuple[str, int] | None) -> Pushed:
        """Wait until rows are durable. Raises `AnswerError` where they cannot be taken now."""
        ...


@dataclass(frozen=True)
class PushApp:
    """Tables by name and the token that requests must bear; without one only this machine's programs are answered."""

    inlets: Mapping[str, Inlet]
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answered(scope, receive)
        except AnswerError as error:
            said = {"code": error.code, "message": str(error)}
            await _send(send, error.status, said, error.headers)
        else:
            await _send(send, 200, answer, {})

    async def _answered(self, scope: Scope, receive: Receive) -> Mapping[str, object]:
        headers = _headers(scope)
        self._admit(headers)
        inlet = self._inlet(str(scope["path"]))
        if scope["method"] != "POST":
            raise AnswerError(405, "PUSH_METHOD", "rows are posted", allow="POST")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise AnswerError(415, "PUSH_TYPE", f"the content type must be one of {', '.join(_TYPES)}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise AnswerError(415, "PUSH_ENCODING", "bodies are taken as they are, not compressed")
        body = await _body(receive, headers, inlet.most_bytes)
        rows = rows_in(body)
        pushed = await inlet.push(rows, receipt(headers.get("idempotency-key"), body)) if rows else Pushed(Tally())
        return {**pushed.tally._asdict(), "repeated": pushed.repeated}

    def _admit(self, headers: Mapping[str, str]) -> None:
        """Only who knows the token; without one, no page of a browser and nobody who came by another name."""
        if self.token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self.token.encode())
            if scheme.lower() != "bearer" or not same:
                raise AnswerError(401, "PUSH_TOKEN", "a valid bearer token is needed", **{"www-authenticate": "Bearer"})
        elif "origin" in headers or not _LOOPBACK.fullmatch(headers.get("host", "localhost")):
            raise AnswerError(403, "PUSH_ORIGIN", "without a token only programs of this machine may push")

    def _inlet(self, path: str) -> Inlet:
        name = path.removeprefix(_PATH)
        if not path.startswith(_PATH) or name not in self.inlets:
            there = ", ".join(sorted(_PATH + table for table in self.inlets))
            raise AnswerError(404, "PUSH_UNKNOWN", f"there is only {there}")
        return self.inlets[name]


def rows_in(body: bytes) -> list[Row]:
    """The rows of a body: a JSON object, an array of objects, or an object a line. Raises `AnswerError` (400).

    >>> rows_in(b'[{"a": 1}, {"a": 2}]') == rows_in(b'{"a": 1}\\n{"a": 2}\\n')
    True
    """
    try:
        found = _values(body)
    except UnreadableError as error:
        raise AnswerError(400, "PUSH_JSON", str(error)) from None
    rows = []
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise AnswerError(400, "PUSH_JSON", f"row {number} is no JSON object")
        try:
            rows.append(flat(row))
        except UnreadableError as error:
            raise AnswerError(400, "PUSH_JSON", f"row {number}: {error}") from None
    return rows


def _values(body: bytes) -> list[object]:
    try:
        found = parsed(body)
    except UnreadableError:
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) < 2:
            raise
        return [_line(number, line) for number, line in enumerate(lines, 1)]
    return found if isinstance(found, list) else [found]


def _line(number: int, line: bytes) -> object:
    try:
        return parsed(line)
    except UnreadableError as error:
        raise UnreadableError(f"line {number}: {error}") from None


def receipt(key: str | None, body: bytes) -> tuple[str, int] | None:
    """What a request with an ``Idempotency-Key`` is known by, and a number for its content."""
    if key is None:
        return None
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise AnswerError(400, "PUSH_KEY", "an Idempotency-Key has 1 to 255 visible ASCII characters")
    name = blake2b(key.encode(), digest_size=16).hexdigest()
    return name, int.from_bytes(blake2b(body, digest_size=7).digest())


async def _body(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    too_long = AnswerError(413, "PUSH_SIZE", f"a body has at most {most} bytes", connection="close")
    told = headers.get("content-length", "")
    if told.isascii() and told.isdecimal() and int(told[:20]) > most:
        raise too_long
    parts, size = [], 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise AnswerError(400, "PUSH_BROKEN", "the request ended early")
                part = event.get("body", b"")
                assert isinstance(part, bytes)
                parts.append(part)
                size += len(part)
                if size > most:
                    raise too_long
                if not event.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise AnswerError(408, "PUSH_SLOW", "the body took too long", connection="close") from None


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; of a repeated one the first."""
    given = scope["headers"]
    assert isinstance(given, list | tuple)
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(given)}


async def _send(send: Send, status: int, said: Mapping[str, object], headers: Mapping[str, str]) -> None:
    body = json.dumps(said).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    listed = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
