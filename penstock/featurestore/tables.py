"""The tables that features are made from: the lake as it is now, tails of streams included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.engine.relational import Relational
from penstock.features.views.bound import Bound
from penstock.features.views.entities import EntityRows
from penstock.online.following import Following, TableState
from penstock.pipeline.site import Site
from penstock.plan import Rows
from penstock.settings import Settings


@dataclass
class Tables:
    """The engine over a project's tables; what was read stays in memory until something new has come."""

    site: Site
    settings: Settings
    _held: dict[str, tuple[Mapping[str, TableState], Bound, Relational]] = field(default_factory=dict, repr=False)

    def relational(self, bound: Bound) -> Relational:
        """The engine over all row versions there are now."""
        following = self._following(bound)
        held = self._held.get("now")
        if held is not None and held[0] == following.state and held[1] is bound:
            return held[2]
        relational = Relational(EntityRows(following.rows, bound.joins, bound.graph), self.settings)
        self._held["now"] = following.state, bound, relational
        return relational

    def come_by(self, bound: Bound, at: int) -> Rows:
        """The row versions that had come by an instant, where their source says itself when they were known."""
        return self._following(bound).come_by(at)

    def _following(self, bound: Bound) -> Following:
        names = [table.name for table in bound.graph if table.name not in bound.joins.virtual]
        return Following.open(self.site.lake, bound.graph, names, self.settings, bound.recipes)
