"""A watched folder, ``folder:PATH``: each JSON-lines, CSV or Parquet file that is complete is read once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, file_digest
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import SourceError
from penstock.lake.delimited import read_csv, sniff
from penstock.lake.files import format_of
from penstock.lake.reading import read_text
from penstock.lake.streams.message import FINISHED, Message, Tally, lost

_QUIET_SECONDS = 1.0
_Stat = tuple[int, int, int]


@dataclass
class FolderReader:
    """Files in a folder (not below it), oldest first; one is complete when two looks find it unchanged.

    A file is known by its name and content: written anew under its old name it is another file.
    """

    folder: Path
    quiet: float
    _positions: Mapping[str, int]
    _looked: float = float("-inf")
    _before: dict[Path, _Stat] = field(default_factory=dict)
    _done: dict[Path, _Stat] = field(default_factory=dict)
    _rows: Iterator[Message] = field(default_factory=lambda: iter(()))
    _waiting: list[Path] = field(default_factory=list)

    def read(self, most: int, wait: float) -> Sequence[Message]:
        """The next rows of the file that is being read, or of the next one."""
        messages = list(islice(self._rows, most))
        if messages:
            return messages
        if not self._waiting:
            self._look()
        if not self._waiting:
            time.sleep(wait)
            return ()
        self._rows = self._begun(self._waiting.pop(0))
        return list(islice(self._rows, most))

    def _look(self) -> None:
        if time.monotonic() - self._looked < self.quiet:
            return
        self._looked = time.monotonic()
        try:
            found = {path: stat for path in self.folder.iterdir() if _counts(path) and (stat := _stat(path))}
        except OSError as error:
            raise lost(str(self.folder), error) from error
        ready = [path for path, stat in found.items() if self._before.get(path) == stat != self._done.get(path)]
        self._before = found
        self._waiting = sorted(ready, key=lambda path: (found[path][1], path.name))

    def _begun(self, path: Path) -> Iterator[Message]:
        """The rows of a file that were not read yet, and then that it is finished."""
        before = _stat(path)
        if before is None or before != self._before.get(path):
            return
        partition = f"{path.name}#{_content(path)}"
        if _stat(path) != before:
            return
        after = self._positions.get(partition, 0)
        if after < FINISHED:
            yield from islice(_messages(path, partition), after, None)
            yield Message(partition, FINISHED, None)
        self._done[path] = before

    def settle(self, tallies: Sequence[Tally]) -> None:
        """Nothing to tell: files are left where they are."""

    def lag(self) -> int | None:
        """The complete files that wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Nothing is held open."""
        self._rows = iter(())


def open_folder(url: str, positions: Mapping[str, int]) -> FolderReader:
    """Watch a folder: ``folder:PATH[?quiet=SECONDS]``. Raises ``SourceError`` where it does not exist."""
    parts = urlsplit(url)
    folder = Path(unquote(parts.path)).expanduser()
    if not folder.is_dir():
        there = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        message = f"there is no folder {folder}"
        raise SourceError("STREAM_UNKNOWN", message, name=folder.name, candidates=there)
    quiet = float(parse_qs(parts.query).get("quiet", [str(_QUIET_SECONDS)])[0])
    return FolderReader(folder, quiet, positions)


def _counts(path: Path) -> bool:
    return not path.name.startswith((".", "_")) and path.is_file() and format_of(path) in _READING


def _stat(path: Path) -> _Stat | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


def _messages(path: Path, partition: str) -> Iterator[Message]:
    """A file's rows; where it cannot be read, one message that says why."""
    number = 0
    try:
        for number, payload in enumerate(_READING[format_of(path) or ""](path), 1):
            yield Message(partition, number, payload, typed=not isinstance(payload, bytes))
    except (SourceError, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, SourceError) else " ".join(str(error).split())
        yield Message(partition, number + 1, path.name.encode(), fault=f"the file cannot be read: {reason}")


def _json_lines(path: Path) -> Iterator[bytes | Mapping[str, object]]:
    with pa.input_stream(str(path)) as stream:
        rest = b""
        while block := stream.read(1 << 20):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            yield from filter(bytes.strip, lines)
    if rest.strip():
        yield rest


def _csv(path: Path) -> Iterator[bytes | Mapping[str, object]]:
    table = read_csv(path, sniff(path))
    arrays = [read_text(name, table[name], numbers=True).values for name in table.column_names]
    yield from _dicts(pa.table(arrays, names=table.column_names).to_batches(10_000))


def _parquet(path: Path) -> Iterator[bytes | Mapping[str, object]]:
    with pq.ParquetFile(path) as file:
        yield from _dicts(file.iter_batches(10_000))


def _dicts(batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch]) -> Iterator[Mapping[str, object]]:
    for batch in batches:
        yield from batch.to_pylist()


_READING: dict[str, Callable[[Path], Iterator[bytes | Mapping[str, object]]]] = {
    "json": _json_lines,
    "csv": _csv,
    "parquet": _parquet,
}
