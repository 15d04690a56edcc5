"""A store in PostgreSQL: a table of parts and one of notes, in a schema of their own.

A write is one transaction, and a read one statement. Connections are kept and shared out one to a thread. Whoever holds
the right to write does so over the connection that holds it, and loses both together.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import errors, sql

from penstock.errors import RequestError, StoreError
from penstock.lake.source import printable, without_password
from penstock.online.store import FIRST, Change, Outcome, Part, check_keys, outcomes, parts_of
from penstock.online.stores.connections import Connection, Connections
from penstock.online.stores.failures import damaged, full, lost, read_only
from penstock.online.waiting import within

PATIENCE = 30.0
"""Seconds after which a server that has not done what takes moments is lost; sooner for who is not willing to wait."""
_BATCH_ROWS, _BATCH_BYTES = 5_000, 16 * 2**20
_STEP = 10_000
_TABLES = (
    "CREATE SCHEMA IF NOT EXISTS {schema}",
    """
    CREATE TABLE IF NOT EXISTS {schema}.parts
        (space text COLLATE "C", key bytea, part bigint, data bytea NOT NULL, PRIMARY KEY (space, key, part))
    """,
    'CREATE TABLE IF NOT EXISTS {schema}.notes (name text COLLATE "C" PRIMARY KEY, text text NOT NULL)',
)
_READ = """
SELECT asked.place, parts.part, parts.data
FROM unnest(%b::bytea[]) WITH ORDINALITY AS asked(key, place)
JOIN {schema}.parts ON parts.space = %b AND parts.key = asked.key AND parts.part >= %b
ORDER BY asked.place, parts.part
"""
_READ_PART = """
SELECT parts.data
FROM unnest(%b::bytea[]) WITH ORDINALITY AS asked(key, place)
LEFT JOIN {schema}.parts ON parts.space = %b AND parts.key = asked.key AND parts.part = %b
ORDER BY asked.place
"""
_CLEAR = """
DELETE FROM {schema}.parts USING unnest(%b::text[], %b::bytea[]) AS gone(space, key)
WHERE parts.space = gone.space AND parts.key = gone.key
"""
_REMOVE = """
DELETE FROM {schema}.parts USING unnest(%b::text[], %b::bytea[], %b::bigint[]) AS gone(space, key, part)
WHERE parts.space = gone.space AND parts.key = gone.key AND parts.part = gone.part
"""
_PUT = """
INSERT INTO {schema}.parts SELECT * FROM unnest(%b::text[], %b::bytea[], %b::bigint[], %b::bytea[])
ON CONFLICT (space, key, part) DO UPDATE SET data = excluded.data
"""
_NOTE = "INSERT INTO {schema}.notes VALUES (%b, %b) ON CONFLICT (name) DO UPDATE SET text = excluded.text"
_UNNOTE = "DELETE FROM {schema}.notes WHERE name = %b"
_KEYS = "SELECT DISTINCT key FROM {schema}.parts WHERE space = %b AND key > %b ORDER BY key LIMIT %b"
_KEYS_FIRST = "SELECT DISTINCT key FROM {schema}.parts WHERE space = %b ORDER BY key LIMIT %b"
_SPACES = "SELECT space, count(DISTINCT key) FROM {schema}.parts GROUP BY space ORDER BY space"
_DROP = """
DELETE FROM {schema}.parts
WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.parts WHERE space = %b LIMIT %b))
"""
_SIZE = "SELECT pg_total_relation_size(%b::regclass) + pg_total_relation_size(%b::regclass)"
T = TypeVar("T")
Row = tuple[Any, ...]


class PostgresStore:
    """The store in a schema of a database, which is made when absent. Raises ``StoreError`` as its contract says."""

    def __init__(self, url: str, schema: str = "penstock_online") -> None:
        self.schema, self._url = schema, url
        self._lock = int.from_bytes(hashlib.blake2b(f"penstock {schema}".encode(), digest_size=8).digest(), signed=True)
        self._connections = Connections(url)
        self._feeding: tuple[int, Connection] | None = None
        self._writing = threading.Lock()
        self._statements: dict[str, bytes] = {}
        self._do(self._prepare)

    def read(self, space: str, keys: Sequence[bytes], since: int = FIRST) -> list[list[Part]]:
        """For each key its parts from number ``since`` on, in order."""
        check_keys(keys)
        found: list[list[Part]] = [[] for _ in keys]
        if keys:
            for place, number, data in self._rows(_READ, list(keys), space, since):
                found[place - 1].append(Part(number, data))
        return found

    def read_part(self, space: str, keys: Sequence[bytes], number: int) -> list[bytes | None]:
        """One part of each key."""
        check_keys(keys)
        return [data for (data,) in self._rows(_READ_PART, list(keys), space, number)] if keys else []

    def write(self, changes: Sequence[Change], notes: Mapping[str, str | None] | None = None) -> None:
        """Make all these changes and notes, or none of them."""
        check_keys(change.key for change in changes)
        wanted = outcomes(changes)

        def made(connection: Connection) -> None:
            with connection.transaction():
                for statement, rows in _statements(wanted):
                    for batch in _batches(rows):
                        columns = [list(column) for column in zip(*batch, strict=True)]
                        connection.execute(self._sql(statement), columns, binary=True)
                for name, text in sorted((notes or {}).items()):
                    statement, row = (_UNNOTE, [name]) if text is None else (_NOTE, [name, text])
                    connection.execute(self._sql(statement), row)

        if wanted or notes:
            self._change(made)

    def note(self, name: str) -> str | None:
        """A note; None where there is none."""
        rows = self._rows("SELECT text FROM {schema}.notes WHERE name = %b", name)
        return rows[0][0] if rows else None

    def notes(self, prefix: str = "") -> dict[str, str]:
        """All notes whose names begin so."""
        rows = self._rows("SELECT name, text FROM {schema}.notes WHERE starts_with(name, %b) ORDER BY name", prefix)
        return dict(rows)

    def keys(self, space: str, after: bytes | None = None, most: int = 1000) -> list[bytes]:
        """Keys of a space by their bytes."""
        found = self._rows(_KEYS_FIRST, space, most) if after is None else self._rows(_KEYS, space, after, most)
        return [key for (key,) in found]

    def spaces(self) -> dict[str, int]:
        """The spaces that have keys, with how many: it counts them."""
        return dict(self._rows(_SPACES, patience=None))

    def drop(self, space: str) -> None:
        """Remove a space with all its keys, in steps."""
        while self._change(lambda connection: connection.execute(self._sql(_DROP), [space, _STEP]).rowcount, None):
            continue

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """Hold the right to change the store: a lock of the server's, which ends with the connection.

        Writes go over that connection meanwhile, so that a writer whose lock is lost writes no more.
        """
        with ExitStack() as stack:
            with self._explained():
                connection = self._held(stack)
            self._feeding = os.getpid(), connection
            try:
                yield
            finally:
                self._feeding = None
                with suppress(psycopg.OperationalError):  # with a lost connection the lock is lost as well
                    connection.execute("SELECT pg_advisory_unlock(%b)", [self._lock])

    def size(self) -> int:
        """How many bytes the tables and their indexes take."""
        rows = self._rows(_SIZE, *(self._quoted(f"{{schema}}.{table}") for table in ("parts", "notes")))
        return int(rows[0][0])

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _held(self, stack: ExitStack) -> Connection:
        """A connection that holds the right to write; a new one if a kept one was lost."""
        with suppress(psycopg.OperationalError):
            return self._locked(stack)
        self._connections.close()
        return self._locked(stack)

    def _locked(self, stack: ExitStack) -> Connection:
        connection = stack.enter_context(self._connections.one())
        connection.execute("SELECT pg_advisory_lock(%b)", [self._lock])
        return connection

    def _prepare(self, connection: Connection) -> None:
        """Make what is absent; a store that is there may be one that we may only read."""
        there = connection.execute("SELECT to_regclass(%b)", [self._quoted("{schema}.notes")]).fetchone()
        if there is None or there[0] is None:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%b)", [self._lock ^ 1])  # two may do so at once
                for statement in _TABLES:
                    connection.execute(self._sql(statement))

    def _rows(self, statement: str, *values: object, patience: float | None = PATIENCE) -> list[Row]:
        """What a statement that reads gives."""
        text = self._sql(statement)
        return self._do(lambda connection: connection.execute(text, values, binary=True).fetchall(), patience)

    def _change(self, do: Callable[[Connection], T], patience: float | None = PATIENCE) -> T:
        """Do something over the connection that holds the right to write, if this store holds it."""
        feeding = self._feeding
        if feeding is None or feeding[0] != os.getpid():
            return self._do(do, patience)
        with self._writing, self._explained(), within(patience):
            return do(feeding[1])

    def _do(self, do: Callable[[Connection], T], patience: float | None = PATIENCE) -> T:
        """Do something that may be done twice: once more over a new connection if a kept one was lost."""
        with self._explained(), within(patience):
            with self._connections.one() as connection:
                try:
                    return do(connection)
                except psycopg.OperationalError:
                    if not connection.closed:
                        raise
            self._connections.close()
            with self._connections.one() as connection:
                return do(connection)

    def _sql(self, statement: str) -> bytes:
        """A statement with the schema's name in it."""
        found = self._statements.get(statement)
        if found is None:
            found = self._statements[statement] = self._quoted(statement).encode()
        return found

    def _quoted(self, text: str) -> str:
        return text.replace("{schema}", sql.Identifier(self.schema).as_string(None))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise lost(printable(self._url), str(error)) from error
        except psycopg.Error as error:
            reason = without_password(str(error).split("\n")[0], self._url)
            raise _explanation(printable(self._url), error, reason) from error


def _explanation(where: str, error: psycopg.Error, reason: str) -> StoreError | RequestError:
    if isinstance(error, errors.DiskFull | errors.OutOfMemory):
        return full(where, reason)
    if isinstance(error, errors.ReadOnlySqlTransaction | errors.InsufficientPrivilege):
        return read_only(where, reason)
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted | errors.UndefinedTable | errors.UndefinedColumn):
        return damaged(where, reason)
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return RequestError("STORE_URL", f"the store's URL cannot be read: {reason}")
    return lost(where, reason)


def _statements(wanted: Mapping[str, Mapping[bytes, Outcome]]) -> Iterator[tuple[str, list[Row]]]:
    """What brings about what is wanted: each statement with its rows."""
    keys = [(space, key, wanted[space][key]) for space in sorted(wanted) for key in sorted(wanted[space])]
    yield _CLEAR, [(space, key) for space, key, outcome in keys if None in outcome]
    parts = [(space, key, *part) for space, key, outcome in keys for part in parts_of(outcome)]
    yield _REMOVE, [(space, key, number) for space, key, number, data in parts if data is None]
    yield _PUT, [part for part in parts if part[3] is not None]


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows in portions that a statement can carry."""
    start = size = 0
    for place, row in enumerate(rows):
        if place - start >= _BATCH_ROWS or size > _BATCH_BYTES:
            yield rows[start:place]
            start, size = place, 0
        size += sum(len(value) for value in row if isinstance(value, bytes))
    if start < len(rows):
        yield rows[start:]
