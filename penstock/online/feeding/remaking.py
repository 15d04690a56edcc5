"""What waits to be made again from the lake: keys in doubt, and rows that say which keys they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import ARROW
from penstock.online.beside import gone
from penstock.online.build import keys_of
from penstock.online.catalogue import ViewState
from penstock.online.feeding.lanes import Lane
from penstock.online.holdings import Holding
from penstock.online.keys import packed
from penstock.online.rebuild import LakeNow, differing
from penstock.online.store import Change, OnlineStore

KEYS_AT_ONCE = 5_000


@dataclass
class Waiting:
    """What waits for a view. ``since`` is, by table, the instant before the first row that waits became known.

    ``again`` are rows (their identities, by table) whose keys were seen before or are gone; ``all`` are all rows, for
    holdings that rest on more than rows of their own; ``doubtful`` are keys.
    """

    since: dict[str, int] = field(default_factory=dict)
    again: dict[str, list[pa.Table]] = field(default_factory=dict)
    all: dict[str, list[pa.Table]] = field(default_factory=dict)
    doubtful: dict[Holding, list[pa.Array]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.since)

    def note(self, table: str, known: int) -> None:
        """Rows of a table wait, of which the first became known at this instant."""
        self.since.setdefault(table, known - 1)

    def affected(self, lane: Lane, look: LakeNow) -> Iterator[tuple[Holding, pa.Array]]:
        """Each holding with the keys to be made again."""
        for holding in lane.kept.holdings:
            waiting = self.again if holding in lane.own else self.all
            changes = {name: pa.concat_tables(rows) for name, rows in waiting.items() if name in lane.reads[holding]}
            keys = look.places.affected(holding, changes)
            if keys is None:
                yield holding, keys_of(holding, look.relational)
                continue
            parts = [one.cast(ARROW[holding.key]) for one in (keys, *self.doubtful.get(holding, ()))]
            yield holding, pc.unique(pa.concat_arrays(parts)).drop_null()


def remade(
    lane: Lane, state: ViewState, store: OnlineStore, look: LakeNow, waiting: Waiting, at: int
) -> Iterator[list[Change]]:
    """What to write so that all that waits is as the lake says, some keys at a time."""
    for holding, keys in waiting.affected(lane, look):
        for first in range(0, len(keys), KEYS_AT_ONCE):
            rows = look.rows(holding, keys.slice(first, KEYS_AT_ONCE), at)
            yield [*differing(store, state, holding, rows), *gone(store, holding, packed(rows.keys), at)]
