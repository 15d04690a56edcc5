"""What no window reaches any more goes, whole parts at a time."""

from __future__ import annotations

from dataclasses import replace

from penstock.online.catalogue import Space, ViewState
from penstock.online.crowds import written
from penstock.online.holdings import Holding
from penstock.online.store import OnlineStore

_KEYS = 2_000
"""So many keys are looked at in one write."""


def first_reached(holding: Holding, space: Space, at: int) -> int:
    """The first part that a window can reach at ``at`` or later; the one before all where nothing ever goes."""
    if holding.reach is None or not space.span:
        return space.first
    return max(space.first, (at - holding.reach) // space.span)


def expired(store: OnlineStore, state: ViewState, holdings: tuple[Holding, ...], at: int) -> ViewState:
    """The state once the parts are removed that no window of these holdings reaches at ``at`` or later.

    Looks at every key when a part has newly gone out of reach, which is once in a span; else at none.
    """
    spaces = dict(state.spaces)
    for holding in holdings:
        space = spaces[holding.fingerprint]
        first = first_reached(holding, space, at)
        if first > space.first:
            _remove_below(store, holding, space, first)
            spaces[holding.fingerprint] = replace(space, first=first)
    return replace(state, spaces=spaces)


def _remove_below(store: OnlineStore, holding: Holding, space: Space, first: int) -> None:
    keys = store.keys(space.name, None, _KEYS)
    while keys:
        with store.feeding():
            gone = [
                change
                for key, parts in zip(keys, store.read(space.name, keys), strict=True)
                for part in parts
                if part.number < first
                for change in written(holding, space, key, part.number, None, part.data)
            ]
            if gone:
                store.write(gone)
        keys = store.keys(space.name, keys[-1], _KEYS)
