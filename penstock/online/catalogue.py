"""What a store holds: for each view the spaces of its holdings, and the lake's state that they follow.

It is kept in the store's notes, one a view, and so changes together with what it tells of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TypeVar

import msgspec

from penstock.errors import StoreError
from penstock.online.beside import SPACE, space_of
from penstock.online.following import TableState
from penstock.online.holdings import Holding, Kept
from penstock.online.store import FIRST, OnlineStore

T = TypeVar("T")
VIEW, BUILDING = "view:", "building:"
"""How the names of notes begin: of views that are served, and of those that are being built beside them."""
HEADS = 0
"""The number of the one part that a key has where only newest rows are kept."""


@dataclass(frozen=True)
class Space:
    """Where a holding's rows are. Part ``happened // span`` (microseconds) holds a row; newest rows have no span, 0.

    Parts below ``first`` are gone: no window reaches them any more.
    """

    name: str
    span: int = 0
    first: int = FIRST

    @property
    def pieces(self) -> str:
        """The name of the space beside, which has the rows of crowded parts (see `penstock.online.crowds`)."""
        return f"{self.name}-p"


@dataclass(frozen=True)
class ViewState:
    """A view as a store holds it: ``version`` is its fingerprint, ``spaces`` are by the holdings' fingerprints.

    ``followed`` says of each table how far it was followed, ``kept`` the instant (microseconds) by which every row
    known then is in, ``since`` the one from which on this version is served (0: nobody noted it). ``texts`` is the
    space of the texts of all its records. ``former`` are spaces that nobody who reads this note needs: they go with the
    next sync.
    """

    view: str
    version: str
    spaces: Mapping[str, Space]
    texts: str
    followed: Mapping[str, TableState] = field(default_factory=dict)
    kept: int = 0
    former: tuple[str, ...] = ()
    since: int = 0

    def space(self, holding: Holding) -> Space | None:
        """Where a holding is; None where this state does not hold it."""
        return self.spaces.get(holding.fingerprint)

    def holds(self, kept: Kept) -> bool:
        """Whether all is there that a view needs."""
        return all(self.space(holding) for holding in kept.holdings)

    @property
    def names(self) -> tuple[str, ...]:
        """The spaces that belong to it."""
        beside = (space.pieces for space in self.spaces.values() if space.span)
        return (*(space.name for space in self.spaces.values()), *beside, self.texts)


@dataclass(frozen=True)
class Building:
    """A build under way: the view as it will be, in how many parts of keys it is made, and how many are done.

    ``bounds`` are, by the holdings' fingerprints, the keys (in hex) that the parts from the second on begin with.
    ``resumed``: another process began it, and may have left pieces of crowds that nobody names.
    """

    state: ViewState
    parts: int
    done: int = 0
    bounds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resumed: bool = False


def live(store: OnlineStore, view: str) -> ViewState | None:
    """How a view (by the name it is kept under) is held now; None where it is not."""
    return _read(store.note(VIEW + view), ViewState)


def all_live(store: OnlineStore) -> dict[str, ViewState]:
    """The views that are held, by name."""
    notes = store.notes(VIEW)
    found = {name.removeprefix(VIEW): _read(text, ViewState) for name, text in sorted(notes.items())}
    return {name: state for name, state in found.items() if state is not None}


def all_building(store: OnlineStore) -> dict[str, Building]:
    """The builds that are under way, by the view's name."""
    notes = store.notes(BUILDING)
    found = {name.removeprefix(BUILDING): _read(text, Building) for name, text in sorted(notes.items())}
    return {name: build for name, build in found.items() if build is not None}


def building(store: OnlineStore, view: str) -> Building | None:
    """The build of a view that is under way, or was when its process ended."""
    return _read(store.note(BUILDING + view), Building)


def written(state: ViewState | Building) -> str:
    """The note's text.

    >>> state = ViewState("spend", "ab", {"cd": Space("h-cd", 3600)}, "t-ef")
    >>> _read(written(state), ViewState) == state
    True
    """
    return msgspec.json.encode(state, order="sorted").decode()


def fresh(kept: Kept) -> ViewState:
    """A view of which nothing is held yet; its spaces have names that no others ever had."""
    view, mark = kept.view, token_hex(4)
    spaces = {one.fingerprint: Space(f"{one.space}-{mark}") for one in kept.holdings}
    return ViewState(view.kept, view.fingerprint, spaces, f"t-{mark}")


def unnamed(store: OnlineStore) -> list[str]:
    """The spaces that no note names: what views that are gone have left."""
    there = store.spaces()  # before the notes: a space is named before it is made
    told = [*all_live(store).values(), *(one.state for one in all_building(store).values())]
    named = {name for state in told for name in (*state.names, *state.former, *map(space_of, state.spaces))}
    return [name for name in there if name not in named and name.startswith(("h-", "t-", SPACE))]


def _read(text: str | None, kind: type[T]) -> T | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise StoreError(
            "STORE_DAMAGED", f"a note of the store cannot be read: {error}", hint="Make the store again."
        ) from error
