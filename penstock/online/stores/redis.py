"""A store in Redis or Valkey: a hash for each key, with its parts as fields.

Beside them lie a sorted set for each space, so that keys have an order and a count, a set of the spaces, and a hash of
notes. A write is one MULTI/EXEC, a read one script: nothing comes between. How long a write lasts is up to the server
(``appendfsync``). All in one database of one server: a cluster would spread what must change together.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.connection import Connection, SSLConnection
from redis.exceptions import ConnectionError as ClosedError
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError, WatchError
from redis.retry import Retry

from penstock.errors import RequestError, StoreError
from penstock.lake.source import printable, without_password
from penstock.online.store import FIRST, Change, Outcome, Part, check_keys, outcomes, parts_of
from penstock.online.stores.failures import damaged, full, lost, read_only, taken
from penstock.online.waiting import left

LEASE = 10.0
"""Seconds after which the right to write ends that nobody renews; renewed every third of it."""
PATIENCE = 10.0
"""Seconds after which a server that says nothing is lost; sooner for who is not willing to wait so long."""
_WAIT = 0.05
_STEP = 1_000
_TOP = 1 << 63
_READ = """
local found = {}
for place, key in ipairs(KEYS) do found[place] = redis.call('HGETALL', key) end
return found
"""
_READ_PART = """
local found = {}
for place, key in ipairs(KEYS) do found[place] = redis.call('HGET', key, ARGV[1]) end
return found
"""
_REMOVE = """
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
"""
_TAKE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return 1
"""
_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class RedisStore:
    """The store of a server whose keys all begin with ``prefix``. Raises ``StoreError`` as its contract says.

    A server that is silent for ``patience`` seconds is lost.
    """

    def __init__(self, url: str, prefix: str = "penstock", lease: float = LEASE, patience: float = PATIENCE) -> None:
        self.prefix, self._url, self._lease = prefix.encode() + b":", url, lease
        self._redis: Any = _client(url, prefix, patience)
        self._token: bytes | None = None
        with self._explained():
            self._redis.ping()

    def read(self, space: str, keys: Sequence[bytes], since: int = FIRST) -> list[list[Part]]:
        """For each key its parts from number ``since`` on, in order, in one round trip."""
        check_keys(keys)
        with self._explained():
            found = self._redis.eval(_READ, len(keys), *(self._hash(space, key) for key in keys)) if keys else []
        return [_parts(fields, since) for fields in found]

    def read_part(self, space: str, keys: Sequence[bytes], number: int) -> list[bytes | None]:
        """One part of each key, in one round trip."""
        check_keys(keys)
        hashes = [self._hash(space, key) for key in keys]
        with self._explained():
            if len(keys) == 1:
                return [self._redis.execute_command("HGET", hashes[0], _field(number))]
            return list(self._redis.eval(_READ_PART, len(keys), *hashes, _field(number))) if keys else []

    def write(self, changes: Sequence[Change], notes: Mapping[str, str | None] | None = None) -> None:
        """Make all these changes and notes, or none of them."""
        check_keys(change.key for change in changes)
        wanted = outcomes(changes)
        with self._explained():
            while (wanted or notes) and not self._written(wanted, notes or {}):
                continue

    def note(self, name: str) -> str | None:
        """A note; None where there is none."""
        with self._explained():
            data = self._redis.hget(self._notes, name)
            return None if data is None else data.decode()

    def notes(self, prefix: str = "") -> dict[str, str]:
        """All notes whose names begin so."""
        with self._explained():
            found = self._redis.hgetall(self._notes)
        texts = {name.decode(): data.decode() for name, data in found.items()}
        return {name: text for name, text in sorted(texts.items()) if name.startswith(prefix)}

    def keys(self, space: str, after: bytes | None = None, most: int = 1000) -> list[bytes]:
        """Keys of a space by their bytes."""
        low = b"-" if after is None else b"(" + after
        with self._explained():
            found = self._redis.zrangebylex(self._index(space), low, b"+", 0, most)
            return list(found)

    def spaces(self) -> dict[str, int]:
        """The spaces that have keys, with how many."""
        with self._explained(), self._redis.pipeline(transaction=False) as pipe:
            names = self._redis.smembers(self._spaces)
            spaces = sorted(name.decode() for name in names)
            for space in spaces:
                pipe.zcard(self._index(space))
            counts = pipe.execute() if spaces else []
        return {space: count for space, count in zip(spaces, counts, strict=True) if count}

    def drop(self, space: str) -> None:
        """Remove a space with all its keys, in steps."""
        while keys := self.keys(space, None, _STEP):
            with self._explained(), self._redis.pipeline(transaction=True) as pipe:
                pipe.unlink(*(self._hash(space, key) for key in keys))
                pipe.zrem(self._index(space), *keys)
                pipe.execute()
        with self._explained():
            self._redis.srem(self._spaces, space)

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """Hold the right to change the store: a lease, renewed while it is held.

        It ends with its holder. A holder that was silent for so long that another took it over can write no more:
        ``StoreError`` (``STORE_TAKEN``).
        """
        token, done = secrets.token_hex(16), threading.Event()
        while not self._script(_TAKE, [self._lock, self._holder], token, int(self._lease * 1000)):
            time.sleep(_WAIT)
        self._token = token.encode()
        renewal = threading.Thread(target=self._renew, args=(token, done), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            self._token = None
            done.set()
            renewal.join()
            with suppress(StoreError):  # the lease ends by itself
                self._script(_RELEASE, [self._lock], token)

    def size(self) -> int:
        """How many bytes the server's data takes, other stores' included."""
        with self._explained():
            told = self._redis.info("memory")
            return int(told["used_memory_dataset"])

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _written(self, wanted: Mapping[str, Mapping[bytes, Outcome]], notes: Mapping[str, str | None]) -> bool:
        """Write it all; False where the connection was lost, or the right to write, and it has to be tried again."""
        with self._redis.pipeline(transaction=True) as pipe:
            self._fence(pipe)
            self._change(pipe, wanted)
            for name, text in notes.items():
                _ = pipe.hdel(self._notes, name) if text is None else pipe.hset(self._notes, name, text)
            try:
                pipe.execute()
            except WatchError:
                return False
            return True

    def _change(self, pipe: Any, wanted: Mapping[str, Mapping[bytes, Outcome]]) -> None:
        """Queue what brings about what is wanted."""
        for space, keys in wanted.items():
            put = [key for key, outcome in keys.items() if self._change_key(pipe, space, key, outcome)]
            if put:
                pipe.execute_command("ZADD", self._index(space), *(one for key in put for one in (0, key)))
                pipe.execute_command("SADD", self._spaces, space)

    def _change_key(self, pipe: Any, space: str, key: bytes, outcome: Outcome) -> bool:
        """Queue what brings about what is wanted of a key; whether that puts a part."""
        address, parts = self._hash(space, key), parts_of(outcome)
        put = [one for number, data in parts if data is not None for one in (_field(number), data)]
        removed = [_field(number) for number, data in parts if data is None]
        if None in outcome:
            pipe.execute_command("UNLINK", address)
        if put:
            pipe.execute_command("HSET", address, *put)
        elif None in outcome:
            pipe.execute_command("ZREM", self._index(space), key)
        for start in range(0, len(removed), _STEP):
            pipe.eval(_REMOVE, 2, address, self._index(space), key, *removed[start : start + _STEP])
        return bool(put)

    def _fence(self, pipe: Any) -> None:
        """Let a write fail if another writer has taken over the right to write that this store holds."""
        if self._token is not None:
            pipe.watch(self._holder)
            if pipe.get(self._holder) != self._token:
                raise taken(printable(self._url))
            pipe.multi()

    def _renew(self, token: str, done: threading.Event) -> None:
        while not done.wait(self._lease / 3):
            with suppress(StoreError):  # the next write says what is the matter
                self._script(_RENEW, [self._lock], token, int(self._lease * 1000))

    def _script(self, text: str, keys: Sequence[bytes], *arguments: str | int) -> bool:
        with self._explained():
            return bool(self._redis.eval(text, len(keys), *keys, *arguments))

    def _hash(self, space: str, key: bytes) -> bytes:
        return b"%bk:%b:%b" % (self.prefix, space.encode(), key)

    def _index(self, space: str) -> bytes:
        return self.prefix + b"i:" + space.encode()

    @property
    def _spaces(self) -> bytes:
        return self.prefix + b"spaces"

    @property
    def _notes(self) -> bytes:
        return self.prefix + b"notes"

    @property
    def _lock(self) -> bytes:
        return self.prefix + b"feeding"

    @property
    def _holder(self) -> bytes:
        """Who had the right to write last: it does not expire, so that a write can tell that it is another by now."""
        return self.prefix + b"holder"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            reason = str(error).rpartition("caused error: ")[2]  # before it a pipeline's errors tell the command
            raise _explanation(printable(self._url), error, without_password(reason, self._url)) from error


class _Patient(Connection):
    """A connection that waits no longer than who asks is willing to."""

    @property
    def socket_timeout(self) -> float | None:
        """Seconds that a server may be silent now."""
        return left(self._socket_timeout)

    @socket_timeout.setter
    def socket_timeout(self, value: float | None) -> None:
        self._socket_timeout = value

    @property
    def socket_connect_timeout(self) -> float | None:
        """Seconds that connecting may take now."""
        return left(self._socket_connect_timeout)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: float | None) -> None:
        self._socket_connect_timeout = value

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, and wait for the answer as long as there is time."""
        sock: Any = self._sock
        if sock is not None:
            sock.settimeout(self.socket_timeout)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]


class _PatientTls(_Patient, SSLConnection):
    """The same over TLS."""


def _client(url: str, name: str, patience: float) -> Redis:
    """Connections that were closed are made again; who is silent is not asked again."""
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 3, supported_errors=(ClosedError,))
    try:
        return Redis.from_url(
            url,
            connection_class=_PatientTls if url.startswith("rediss:") else _Patient,
            client_name=name,
            socket_timeout=patience,
            socket_connect_timeout=min(patience, 3),
            protocol=2,
            retry=retry,
            max_connections=1_000,
        )
    except (TypeError, ValueError) as error:
        reason = without_password(str(error), url)
        raise RequestError("STORE_URL", f"the store's URL cannot be read: {reason}") from error


def _explanation(where: str, error: Exception, reason: str) -> StoreError:
    if "OOM" in reason or "MISCONF" in reason:
        return full(where, reason)
    if isinstance(error, ReadOnlyError | NoPermissionError):
        return read_only(where, reason)
    return damaged(where, reason) if reason.startswith("WRONGTYPE") else lost(where, reason)


def _field(number: int) -> bytes:
    """The field of a part: its number in eight bytes that sort as numbers do."""
    return (number + _TOP).to_bytes(8, "big")


def _parts(fields: Sequence[bytes], since: int) -> list[Part]:
    """The parts from a number on that the fields of a hash hold; each is followed by its value."""
    pairs = zip(fields[::2], fields[1::2], strict=True)
    found = [Part(int.from_bytes(field, "big") - _TOP, data) for field, data in pairs]
    return sorted(part for part in found if part.number >= since)
