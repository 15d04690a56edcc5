"""The HTTP door: rows are posted to ``/push/TABLE`` and answered once they are durable. A plain ASGI application."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from penstock.lake.streams.asgi import AnswerError, Headers, Receive, Scope, Send, admit, body_of, headers_of
from penstock.lake.streams.message import Tally
from penstock.lake.streams.parsing import Row, UnreadableError, flat, parsed

_TYPES = ("application/json", "application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_PATH = "/push/"


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
        headers = headers_of(scope)
        admit(headers, self.token, "PUSH")
        inlet = self._inlet(str(scope["path"]))
        if scope["method"] != "POST":
            raise AnswerError(405, "PUSH_METHOD", "rows are posted", allow="POST")
        kind = _text(headers, "content-type").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise AnswerError(415, "PUSH_TYPE", f"the content type must be one of {', '.join(_TYPES)}")
        if _text(headers, "content-encoding").lower() not in ("", "identity"):
            raise AnswerError(415, "PUSH_ENCODING", "bodies are taken as they are, not compressed")
        body = await body_of(receive, headers, inlet.most_bytes, "PUSH")
        rows = rows_in(body)
        key = _text(headers, "idempotency-key") if b"idempotency-key" in headers else None
        pushed = await inlet.push(rows, receipt(key, body)) if rows else Pushed(Tally())
        return {**pushed.tally._asdict(), "repeated": pushed.repeated}

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


def _text(headers: Headers, name: str) -> str:
    return headers.get(name.encode(), b"").decode("latin-1")


async def _send(send: Send, status: int, said: Mapping[str, object], headers: Mapping[str, str]) -> None:
    body = json.dumps(said).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    listed = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
