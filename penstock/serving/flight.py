"""The Arrow Flight door: whole tables of the past, as the offline clients of Feast ask for them.

Clients from 0.67 on ask and are answered in one exchange. Older ones put what they ask, and come back for the answer:
what they put is kept for a while, and no more of it than there is room for.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import flight

from penstock.errors import PenstockError, RequestError, SourceError
from penstock.lake.streams.asgi import is_loopback
from penstock.serving.commands import READS, WRITES, Command, answer, command_in, take
from penstock.serving.faults import detail
from penstock.serving.service import FeatureService

MOST_BYTES = 2 << 30
"""The most that a client may upload."""
_WAITING, _WAIT_SECONDS = 64, 600.0
_BATCH_ROWS = 1 << 16
_log = logging.getLogger("penstock.serving")
Done = TypeVar("Done")


@dataclass
class Waiting:
    """What older clients have put, by ticket, until they come back for the answer: 64 at most, ten minutes at most."""

    most_bytes: int = MOST_BYTES
    _kept: dict[bytes, tuple[float, bytes, Command, pa.Table]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, text: bytes, command: Command, table: pa.Table, now: float) -> None:
        """Keep it. Raises ``RequestError`` (``SERVE_FULL``) where there is no room."""
        with self._lock:
            self._kept = {ticket: one for ticket, one in self._kept.items() if one[0] > now}
            size = sum(one[3].nbytes for one in self._kept.values()) + table.nbytes
            if len(self._kept) >= _WAITING or size > self.most_bytes:
                raise RequestError("SERVE_FULL", "too much waits to be asked for", hint="Try again in some minutes.")
            self._kept[secrets.token_bytes(16)] = (now + _WAIT_SECONDS, text, command, table)

    def ticket(self, text: bytes) -> bytes:
        """The ticket of what was put with this command."""
        with self._lock:
            found = next((ticket for ticket, one in self._kept.items() if one[1] == text), None)
        if found is None:
            raise RequestError("SERVE_TICKET", "nothing waits under this command")
        return found

    def pop(self, ticket: bytes) -> tuple[Command, pa.Table]:
        """What a ticket stands for, once."""
        with self._lock:
            found = self._kept.pop(ticket, None)
        if found is None:
            raise RequestError("SERVE_TICKET", "this ticket stands for nothing, or no longer")
        return found[2], found[3]


class FlightDoor(flight.FlightServerBase):  # type: ignore[misc]
    """A feature service over Arrow Flight."""

    def __init__(self, service: FeatureService, location: str, token: str | None = None) -> None:
        middleware = {} if token is None else {"token": _TokenCheck(token)}
        super().__init__(location, middleware=middleware)
        self._service = service
        self._waiting = Waiting()
        self._turns = threading.Semaphore(2)

    def do_exchange(self, _context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Read a command and its table, write the answer."""

        def done() -> None:
            command = command_in(descriptor.command or b"")
            table = self._answered(command, _uploaded(reader))
            writer.begin(table.schema)
            writer.write_table(table, max_chunksize=_BATCH_ROWS)

        _told(done)

    def do_put(self, _context: Any, descriptor: Any, reader: Any, _writer: Any) -> None:
        """Write rows, or keep what an older client will come back for."""

        def done() -> None:
            text = descriptor.command or b""
            command, table = command_in(text), _uploaded(reader)
            if command["api"] in WRITES:
                take(self._service, command, table)
            elif command["api"] in READS:
                self._waiting.put(text, command, table, time.monotonic())
            else:
                there = [*READS, *WRITES]
                raise RequestError("SERVE_COMMAND", f"there is no {command['api']!r}", candidates=there)

        _told(done)

    def get_flight_info(self, _context: Any, descriptor: Any) -> Any:
        """Where the answer to what was put is: here."""
        ticket = _told(lambda: self._waiting.ticket(descriptor.command or b""))
        return flight.FlightInfo(pa.schema([]), descriptor, [flight.FlightEndpoint(ticket, [])], -1, -1)

    def do_get(self, _context: Any, ticket: Any) -> Any:
        """The answer to what was put."""
        table = _told(lambda: self._answered(*self._waiting.pop(ticket.ticket)))
        return flight.RecordBatchStream(table.to_reader(_BATCH_ROWS))

    def list_flights(self, _context: Any, _criteria: bytes) -> Iterator[Any]:
        """Nothing: what others have put is no one else's."""
        return iter(())

    def list_actions(self, _context: Any) -> list[tuple[str, str]]:
        """None; what can be written is put."""
        return []

    def do_action(self, _context: Any, action: Any) -> Iterator[Any]:
        """There is none. Left to its base class a client would be shown a trace."""
        refused = RequestError("SERVE_COMMAND", f"there is no action {action.type[:40]!r}")
        raise flight.FlightServerError(f"Flight error: {detail(refused)[1]}")

    def get_schema(self, _context: Any, _descriptor: Any) -> Any:
        """Empty, as a flight's: the columns come with the answer. Whatever is raised here is shown with its trace."""
        return flight.SchemaResult(pa.schema([]))

    def _answered(self, command: Command, table: pa.Table) -> pa.Table:
        with self._turns:
            return answer(self._service, command, table)


class _TokenCheck(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Nobody is answered who does not know the token."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token.encode()

    def start_call(self, _info: Any, headers: dict[str, list[str]]) -> None:
        """Refuse a call without it."""
        given = next((value for name, value in headers.items() if name.lower() == "authorization"), [""])
        scheme, _, token = given[0].partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            raise flight.FlightUnauthenticatedError("SERVE_TOKEN: a valid bearer token is needed")


def _uploaded(reader: Any) -> pa.Table:
    """What a client sends, as long as it is not too much."""
    batches, size = [], 0
    try:
        names = reader.schema.names
    except OSError as error:
        raise RequestError("SERVE_TABLE", "no table came with this command", hint="Send one, be it empty.") from error
    for chunk in reader:
        batches.append(chunk.data)
        size += chunk.data.nbytes
        if size > MOST_BYTES:
            raise RequestError("SERVE_TOO_MANY", f"a client may send {MOST_BYTES:,} bytes at most")
    if len(set(names)) < len(names):
        raise RequestError("SERVE_COLUMN", f"of {', '.join(names)[:200]} two are the same")
    return pa.Table.from_batches(batches, reader.schema)


def _told(work: Callable[[], Done]) -> Done:
    """Do work, and tell what is wrong with it as Feast's clients read it; what nobody foresaw has only a number."""
    try:
        return work()
    except PenstockError as error:
        raise flight.FlightServerError(f"Flight error: {detail(error)[1]}") from None
    except Exception:  # noqa: BLE001  # told by its number alone
        number = uuid.uuid4().hex[:12]
        _log.exception("a flight failed (%s)", number)
        raise flight.FlightServerError(f"this failed on the server, which has logged why under {number}") from None


@contextmanager
def flying(service: FeatureService, host: str, port: int, *, token: str | None = None) -> Iterator[str]:
    """An Arrow Flight server while the context lasts; gives where it is.

    Raises ``SourceError``: ``SERVE_OPEN`` as the HTTP door does, ``SERVE_PORT`` where the port is taken.
    """
    if token is None and not is_loopback(host):
        raise SourceError("SERVE_OPEN", f"{host} can be reached from other machines")
    shown = f"[{host}]" if ":" in host else host
    try:
        door = FlightDoor(service, f"grpc://{shown}:{port}", token)
    except pa.ArrowException as error:
        message = f"{host}:{port} cannot be listened on"
        raise SourceError("SERVE_PORT", message, hint="Choose another port, or 0 for any that is free.") from error
    with door:
        yield f"grpc://{shown}:{door.port}"
