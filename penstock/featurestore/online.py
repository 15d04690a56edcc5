"""A project's online store: brought in step with the lake, read, and proved equal to training."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain

import pyarrow as pa

from penstock.engine.execute import Progress, quiet
from penstock.errors import RequestError, SourceError
from penstock.features.views.bound import Bound, BoundView
from penstock.features.views.former import with_former
from penstock.featurestore.features import ProjectFeatures
from penstock.featurestore.fed import LateFeeds
from penstock.featurestore.former import Former, as_held, held_otherwise, is_held
from penstock.featurestore.live import live_graph, source_of
from penstock.online.answer import Online
from penstock.online.beside import NOTHING, Beside, beside
from penstock.online.catalogue import ViewState, all_live, live
from penstock.online.feeding import Feed, Feeds
from penstock.online.holdings import kept_for
from penstock.online.live import LiveReader
from penstock.online.reading import FeatureReader, OnlineReader
from penstock.online.store import OnlineStore
from penstock.online.stores import is_elsewhere, open_store
from penstock.online.sync import Synced, chosen, sync
from penstock.online.verifying import Entry, ServedLog, Verified, answered_by, verify
from penstock.online.verifying.again import Moments, again
from penstock.online.verifying.logging import logged
from penstock.online.verifying.whom import keys_of_view
from penstock.pipeline.featurefiles import bound_of
from penstock.pipeline.projectfile import read_project
from penstock.pipeline.site import LIVE, Site
from penstock.settings import Settings

_STORE_SECONDS, _LIVE_SECONDS = 2.0, 30.0
_TRIES = 3


@dataclass(frozen=True)
class ProjectOnline:
    """The online store that a project's file names, for the features that its files declare."""

    features: ProjectFeatures
    settings: Settings = field(repr=False)
    former: Former | None = field(default=None, repr=False)
    """What is answered as it was, from what the store holds."""

    @property
    def site(self) -> Site:
        """The project's parts."""
        return self.features.site

    @property
    def is_live(self) -> bool:
        """Whether the sources themselves are asked, and no store."""
        return self.site.online_url == LIVE

    @cached_property
    def store(self) -> OnlineStore:
        """The store, opened when first asked for. Raises ``RequestError`` where the project keeps none."""
        if self.is_live:
            hint = 'Name a store: [online] store = ".penstock/online"'
            raise RequestError("ONLINE_LIVE", "this project is served live: there is no store to keep", hint=hint)
        return open_store(self.site.online_url)

    @cached_property
    def wait(self) -> float | None:
        """How many seconds an answer may wait for the server that is asked; None for a store on this machine.

        Raises ``RequestError`` for seconds that are none.
        """
        url, told = self.site.online_url, self.site.online.timeout
        seconds = told if told is not None else _LIVE_SECONDS if url == LIVE else _STORE_SECONDS
        if not 0 < seconds < math.inf:
            raise RequestError("ONLINE_TIMEOUT", f"[online] timeout = {seconds:g} is no time to wait", hint="Say 2.0")
        return seconds if url == LIVE or is_elsewhere(url) else None

    @cached_property
    def log(self) -> ServedLog:
        """What was served, by key hash."""
        return ServedLog(self.site.state / "served", self.site.online.log)

    @cached_property
    def reader(self) -> FeatureReader:
        """What answers: from the store, or where the project's file says so from the sources themselves."""
        if self.is_live:
            source = source_of(self.site, self.settings)
            bound = bound_of(self.site, self.site.lake.tables(), live_graph(self.site, source))
            return LiveReader(bound, source, self.site.now, self.settings, source.must_be_live)
        kept = {} if self.former is None else self.former.kept
        return OnlineReader(self.served, self.store, self.site.now, kept)

    @cached_property
    def served(self) -> Bound:
        """The definitions that the store is read by."""
        now, former = self.features.bound, self.former
        return now if former is None else with_former(now, former.bound, former.views)

    def renewed(self) -> ProjectOnline:
        """The same store by the definitions that the files hold now; what is broken in them answers as it did.

        So does what the store holds still as it was: of several views that change, one is switched to first.
        """
        site = Site(read_project(self.site.file.folder), self.site.now)
        features = ProjectFeatures(site, self.settings)
        made = ProjectOnline(features, self.settings, self._former(features))
        made.__dict__.update({"store": self.store, "log": self.log})
        return made

    def _former(self, features: ProjectFeatures) -> Former | None:
        """What is to be answered as it was, once these are the features."""
        now, before, held = features.bound, self.served, self.status()
        others = held_otherwise(now, held)
        if not others and not now.broken:
            return None
        still = {name for name in others if name in before.views and is_held(before.views[name], held)}
        known = still | {name for name in now.broken_views if name in before.views}
        kept = {name: self.reader.kept(name) for name in known} | as_held(others - still, features.earlier(), held)
        return Former(before, {name: one.view for name, one in kept.items()}, kept)

    def read(
        self,
        features: str | Sequence[str],
        keys: Mapping[str, Sequence[object]],
        *,
        requested: Mapping[str, Sequence[object]] | None = None,
        at: int | None = None,
        full_names: bool | None = None,
        lenient: bool = False,
    ) -> Online:
        """Features of entities as they are now; see `OnlineReader.read`. What was answered now is logged."""
        found = self.reader.read(features, keys, requested=requested, at=at, full_names=full_names, lenient=lenient)
        if at is None and self.log.wants():
            self.log.add(logged(self.served, features, keys, found, self.log.hashed))
        return found

    def sync(self, views: Sequence[str] = (), *, anew: bool = False, progress: Progress = quiet) -> tuple[Synced, ...]:
        """Bring views (none named: all) into step with the lake, or build them again beside what is served.

        What is broken stays as the store holds it; see ``features.bound.broken``.
        """
        how = {"settings": self.settings, "now": self.site.now, "progress": progress, "anew": anew}
        features = self.features
        for _ in range(_TRIES):
            try:
                return sync(features.bound, self.site.lake, self.store, views=views, **how)  # type: ignore[arg-type]
            except SourceError as error:
                if error.code != "LAKE_REMADE":
                    raise
                features = features.refreshed()  # a run has built a derived table by other SQL meanwhile
        return sync(features.bound, self.site.lake, self.store, views=views, **how)  # type: ignore[arg-type]

    @contextmanager
    def fed(self, tables: Collection[str]) -> Iterator[Callable[[str, pa.RecordBatch], None]]:
        """What listens to streams into these tables, and brings what they make durable into the store.

        The store is brought into step first; when the context ends, all that has landed is in.
        """
        feeds = LateFeeds(self.site.lake, tables, self._newly_fed, self._versions)
        feeds.begin()
        try:
            yield feeds.landed
        finally:
            feeds.stop()

    def _newly_fed(self, before: Sequence[Bound]) -> Feeds:
        """Feeds by the definitions that the files hold now, when all tables are there; or also by those of before."""
        anew = ProjectOnline(self.features.refreshed(), self.settings)
        anew.__dict__["store"] = self.store
        return anew.feeds(before) if before else Feeds([anew.feed()])

    def _versions(self) -> dict[str, str]:
        """The versions of the views that the store holds."""
        return {name: state.version for name, state in self.status().items()}

    def feeds(self, before: Iterable[Bound] = ()) -> Feeds:
        """Feeds of the views that the store holds by the definitions of now, or does not hold yet, not begun yet.

        What it holds by other definitions is fed by those, if they are among ``before``, or are the same over derived
        tables as these were; otherwise it stands still.
        """
        now, held = self.features.bound, self.status()
        wanted = {view.kept for view in now.views.values()}
        views = {view.kept for view in now.views.values() if view.kept not in held or is_held(view, held)}
        found = [self._feed(now, views)] if views else []
        for bound in chain(before, self.features.earlier()):
            wanted -= views
            if not wanted:
                break
            views = {view.kept for view in bound.views.values() if is_held(view, held)} & wanted
            found += [self._feed(bound, views)] if views else []
        return Feeds(found)

    def feed(self, views: Sequence[str] = ()) -> Feed:
        """A feed of the store for these views (none named: all), not begun yet."""
        return self._feed(self.features.bound, views)

    def _feed(self, bound: Bound, views: Collection[str]) -> Feed:
        how = {"now": self.site.now, "settings": self.settings, "views": sorted(views)}
        return Feed(bound, self.site.lake, self.store, **how)  # type: ignore[arg-type]

    def status(self) -> dict[str, ViewState]:
        """The views that the store holds, as it holds them."""
        return all_live(self.store)

    def verify(
        self,
        views: Sequence[str] = (),
        *,
        sample: int = 100,
        since: int | None = None,
        seed: int | None = None,
        progress: Progress = quiet,
    ) -> Verified:
        """Work out again what was served, and what ``sample`` entities of each view are served now.

        ``since`` (microseconds) leaves older answers out. Equality to the bit is asked for; see `verify`.
        What derived tables of another SQL answered is worked out from the rows that it made, as long as these are kept.
        """
        now, held = self.features.bound, self._asked()
        names = {view.name for view in chosen(now, views)} if views else set(now.views)
        left = [one for one in self.log.entries() if one.view in names and (since is None or one.at >= since)]
        found = Verified(())
        for bound in chain([now], self.features.earlier()):
            here = {name for name in names if name in bound.views and held(bound.views[name])}
            fresh = [entry for name in sorted(here) for entry in self._sampled(bound, name, sample, seed)]
            names -= here
            mine, left = answered_by(bound, [*fresh, *left], self._since)
            found += self._worked_out(bound, mine, progress) if mine else Verified(())
            if not left and not names:
                break
        for name in sorted(names):
            self._sampled(now, name, sample, seed)  # the store does not hold it as anybody can tell: it says so
        return replace(found, superseded=sum(len(one.keys) for one in left))

    def _asked(self) -> Callable[[BoundView], bool]:
        """Whether a view, as it is given, is what answers now."""
        if self.is_live:
            return lambda view: True
        states = self.status()
        return lambda view: is_held(view, states)

    def _worked_out(self, bound: Bound, entries: Sequence[Entry], progress: Progress) -> Verified:
        # The lake is looked at after the sample was served: what came before an answer must be seen.
        relational = self.features.tables.relational(bound)
        whom = partial(self._whom, bound)
        come_by = partial(self.features.tables.come_by, bound)
        return verify(
            bound,
            entries,
            whom,
            partial(again, bound, relational, come_by),
            beside=partial(self._beside, bound),
            moments=Moments(relational.rows, bound.graph),
            progress=progress,
        )

    def _beside(self, bound: Bound, view: BoundView) -> Beside:
        """When answers about a view rested on rows that only the store was told."""
        if self.is_live:
            return NOTHING
        return beside(self.store, kept_for(view, bound.graph), self.log.hashed)

    def _since(self, view: BoundView) -> int:
        """From which instant on the present definition of a view is served."""
        state = None if self.is_live else live(self.store, view.kept)
        return 0 if state is None or state.version != view.fingerprint else state.since

    def _whom(self, bound: Bound, view: BoundView) -> tuple[pa.Table, Sequence[bytes]]:
        table, packed = keys_of_view(bound, self.features.tables.relational(bound), view)
        return table, self.log.hashed(packed)

    def _sampled(self, bound: Bound, name: str, count: int, seed: int | None) -> list[Entry]:
        """What some entities are served now; nothing of it is logged."""
        view = bound.views[name]
        table, _ = keys_of_view(bound, self.features.tables.relational(bound), view)
        draws = random.Random(seed)
        rows = draws.sample(range(len(table)), min(count, len(table)))
        if not rows:
            return []
        keys = {name: table[name].take(pa.array(rows)).to_pylist() for name in table.column_names}
        features = [f"{view.name}:{one.name}" for one in view.features]
        is_now = bound is self.features.bound
        reader = self.reader if is_now else OnlineReader(bound, self.store, self.site.now)
        return logged(bound, features, keys, reader.read(features, keys), self.log.hashed)

    def close(self) -> None:
        """Let go of the store, or of the sources."""
        if isinstance(reader := self.__dict__.get("reader"), LiveReader):
            reader.close()
        if "store" in self.__dict__:
            with closing(self.store):
                pass
