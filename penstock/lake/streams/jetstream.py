"""NATS JetStream: ``nats://[user:password@]host[:port]/STREAM[?subject=…]``, or ``tls://``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from penstock.lake.source import missing_package, printable, without_password
from penstock.lake.streams.message import Message, Tally, lost, unknown_stream

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.client import JetStreamContext

_T = TypeVar("_T")
_SECONDS = 5
_PENDING_BYTES = 64 << 20


@dataclass
class NatsReader:
    """Messages of one stream after a sequence number, by a consumer that lives as long as this reader.

    The event loop runs inside `read` alone, so that nothing arrives while nobody asks.
    """

    url: str = field(repr=False)
    stream: str
    _after: int
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _partition: str = ""
    _client: Client | None = None
    _subscription: JetStreamContext.PushSubscription | None = None
    _arrived: deque[Msg] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _count: int = 0

    def start(self, positions: Mapping[str, int]) -> None:
        """Connect and subscribe. Raises ``SourceError``."""
        self._ask(self._start(positions))

    async def _start(self, positions: Mapping[str, int]) -> None:
        from nats.aio.client import Client
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        parts = urlsplit(self.url)
        server = parts._replace(path="", query="").geturl()
        self._client = Client()
        connecting = self._client.connect(
            server,
            connect_timeout=_SECONDS,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=_ignored,
        )
        await asyncio.wait_for(connecting, 2 * _SECONDS)
        streams = self._client.jetstream(timeout=_SECONDS)
        try:
            info = await streams.stream_info(self.stream)
        except NotFoundError:
            there = [str(found.config.name) for found in await streams.streams_info()]
            raise unknown_stream(printable(self.url), self.stream, there) from None
        self._partition = f"{self.stream}@{info.created}"
        self._after = positions.get(self._partition, 0)
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._after + 1,
            ack_policy=AckPolicy.NONE,
            flow_control=True,
            idle_heartbeat=_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        subject = parse_qs(parts.query).get("subject", [">"])[0]
        self._subscription = await streams.subscribe(
            subject,
            stream=self.stream,
            config=config,
            cb=self._came,
            manual_ack=True,
            pending_bytes_limit=_PENDING_BYTES,
        )

    async def _came(self, message: Msg) -> None:
        self._arrived.append(message)
        self._news.set()

    def read(self, most: int, wait: float) -> Sequence[Message]:
        """What has arrived. A message that was left out is noticed by the consumer's own numbers."""
        self._ask(self._waited(wait))
        messages: list[Message] = []
        while self._arrived and len(messages) < most:
            message = self._arrived.popleft()
            place = message.metadata.sequence
            if place.consumer != self._count + 1:
                raise lost(printable(self.url), "messages were left out, as they came faster than they were read")
            self._count = place.consumer
            messages.append(Message(self._partition, place.stream, message.data))
        return messages

    async def _waited(self, wait: float) -> None:
        assert self._client is not None
        if not self._arrived:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                if not self._client.is_connected:
                    raise ConnectionError("the connection is closed") from None
        await asyncio.sleep(0)

    def settle(self, tallies: Sequence[Tally]) -> None:
        """Nothing to tell: the server keeps no place of ours."""

    def lag(self) -> int | None:
        """What the server has not sent yet, and what was not read yet."""
        if self._subscription is None:
            return None
        info = self._ask(self._subscription.consumer_info())
        return (info.num_pending or 0) + len(self._arrived)

    def close(self) -> None:
        """Close the connection; the server forgets the consumer."""
        if self._client is not None and not self._client.is_closed:
            with _quiet():
                self._loop.run_until_complete(self._client.close())
        self._loop.run_until_complete(_ended())
        self._loop.close()

    def _ask(self, question: Coroutine[object, object, _T]) -> _T:
        import nats.errors

        try:
            return self._loop.run_until_complete(question)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise lost(printable(self.url), without_password(reason, self.url)) from error


def open_nats(url: str, positions: Mapping[str, int]) -> NatsReader:
    """Go on after a position. Raises ``SourceError``: ``STREAM_LOST``, ``STREAM_UNKNOWN`` with the streams there."""
    try:
        import nats  # noqa: F401 - is it installed?
    except ImportError:
        raise missing_package("nats", "nats-py", "nats") from None
    reader = NatsReader(url, unquote(urlsplit(url).path.removeprefix("/")), 0)
    try:
        reader.start(positions)
    except BaseException:
        reader.close()
        raise
    return reader


async def _ended() -> None:
    """End what the client left behind on its loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _ignored(error: Exception) -> None:
    """What goes wrong is noticed where messages are read."""


@contextmanager
def _quiet() -> Iterator[None]:
    import nats.errors

    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError):
        return
