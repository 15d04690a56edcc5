"""Where features come from: the columns that their values are made of, and those that decide which rows count."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.features.views.bound import Bound, BoundOnDemand, Chosen
from penstock.features.views.chosen import resolve, view_of
from penstock.features.views.origins import Origin, Origins


@dataclass(frozen=True)
class Lineage:
    """What a feature comes from. ``values`` are the columns that its value is made of; ``uses`` those that decide which
    rows count: keys, links, clocks, filters. ``inputs`` are the features that it is worked out from on demand, and
    ``requested`` the columns of a request.
    """

    feature: Chosen
    values: tuple[Origin, ...]
    uses: tuple[Origin, ...]
    inputs: tuple[Chosen, ...] = ()
    requested: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it reads, in order."""
        return tuple(sorted({table for table, _ in (*self.values, *self.uses)}))

    def to_dict(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "feature": str(self.feature),
            "tables": list(self.tables),
            "values": [".".join(one) for one in self.values],
            "uses": [".".join(one) for one in self.uses],
            "inputs": [str(one) for one in self.inputs],
            "requested": list(self.requested),
        }


def lineage(bound: Bound, view: str, feature: str | None = None) -> tuple[Lineage, ...]:
    """The lineage of a feature, or of all features of a view. Raises ``RequestError`` (``FEATURE_UNKNOWN``)."""
    chosen = resolve(bound, f"{view}:{'*' if feature is None else feature}")
    return tuple(_lineage(bound, one) for one in chosen)


def _lineage(bound: Bound, chosen: Chosen) -> Lineage:
    found = Origins(bound.graph, bound.joins)
    inputs, requested = _gathered(bound, chosen, found)
    uses = found.uses - found.values
    return Lineage(chosen, tuple(sorted(found.values)), tuple(sorted(uses)), inputs, requested)


def _gathered(bound: Bound, chosen: Chosen, into: Origins) -> tuple[tuple[Chosen, ...], tuple[str, ...]]:
    """Look through a feature and those it is worked out from; what it needs itself, and of the request."""
    view = view_of(bound, chosen.view)
    if not isinstance(view, BoundOnDemand):
        into.add(view.feature(chosen.feature).expression, view.entity.exists)
        return (), ()
    names = view.used(chosen.feature)
    inputs = tuple(Chosen(*view.inputs[name]) for name in names if name in view.inputs)
    for one in inputs:
        _gathered(bound, one, into)
    return inputs, tuple(name for name in names if name in view.requested)
