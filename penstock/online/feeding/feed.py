"""A listener of streams that keeps a store up to the moment."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from penstock.engine.relational import Relational
from penstock.errors import FailedError, SourceError, StoreError
from penstock.features.views.bound import Bound
from penstock.lake.versioned import Lake
from penstock.online.beside import come
from penstock.online.catalogue import VIEW, ViewState, written
from penstock.online.feeding.arrivals import Arrivals, arrived, hashed
from penstock.online.feeding.lanes import Lane, OutOfStepError, Versions, lanes_of
from penstock.online.feeding.laying import laid
from penstock.online.feeding.merging import merged
from penstock.online.feeding.remaking import Waiting, remade
from penstock.online.feeding.rowkeys import RowKeys
from penstock.online.rebuild import LakeNow
from penstock.online.store import Change, OnlineStore
from penstock.online.sync import sync
from penstock.online.texts import Texts
from penstock.settings import Settings

_TICK = 1.0
Way = Literal["both", "lake", "store"]
_SLACK = 2_000_000
"""So many microseconds the clocks of those who ask may be behind: a row that was the newest then is still kept."""
Landed = dict[tuple[str, Way], list[pa.RecordBatch]]
_GRACE = 1_000_000
"""So many microseconds may pass between when a row becomes known and when it has landed."""
_IDLE = 0.1
_PATIENCE = 3
"""What is made again takes at most one part in so many of the time."""


@dataclass(frozen=True)
class FeedStatus:
    """How a feed is doing: rows ``applied`` since it began, rows that ``wait``, how often it had to begin again.

    ``note`` says why it does not go on, where it does not.
    """

    applied: int = 0
    waiting: int = 0
    restarts: int = 0
    note: str = ""


class Feed:
    """Brings rows that streams have made durable into a store, each once; `landed` is for `run_streams`.

    One thread changes the store; `landed` waits while more than ``most`` rows wait for it. Where store or lake fail,
    the streams go on, and once they answer the store is brought into step from the lake. ``views`` names those that
    are fed (none: all). A kill at any moment loses nothing: `start` brings in what came before.
    """

    def __init__(
        self,
        bound: Bound,
        lake: Lake,
        store: OnlineStore,
        *,
        now: Callable[[], int],
        settings: Settings,
        views: Sequence[str] = (),
        most: int = 200_000,
    ) -> None:
        self._bound, self._lake, self._store = bound, lake, store
        self._now, self._settings, self._views, self._most = now, settings, tuple(views), most
        self._lanes = lanes_of(bound, views)
        self._tables = {name for lane in self._lanes for name in lane.tables}
        self._turn = threading.Condition()
        self._queue: deque[tuple[str, Way, pa.RecordBatch]] = deque()
        self._rows = self._busy = 0
        self._halt = self._lost = self._behind = self._hurry = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._keys: dict[str, RowKeys] = {}
        self._waiting: dict[str, Waiting] = {}
        self._texts: dict[str, Texts] = {}
        self._applied: dict[str, int] = {}
        self._met: set[str] = set()
        self._left: tuple[str, ...] = ()
        self._versions: Versions | None = None
        self._ticked = self._took = 0.0
        self._status = FeedStatus()

    # ------------------------------------------------------------ for others

    def start(self, tables: Collection[str] = ()) -> None:
        """Bring the store into step with the lake, then begin to listen. Raises as `penstock.online.sync.sync` does.

        ``tables`` are those that nobody but this process writes to by now: when rows of them land, nothing of what it
        learns here can have changed. When the first rows of any other land, it begins again.
        """
        self._met |= self._tables.intersection(tables)
        self._bring()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def landed(self, table: str, rows: pa.RecordBatch, way: Way = "both") -> None:
        """Take rows that are durable in the lake; waits while too many wait.

        Rows for the ``lake`` alone come into the store with the next sync. Those for the ``store`` alone are in no
        lake, and stay until their key is made again. Raises ``FailedError`` (``FEED_ENDED``) once the feed has ended
        by an error.
        """
        if table not in self._tables:
            return
        with self._turn:
            while self._rows > self._most and not (self._lost or self._failure or self._halt):
                self._turn.wait()
            self._must_live()
            if not self._lost:
                self._queue.append((table, way, rows))
                self._rows += rows.num_rows
                self._turn.notify_all()

    def settle(self, seconds: float | None = None, *, others: bool = True) -> bool:
        """Wait until all that has landed is in, and with ``others`` what others have committed to the lake, too.

        Whether it was within ``seconds``. Raises ``FailedError`` once the feed has ended by an error.
        """
        with self._turn:
            self._hurry |= others
            done = self._turn.wait_for(lambda: self._failure is not None or self._is_settled(hurry=True), seconds)
            self._must_live()
            return done

    def stop(self) -> None:
        """Bring in what has landed, and end. Raises ``FailedError`` where that was not possible."""
        with self._turn:
            self._halt = True
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._must_live()

    @property
    def bound(self) -> Bound:
        """The definitions that it goes by."""
        return self._bound

    @property
    def status(self) -> FeedStatus:
        """How it is doing now."""
        return replace(self._status, waiting=self._rows + self._busy)

    def _is_settled(self, *, hurry: bool = False) -> bool:
        waiting = any(self._waiting.values())
        self._hurry |= hurry and waiting
        return not (self._rows or self._busy or waiting or self._behind or self._hurry)

    def _must_live(self) -> None:
        if self._failure is not None:
            message = f"rows are no longer brought into the store: {self._failure}"
            raise FailedError("FEED_ENDED", message) from self._failure

    # ------------------------------------------------------------ the thread

    def _begin_again(self) -> None:
        """Bring the store into step anew, but for views that somebody has defined otherwise since: theirs they are."""
        lost = {lane.name for lane in self._lanes if lane.is_another(self._store)}
        if lost:
            self._lanes = tuple(lane for lane in self._lanes if lane.name not in lost)
            self._views = tuple(lane.name for lane in self._lanes)
            self._left = tuple(sorted({*self._left, *lost}))
        self._bring()

    def _bring(self) -> None:
        """Bring the store into step, and learn which rows there are. Rows that land meanwhile wait."""
        with self._turn:
            self._queue.clear()
            self._rows, self._lost = 0, False
        self._versions = Versions(self._lake, sorted(self._tables))
        if self._lanes:
            sync(self._bound, self._lake, self._store, views=self._views, settings=self._settings, now=self._now)
        self._waiting = {lane.name: Waiting() for lane in self._lanes}
        self._texts.clear()
        self._keys = self._learnt()
        self._ticked = time.monotonic()
        with self._turn:
            self._behind = False
            self._turn.notify_all()

    def _learnt(self) -> dict[str, RowKeys]:
        """The keys of the rows of each table that rows land of, and that has keys and is read row by row."""
        if not self._met:
            return {}
        own = [holding for lane in self._lanes for holding in lane.own]
        look = LakeNow.open(self._bound, self._lake, own, self._settings)
        engine = Relational(look.following.rows, self._settings)
        keyed = {name: self._bound.graph.table(name).keys for name in self._met.intersection(look.following.tables)}
        rows = look.following.rows
        return {name: RowKeys(hashed(rows, name, keys, lambda: engine)) for name, keys in keyed.items() if keys}

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._step()
        except BaseException as error:  # noqa: BLE001  told by whoever asks next
            with self._turn:
                self._failure = error
        finally:
            with self._turn:
                self._turn.notify_all()

    def _is_over(self) -> bool:
        with self._turn:
            return self._halt and (self._is_settled() or bool(self._behind and self._status.note))

    def _step(self) -> None:
        """Take what has landed, make again what is due; begin again where that is not possible."""
        try:
            if self._behind:
                self._begin_again()
            self._apply(self._taken())
            self._tick()
            self._status = replace(self._status, note=_said(self._left))
        except OutOfStepError:
            self._lose("")
        except (StoreError, SourceError, OSError) as error:
            self._lose(str(error).partition("\n")[0])
            time.sleep(_IDLE)

    def _lose(self, note: str) -> None:
        with self._turn:
            self._lost = self._behind = True
            self._queue.clear()
            self._rows = self._busy = 0
            self._status = replace(self._status, restarts=self._status.restarts + 1, note=note)
            self._turn.notify_all()

    def _taken(self) -> Landed:
        with self._turn:
            if not (self._queue or self._halt or self._hurry):
                self._turn.wait(_IDLE)
            found: Landed = {}
            for table, way, rows in self._queue:
                found.setdefault((table, way), []).append(rows)
            self._queue.clear()
            self._busy, self._rows = self._rows, 0
            self._turn.notify_all()
            return found

    # ------------------------------------------------------------ in place

    def _apply(self, landed: Landed) -> None:
        came = {way: [] for way in ("both", "lake", "store")}  # type: dict[str, list[Arrivals]]
        for (table, way), batches in landed.items():
            came[way].append(Arrivals(self._bound, self._settings, table, _together(batches)))
        self._must_know([one.table for one in (*came["both"], *came["lake"])])
        if came["both"] or came["store"]:
            with self._store.feeding():
                self._write(came["both"])
                self._write_beside(came["store"])
        for one in (*came["both"], *came["lake"]):
            if one.table in self._keys and one.hashes is not None:
                self._keys[one.table].add(one.hashes)
        with self._turn:
            self._status = replace(self._status, applied=self._status.applied + self._busy)
            self._busy = 0
            self._turn.notify_all()

    def _must_know(self, tables: Sequence[str]) -> None:
        """Raise `OutOfStepError` where rows of a table land for the first time: another process may have written some
        since its rows were learnt, which it can no longer once this one does."""
        if new := set(tables) - self._met:
            self._met |= new
            raise OutOfStepError

    def _write(self, came: Sequence[Arrivals]) -> None:
        changes: list[Change] = []
        notes: dict[str, str | None] = {}
        for lane in self._lanes:
            state = self._apply_to(lane, [one for one in came if one.table in lane.tables], changes)
            notes |= {} if state is None else {VIEW + lane.name: written(state)}
        if came:
            self._store.write(changes, notes)
        self._applied |= {one.table: int(one.came[-1]) for one in came}

    def _write_beside(self, came: Sequence[Arrivals]) -> None:
        """Rows that are in no lake, behind those kept that happened at the same instant: what is there by now."""
        changes: list[Change] = []
        for lane in self._lanes if came else ():
            state = lane.state(self._store)
            for one in came:
                changes += self._beside(lane, state, one)
        if changes:
            self._store.write(changes)

    def _beside(self, lane: Lane, state: ViewState, came: Arrivals) -> Iterator[Change]:
        for holding in lane.own:
            if came.table in lane.reads[holding]:
                rows, texts = laid(holding, came, self._at), self._texts_of(state)
                changes = merged(self._store, state, holding, rows, texts, self._at, ties=True).changes
                space = state.spaces[holding.fingerprint].name
                yield from changes
                yield from come(
                    self._store, holding, {one.key for one in changes if one.space == space}, int(came.known[0])
                )

    def _apply_to(self, lane: Lane, came: Sequence[Arrivals], changes: list[Change]) -> ViewState | None:
        """Put rows into a view's holdings; the state to be noted, where there were any."""
        if not came:
            return None
        state, waiting = lane.state(self._store), self._waiting[lane.name]
        followed = dict(state.followed)
        for whole in came:
            before = followed.get(whole.table)
            if before is None:
                raise OutOfStepError
            some = whole.taken(np.flatnonzero(whole.came > before.tail))
            if len(some):
                self._put(lane, state, some, changes)
                followed[whole.table] = replace(before, tail=waiting.since.get(whole.table, int(some.came[-1])))
        return replace(state, followed=followed)

    def _put(self, lane: Lane, state: ViewState, came: Arrivals, changes: list[Change]) -> None:
        """Rows of keys that were never seen go where they belong; what the others change waits to be made again."""
        waiting, fresh = self._waiting[lane.name], self._fresh(came)
        new, first = came.taken(np.flatnonzero(fresh)), int(came.came[0])
        for holding in lane.own:
            if came.table in lane.reads[holding] and len(new):
                rows = laid(holding, new, self._at)
                found = merged(self._store, state, holding, rows, self._texts_of(state), self._at)
                changes += found.changes
                if len(found.doubtful):
                    waiting.doubtful.setdefault(holding, []).append(found.doubtful)
                    waiting.note(came.table, first)
        if not fresh.all() and any(came.table in lane.reads[holding] for holding in lane.own):
            waiting.again.setdefault(came.table, []).append(came.identities(np.flatnonzero(~fresh)))
            waiting.note(came.table, first)
        if any(came.table in lane.reads[holding] for holding in lane.other):
            waiting.all.setdefault(came.table, []).append(came.identities(np.arange(len(came))))
            waiting.note(came.table, first)

    def _fresh(self, came: Arrivals) -> np.ndarray:
        """Which rows are of keys that were never seen, and say no key is gone."""
        fresh: np.ndarray = np.logical_not(came.deleted)
        if came.hashes is not None and came.table in self._keys:
            fresh &= self._keys[came.table].fresh(came.hashes)
        return fresh

    @property
    def _at(self) -> int:
        return self._now() - _SLACK

    def _texts_of(self, state: ViewState) -> Texts:
        return self._texts.setdefault(state.texts, Texts(self._store, state.texts))

    # ------------------------------------------------------------ made again

    def _tick(self) -> None:
        """Make again what waits, and note how far the store is, about once a second."""
        began, hurried = time.monotonic(), self._halt or self._hurry
        if not hurried and began - self._ticked < max(_TICK, _PATIENCE * self._took):
            return
        until = self._all_known()
        if self._versions is not None and self._versions.others():
            raise OutOfStepError
        for lane in self._lanes:
            if self._waiting[lane.name]:
                self._remake(lane)
        self._took = time.monotonic() - began
        self._note(until)
        self._ticked = time.monotonic()
        with self._turn:
            self._hurry = self._hurry and not hurried
            self._turn.notify_all()

    def _remake(self, lane: Lane) -> None:
        with self._store.feeding():
            state = lane.state(self._store)
            look = LakeNow.open(self._bound, self._lake, lane.kept.holdings, self._settings)
            waiting = self._waiting[lane.name]
            for changes in remade(lane, state, self._store, look, waiting, self._at):
                self._store.write(changes)
            followed = dict(state.followed)
            for table in waiting.since:
                followed[table] = replace(followed[table], tail=max(followed[table].tail, self._applied[table]))
            self._store.write([], {VIEW + lane.name: written(replace(state, followed=followed))})
            self._waiting[lane.name] = Waiting()

    def _all_known(self) -> int:
        """An instant by which every row that was known then has been taken, as far as this process can know."""
        until = self._now() - _GRACE
        with self._turn:
            oldest = [int(arrived(rows)[0]) for _, _, rows in self._queue]
        return min([until, *(came - 1 for came in oldest)])

    def _note(self, until: int) -> None:
        """Say of each view until when it has followed the lake."""
        with self._store.feeding():
            states = {lane.name: lane.state(self._store) for lane in self._lanes}
            later = {name: replace(state, kept=until) for name, state in states.items() if state.kept < until}
            if later:
                self._store.write([], {VIEW + name: written(state) for name, state in later.items()})


def _said(left: Sequence[str]) -> str:
    """What there is to be said of views that are no longer fed."""
    return f"{', '.join(left)}: defined otherwise by now, and fed no more; start again" if left else ""


def _together(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Batches as one table; a column that came later is NULL before."""
    return pa.concat_tables([pa.Table.from_batches([one]) for one in batches], promote_options="permissive")


__all__ = ["Feed", "FeedStatus"]
