"""A project's features as a server serves them: many threads, for a long time, while definitions change."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

from penstock.errors import FailedError, PenstockError, RequestError, SourceError
from penstock.features.views.bound import Bound
from penstock.featurestore.former import held_otherwise
from penstock.featurestore.online import ProjectOnline
from penstock.online.answer import Online
from penstock.online.feeding import Feeds
from penstock.online.pushing import Destination, Pusher, view_of_source
from penstock.online.waiting import within

_ENDED = ("PUSH_ENDED", "FEED_ENDED")
_SELDOM = 1.0
"""Seconds."""


@dataclass
class ProjectService:
    """What `penstock.serving` serves of a project.

    It answers by the definitions it has until the store holds another version of a view; then it reads the project's
    files again, so that a changed definition is served from the moment at which `sync` has switched to it. A definition
    that is broken then is answered on as it was, from what the store holds. Asking about the past, pushing and reading
    the files anew wait for their own kind alone.
    """

    online: ProjectOnline
    _pushed: tuple[ProjectOnline, Pusher, Feeds] | None = field(default=None, repr=False)
    _files: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _past: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _pushes: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _looked: float = field(default=-math.inf, repr=False)

    @property
    def bound(self) -> Bound:
        """The definitions, fitted to the tables; what broke since is what it was before."""
        return self.online.served

    @property
    def wait(self) -> float | None:
        """How many seconds an answer may wait for the store's server; None where the store is on this machine."""
        return self.online.wait

    def prepare(self) -> None:
        """Do ahead what a first answer by a store on another machine would wait for, as far as that answers."""
        with suppress(PenstockError), within(self.wait):
            if self.wait is not None:
                _ = self.online.reader

    def read(
        self,
        features: Sequence[str],
        keys: Mapping[str, Sequence[object]],
        *,
        requested: Mapping[str, Sequence[object]] | None = None,
        at: int | None = None,
        full_names: bool | None = None,
    ) -> Online:
        """Features of entities now, or at an instant; a key column that is missing is NULL in every row."""
        asked = self.online
        try:
            return asked.read(features, keys, requested=requested, at=at, full_names=full_names, lenient=True)
        except RequestError as error:
            unknown = error.code.startswith("FEATURE_") and self.look_again()
            if error.code != "ONLINE_OTHER_VERSION" and not unknown:
                raise
        renewed = self._renewed(asked)
        return renewed.read(features, keys, requested=requested, at=at, full_names=full_names, lenient=True)

    def look_again(self) -> bool:
        """Read the definitions anew if the store holds others; whether it did.

        For who was asked for what it does not know: of a new feature nobody may ask together with an old one. It looks
        once a second at most, for most such names are nobody's. Who serves live keeps to what he was opened with.
        """
        asked, moment = self.online, time.monotonic()
        if asked.is_live or moment - self._looked < _SELDOM:
            return False
        self._looked = moment
        kept = {view.kept for view in self.bound.views.values()}
        if not _held_otherwise(asked) and asked.status().keys() <= kept:
            return False
        return self._renewed(asked) is not asked

    def _renewed(self, before: ProjectOnline) -> ProjectOnline:
        """The features as the files declare them now, over the same store; read once for all who ask at a time."""
        with self._files:
            if self.online is before:
                self.online = before.renewed()
            return self.online

    def _current(self) -> ProjectOnline:
        """The features as the store holds them, where it does: who changes the store must not undo a definition."""
        asked = self.online
        return self._renewed(asked) if _held_otherwise(asked) else asked

    def historical(self, spine: pa.Table, features: Sequence[str], *, full_names: bool | None = None) -> pa.Table:
        """The spine with a column for each feature, as it was at each row's cutoff."""
        with self._past:
            return self.online.features.historical(spine, features, full_names=full_names)

    def keep(
        self, name: str, spine: pa.Table, features: Sequence[str], *, full_names: bool, replace: bool = False
    ) -> None:
        """Keep what `historical` gives as a table for training of this name; one that is there is replaced if said."""
        with self._past:
            self.online.features.historical(spine, features, full_names=full_names, save=name, replace=replace)

    def kept(self, name: str) -> pa.Table | None:
        """A table that is kept for training; None where there is none."""
        try:
            return self.online.features.datasets.load(name)
        except RequestError as error:
            if error.code != "DATASET_UNKNOWN":
                raise
        return None

    def renames(self, table: str) -> Mapping[str, str]:
        """The columns of a table that its source calls otherwise: our names, and the source's."""
        settings = self.online.site.file.tables.get(table)
        return {} if settings is None else settings.renames

    def rows(self, table: str) -> pa.Table:
        """The rows of a table of the graph, all versions of each."""
        with self._past:
            features = self.online.features
            columns = [column.name for column in features.bound.graph.table(table).columns]
            return features.tables.relational(features.bound).rows.read(table, columns)

    def push(self, view: str, rows: pa.Table, to: Destination) -> int:
        """Take rows of a view of newest values, for the store, the lake or both; how many."""
        pusher = self._pushing(view, to)
        try:
            return pusher.push(view, rows, to)
        except FailedError as error:
            if error.code not in _ENDED:
                raise
        return self._pushing(view, to, ended=pusher).push(view, rows, to)

    def _pushing(self, view: str, to: Destination, ended: Pusher | None = None) -> Pusher:
        """The one writer of what is pushed, with a feed of the store.

        Made anew when definitions are read anew, and after one that has ended. Views that the store holds otherwise
        are not fed. Raises ``RequestError`` (``ONLINE_OTHER_VERSION``) where rows are for one of them.
        """
        with self._pushes:
            if to == "offline" and self._pushed is not None and self._pushed[1] is not ended:
                return self._pushed[1]  # whatever the store does
            try:
                return self._pusher(self._current(), view, to, ended)
            except SourceError as error:
                if error.code != "LAKE_REMADE":
                    raise
            # a run has built a derived table by other SQL since the definitions were read
            return self._pusher(self._renewed(self.online), view, to, ended)

    def _pusher(self, asked: ProjectOnline, view: str, to: Destination, ended: Pusher | None) -> Pusher:
        """The writer by these definitions: the one there is, or a new one."""
        another = _held_otherwise(asked)
        asked.features.bound.must_not_be_broken("view", view)
        taker = view_of_source(asked.features.bound, view)
        if taker is not None and taker.kept in another:
            message = f"the online store holds another version of {taker.kept} than is defined"
            raise RequestError("ONLINE_OTHER_VERSION", message, name=view, hint="Run: penstock online sync")
        if self._pushed is None or self._pushed[0] is not asked or self._pushed[1] is ended:
            self._begin_pushing(asked, view, to)
        assert self._pushed is not None
        return self._pushed[1]

    def _begin_pushing(self, asked: ProjectOnline, view: str, to: Destination) -> None:
        before = () if self._pushed is None else self._pushed[2].bounds
        with suppress(FailedError):  # why it ended was told to those who pushed
            self._end_pushing()
        feeds = asked.feeds(before)
        pusher = Pusher(asked.features.bound, asked.site.lake, feeds, now=asked.site.now)
        try:
            feeds.start([] if to == "online" else [pusher.opened(view)])
        except BaseException:
            pusher.close()
            raise
        self._pushed = asked, pusher, feeds

    def _end_pushing(self) -> None:
        if self._pushed is not None:
            _, pusher, feeds = self._pushed
            self._pushed = None
            pusher.close()
            feeds.stop()

    def close(self) -> None:
        """Write what was pushed to the lake, and let go of the store."""
        with self._pushes:
            self._end_pushing()
        self.online.close()

    def sync(self, views: Sequence[str]) -> None:
        """Let the store follow the lake up to now, for these views."""
        self._current().sync(views)


def _held_otherwise(asked: ProjectOnline) -> set[str]:
    """The views that the store holds in another version than is declared here, by the names they are kept under."""
    bound = asked.features.bound
    return {bound.views[name].kept for name in held_otherwise(bound, asked.status())}
