"""Redis Streams: ``redis://[user:password@]host[:port]/STREAM-KEY[?db=0]``, or ``rediss://`` for TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, unquote, urlsplit

from penstock.lake.source import missing_package, printable, without_password
from penstock.lake.streams.message import Message, Tally, lost, unknown_stream

if TYPE_CHECKING:
    from redis import Redis

_Entry = tuple[bytes, Mapping[bytes, bytes]]
_Answer = tuple[bytes, Sequence[_Entry]]
_LOW = 64
_PAYLOAD = (b"data", b"payload", b"message", b"value")
_SCANNED = 1_000


@dataclass
class RedisReader:
    """Entries of one stream after a position, without a consumer group: the lake keeps the position.

    An entry's payload is its field ``data`` (or ``payload``, ``message``, ``value``, or its only field); an entry
    without one is a row itself, its fields texts.
    """

    url: str = field(repr=False)
    key: str
    _redis: Redis
    _last: int

    def read(self, most: int, wait: float) -> Sequence[Message]:
        """Entries in order; blocks in the server while there is none."""
        with _explained(self.url):
            found = self._redis.xread({self.key: entry_id(self._last)}, count=most, block=max(int(wait * 1000), 1))
        entries = cast("Sequence[_Answer]", found)[0][1] if found else ()
        messages = [Message(self.key, offset(name), _payload(fields), label=name.decode()) for name, fields in entries]
        self._last = messages[-1].offset if messages else self._last
        return messages

    def settle(self, tallies: Sequence[Tally]) -> None:
        """Nothing to tell: the stream is left as it is."""

    def lag(self) -> int | None:
        """0 when the newest entry was read; unknown while there is more (counting it would read it)."""
        with _explained(self.url):
            newest = cast("Sequence[_Entry]", self._redis.xrevrange(self.key, count=1))
        return 0 if not newest or offset(newest[0][0]) <= self._last else None

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def open_redis(url: str, positions: Mapping[str, int]) -> RedisReader:
    """Go on after a position. Raises ``SourceError``: ``STREAM_LOST``, ``STREAM_UNKNOWN`` with the streams there."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise missing_package("redis", "redis", "redis") from None
    parts = urlsplit(url)
    key = unquote(parts.path.removeprefix("/"))
    client = Redis(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        db=int(parse_qs(parts.query).get("db", ["0"])[0]),
        ssl=parts.scheme == "rediss",
        socket_timeout=10,
        socket_connect_timeout=5,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
    )
    with _explained(url):
        kind = client.type(key)
        if kind != b"stream":
            there = [name.decode(errors="replace") for name in client.scan_iter(count=_SCANNED, _type="stream")]
            client.close()
            raise unknown_stream(printable(url), key, there)
    return RedisReader(url, key, client, positions.get(key, 0))


def offset(entry: bytes) -> int:
    """An entry's id as one number, in the same order.

    >>> entry_id(offset(b"1700000000000-7"))
    '1700000000000-7'
    """
    milliseconds, _, sequence = entry.partition(b"-")
    return (int(milliseconds) << _LOW) | int(sequence or 0)


def entry_id(place: int) -> str:
    """The id of the entry at a place."""
    return f"{place >> _LOW}-{place & ((1 << _LOW) - 1)}"


def _payload(fields: Mapping[bytes, bytes]) -> bytes | Mapping[str, object]:
    if len(fields) == 1:
        return next(iter(fields.values()))
    for name in _PAYLOAD:
        if name in fields:
            return fields[name]
    texts = {name.decode(errors="surrogateescape"): value for name, value in fields.items()}
    return {name: value.decode(errors="surrogateescape") for name, value in texts.items()}


@contextmanager
def _explained(url: str) -> Iterator[None]:
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as error:
        raise lost(printable(url), without_password(str(error), url)) from error
