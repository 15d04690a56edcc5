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

    def historical(self, spine: pa.Table, features: Sequence[str], *, full_names: bool | None = None) -> pa.Table:
        """The spine with a column for each feature, as it was at each row's cutoff."""
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
