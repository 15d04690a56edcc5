"""What the HTTP doors share: who may come in, bodies of bounded length and time, and answers that are no success."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping

Scope = MutableMapping[str, object]
Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
Send = Callable[[MutableMapping[str, object]], Awaitable[None]]
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
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            event = await receive()
            parts = [_part(event, door)]
            size = len(parts[0])
            while event.get("more_body") and size <= most:
                event = await receive()
                parts.append(_part(event, door))
                size += len(parts[-1])
    except TimeoutError:
        raise AnswerError(408, f"{door}_SLOW", "the body took too long", connection="close") from None
    if size > most:
        raise _too_long(most, door)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _part(event: MutableMapping[str, object], door: str) -> bytes:
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
