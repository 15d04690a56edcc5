"""Rows that only the store was told: of which keys of a holding it held some, since when, and until when.

They are noted in a space beside the holding's, named by its fingerprint, so that notes outlive builds of the store. A
part of a key is a stay: its number is when the first row came (microseconds), its bytes say when the key was made again
from the lake, and nothing while it was not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penstock.online.holdings import Holding, Kept
from penstock.online.store import Change, OnlineStore
from penstock.plan import Peers
from penstock.window import END

SPACE = "o-"
"""How the names of these spaces begin."""
_GRACE = 10_000_000
"""So many microseconds may pass until what was made again is written, and those who read have noticed."""
_MOST = 16
"""So many stays are noted of a key: the newest."""
_PAGE = 1_000
Stay = tuple[int, int]


def space_of(fingerprint: str) -> str:
    """The space of a holding of this fingerprint."""
    return f"{SPACE}{fingerprint}"


def come(store: OnlineStore, holding: Holding, keys: Collection[bytes], at: int) -> Iterator[Change]:
    """What to write where rows of these keys come that are in no lake. Call it under `feeding`."""
    space, names = space_of(holding.fingerprint), sorted(keys)
    for key, parts in zip(names, store.read(space, names), strict=True):
        if not parts or parts[-1].data:
            yield from (Change(space, key, old.number, None) for old in parts[: 1 - _MOST])
            yield Change(space, key, at, b"")


def gone(store: OnlineStore, holding: Holding, keys: Sequence[bytes], at: int) -> Iterator[Change]:
    """What to write where these keys are made again from the lake. Call it under `feeding`."""
    space = space_of(holding.fingerprint)
    if not store.keys(space, None, 1):
        return
    for key, parts in zip(keys, store.read(space, keys), strict=True):
        if parts and not parts[-1].data:
            yield Change(space, key, parts[-1].number, (at + _GRACE).to_bytes(8, "big", signed=True))


def all_gone(store: OnlineStore, kept: Kept, at: int) -> None:
    """Note that a view was made again from the lake with all its keys."""
    for holding in kept.holdings:
        for keys in _pages(store, holding):
            with store.feeding():
                store.write(list(gone(store, holding, keys, at)))


def _pages(store: OnlineStore, holding: Holding) -> Iterator[list[bytes]]:
    space = space_of(holding.fingerprint)
    keys = store.keys(space, None, _PAGE)
    while keys:
        yield keys
        keys = store.keys(space, keys[-1], _PAGE)


@dataclass(frozen=True)
class Beside:
    """When a view's answers rested, or may have rested, on rows that are in no lake.

    ``stays`` are those of entities, by what stands for their keys; ``others`` those of keys that answers about any
    entity may rest on, such as their parents'.
    """

    stays: Mapping[bytes, Sequence[Stay]]
    others: Sequence[Stay] = ()

    def __call__(self, key: bytes, at: int) -> bool:
        """Whether they did for an entity at an instant (microseconds)."""
        return any(first <= at < last for first, last in (*self.stays.get(key, ()), *self.others))


NOTHING = Beside({})


def beside(store: OnlineStore, kept: Kept, hashed: Callable[[Sequence[bytes]], Sequence[bytes]]) -> Beside:
    """What a store notes of a view; ``hashed`` gives what stands for keys."""
    stays: dict[bytes, list[Stay]] = {}
    others: list[Stay] = []
    for holding in kept.holdings:
        own = holding.stream.root == kept.view.entity.table and not isinstance(holding.stream.anchor, Peers)
        for keys in _pages(store, holding):
            found = store.read(space_of(holding.fingerprint), keys)
            for name, parts in zip(hashed(keys), found, strict=True):
                (stays.setdefault(name, []) if own else others).extend(_stay(part.number, part.data) for part in parts)
    return Beside(stays, others)


def _stay(first: int, data: bytes) -> Stay:
    return first, int.from_bytes(data, "big", signed=True) if data else END
