"""Stage one of ranking: for each row asked, the items that could plausibly come next, and what is known of each.

Everything is counted from interactions visible at the cutoff (happened and known by then). Candidates come from three
sources: the entity's own history (what it meets often and lately), items that others met together with its latest
ones, and what is popular, rising or new. All is done on sorted integer keys, a few passes a cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.ranking.factors import Factors, factors
from penstock.learning.rows.dataset import Array
from penstock.window import Instants

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

OWN, TOGETHER, POPULAR, RISING = 50, 30, 20, 10
"""How many candidates a row gets of each source at most."""
SEEDS, NEIGHBOURS = 10, 20
_PAIRS_AT_MOST = 4_000_000
_DAY = 86_400_000_000.0
_FADING = 4.0
"""Horizons in which a meeting loses half its weight for the factors."""

FEATURES = (
    "own count", "own count, 1 horizon", "own count, 3 horizons", "own count, fading", "days since own last",
    "days since own first", "own mean gap, days", "own last over mean gap", "own share", "own place by fading count",
    "met together", "place by met together",
    "entities, 1 horizon", "entities, 3 horizons", "entities ever", "rise", "place by entities",
    "days since anyone's first", "days since anyone's last", "share of entities that come back",
    "entity's rows", "entity's items", "entity's rows, 1 horizon", "days since entity's last",
    "entity's new items share", "count the other way round", "the other way round, fading",
    "days since last the other way round", "drawn by factors", "place by factors",
)  # fmt: skip


MUTUAL = {b"mutual": b"yes"}
"""What the schema of a log says where its items are entities of the same kind: teams that meet teams."""


@dataclass(frozen=True)
class Log:
    """Interactions as codes, sorted by when they became visible; ``mutual`` where items are entities themselves."""

    entities: Array
    items: Array
    entity: Ints
    item: Ints
    happened: Instants
    visible: Instants
    mutual: bool = False

    @classmethod
    def of(cls, table: pa.Table) -> Log:
        """The log of a table ``entity, item, happened[, known]`` (microseconds); rows with a NULL are left out."""
        mutual = (table.schema.metadata or {}).items() >= MUTUAL.items()
        known = "known" in table.column_names
        table = table.select(["entity", "item", "happened", *(["known"] if known else [])]).drop_null()
        entities, entity = coded(table["entity"])
        items, item = coded(table["item"])
        if mutual:  # who was only ever met is asked about as well
            entities = coded(pa.chunked_array([entities, items.cast(entities.type)]))[0]
            items, entity, item = entities, places(table["entity"], entities), places(table["item"], entities)
        happened = np.asarray(table["happened"].cast(pa.int64()), np.int64)
        visible = np.maximum(happened, np.asarray(table["known"].cast(pa.int64()), np.int64)) if known else happened
        order = np.lexsort((item, entity, happened, visible))
        return cls(entities, items, entity[order], item[order], happened[order], visible[order], mutual)

    def until(self, cutoff: int, horizon: int) -> Seen:
        """What is visible at a cutoff."""
        end = int(np.searchsorted(self.visible, cutoff, "right"))
        size = (len(self.entities), max(1, len(self.items)), cutoff, horizon)
        entity, item, happened = self.entity[:end], self.item[:end], self.happened[:end]
        if not self.mutual:
            return Seen(*size, entity, item, happened)
        return Seen(*size, entity, item, happened, Seen(*size, item, entity, happened))


def coded(column: Array) -> tuple[Array, Ints]:
    """The distinct values in order, and the place of each row's among them."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values: Any = pc.unique(column)
    values = values.take(pc.array_sort_indices(values))
    return values, places(column, values)


def places(column: Array, values: Array) -> Ints:
    """The place of each row's value among these; -1 for one that is not."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type != values.type:
        column = column.cast(values.type)
    found: Any = pc.index_in(column, value_set=values)
    return np.asarray(pc.fill_null(found, -1), np.int64)


@dataclass(frozen=True)
class Pairs:
    """What each entity has had with each item, sorted by key = entity × items + item."""

    key: Ints
    count: Floats
    near: Floats
    wide: Floats
    fading: Floats
    first: Instants
    last: Instants


@dataclass(frozen=True)
class Seen:
    """The interactions visible at a cutoff, and what follows from them; ``horizon`` is the unit of recency.

    ``back`` are the same the other way round (who met this entity), where items are entities themselves.
    """

    entities: int
    items: int
    cutoff: int
    horizon: int
    entity: Ints
    item: Ints
    happened: Instants
    back: Seen | None = None

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of an entity and an item that have met."""
        keys = self.entity * self.items + self.item
        order = np.argsort(keys, kind="stable")
        keys, happened = keys[order], self.happened[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        if not len(starts):
            none = np.zeros(0)
            return Pairs(keys, none, none, none, none, happened, happened)
        age = (self.cutoff - happened) / self.horizon
        return Pairs(
            keys[starts],
            np.diff(starts, append=len(keys)).astype(float),
            np.add.reduceat((age < 1).astype(float), starts),
            np.add.reduceat((age < 3).astype(float), starts),
            np.add.reduceat(np.exp2(-age), starts),
            np.minimum.reduceat(happened, starts),
            np.maximum.reduceat(happened, starts),
        )

    @cached_property
    def pair_entity(self) -> Ints:
        """The entity of each pair."""
        return self.pairs.key // self.items

    @cached_property
    def pair_item(self) -> Ints:
        """The item of each pair."""
        return self.pairs.key % self.items

    @cached_property
    def factors(self) -> Factors:
        """What entities have in common; recent meetings weigh more."""
        age = (self.cutoff - self.pairs.last) / self.horizon
        weight = np.log1p(self.pairs.count) * np.exp2(-age / _FADING)
        return factors(self.pair_entity, self.pair_item, weight, self.entities, self.items)

    @cached_property
    def starts(self) -> Ints:
        """Where each entity's pairs begin; one more place than entities."""
        return np.searchsorted(self.pair_entity, np.arange(self.entities + 1))

    def per_item(self, values: Floats) -> Floats:
        """The sum over pairs, item by item."""
        return np.bincount(self.pair_item, values, minlength=self.items).astype(float)

    def per_entity(self, values: Floats) -> Floats:
        """The sum over pairs, entity by entity; one place more, always 0, for entities unknown."""
        return np.bincount(self.pair_entity, values, minlength=self.entities + 1).astype(float)

    @cached_property
    def near(self) -> Floats:
        """How many entities met each item in the last horizon."""
        return self.per_item((self.pairs.near > 0).astype(float))

    @cached_property
    def wide(self) -> Floats:
        """How many entities met each item in the last three horizons."""
        return self.per_item((self.pairs.wide > 0).astype(float))

    @cached_property
    def ever(self) -> Floats:
        """How many entities ever met each item."""
        return self.per_item(np.ones(len(self.pairs.key)))

    @cached_property
    def rise(self) -> Floats:
        """The last horizon against the mean of the last three, damped where there is little of either."""
        return (self.near + 1) / (self.wide / 3 + 5)

    @cached_property
    def by_popularity(self) -> Ints:
        """Items, the most popular of late first."""
        return np.lexsort((np.arange(self.items), -self.ever, -self.wide, -self.near))

    @cached_property
    def item_first(self) -> Floats:
        """When anyone first met each item (microseconds; infinite if nobody has)."""
        first = np.full(self.items, np.inf)
        np.minimum.at(first, self.pair_item, self.pairs.first.astype(float))
        return first

    @cached_property
    def item_last(self) -> Floats:
        """When anyone last met each item."""
        last = np.full(self.items, -np.inf)
        np.maximum.at(last, self.pair_item, self.pairs.last.astype(float))
        return last

    @cached_property
    def entity_last(self) -> Floats:
        """When each entity last met anything; one place more for entities unknown."""
        last = np.full(self.entities + 1, -np.inf)
        np.maximum.at(last, self.pair_entity, self.pairs.last.astype(float))
        return last

    def foremost(self, *order: Floats | Ints, most: int) -> tuple[Ints, Ints]:
        """Of each entity's pairs the first ``most`` in this order (last key decides first): (pairs, their place)."""
        sequence = np.lexsort((self.pair_item, *order, self.pair_entity))
        place = np.arange(len(sequence)) - self.starts[self.pair_entity[sequence]]
        kept = place < most
        return sequence[kept], place[kept]

    @cached_property
    def neighbours(self) -> tuple[Ints, Ints, Floats]:
        """For each item where its neighbours begin, the neighbours, and how much they are met together (cosine)."""
        chosen, left, right = self._met_together()
        keys, counts = np.unique(left * self.items + right, return_counts=True)
        keys, counts = keys[counts > 1], counts[counts > 1]
        left, right = keys // self.items, keys % self.items
        sizes = np.bincount(self.pair_item[chosen], minlength=self.items).astype(float)
        score = counts / (np.sqrt(sizes[left] * sizes[right]) + 5)
        order = np.lexsort((right, -score, left))
        left, right, score = left[order], right[order], score[order]
        place = np.arange(len(left)) - np.searchsorted(left, left)
        kept = place < NEIGHBOURS
        return np.searchsorted(left[kept], np.arange(self.items + 1)), right[kept], score[kept]

    def _met_together(self) -> tuple[Ints, Ints, Ints]:
        """Latest pairs of each entity, and all ordered couples of different items among them."""
        held = np.diff(self.starts)
        most = next((m for m in (30, 20, 15, 10, 7, 5, 3) if np.sum(np.minimum(held, m) ** 2) <= _PAIRS_AT_MOST), 2)
        chosen, _ = self.foremost(-self.pairs.last, most=most)
        chosen = chosen[np.argsort(self.pair_entity[chosen], kind="stable")]
        owner = self.pair_entity[chosen]
        sizes = np.bincount(owner, minlength=self.entities)[owner]
        begins = np.searchsorted(owner, owner)
        left = np.repeat(np.arange(len(chosen)), sizes)
        right = spread(begins, sizes)
        items = self.pair_item[chosen]
        apart = left != right
        return chosen, items[left[apart]], items[right[apart]]


def spread(starts: Ints, sizes: Ints) -> Ints:
    """The places start, start + 1, …, start + size - 1 of each range, one after the other.

    >>> spread(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes) + np.repeat(starts, sizes)


# ---------------------------------------------------------------- candidates


@dataclass(frozen=True)
class Candidates:
    """Candidate items, row after row: whose row, which item, and `FEATURES` (candidates × features, float32)."""

    row: Ints
    item: Ints
    values: npt.NDArray[np.float32]


def candidates(seen: Seen, entity: Ints) -> Candidates:
    """The candidates of rows that ask, at one cutoff, about these entities (codes of the log; -1 for one unknown)."""
    own_key, own_place = _own(seen, entity)
    met_key, met_score, met_place = _together(seen, entity)
    everyone = (np.arange(len(entity))[:, None] * seen.items + _fashion(seen)[None, :]).ravel()
    back_key = np.zeros(0, np.int64) if seen.back is None else _own(seen.back, entity)[0]
    keys = np.unique(np.concatenate([own_key, met_key[met_place < TOGETHER], everyone, back_key]))
    row, item = keys // seen.items, keys % seen.items
    columns = [
        *_own_features(seen, entity[row], item),
        _looked_up(keys, own_key, own_place.astype(float), OWN),
        _looked_up(keys, met_key, met_score, 0.0),
        _looked_up(keys, met_key, met_place.astype(float), 10 * TOGETHER),
        *_item_features(seen, item),
        *_entity_features(seen, entity[row]),
        *_back_features(seen.back, entity[row], item),
        *_factor_features(seen, row, entity[row], item),
    ]
    return Candidates(row, item, np.column_stack(columns).astype(np.float32))


def _own(seen: Seen, entity: Ints) -> tuple[Ints, Ints]:
    """Keys row × items + item of each row's own items, the ones met most and latest, sorted; and their places."""
    pairs, place = seen.foremost(-seen.pairs.fading, most=OWN)
    return _for_rows(seen, entity, pairs, place)


def _for_rows(seen: Seen, entity: Ints, pairs: Ints, place: Ints) -> tuple[Ints, Ints]:
    """Chosen pairs (entity after entity) handed to the rows that ask about the entity."""
    starts = np.searchsorted(seen.pair_entity[pairs], np.arange(seen.entities + 1))
    rows = np.flatnonzero(entity >= 0)
    sizes = np.diff(starts)[entity[rows]]
    taken = spread(starts[entity[rows]], sizes)
    keys = np.repeat(rows, sizes) * seen.items + seen.pair_item[pairs[taken]]
    order = np.argsort(keys, kind="stable")
    return keys[order], place[taken][order]


def _together(seen: Seen, entity: Ints) -> tuple[Ints, Floats, Ints]:
    """Keys of the items met together with each row's latest, sorted; how much in sum, and their places."""
    seeds, seed_place = seen.foremost(-seen.pairs.last, most=SEEDS)
    keys, places_ = _for_rows(seen, entity, seeds, seed_place)
    begins, neighbour, score = seen.neighbours
    seed = keys % seen.items
    sizes = np.diff(begins)[seed]
    taken = spread(begins[seed], sizes)
    reached = np.repeat(keys // seen.items, sizes) * seen.items + neighbour[taken]
    weight = score[taken] * np.repeat(1 / np.sqrt(places_ + 1), sizes)
    found, place = np.unique(reached, return_inverse=True)
    total = np.bincount(place, weight, minlength=len(found)).astype(float)
    order = np.lexsort((found, -total, found // seen.items))
    rows = found[order] // seen.items
    rank = np.empty(len(found), np.int64)
    rank[order] = np.arange(len(found)) - np.searchsorted(rows, rows)
    return found, total, rank


def _fashion(seen: Seen) -> Ints:
    """Items that anyone may want: popular of late, and rising; none that nobody has met."""
    rising = np.lexsort((np.arange(seen.items), -seen.rise))[:RISING]
    chosen = np.unique(np.concatenate([seen.by_popularity[:POPULAR], rising]))
    met: Ints = chosen[seen.ever[chosen] > 0]
    return met


def _looked_up(keys: Ints, known: Ints, values: Floats, otherwise: float) -> Floats:
    """The value of each key; ``known`` is sorted."""
    if not len(known):
        return np.full(len(keys), otherwise)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, values[place], otherwise)


def _own_features(seen: Seen, entity: Ints, item: Ints) -> list[Floats]:
    pairs, keys = seen.pairs, np.where(entity >= 0, entity * seen.items + item, -1)
    count = _looked_up(keys, pairs.key, pairs.count, 0.0)
    last = seen.cutoff - _looked_up(keys, pairs.key, pairs.last.astype(float), np.nan)
    first = seen.cutoff - _looked_up(keys, pairs.key, pairs.first.astype(float), np.nan)
    gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), np.nan)
    return [
        count,
        _looked_up(keys, pairs.key, pairs.near, 0.0),
        _looked_up(keys, pairs.key, pairs.wide, 0.0),
        _looked_up(keys, pairs.key, pairs.fading, 0.0),
        last / _DAY,
        first / _DAY,
        gap / _DAY,
        last / np.maximum(gap, 1.0),
        count / np.maximum(seen.per_entity(pairs.count)[entity], 1.0),
    ]


def _item_features(seen: Seen, item: Ints) -> list[Floats]:
    place = np.empty(seen.items)
    place[seen.by_popularity] = np.arange(seen.items)
    again = seen.per_item((seen.pairs.count > 1).astype(float)) / np.maximum(seen.ever, 1.0)
    first, last = (seen.cutoff - seen.item_first) / _DAY, (seen.cutoff - seen.item_last) / _DAY
    return [column[item] for column in (seen.near, seen.wide, seen.ever, seen.rise, place, first, last, again)]


def _entity_features(seen: Seen, entity: Ints) -> list[Floats]:
    rows, items = seen.per_entity(seen.pairs.count), seen.per_entity(np.ones(len(seen.pairs.key)))
    near = seen.per_entity(seen.pairs.near)
    idle = np.where(np.isfinite(seen.entity_last), (seen.cutoff - seen.entity_last) / _DAY, np.nan)
    return [column[entity] for column in (rows, items, near, idle, items / np.maximum(rows, 1.0))]


def _back_features(back: Seen | None, entity: Ints, item: Ints) -> list[Floats]:
    """How often and how lately the item met the entity; unknown where items are none that meet."""
    if back is None:
        return [np.full(len(entity), np.nan)] * 3
    keys = np.where(entity >= 0, entity * back.items + item, -1)
    last = back.cutoff - _looked_up(keys, back.pairs.key, back.pairs.last.astype(float), np.nan)
    counts = [_looked_up(keys, back.pairs.key, values, 0.0) for values in (back.pairs.count, back.pairs.fading)]
    return [*counts, last / _DAY]


def _factor_features(seen: Seen, row: Ints, entity: Ints, item: Ints) -> list[Floats]:
    """How much the entity is drawn to the item, and the item's place by that among the row's candidates."""
    drawn = seen.factors.drawn(entity, item)
    order = np.lexsort((item, -drawn, row))
    place = np.empty(len(row))
    place[order] = np.arange(len(row)) - np.searchsorted(row, row)
    return [drawn, place]
