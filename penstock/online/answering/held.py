"""A view as a store holds it: the rows of keys, read and laid out as a sweep takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from penstock.engine.relational import ARROW
from penstock.errors import StoreError
from penstock.online import heads, records
from penstock.online.catalogue import HEADS, Space, ViewState
from penstock.online.crowds import Crowd, GoneError, is_crowd, pieces
from penstock.online.holdings import Holding, Kept
from penstock.online.keys import packed, packed_one
from penstock.online.store import FIRST, OnlineStore, Part
from penstock.online.texts import Texts
from penstock.schema import Dtype
from penstock.window import BEGINNING

T = TypeVar("T")
Row = list[Any]
"""A row as it is kept: when it happened, from when and until when it shows, its values."""
FEW = 12
"""Keys below this number are packed one by one, which is quicker then."""
_TRIES = 100


@dataclass(frozen=True)
class Crowded:
    """A key of so many rows that some lie in pieces, which were not read; ``parts`` are those from ``since`` on."""

    store: OnlineStore
    holding: Holding
    space: Space
    key: bytes
    since: int
    parts: list[Part]

    def settled(self, work: Callable[[Crowded], T]) -> T:
        """What work gives, done again where pieces went since the parts were read.

        Raises ``StoreError`` (``STORE_DAMAGED``) where they are not there at all.
        """
        now = self
        for _ in range(_TRIES):
            try:
                return work(now)
            except GoneError:
                now = replace(self, parts=self.store.read(self.space.name, [self.key], self.since)[0])
        raise StoreError("STORE_DAMAGED", f"rows of {self.space.name} are missing", hint="Make the store again.")

    def pieces(self, names: list[int]) -> list[bytes]:
        """The rows of pieces. Raises `GoneError`."""
        return pieces(self.store, self.space, self.key, names) if names else []

    def events(self) -> Events:
        """All its events, whichever pieces they lie in."""
        return self.settled(Crowded._events)

    def _events(self) -> Events:
        data = [self.pieces(Crowd.from_bytes(p.data).named) if is_crowd(p.data) else [p.data] for p in self.parts]
        return Events.of([[one for some in data for one in some]], len(self.holding.columns))


@dataclass(frozen=True)
class Events:
    """Events in order, those of key i from ``starts[i]`` to ``starts[i + 1]``; ``values`` has a row a column.

    Those of keys that are ``crowded``, by their places, are not there.
    """

    starts: np.ndarray
    happened: np.ndarray
    shown_from: np.ndarray
    shown_until: np.ndarray
    values: np.ndarray
    crowded: tuple[tuple[int, Crowded], ...] = ()

    @classmethod
    def of(
        cls, parts: Sequence[Sequence[bytes]], columns: int, crowded: tuple[tuple[int, Crowded], ...] = ()
    ) -> Events:
        """The events of each key from the bytes of its parts (see `penstock.online.records`)."""
        width = 8 * (records.CLOCKS + columns)
        counts = (sum(map(len, some)) // width for some in parts)
        starts = np.fromiter(accumulate(counts, initial=0), np.int64, len(parts) + 1)
        data = [one for some in parts for one in some]
        block = np.ascontiguousarray(records.joined(data or [b""], columns).T)
        return cls(starts, block[0], block[1], block[2], block[records.CLOCKS :], crowded)

    def newest(self, at: int, low: int) -> list[int | None]:
        """For each key when the newest event that shows at ``at`` and is later than ``low`` happened."""
        if len(self.starts) == 2 and len(self.happened) and self._last_shows(at, low):
            return [int(self.happened[-1])]
        ends = self.starts[1:] - 1
        if len(self.happened) and (self.starts[:-1] <= ends).all():
            happened = self.happened[ends]
            if ((self.shown_from[ends] <= at) & (self.shown_until[ends] > at) & (happened > low)).all():
                return happened.tolist()  # type: ignore[no-any-return]
        shown = np.flatnonzero((self.shown_from <= at) & (self.shown_until > at) & (self.happened > low))
        bounds = np.searchsorted(shown, self.starts).tolist()
        times = self.happened[shown].tolist()
        return [times[end - 1] if end > begin else None for begin, end in pairwise(bounds)]

    def _last_shows(self, at: int, low: int) -> bool:
        return bool(self.shown_from[-1] <= at < self.shown_until[-1] and self.happened[-1] > low)


@dataclass
class Keys:
    """Keys of one dtype; instants are in microseconds."""

    values: Sequence[Any]
    dtype: Dtype
    _packed: list[bytes] | None = None

    @property
    def packed(self) -> list[bytes]:
        """Each key as a store has it; no bytes for NULL."""
        if self._packed is None:
            self._packed = pack(self.values, self.dtype)
        return self._packed


class Rows(Protocol):
    """Where the rows of holdings come from: a store, or a database that is read on the spot."""

    @property
    def texts(self) -> Known:
        """The texts that events have hashes of."""
        ...

    def newest(self, holding: Holding, keys: Keys, at: int) -> list[Row | None]:
        """The newest row of each key that shows at ``at``."""
        ...

    def events(self, holding: Holding, keys: Keys, at: int) -> Events:
        """The events of each key that windows reach at ``at``, and perhaps some before."""
        ...


class Known(Protocol):
    """Texts by their hashes."""

    def get(self, hashes: Iterable[int]) -> dict[int, object]:
        """The text of each hash."""
        ...


@dataclass(frozen=True)
class Held:
    """What is kept for a view, in the state that a reader took notice of."""

    store: OnlineStore
    kept: Kept
    state: ViewState
    texts: Texts

    def newest(self, holding: Holding, keys: Keys, at: int) -> list[Row | None]:
        """The newest row of each key that shows at ``at``."""
        found = self.store.read_part(self.space(holding).name, keys.packed, HEADS)
        return [None if rows is None else showing(rows, at) for rows in heads.each_from_bytes(found)]

    def events(self, holding: Holding, keys: Keys, at: int) -> Events:
        """The events of each key that windows reach at ``at``, and perhaps some before."""
        space, columns = self.space(holding), len(holding.columns)
        since = FIRST if holding.reach is None or not space.span else (at - holding.reach) // space.span
        found = self.store.read(space.name, keys.packed, since)
        data = [[part.data for part in parts] for parts in found]
        crowded: tuple[tuple[int, Crowded], ...] = ()
        if 1 in [len(one) & 1 for parts in data for one in parts]:  # a crowd is never of whole words
            crowded = tuple(
                (place, Crowded(self.store, holding, space, keys.packed[place], since, found[place]))
                for place, parts in enumerate(data)
                if any(map(is_crowd, parts))
            )
            for place, _ in crowded:
                data[place] = []
        return Events.of(data, columns, crowded)

    def space(self, holding: Holding) -> Space:
        """Where a holding is. Raises ``StoreError`` where the state lacks it."""
        space = self.state.space(holding)
        if space is None:
            raise StoreError("STORE_DAMAGED", f"{self.kept.view.name} is not whole in the store")
        return space


def showing(rows: list[Row], at: int) -> Row | None:
    """The last of some rows that shows at an instant.

    >>> showing([[1, 1, 9, "a"], [2, 5, 9, "b"]], 3)
    [1, 1, 9, 'a']
    """
    for row in rows[::-1]:
        if row[1] <= at < row[2]:
            return row
    return None


def time_of(row: Row | None) -> int | None:
    """When a row happened; None without a row, or where rows have no time."""
    return None if row is None or row[0] <= BEGINNING + 1 else row[0]


def pack(keys: Sequence[Any], dtype: Dtype) -> list[bytes]:
    """Keys as a store has them; instants are in microseconds.

    >>> pack([1], Dtype.INT) == pack([1] * FEW, Dtype.INT)[:1]
    True
    """
    if len(keys) < FEW:
        return [packed_one(key, dtype) for key in keys]
    if dtype is Dtype.TIMESTAMP:
        return packed(pa.array(keys, pa.int64()).cast(ARROW[dtype]))
    return packed(pa.array(keys, ARROW[dtype]))
