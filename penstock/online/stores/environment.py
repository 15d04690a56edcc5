"""LMDB environments: one for each folder and process, enlarged when full, and opened anew in forked processes.

A folder may be open once in a process, a map may only change its size while no transaction is open, and a forked
process must close what it inherited; closing it while its parent reads would free the parent's place among the readers.
So transactions are counted, and whoever changes the map, or forks, waits until there are none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lmdb

READERS = 1024
"""How many transactions may read at once, in all processes."""
T = TypeVar("T")
if TYPE_CHECKING:
    Transaction = lmdb.Transaction[bytes]
_OPEN: dict[Path, Environment] = {}
_LOCK = threading.Lock()


class Gate:
    """Lets any number in, or one alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._inside, self._closing = 0, 0

    def __enter__(self) -> None:
        with self._lock:
            while self._closing:
                self._changed.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._closing:
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody is inside, and let nobody in."""
        self.close()
        try:
            yield
        finally:
            self.open()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let nobody new in, for somebody who is inside."""
        with self._changed:
            self._closing += 1
        try:
            yield
        finally:
            with self._changed:
                self._closing -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Begin to be alone."""
        self._changed.acquire()
        self._closing += 1
        while self._inside:
            self._changed.wait()

    def open(self) -> None:
        """Be alone no more."""
        self._closing -= 1
        self._changed.notify_all()
        self._changed.release()


class Environment:
    """The environment of a folder in this process."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.gate, self.users = folder, Gate(), 0
        self._size = size
        self._lmdb: lmdb.Environment | None = _opened(folder, size)
        self._opening = threading.Lock()
        self._files = _files(folder)

    @property
    def is_current(self) -> bool:
        """Whether the folder's files are still those that were opened."""
        return self._files == _files(self.folder)

    def opened(self) -> lmdb.Environment:
        """The environment itself; a forked process opens it at its first use."""
        found = self._lmdb
        if found is None:
            with self._opening:
                found = self._lmdb
                if found is None:
                    if not self.users:
                        raise lmdb.Error("it was closed")
                    found = self._lmdb = _opened(self.folder, self._size)
        return found

    def read(self, do: Callable[[Transaction], T]) -> T:
        """What ``do`` makes of a transaction that reads, on a map as large as other processes have made it."""
        while True:
            try:
                with self.gate, self.opened().begin() as transaction:
                    return do(transaction)
            except lmdb.MapResizedError:
                self._follow()

    def write(self, do: Callable[[Transaction], T], room: int) -> T:
        """What ``do`` makes of a transaction that writes and is committed; the map is enlarged until it fits."""
        while True:
            with self.gate:
                size = self.opened().info()["map_size"]
                self.opened().reader_check()  # readers that were killed hold pages that could be written again
                try:
                    return self._committed(do)
                except (lmdb.MapFullError, lmdb.MapResizedError) as error:
                    reason = error
            if isinstance(reason, lmdb.MapResizedError):
                self._follow()
            else:
                self._enlarge(size, room)

    def _committed(self, do: Callable[[Transaction], T]) -> T:
        transaction = self.opened().begin(write=True)
        try:
            made = do(transaction)
            transaction.commit()
        except BaseException:
            with self.gate.quiet():  # among threads that read all the time it would not end for minutes
                transaction.abort()
            raise
        return made

    def leave(self) -> None:
        """One user less; the last one closes it."""
        with _LOCK:
            self.users -= 1
            if not self.users:
                with self.gate.alone():
                    self.shut()
                if _OPEN.get(self.folder) is self:
                    del _OPEN[self.folder]

    def shut(self) -> None:
        """Close it; to be called alone."""
        if self._lmdb is not None:
            self._lmdb.close()
            self._lmdb = None

    def _follow(self) -> None:
        """Take the size that another process has given to the map."""
        with self.gate.alone():
            self.opened().set_mapsize(0)

    def _enlarge(self, seen: int, room: int) -> None:
        """Enlarge a map of the size ``seen`` so that ``room`` bytes more should fit."""
        with self.gate.alone():
            if self.opened().info()["map_size"] <= seen:
                self.opened().set_mapsize(max(2 * seen, seen + 4 * room))


def share(folder: Path, size: int) -> Environment:
    """The environment of a folder, opened if it is not yet; each user leaves it in the end."""
    with _LOCK:
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        environment = _OPEN.get(folder)
        if environment is None or not environment.is_current:
            environment = Environment(folder, size)
        environment.users += 1
        _OPEN[folder] = environment
        return environment


def _opened(folder: Path, size: int) -> lmdb.Environment:
    """An environment to write and read, or to read only where the folder may not be written."""
    try:
        opened = lmdb.open(str(folder), map_size=size, max_readers=READERS)
    except (lmdb.ReadonlyError, PermissionError):
        opened = lmdb.open(str(folder), readonly=True, lock=os.access(folder / "lock.mdb", os.W_OK))
    if _is_cut(folder, opened):
        opened.close()
        raise lmdb.CorruptedError("its end is missing")
    return opened


def _is_cut(folder: Path, opened: lmdb.Environment) -> bool:
    """Whether pages that are in use lie behind the end of the file: to read them would end the process."""
    pages = (folder / "data.mdb").stat().st_size // opened.stat()["psize"]
    if pages > opened.info()["last_pgno"]:
        return False
    from lmdb.verify import VerifyError, verify  # it is slow, and hardly ever needed

    try:
        return bool(verify(str(folder)))  # type: ignore[no-untyped-call]
    except VerifyError:
        return True


def _files(folder: Path) -> tuple[int, int] | None:
    try:
        told = (folder / "data.mdb").stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def _before_fork() -> None:
    _LOCK.acquire()
    for environment in _OPEN.values():
        environment.gate.close()


def _after_fork() -> None:
    for environment in _OPEN.values():
        environment.gate.open()
    _LOCK.release()


def _after_fork_in_child() -> None:
    for environment in _OPEN.values():
        environment.shut()
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
