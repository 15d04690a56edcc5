"""What every format gives: pieces of rows in the file's own types, with their numbers and what was not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.lake.landing.rejects import Reject

Texts = Literal["anything", "dates", "text"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a file; ``numbers`` are their places (from 0) among the ``count`` rows the piece stands for.

    ``numbers`` None means all of them, in order. ``rejects`` have the same kind of numbers.
    """

    rows: pa.RecordBatch
    count: int
    numbers: npt.NDArray[np.int64] | None = None
    rejects: tuple[Reject, ...] = ()

    def number(self, at: int) -> int:
        """The place of the row at an index."""
        return at if self.numbers is None else int(self.numbers[at])


class Part(Protocol):
    """One file: what `landing` needs to know of it whatever its format."""

    name: str
    names: tuple[str, ...]
    first_row: int
    """The number of the first row, as people count."""
    texts: Texts
    """What its texts may be besides text."""

    def pieces(self) -> Iterator[Callable[[], Piece]]:
        """The file in order; each piece is made when it is called, in any thread."""
        ...

    def text(self, row: Sequence[object]) -> str:
        """A row's values as they may have stood in the file."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What was odd, once the pieces have been made."""
        ...

    def declared(self) -> Mapping[str, pa.DataType]:
        """The columns whose types the file itself says."""
        ...
