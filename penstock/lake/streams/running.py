"""Streams in one process: each has a thread that reads and one that commits, and they wait for each other."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from penstock.errors import SchemaError, SourceError
from penstock.lake.streams.message import Reader, Tally
from penstock.lake.streams.opening import open_stream
from penstock.lake.streams.positions import AT, ONCE
from penstock.lake.streams.stream import State, Stream, StreamStatus
from penstock.lake.streams.writing import Landed, TableWriter, open_writer
from penstock.lake.versioned import Lake

Progress = Callable[[StreamStatus], None]
_FIRST_DELAY, _LAST_DELAY = 0.1, 15.0
_LOOK = 0.1
_TOLD_EVERY = 1.0


def run_streams(
    streams: Sequence[Stream],
    lake: Lake,
    *,
    stop: threading.Event,
    progress: Progress,
    now: Callable[[], int],
    landed: Landed | None = None,
) -> None:
    """Stream into lake tables until ``stop`` is set; then commit what is in the tails and return.

    ``progress`` is called from the streams' threads, about once a second and when a state changes; ``landed`` with rows
    that have become readable, and what it raises stops the streams. A broker that does not answer is asked again, more
    and more slowly, for as long as it takes. Raises ``SchemaError`` where two streams share a table or a table has
    another key, ``SourceError`` for an unknown stream or URL, or for a table that another
    process streams into; the other streams then stop in order.
    """
    _must_differ(streams)
    halt = threading.Event()
    runs = [_Run(stream, lake, halt, progress, now, landed) for stream in streams]
    with ThreadPoolExecutor(max(2 * len(runs), 1), "stream") as threads:
        try:
            waiting: set[Future[None]] = {threads.submit(run.run, threads) for run in runs}
            while waiting and not stop.is_set():
                done, waiting = wait(waiting, _LOOK, FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            halt.set()
        for future in waiting:
            future.result()


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, for `run_streams` in a main thread."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _must_differ(streams: Sequence[Stream]) -> None:
    for what, names in (("table", [s.table for s in streams]), ("name", [s.name for s in streams])):
        name, times = next(iter(Counter(names).most_common(1)), ("", 0))
        if times > 1:
            message = f"{times} streams have the {what} {name!r}"
            raise SchemaError("STREAM_SHARED", message, name=name, hint="Each stream needs a table of its own.")


@dataclass
class _Run:
    """One stream while it runs."""

    stream: Stream
    lake: Lake
    halt: threading.Event
    progress: Progress
    now: Callable[[], int]
    landed: Landed | None = None
    status: StreamStatus = field(init=False)
    _told: float = 0.0
    _opened: bool = False
    _trouble: str = ""

    def __post_init__(self) -> None:
        self.status = StreamStatus(self.stream.name, self.stream.table)

    def run(self, threads: ThreadPoolExecutor) -> None:
        """Read and commit until halted; in the end everything that was read is committed."""
        self._tell("starting")
        writer = open_writer(self.stream, self.lake, self.now, self.landed)
        flushing = threads.submit(self._flush, writer)
        try:
            while not self.halt.is_set():
                self._read_until_lost(writer, flushing)
            flushing.result()
            writer.close()
        except BaseException as error:
            self._ended(writer, flushing, error)
            raise
        self._count(writer, None)
        self._tell("stopped")

    def _ended(self, writer: TableWriter, flushing: Future[None], error: BaseException) -> None:
        """What was appended stays in the tail for the next writer."""
        self.halt.set()
        wait([flushing])
        writer.abandon()
        self._tell("failed", str(error).partition("\n")[0])

    # ------------------------------------------------------------ reading

    def _read_until_lost(self, writer: TableWriter, flushing: Future[None]) -> None:
        """Read until halted, with a pause that grows where the broker does not answer."""
        delay = _FIRST_DELAY
        while not self.halt.is_set():
            try:
                reader = open_stream(self.stream.url, _places(writer), self.stream.limits)
            except SourceError as error:
                delay = self._paused_after(error, delay)
                continue
            self._opened = True
            try:
                delay = _FIRST_DELAY
                self._read(reader, writer, flushing)
            except SourceError as error:
                delay = self._paused_after(error, delay)
            finally:
                reader.close()

    def _paused_after(self, error: SourceError, delay: float) -> float:
        """Wait where somebody does not answer; anything else is an error, but a stream that was there may come back."""
        if error.code != "STREAM_LOST" and not (self._opened and error.code == "STREAM_UNKNOWN"):
            raise error
        self._tell("lost", f"{error.message}; asked again in {delay:.1f} s")
        self.halt.wait(delay)
        return min(2 * delay, _LAST_DELAY)

    def _read(self, reader: Reader, writer: TableWriter, flushing: Future[None]) -> None:
        limits = self.stream.limits
        while not self.halt.is_set():
            if flushing.done():
                flushing.result()
            if writer.tail_rows > limits.tail_rows:
                self._tell("paused", "the tail is full: waiting for a version")
                self.halt.wait(_LOOK)
                continue
            messages = reader.read(limits.read, limits.wait)
            tallies = writer.write(messages)
            if messages:
                reader.settle(tallies)
            self._counted(tallies)
            if time.monotonic() - self._told > _TOLD_EVERY or self.status.state != "reading":
                self._count(writer, reader)
                self._tell("reading", self._trouble)

    def _counted(self, tallies: Sequence[Tally]) -> None:
        if tallies:
            written, duplicates, dead = (sum(column) for column in zip(*tallies, strict=True))
            before = self.status
            self.status = replace(
                before,
                read=before.read + len(tallies),
                written=before.written + written,
                duplicates=before.duplicates + duplicates,
                dead=before.dead + dead,
            )

    def _count(self, writer: TableWriter, reader: Reader | None) -> None:
        lag = None if reader is None else reader.lag()
        self.status = replace(self.status, lag=lag, tail=writer.tail_rows, flushed=writer.flushed)

    def _tell(self, state: State, note: str = "") -> None:
        self.status = replace(self.status, state=state, note=note)
        self._told = time.monotonic()
        self.progress(self.status)

    # ------------------------------------------------------------ committing

    def _flush(self, writer: TableWriter) -> None:
        """Commit segments that are due, and again what could not be committed."""
        delay = _FIRST_DELAY
        while not self.halt.is_set():
            try:
                if writer.due():
                    writer.flush()
                delay, self._trouble = _FIRST_DELAY, ""
            except (SourceError, OSError) as error:
                self._trouble = f"no version could be made, tried again: {error}".partition("\n")[0]
                self.halt.wait(delay)
                delay = min(2 * delay, _LAST_DELAY)
            self.halt.wait(_LOOK)


def _places(writer: TableWriter) -> dict[str, int]:
    """Positions as readers know them: partitions by name, receipts with their prefix."""
    return {name.removeprefix(AT): value for name, value in writer.positions.items() if name.startswith((AT, ONCE))}


__all__ = ["Progress", "run_streams", "stopping_on_signals"]
