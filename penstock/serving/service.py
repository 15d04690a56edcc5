"""What a server serves: the features of a project, read now or at many cutoffs, and rows that are pushed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import pyarrow as pa

from penstock.features.views.bound import Bound
from penstock.online.answer import Online

Destination = Literal["online", "offline", "online_and_offline"]
"""Where pushed rows go: the store, the lake, or both."""


class FeatureService(Protocol):
    """The features of one project. Every method may be called from several threads at once.

    What a request did wrong is ``RequestError``; a store that does not answer is ``StoreError``.
    """

    @property
    def bound(self) -> Bound:
        """The definitions, fitted to the tables."""
        ...

    @property
    def wait(self) -> float | None:
        """How many seconds an answer may wait for a server elsewhere; None where this machine holds all that is read.

        It is told without asking anybody.
        """
        ...

    def read(
        self,
        features: Sequence[str],
        keys: Mapping[str, Sequence[object]],
        *,
        requested: Mapping[str, Sequence[object]] | None = None,
        at: int | None = None,
        full_names: bool | None = None,
    ) -> Online:
        """Features (``view:feature``) of the entities that columns of equal length name, now or at an instant.

        ``requested`` has the columns that on-demand features take from the request. With ``full_names`` features are
        called ``view__feature``.
        """
        ...

    def look_again(self) -> bool:
        """Whether definitions have changed, looked at anew: asked where something unknown is asked for."""
        ...

    def historical(self, spine: pa.Table, features: Sequence[str], *, full_names: bool | None = None) -> pa.Table:
        """The spine with a column for each feature, as it was at each row's cutoff."""
        ...

    def keep(
        self, name: str, spine: pa.Table, features: Sequence[str], *, full_names: bool, replace: bool = False
    ) -> None:
        """Keep what `historical` gives as a table for training of this name; one that is there is replaced if said."""
        ...

    def kept(self, name: str) -> pa.Table | None:
        """A table that is kept for training; None where there is none."""
        ...

    def renames(self, table: str) -> Mapping[str, str]:
        """The columns of a table that its source calls otherwise: our names, and the source's."""
        ...

    def rows(self, table: str) -> pa.Table:
        """The rows of a table of the graph, in all their versions."""
        ...

    def push(self, view: str, rows: pa.Table, to: Destination) -> int:
        """Take rows of a view: its keys, features by name, ``event_timestamp`` and perhaps ``created``. How many."""
        ...

    def sync(self, views: Sequence[str]) -> None:
        """Let the store follow the lake up to now, for these views."""
        ...

    def close(self) -> None:
        """Write what was pushed where it goes, and let go of everything."""
        ...
