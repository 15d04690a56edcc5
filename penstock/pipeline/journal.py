"""What was run, when, and how it ended: the only state a project has beside its lake."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from penstock.errors import RequestError, system_reason

State = Literal["running", "done", "unchanged", "failed", "killed"]
_TABLE = """
    CREATE TABLE IF NOT EXISTS runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT, batch TEXT NOT NULL, stage TEXT NOT NULL, name TEXT NOT NULL,
        state TEXT NOT NULL, pid INTEGER NOT NULL, born TEXT NOT NULL, started INTEGER NOT NULL, seconds REAL, cpu REAL,
        memory INTEGER, rows INTEGER, version INTEGER, fingerprint TEXT NOT NULL, facts TEXT NOT NULL, failure TEXT)
"""
_COLUMNS = (
    "number, batch, stage, name, state, started, seconds, cpu, memory, rows, version, fingerprint, facts, failure, "
    "pid, born"
)


@dataclass(frozen=True)
class Outcome:
    """What a stage did: its table's version, rows it read or wrote, and whatever else is worth keeping."""

    version: int | None = None
    rows: int = 0
    changed: bool = True
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run of one stage. Instants are microseconds since 1970, times seconds, memory the process's peak in bytes."""

    number: int
    batch: str
    stage: str
    name: str
    state: State
    started: int
    seconds: float | None
    cpu: float | None
    memory: int | None
    rows: int | None
    version: int | None
    fingerprint: str
    facts: Mapping[str, object]
    failure: str | None

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Journal:
    """The runs of a project, in a SQLite file that survives a kill at any moment."""

    path: Path
    _held: list[sqlite3.Connection] = field(default_factory=list, repr=False, compare=False)

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Keep the file open for all that is asked in this context."""
        with self._opened() as connection:
            self._held.append(connection)
            try:
                yield
            finally:
                self._held.remove(connection)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if self._held:
            yield self._held[-1]
            return
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        with closing(connection):
            with self._explained():
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing; a power cut the newest lines
                connection.execute(_TABLE)
            yield connection

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        """The file opened to be written; what goes wrong while it is written is the journal's own."""
        with self._opened() as connection, self._explained():
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.DatabaseError) as error:
            raise _unreadable(self.path, error) from error

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        """The file opened to be read, which makes nothing and needs no right to write; None where there is none."""
        with self._explained():
            if self._held or (self.path.exists() and _writable(self.path)):
                with self._opened() as connection:
                    yield connection
            elif self.path.exists():
                with closing(sqlite3.connect(_only_read(self.path), uri=True, timeout=30)) as connection:
                    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
                    yield connection if there else None
            else:
                yield None

    def begin(self, batch: str, stage: str, name: str, started: int, fingerprint: str) -> int:
        """Note that a stage begins; its number is wanted at its end."""
        with self._written() as connection:
            cursor = connection.execute(
                "INSERT INTO runs (batch, stage, name, state, pid, born, started, fingerprint, facts) "
                "VALUES (?, ?, ?, 'running', ?, ?, ?, ?, '{}')",
                (batch, stage, name, os.getpid(), born(os.getpid()), started, fingerprint),
            )
            return int(cursor.lastrowid or 0)

    def end(
        self, number: int, state: State, outcome: Outcome, spent: Mapping[str, float], failure: str | None = None
    ) -> None:
        """Note how it ended; ``spent`` are seconds, cpu (seconds) and memory (bytes)."""
        with self._written() as connection:
            connection.execute(
                "UPDATE runs SET state = ?, seconds = ?, cpu = ?, memory = ?, rows = ?, version = ?, facts = ?, "
                "failure = ? WHERE number = ?",
                (state, spent["seconds"], spent["cpu"], int(spent["memory"]), outcome.rows, outcome.version,
                 json.dumps(outcome.facts, default=str), failure, number),
            )  # fmt: skip

    def note_unchanged(self, before: Run, batch: str, now: int) -> None:
        """Note that a stage rests on what its run before rested on, so that nothing was done."""
        with self._written() as connection:
            connection.execute(
                "INSERT INTO runs (batch, stage, name, state, pid, born, started, fingerprint, facts, seconds, cpu, "
                "memory, rows, version) VALUES (?, ?, ?, 'unchanged', ?, '', ?, ?, '{}', 0, 0, 0, 0, ?)",
                (batch, before.stage, before.name, os.getpid(), now, before.fingerprint, before.version),
            )

    def bury(self) -> int:
        """Mark the runs whose process is gone as killed; how many there were."""
        with self._written() as connection:
            found = connection.execute("SELECT number, pid, born FROM runs WHERE state = 'running'").fetchall()
            gone = [(number,) for number, pid, birth in found if born(pid) != birth]
            connection.executemany("UPDATE runs SET state = 'killed' WHERE number = ? AND state = 'running'", gone)
            return len(gone)

    def runs(self, limit: int = 50, stage: str | None = None, name: str | None = None) -> tuple[Run, ...]:
        """The newest runs, newest first; one whose process is gone is told as killed, though nobody noted it yet."""
        chosen = "(:stage IS NULL OR stage = :stage) AND (:name IS NULL OR name = :name)"
        return self._found(f"WHERE {chosen} ORDER BY number DESC LIMIT :limit", stage=stage, name=name, limit=limit)

    def of_batch(self, batch: str) -> tuple[Run, ...]:
        """The runs of one walk, in its order."""
        return self._found("WHERE batch = :batch ORDER BY number", batch=batch)

    def _found(self, wanted: str, **given: object) -> tuple[Run, ...]:
        with self._read() as connection:
            if connection is None:
                return ()
            return tuple(_run(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM runs {wanted}", given))

    def newest(self) -> dict[tuple[str, str], Run]:
        """The newest run of each stage that ended well, by kind and name."""
        ended = "(SELECT max(number) FROM runs WHERE state IN ('done', 'unchanged') GROUP BY stage, name)"
        return {(run.stage, run.name): run for run in self._found(f"WHERE number IN {ended}")}


def _writable(file: Path) -> bool:
    """Whether the file can be written, and its folder, where SQLite keeps what is not yet in it."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def _only_read(file: Path) -> str:
    """The URI of a file that is not to be written; where no other process shares it, SQLite need make no file."""
    shared = all(file.with_name(f"{file.name}-{part}").exists() for part in ("wal", "shm"))
    return f"{file.absolute().as_uri()}?mode=ro{'' if shared else '&immutable=1'}"


def _unreadable(file: Path, error: OSError | sqlite3.DatabaseError) -> RequestError:
    reason = system_reason(error) if isinstance(error, OSError) else str(error)
    broken = any(told in reason for told in ("not a database", "malformed"))
    lost = "Move it away: the lake itself knows what was committed, only the history of runs is lost."
    hint = lost if broken else "See that its folder can be written, and that the disk has room."
    return RequestError("JOURNAL_UNREADABLE", f"{file} cannot be used: {reason}", hint=hint)


def _run(row: tuple[object, ...]) -> Run:
    number, batch, stage, name, state, *plain, facts, failure, pid, birth = row
    if state == "running" and born(int(str(pid))) != birth:
        state = "killed"
    told = (number, batch, stage, name, state, *plain, json.loads(str(facts)), failure)
    return Run(*told)


def born(pid: int) -> str:
    """What tells a process from a later one with the same number; empty when there is none such."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return _alive(pid)


def _alive(pid: int) -> str:
    """Where there is no /proc: whether the process lives."""
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
