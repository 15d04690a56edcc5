"""Views as a store holds them, where that is not as they are defined: what it was made by, if that can be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.features.views.bound import Bound, BoundView
from penstock.online.catalogue import ViewState
from penstock.online.holdings import Kept, kept_for


@dataclass(frozen=True)
class Former:
    """Views as they were, with what a store keeps for them, and all definitions of then.

    They are broken now, or the store holds them still as they were.
    """

    bound: Bound
    views: Mapping[str, BoundView]
    kept: Mapping[str, Kept]


def held_otherwise(bound: Bound, held: Mapping[str, ViewState]) -> set[str]:
    """The views that a store holds in another version than is defined, by their names."""
    return {name for name, view in bound.views.items() if view.kept in held and not is_held(view, held)}


def is_held(view: BoundView, held: Mapping[str, ViewState]) -> bool:
    """Whether a store holds a view as it is here."""
    return view.kept in held and held[view.kept].version == view.fingerprint


def as_held(names: Iterable[str], bounds: Iterable[Bound], held: Mapping[str, ViewState]) -> dict[str, Kept]:
    """What a store keeps for views of these names, each by the first definitions that are those that it holds."""
    wanted, found = set(names), dict[str, Kept]()
    for bound in bounds if wanted else ():
        there = [name for name in wanted if name in bound.views and is_held(bound.views[name], held)]
        found |= {name: kept_for(bound.views[name], bound.graph) for name in there}
        wanted -= found.keys()
        if not wanted:
            break
    return found
