"""A view built beside what is served: keys part by part, each written whole, to be gone on with after a kill."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import le

import numpy as np
import pyarrow as pa

from penstock.engine.execute import Progress
from penstock.features.views.bound import Bound
from penstock.lake.versioned import Lake
from penstock.online.build import KeyRows, built, is_plain, keys_of
from penstock.online.catalogue import BUILDING, Building, building, fresh, live, written
from penstock.online.crowds import unnamed
from penstock.online.holdings import Holding, Kept
from penstock.online.keys import packed
from penstock.online.rebuild import LakeNow, first_parts
from penstock.online.store import Change, OnlineStore
from penstock.online.texts import Texts
from penstock.settings import Settings

SLACK = 60_000_000
"""Clocks of machines that ask may be behind by so much: what shows no more since then is still kept."""
KEYS_A_WRITE = 20_000
ROWS_A_PART = 256
"""So many rows a part of a key should have at most, for keys like those that most rows belong to."""
HOT = 4_096
"""A key of more rows is hot: parts are not made small on its account."""
_HOUR = 3_600_000_000
_SPANS = tuple(_HOUR << n for n in range(17))
"""From an hour to some seven years."""


class OvertakenError(Exception):
    """Another process changed what this one works on; it is to be looked at anew."""


@dataclass
class Tally:
    """What was written: rows and keys of holdings."""

    rows: int = 0
    keys: int = 0

    def add(self, rows: KeyRows) -> None:
        """Count these rows, and the keys that have any."""
        self.rows += len(rows)
        self.keys += int(np.count_nonzero(np.diff(rows.starts)))


@dataclass(frozen=True)
class Job:
    """A view that is brought from a lake into a store."""

    bound: Bound
    lake: Lake
    store: OnlineStore
    kept: Kept
    settings: Settings
    now: Callable[[], int]
    progress: Progress
    tally: Tally = field(default_factory=Tally)

    @property
    def view(self) -> str:
        """The name that the view is kept under."""
        return self.kept.view.kept

    @property
    def at(self) -> int:
        """The instant from which on the store is to answer, in microseconds."""
        return self.now() - SLACK

    def look(self) -> LakeNow:
        """The lake now: of a derived table that is made otherwise by now, the last rows as the definitions know it."""
        return LakeNow.open(self.bound, self.lake, self.kept.holdings, self.settings)

    def look_to_serve(self) -> LakeNow:
        """The lake now, for what is to be served from now on.

        Raises ``SourceError`` (``LAKE_REMADE``) where a derived table is made otherwise by now, unless the store
        serves the view by these definitions already: nobody goes back to what is outdated.
        """
        look, state = self.look(), live(self.store, self.view)
        if state is None or not state.holds(self.kept):
            look.must_be_newest()
        return look


def loaded(job: Job) -> Building:
    """The build of the view, all parts done; one that was begun before is gone on with.

    Parts may be made from the lake at different moments, all of them at or after the one that the build says it
    follows: whoever brings it up to date makes every key again that changed since. Raises `OvertakenError`, and
    ``SourceError`` (``LAKE_REMADE``) where a derived table has newer rows by another recipe.
    """
    look = job.look_to_serve()
    plan = _begun(job, look)
    loading = _Loading(job, look, plan.parts)
    for number in range(plan.done, plan.parts):
        job.progress(f"{job.view}: first load", number / plan.parts)
        plan = loading.part(plan, number)
    return loading.swept(plan) if plan.resumed else plan


def _begun(job: Job, look: LakeNow) -> Building:
    with job.store.feeding():
        there = building(job.store, job.view)
        if there is not None and there.state.holds(job.kept):
            resumed = replace(there, resumed=True)
            job.store.write([], {BUILDING + job.view: written(resumed)})
            return resumed
        state = replace(fresh(job.kept), followed=look.following.state)
        plan = Building(state, _parts(job, look))
        job.store.write([], {BUILDING + job.view: written(plan)})
        return plan


def _parts(job: Job, look: LakeNow) -> int:
    """How many parts keep what one part takes within a quarter of the memory, with the copies made of it on the way."""
    following = look.following
    copies = 2 if all(is_plain(one) for one in job.kept.holdings) else 3
    needed = sum(
        following.count(name) * (5 + len(now.table.schema)) * 8 * copies for name, now in following.tables.items()
    )
    return max(1, -(-needed // max(1, job.settings.memory // 4)))


@dataclass(frozen=True)
class Ordered:
    """Keys in the order of their bytes, as LMDB has them: what is written behind all there is fills its pages best."""

    keys: pa.Array
    names: list[bytes]

    @classmethod
    def of(cls, keys: pa.Array) -> Ordered:
        """These keys, put in order.

        >>> Ordered.of(pa.array(["b", "aa", "c"])).keys.to_pylist()
        ['aa', 'b', 'c']
        """
        names = packed(keys)
        if all(map(le, names, names[1:])):
            return cls(keys, names)
        order = sorted(range(len(names)), key=names.__getitem__)
        return cls(keys.take(pa.array(order, pa.int64())), [names[place] for place in order])

    def bounds(self, parts: int) -> list[bytes]:
        """Keys that the parts from the second on begin with, so that all are about as large."""
        return [self.names[len(self.names) * part // parts] for part in range(1, parts)] if self.names else []

    def part(self, bounds: Sequence[bytes], number: int) -> pa.Array:
        """The keys of a part.

        >>> Ordered.of(pa.array([1, 2, 3])).part([b"i" + bytes([128, *[0] * 6, 3])], 0).to_pylist()
        [1, 2]
        """
        begins = [0, *(bisect_left(self.names, bound) for bound in bounds)]
        ends = [*begins[1:], len(self.names)]
        return self.keys[begins[number] : ends[number]] if number < len(begins) else self.keys[:0]


@dataclass(frozen=True)
class _Loading:
    """A first load under way over one moment of the lake."""

    job: Job
    look: LakeNow
    parts: int
    _ordered: dict[str, Ordered] = field(default_factory=dict)

    def part(self, plan: Building, number: int) -> Building:
        """Write one part of all holdings; the build with it done."""
        for holding in self.job.kept.holdings:
            plan = self._with_bounds(plan, holding)
            rows = self._rows(plan, holding, number)
            plan = self._with_span(plan, holding, rows)
            space = plan.state.spaces[holding.fingerprint]
            for first in range(0, len(rows.keys), KEYS_A_WRITE):
                some = rows.between(first, min(first + KEYS_A_WRITE, len(rows.keys)))
                self._write(plan, first_parts(holding, space, some, self._texts(plan.state.texts)))
                self.job.tally.add(some)
        done = replace(plan, done=number + 1)
        self._write(plan, [], done)
        return done

    def swept(self, plan: Building) -> Building:
        """Remove pieces that no part names: their part was written, then its rows changed, and it was written anew."""
        for holding in self.job.kept.holdings:
            space = plan.state.spaces[holding.fingerprint]
            some = self.job.store.keys(space.pieces, None, KEYS_A_WRITE) if space.span else []
            while some:
                self._write(plan, [unnamed(self.job.store, space, some)])
                some = self.job.store.keys(space.pieces, some[-1], KEYS_A_WRITE)
        done = replace(plan, resumed=False)
        self._write(plan, [], done)
        return done

    @cached_property
    def _known(self) -> dict[str, Texts]:
        return {}

    def _texts(self, space: str) -> Texts:
        return self._known.setdefault(space, Texts(self.job.store, space))

    def _keys(self, holding: Holding) -> Ordered:
        if holding.fingerprint not in self._ordered:
            self._ordered[holding.fingerprint] = Ordered.of(keys_of(holding, self.look.relational))
        return self._ordered[holding.fingerprint]

    def _rows(self, plan: Building, holding: Holding, number: int) -> KeyRows:
        ordered = self._keys(holding)
        if self.parts == 1:
            return built(holding, self.look.relational, ordered.keys, at=self.job.at)
        bounds = [bytes.fromhex(key) for key in plan.bounds[holding.fingerprint]]
        return self.look.rows(holding, ordered.part(bounds, number), self.job.at)

    def _with_bounds(self, plan: Building, holding: Holding) -> Building:
        if plan.parts == 1 or holding.fingerprint in plan.bounds:
            return plan
        bounds = tuple(key.hex() for key in self._keys(holding).bounds(plan.parts))
        bounded = replace(plan, bounds={**plan.bounds, holding.fingerprint: bounds})
        self._write(plan, [], bounded)
        return bounded

    def _with_span(self, plan: Building, holding: Holding, rows: KeyRows) -> Building:
        space = plan.state.spaces[holding.fingerprint]
        if holding.newest or space.span:
            return plan
        spaces = {**plan.state.spaces, holding.fingerprint: replace(space, span=span_for(holding, rows))}
        spanned = replace(plan, state=replace(plan.state, spaces=spaces))
        self._write(plan, [], spanned)
        return spanned

    def _write(self, plan: Building, writes: Iterable[Sequence[Change]], after: Building | None = None) -> None:
        """Write one after the other, and note where it stands, if the build is still as this process knows it."""
        store, name = self.job.store, BUILDING + self.job.view
        with store.feeding():
            if store.note(name) != written(plan):
                raise OvertakenError
            for changes in filter(len, writes):
                store.write(changes)
            if after is not None:
                store.write([], {name: written(after)})


def span_for(holding: Holding, rows: KeyRows) -> int:
    """How many microseconds a part of a key spans: about `ROWS_A_PART` rows of the keys that most rows belong to.

    Keys of more than `HOT` rows count as if they had no more: their parts are crowds (`penstock.online.crowds`). No
    more than half of the longest window, so that a read takes in little that it does not ask for, and between an hour
    and seven years.
    """
    counts = np.minimum(np.diff(rows.starts), HOT).astype(np.float64)
    usual = float((counts**2).sum() / counts.sum()) if counts.sum() else 0.0
    extent = float(rows.happened.max() - rows.happened.min()) if len(rows) else 0.0
    wished = extent * ROWS_A_PART / usual if usual > ROWS_A_PART else float(_SPANS[-1])
    if holding.reach is not None:
        wished = min(wished, holding.reach / 2)
    return max((span for span in _SPANS if span <= wished), default=_SPANS[0])
