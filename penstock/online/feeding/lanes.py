"""How each view takes rows that arrive: which of its holdings in place, which made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.features.views.bound import Bound
from penstock.lake.versioned import Lake
from penstock.online.catalogue import ViewState, live
from penstock.online.changed import read_by
from penstock.online.feeding.arrivals import is_own
from penstock.online.holdings import Holding, Kept, kept_for
from penstock.online.store import OnlineStore
from penstock.online.sync import chosen


class OutOfStepError(Exception):
    """The store, or the lake, is not as the feed knows it: all is to be brought into step again."""


@dataclass(frozen=True)
class Lane:
    """A view: the holdings whose rows each rest on one row (``own``) and the others, and the tables that each reads."""

    kept: Kept
    own: tuple[Holding, ...]
    other: tuple[Holding, ...]
    tables: tuple[str, ...]
    reads: dict[Holding, tuple[str, ...]]

    @property
    def name(self) -> str:
        """The name that the view is kept under."""
        return self.kept.view.kept

    def is_another(self, store: OnlineStore) -> bool:
        """Whether the store holds the view as other definitions have it: somebody has changed it meanwhile."""
        state = live(store, self.name)
        return state is not None and not state.holds(self.kept)

    def state(self, store: OnlineStore) -> ViewState:
        """How the view is held now. Raises `OutOfStepError` where it is not, or otherwise."""
        state = live(store, self.name)
        if state is None or not state.holds(self.kept):
            raise OutOfStepError
        return state


def lanes_of(bound: Bound, views: Sequence[str]) -> tuple[Lane, ...]:
    """A lane for each of these views, or for all."""
    return tuple(_lane(kept_for(view, bound.graph), bound) for view in chosen(bound, views))


def _lane(kept: Kept, bound: Bound) -> Lane:
    reads = {holding: read_by(holding, bound.graph, bound.joins) for holding in kept.holdings}
    own = tuple(holding for holding in kept.holdings if is_own(holding, bound))
    other = tuple(holding for holding in kept.holdings if holding not in own)
    return Lane(kept, own, other, tuple(dict.fromkeys(name for names in reads.values() for name in names)), reads)


class Versions:
    """The versions of tables, to tell those that streams make of what they write from all others."""

    def __init__(self, lake: Lake, tables: Sequence[str]) -> None:
        self._lake = lake
        self._last = {name: self._newest(name) for name in tables}

    def _newest(self, table: str) -> int:
        newest = self._lake.table(table).newest() if table in self._lake else None
        return 0 if newest is None else newest.number

    def others(self) -> bool:
        """Whether any table has had a version since the last look that was not made of a stream's tail."""
        found = False
        for name, last in self._last.items():
            newest = self._newest(name)
            if newest != last:
                there = [one for one in self._lake.table(name).versions() if one.number > last]
                found |= any(not one.batch.startswith("tail-") and one.kind != "compact" for one in there)
                self._last[name] = newest
        return found
