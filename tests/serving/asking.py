"""Requests put to an application as a server would put them, and real sockets for what only they can do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from penstock.lake.streams.listening import bound
from penstock.serving.app import ServingApp
from penstock.serving.running import Listen, listening
from penstock.serving.service import FeatureService

Headers = Mapping[str, str] | None


@dataclass(frozen=True)
class Answered:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """Its body, parsed."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """The JSON in its JSON text."""
        said: dict[str, str] = json.loads(self.json)
        return said


async def put(
    app: ServingApp,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | None = None,
) -> Answered:
    """One request; a body of several pieces comes piece by piece."""
    parts = [body] if isinstance(body, bytes) else list(body)
    events = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    sent: list[Any] = []
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }

    async def receive() -> Any:
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, receive, send)
    start, end = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answered(start["status"], end["body"], told)


def ask(
    app: ServingApp, method: str, path: str, body: object = b"", headers: Mapping[str, str] | None = None
) -> Answered:
    """One request; a body that is no bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asyncio.run(put(app, method, path, raw, headers))


def online(app: ServingApp, features: Any, entities: Mapping[str, list[Any]], **more: Any) -> Answered:
    """A request for features: a list of them, or a service."""
    chosen = {"feature_service": features} if isinstance(features, str) else {"features": features}
    return ask(app, "POST", "/get-online-features", {**chosen, "entities": entities, **more})


@contextmanager
def listened(service: FeatureService, **how: Any) -> Iterator[Listen]:
    """A server of this service at a free port."""
    with bound("127.0.0.1", 0, "SERVE") as where, listening(service, where, **how) as listen:
        yield listen


def raw(listen: Listen, sent: bytes, *, half_close: bool = False, wait: float = 60.0) -> bytes:
    """What a server answers to these bytes before it closes, or until it has been silent for so long."""
    host, port = listen.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except TimeoutError:
            pass
        return b"".join(parts)
