"""What streams give: messages with their place, and readers that go on from a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from penstock.errors import SourceError

FINISHED = 2**62
"""The offset of a partition that will give no more."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its partition, its offset there (they grow), and what it says.

    ``payload`` is bytes that wait to be parsed, or a row that its source has parsed (``typed``, where that source has
    types of its own); None says nothing but that the partition has come this far. ``mark`` is kept with the position: a
    receipt that is known again after a crash. ``label`` is the place as the source spells it, ``fault`` why it could
    not be read.
    """

    partition: str
    offset: int
    payload: bytes | Mapping[str, object] | None
    mark: tuple[str, int] | None = None
    label: str = ""
    typed: bool = False
    fault: str | None = None

    @property
    def place(self) -> str:
        """The offset, to be read by people."""
        return self.label or str(self.offset)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not become a row: where it was, why, and its bytes as text."""

    partition: str
    position: str
    reason: str
    raw: str


class Tally(NamedTuple):
    """What became of the rows of one message."""

    written: int = 0
    duplicates: int = 0
    dead: int = 0


class Reader(Protocol):
    """An open stream. Any method may raise ``SourceError`` with ``STREAM_LOST``: close it and open it again."""

    def read(self, most: int, wait: float) -> Sequence[Message]:
        """The next messages, at most about ``most``; none when nothing came for ``wait`` seconds."""
        ...

    def settle(self, tallies: Sequence[Tally]) -> None:
        """The messages of the last `read` are durable; one tally each."""
        ...

    def lag(self) -> int | None:
        """How many messages wait; None where that is not known."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def lost(where: str, error: object) -> SourceError:
    """The error for a broker that does not answer, now or any more."""
    return SourceError("STREAM_LOST", f"{where} does not answer: {' '.join(str(error).split())}")


def unknown_stream(where: str, name: str, there: Sequence[str]) -> SourceError:
    """The error for a stream that a broker does not have."""
    return SourceError("STREAM_UNKNOWN", f"{where} has no stream {name!r}", name=name, candidates=sorted(there))
