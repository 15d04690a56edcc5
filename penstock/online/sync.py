"""The store brought in step with the lake: first loads beside what is served, and increments in place.

What changed is found by versions and tails, never by clocks; the keys that it leads to are made again from the lake,
under the right to change the store, so that nothing older ever overwrites what is newer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import pyarrow as pa

from penstock.engine.execute import Progress, quiet
from penstock.errors import RequestError, SourceError, StoreError
from penstock.features.views.bound import Bound, BoundView
from penstock.lake.versioned import Lake
from penstock.online.beside import all_gone, gone
from penstock.online.build import keys_of
from penstock.online.catalogue import (
    BUILDING,
    VIEW,
    Building,
    ViewState,
    all_building,
    all_live,
    building,
    live,
    unnamed,
    written,
)
from penstock.online.expiry import expired
from penstock.online.holdings import Holding, kept_for
from penstock.online.keys import packed
from penstock.online.loading import Job, OvertakenError, loaded
from penstock.online.rebuild import LakeNow, differing
from penstock.online.store import Change, OnlineStore
from penstock.settings import Settings

How: TypeAlias = Literal["first load", "switched", "increment", "nothing", "dropped"]

KEYS_AT_ONCE = 20_000
"""So many keys are made again under the right to change the store, before others get it."""
_TRIES = 100


class AnewError(Exception):
    """All has to be made anew: what changed cannot be told, or is so much that it is less work."""


@dataclass(frozen=True)
class Synced:
    """What a sync did for a view: ``rows`` and ``keys`` that it wrote, of all holdings, and how long it took.

    ``first load``: there was nothing; ``switched``: a new build took an old one's place; ``increment``: keys were made
    again; ``nothing``: nothing had changed; ``dropped``: the view is defined no longer, and is gone from the store.
    """

    view: str
    how: How
    rows: int = 0
    keys: int = 0
    seconds: float = 0.0


def sync(
    bound: Bound,
    lake: Lake,
    store: OnlineStore,
    *,
    views: Sequence[str] = (),
    settings: Settings,
    now: Callable[[], int],
    progress: Progress = quiet,
    anew: bool = False,
) -> tuple[Synced, ...]:
    """Bring views into step with the lake and its tails, and say what was done for each.

    ``views`` names some (none: all, and what is defined no longer goes); the others stay as they are. ``anew`` builds
    them again beside what is served; what is broken stays as it is. ``now`` gives microseconds since 1970. A kill at
    any moment leaves the store whole, and the next sync goes on from there. Builds of several views are made before the
    first of them is switched to. What is served by these definitions follows a derived table as far as it was made by
    them; to build what is not there yet, they have to be those of the table's newest rows (else ``LAKE_REMADE``).
    Raises ``RequestError`` for a view that is named and is not there (``FEATURE_UNKNOWN_VIEW``) or is broken,
    ``StoreError`` where the store cannot be read, and ``SourceError`` where rows of a view cannot, after the others
    were brought into step.
    """
    done = [] if views else list(_dropped(bound, store))
    kept = [kept_for(view, bound.graph) for view in chosen(bound, views)]
    jobs = [Job(bound, lake, store, one, settings, now, progress) for one in kept]
    unread: list[SourceError] = []
    for job in jobs if len(jobs) > 1 else ():
        _built_ahead(job, anew=anew)
    for job in jobs:
        try:
            done.append(_synced(job, anew=anew))
        except SourceError as error:
            unread.append(error)
    for space in unnamed(store):
        store.drop(space)
    if unread:
        raise unread[0]
    return tuple(done)


def _built_ahead(job: Job, *, anew: bool) -> None:
    """Build a view that will be switched; what keeps it from being built is told when its turn comes."""
    state = live(job.store, job.view)
    if state is not None and (anew or not state.holds(job.kept)):
        with suppress(OvertakenError, SourceError):
            loaded(job)


def chosen(bound: Bound, views: Sequence[str]) -> list[BoundView]:
    """The views of these names, or all: one for each name that views are kept under."""
    for name in views:
        if name not in bound.views:
            bound.must_not_be_broken("view", name)
            message = f"there is no view {name!r} that a store keeps"
            raise RequestError("FEATURE_UNKNOWN_VIEW", message, name=name, candidates=bound.views)
    named = [bound.views[name] for name in views] or list(bound.views.values())
    return list({view.kept: bound.views.get(view.kept, view) for view in named}.values())


def _dropped(bound: Bound, store: OnlineStore) -> Iterator[Synced]:
    """Forget views that are defined no longer; their spaces are then named by nobody.

    What is broken is defined still, and where a file cannot be read nobody knows what is not.
    """
    if bound.broken_files:
        return
    defined = {view.kept for view in bound.views.values()} | bound.broken_views.keys()
    held = all_live(store)
    for name in sorted({*held, *all_building(store)} - defined):
        with store.feeding():
            store.write([], {VIEW + name: None, BUILDING + name: None})
        if name in held:
            yield Synced(name, "dropped")


def _synced(job: Job, *, anew: bool) -> Synced:
    began = time.monotonic()
    _let_former_go(job)
    for _ in range(_TRIES):
        try:
            how = _brought(job, anew=anew)
        except OvertakenError:
            anew = False
        except AnewError:
            anew = True
        else:
            return Synced(job.view, how, job.tally.rows, job.tally.keys, time.monotonic() - began)
    hint = "Let one sync run at a time."
    raise StoreError("STORE_RESTLESS", f"{job.view}: others change the store faster than it can be built", hint=hint)


def _let_former_go(job: Job) -> None:
    with job.store.feeding():
        state = live(job.store, job.view)
        if state is not None and state.former:
            job.store.write([], {VIEW + job.view: written(replace(state, former=()))})


def _brought(job: Job, *, anew: bool) -> How:
    state = live(job.store, job.view)
    if state is None or anew or not state.holds(job.kept) or _is_begun(job):
        beside = _Beside(job, loaded(job))
        try:
            _catch_up(job, beside)
        except AnewError:
            beside.forget()
            raise
        all_gone(job.store, job.kept, job.now())
        return "first load" if state is None else "switched"
    _catch_up(job, _Served(job, state))
    _expire(job)
    return "increment" if job.tally.keys else "nothing"


def _is_begun(job: Job) -> bool:
    """Whether a build of the view waits to be gone on with; one of what the view meant before is forgotten."""
    begun = building(job.store, job.view)
    if begun is None or begun.state.holds(job.kept):
        return begun is not None
    with job.store.feeding():
        _must_be(building(job.store, job.view), begun)
        job.store.write([], {BUILDING + job.view: None})
    return False


def _expire(job: Job) -> None:
    state = live(job.store, job.view)
    if state is None or not state.holds(job.kept):
        raise OvertakenError
    after = expired(job.store, state, job.kept.holdings, job.at)
    if after != state:
        with job.store.feeding():
            there = _served(job, state)
            job.store.write([], {VIEW + job.view: written(replace(there, spaces=after.spaces))})


def _served(job: Job, state: ViewState) -> ViewState:
    """The view as it is served now, if that is still the build that it was."""
    there = live(job.store, job.view)
    if there is None or set(there.names) != set(state.names):
        raise OvertakenError
    return there


# ------------------------------------------------------------------------------------------------- increments


@dataclass
class _Served:
    """A view that is served, as it was when this process last looked."""

    job: Job
    state: ViewState

    def check(self) -> None:
        """Look again: a stream may have brought the view further. `OvertakenError` where another build is served."""
        self.state = _served(self.job, self.state)

    def look(self) -> LakeNow:
        """The lake now."""
        return self.job.look()

    def weigh(self, keys: int) -> None:
        """Raise `AnewError` where so many keys changed that building beside is less work."""
        there = self.job.store.spaces()
        if 2 * keys > sum(there.get(name, 0) for name in self.state.names):
            raise AnewError

    def go_on(self, state: ViewState) -> None:
        """Note how far the view has come; under `feeding`."""
        self.job.store.write([], {VIEW + self.job.view: written(state)})
        self.state = state

    def notes(self, state: ViewState) -> dict[str, str | None]:
        """The notes that say that the view is in step."""
        return {VIEW + self.job.view: written(state)}


@dataclass
class _Beside:
    """A build beside what is served, with all its parts done."""

    job: Job
    plan: Building

    @property
    def state(self) -> ViewState:
        """The view as it will be."""
        return self.plan.state

    def check(self) -> None:
        """Raise `OvertakenError` where another process has gone on with the build."""
        _must_be(building(self.job.store, self.job.view), self.plan)

    def look(self) -> LakeNow:
        """The lake now. Raises ``SourceError`` (``LAKE_REMADE``) where these definitions are no longer to be served."""
        return self.job.look_to_serve()

    def weigh(self, _keys: int) -> None:
        """However many keys changed meanwhile: they are made again, and that is the end of it."""

    def go_on(self, state: ViewState) -> None:
        """Note how far the build has come; under `feeding`."""
        self.plan = replace(self.plan, state=state)
        self.job.store.write([], {BUILDING + self.job.view: written(self.plan)})

    def notes(self, state: ViewState) -> dict[str, str | None]:
        """The notes that make it what is served."""
        name = self.job.view
        before = live(self.job.store, name)
        served = replace(state, former=() if before is None else before.names)
        return {BUILDING + name: None, VIEW + name: written(served)}

    def forget(self) -> None:
        """Let the next one begin from nothing."""
        with self.job.store.feeding():
            self.job.store.write([], {BUILDING + self.job.view: None})


def _must_be(there: object, known: object) -> None:
    if there != known:
        raise OvertakenError


def _catch_up(job: Job, held: _Served | _Beside) -> None:
    """Make every key again that changed since the view's state, and say so with the last write.

    Many keys are first made again in batches, between which others may write; what changed meanwhile comes last.
    """
    for last in (False, True):
        with job.store.feeding():
            held.check()
            kept, look = job.now(), held.look()
            affected = _affected(job, look, held)
            after = replace(_in_force(job, held.state, kept), followed=look.following.state, kept=kept)
            if last or sum(map(len, affected.values())) <= KEYS_AT_ONCE:
                changes = [one for h, keys in affected.items() for one in _remade(job, look, held.state, h, keys)]
                job.store.write(changes, held.notes(after))
                return
        held.weigh(sum(map(len, affected.values())))
        _in_batches(job, held, affected)
        with job.store.feeding():
            held.check()
            held.go_on(replace(held.state, followed=look.following.state))


def _in_force(job: Job, state: ViewState, now: int) -> ViewState:
    """The state in the version that is defined, since it began to be served: now, where another one is."""
    there, version = live(job.store, job.view), job.kept.view.fingerprint
    since = there.since if there is not None and there.version == version else now
    return replace(state, version=version, since=since)


def _affected(job: Job, look: LakeNow, held: _Served | _Beside) -> dict[Holding, pa.Array]:
    changes = look.changes(held.state.followed)
    if any(rows is None for rows in changes.values()):
        raise AnewError
    found = {holding: look.places.affected(holding, changes) for holding in job.kept.holdings}
    return {h: keys_of(h, look.relational) if keys is None else keys for h, keys in found.items()}


def _in_batches(job: Job, held: _Served | _Beside, affected: dict[Holding, pa.Array]) -> None:
    total, done = sum(map(len, affected.values())), 0
    for holding, keys in affected.items():
        for first in range(0, len(keys), KEYS_AT_ONCE):
            job.progress(f"{job.view}: increment", done / total)
            some = keys.slice(first, KEYS_AT_ONCE)
            with job.store.feeding():
                held.check()
                job.store.write(_remade(job, job.look(), held.state, holding, some))
            done += len(some)


def _remade(job: Job, look: LakeNow, state: ViewState, holding: Holding, keys: pa.Array) -> list[Change]:
    if not len(keys):
        return []
    rows = look.rows(holding, keys, job.at)
    job.tally.rows += len(rows)
    job.tally.keys += len(keys)
    stays = gone(job.store, holding, packed(rows.keys), job.now())
    return [*differing(job.store, state, holding, rows), *stays]


__all__ = ["How", "Synced", "chosen", "sync"]
