"""What the HTTP doors share: who may come in, bodies of bounded length and time, and answers that are no success."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from types import CoroutineType

Scope = MutableMapping[str, object]
Event = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Headers = Mapping[bytes, bytes]

_BODY_SECONDS = 30.0
_LOOPBACK = re.compile(rb"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?", re.I)


class AnswerError(Exception):
    """An answer that is no success: status, a stable code, what is wrong, and further headers."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Headers by lower-case name; of a repeated one the first.

    >>> headers_of({"headers": [(b"host", b"a"), (b"host", b"b")]})
    {b'host': b'a'}
    """
    given = scope["headers"]
    assert isinstance(given, list | tuple)
    return dict(reversed(given))


def admit(headers: Headers, token: str | None, door: str) -> None:
    """Only who knows the token; without one, no page of a browser and nobody who came by another name.

    Raises `AnswerError` (401, 403) with a code that begins with the door's name.
    """
    if token is not None:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        same = hmac.compare_digest(given.strip(), token.encode())
        if scheme.lower() != b"bearer" or not same:
            raise AnswerError(401, f"{door}_TOKEN", "a valid bearer token is needed", **{"www-authenticate": "Bearer"})
    elif b"origin" in headers or not _LOOPBACK.fullmatch(headers.get(b"host", b"localhost")):
        raise AnswerError(403, f"{door}_ORIGIN", "without a token only programs of this machine are answered")


async def body_of(receive: Receive, headers: Headers, most: int, door: str) -> bytes:
    """The body of a request. Raises `AnswerError`: 413 where it is too long, 408 too slow, 400 where it ends early."""
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told[:20]) > most:
        raise _too_long(most, door)
    event = _come_already(receive)
    if event is not None and not event.get("more_body"):
        body = _part(event, door)
    else:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = b"".join([part async for part in _parts(event or await receive(), receive, most, door)])
        except TimeoutError:
            raise AnswerError(408, f"{door}_SLOW", "the body took too long", connection="close") from None
    if len(body) > most:
        raise _too_long(most, door)
    return body


def _come_already(receive: Receive) -> Event | None:
    """The next event where it is there without waiting, which spares most requests a timer; else None."""
    coming = receive()
    if not isinstance(coming, CoroutineType):
        return None
    try:
        coming.send(None)
    except StopIteration as done:
        found: Event = done.value
        return found
    coming.close()
    return None


async def _parts(event: Event, receive: Receive, most: int, door: str) -> AsyncIterator[bytes]:
    """The pieces of a body, until they are all or too much."""
    size = 0
    while True:
        part = _part(event, door)
        yield part
        size += len(part)
        if not event.get("more_body") or size > most:
            return
        event = await receive()


def _part(event: Event, door: str) -> bytes:
    if event["type"] == "http.disconnect":
        raise AnswerError(400, f"{door}_BROKEN", "the request ended early")
    part = event.get("body", b"")
    assert isinstance(part, bytes)
    return part


def _too_long(most: int, door: str) -> AnswerError:
    return AnswerError(413, f"{door}_SIZE", f"a body has at most {most} bytes", connection="close")


def is_loopback(host: str) -> bool:
    """Whether only this machine's programs can reach a server on this host.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("shop.example")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
