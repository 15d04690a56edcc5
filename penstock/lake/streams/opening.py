"""Which reader a stream's URL asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from penstock.errors import SourceError
from penstock.lake.source import printable
from penstock.lake.streams.folder import open_folder
from penstock.lake.streams.jetstream import open_nats
from penstock.lake.streams.kafka import open_kafka
from penstock.lake.streams.message import Reader
from penstock.lake.streams.push import open_push
from penstock.lake.streams.redis import open_redis
from penstock.lake.streams.stream import USUAL, Limits

_OPENING: dict[str, Callable[[str, Mapping[str, int]], Reader]] = {
    "folder": open_folder,
    "kafka": open_kafka,
    "nats": open_nats,
    "redis": open_redis,
    "rediss": open_redis,
    "tls": open_nats,
}


def open_stream(url: str, positions: Mapping[str, int], limits: Limits = USUAL) -> Reader:
    """The stream at a URL, gone on after the last offset of each partition.

    Raises ``SourceError``: ``STREAM_URL`` where the URL means none, ``STREAM_UNKNOWN`` where there is no such stream,
    ``STREAM_LOST`` where nobody answers.
    """
    scheme = urlsplit(url).scheme
    if scheme == "http":
        return open_push(url, positions, limits)
    opening = _OPENING.get(scheme)
    if opening is None:
        message = f"{printable(url)} is no stream"
        raise SourceError("STREAM_URL", message, name=scheme, candidates=sorted([*_OPENING, "http"]))
    return opening(url, positions)
