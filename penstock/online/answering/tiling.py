"""Hot keys answered from the tiles of their pieces: rows are read only of those that a window cuts through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.flatten import Wanted
from penstock.engine.kernels.compiled import frozen
from penstock.engine.program import Asked, Bounds
from penstock.engine.tiles import NUMBERS, Run, Tiles, answer, can_tile, cut_at, tabled
from penstock.online import records
from penstock.online.answering.arrays import COUNTS, order_of, plain
from penstock.online.answering.held import Crowded, Known
from penstock.online.crowds import NUMERIC, Block, Crowd, blocks_of, is_crowd
from penstock.online.holdings import Holding
from penstock.plan import Aggregate
from penstock.schema import Dtype
from penstock.window import BEGINNING, END, Window

Decoder: TypeAlias = Callable[[Any, Known], Any]
_ORDERED = ("MODE", "LIST_DISTINCT")
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Tiling:
    """What is asked of a stream, of the blocks of its tiles; ``decoders`` make plain values of what is answered.

    ``ranked`` are the blocks whose values' order is asked for, and is not that of the numbers that stand for them.
    """

    holding: Holding
    blocks: tuple[Block, ...]
    windows: tuple[Window | None, ...]
    asked: tuple[Asked, ...]
    decoders: tuple[Decoder, ...]
    ranked: tuple[int, ...]

    def answer(self, key: Crowded, at: int, low: int, known: Known) -> tuple[list[Any], int | None] | None:
        """The plain values of a key, and when its newest row later than ``low`` happened of those that show at ``at``.

        None where tiles do not tell: some column has too many different values.
        """
        return key.settled(lambda now: self._answer(now, at, low, known))

    def _answer(self, key: Crowded, at: int, low: int, known: Known) -> tuple[list[Any], int | None] | None:
        nodes = Nodes.of(key, self.blocks, at)
        if not self.asked:
            return [], nodes.newest(low)
        if self._is_untold(nodes, at):
            return None
        nodes.read(cut_at(self.windows, nodes.first, nodes.last, nodes.counts, at))
        ranks = {number: self._ranks(self.blocks[number], known) for number in self.ranked}
        found = answer(self.windows, self.asked, nodes.pieces(), at, ranks)
        return [decode(value, known) for decode, value in zip(self.decoders, found, strict=True)], nodes.newest(low)

    def _is_untold(self, nodes: Nodes, at: int) -> bool:
        """Whether a tile in reach does not tell how often each value of some column comes, for there are too many."""
        reached = nodes.last[nodes.tiled] > Bounds.of(self.windows).at(np.array([at]))[0].min()
        tables = (nodes.tiles.tables(number) for number in tabled(self.asked))
        return any(bool((reached & (stops < starts)).any()) for starts, stops in tables)

    def _ranks(self, block: Block, known: Known) -> Callable[[np.ndarray], np.ndarray]:
        def ranks(numbers: np.ndarray) -> np.ndarray:
            rank = np.empty(len(numbers), np.int64)
            rank[order_of(known, block.turned(numbers), block.dtype)] = np.arange(len(numbers))
            return rank

        return ranks


def tiling(
    holding: Holding,
    windows: Sequence[Window | None],
    chosen: Sequence[tuple[Aggregate, Asked, Wanted | None]],
) -> Tiling | None:
    """What answers these aggregates from tiles: each with what is asked, and the column; None where tiles cannot."""
    blocks = blocks_of(holding)
    asked, decoders = [], []
    for aggregate, one, needed in chosen:
        block = None if needed is None else _block_for(aggregate, needed, holding)
        if block is not None and block not in blocks:
            return None
        asked.append(Asked(one.function, one.window, None if block is None else blocks.index(block), one.n))
        decoders.append(_decoder(aggregate, block))
    if not all(map(can_tile, asked)):
        return None
    ordered = {one.column for one in asked if one.function in _ORDERED}
    ranked = tuple(n for n in ordered if n is not None and blocks[n].dtype not in _AS_NUMBERED)
    return Tiling(holding, blocks, tuple(windows), tuple(asked), tuple(decoders), ranked)


_AS_NUMBERED = (Dtype.INT, Dtype.TIMESTAMP, Dtype.BOOL)


def _block_for(aggregate: Aggregate, needed: Wanted, holding: Holding) -> Block:
    """The block that an aggregate is worked out from."""
    place = holding.place(needed)
    dtype, function = holding.dtypes[place], aggregate.function
    family = AGGREGATES[function].family
    if function in NUMBERS:
        floats = True
    elif family is Family.ORDER:
        floats = dtype is Dtype.FLOAT
    else:
        floats = dtype in NUMERIC and family not in (Family.FREQUENCY, Family.LIST)
    return Block(place, dtype, floats)


def _decoder(aggregate: Aggregate, block: Block | None) -> Decoder:
    """What makes a plain value of what tiles answer, as `penstock.online.answering.arrays` does of a sweep's."""
    family = AGGREGATES[aggregate.function].family
    if block is not None and family is Family.LIST:
        return lambda found, known: None if found is None else _meant(block, found, known)
    if block is not None and not block.floats and (family is Family.ORDER or aggregate.function == "MODE"):
        return lambda found, known: None if found is None else _meant(block, [found], known)[0]
    if family is Family.AGE:
        unit = _DAY if aggregate.window is None else aggregate.window.unit.clock.microseconds
        return lambda found, _known: None if found is None else found / unit
    if aggregate.dtype is Dtype.FLOAT or aggregate.function in COUNTS:
        return lambda found, _known: found
    return lambda found, _known: None if found is None else round(found)


def _meant(block: Block, numbers: Sequence[int], known: Known) -> list[Any]:
    return plain(known, block.turned(np.array(numbers, np.int64)), block.dtype)


@dataclass
class Nodes:
    """What is known of a key, in order: pieces, of which there are ``tiles`` where ``tiled``, and rows.

    ``first``, ``last`` and ``counts`` tell of those rows of a node that show; ``runs`` has those that were read.
    """

    key: Crowded
    blocks: tuple[Block, ...]
    at: int
    tiles: Tiles
    tiled: np.ndarray
    names: np.ndarray
    first: np.ndarray
    last: np.ndarray
    counts: np.ndarray
    runs: dict[int, Run]

    @classmethod
    def of(cls, key: Crowded, blocks: tuple[Block, ...], at: int) -> Nodes:
        """A key's parts; rows that lie there are read, and pieces of which some rows do not show."""
        crowds = [Crowd.from_bytes(part.data) if is_crowd(part.data) else None for part in key.parts]
        sizes = np.array([1 if one is None else len(one) for one in crowds], np.int64)
        tiled = np.repeat(np.array([one is not None for one in crowds], np.bool_), sizes)
        there = [one for one in crowds if one is not None]
        tiles = Tiles(frozen(_joined([one.tiles.words for one in there])))
        names, first, last, counts = (np.full(len(tiled), filler) for filler in (0, END, BEGINNING, 0))
        names[tiled] = _joined([one.names for one in there])
        first[tiled], last[tiled], counts[tiled] = tiles.first, tiles.last, tiles.counts
        nodes = cls(key, blocks, at, tiles, tiled, names, first, last, counts, {})
        rows = [part.data for part, one in zip(key.parts, crowds, strict=True) if one is None]
        for number, data in zip(np.flatnonzero(~tiled).tolist(), rows, strict=True):
            nodes.put(number, data)
        hidden = np.zeros(len(tiled), np.bool_)
        hidden[tiled] = (_joined([one.shown_from for one in there]) > at) | (
            _joined([one.shown_until for one in there]) <= at
        )
        nodes.read(hidden)
        return nodes

    def read(self, which: np.ndarray) -> None:
        """Read the rows of these pieces, but for those that were read before."""
        numbers = [number for number in np.flatnonzero(which).tolist() if number not in self.runs]
        for number, data in zip(numbers, self.key.pieces(self.names[numbers].tolist()), strict=True):
            self.put(number, data)

    def put(self, number: int, data: bytes) -> None:
        """Note the rows of a node."""
        block = np.ascontiguousarray(records.from_bytes(data, len(self.key.holding.columns)).T)
        shown = (block[1] <= self.at) & (block[2] > self.at)
        block = block if shown.all() else np.ascontiguousarray(block[:, shown])
        run = Run(block[0], [one.of(block[records.CLOCKS :]) for one in self.blocks])
        self.runs[number], self.counts[number] = run, len(run)
        self.first[number], self.last[number] = (block[0, 0], block[0, -1]) if len(run) else (END, BEGINNING)

    def pieces(self) -> list[Tiles | Run]:
        """All nodes as the engine takes them: tiles, and runs of rows."""
        words, ends = self.tiles.words, [*self.tiles.offsets.tolist(), len(self.tiles.words)]
        before = np.append(0, np.cumsum(self.tiled)).tolist()
        found: list[Tiles | Run] = []
        begin = 0
        for number in [*sorted(self.runs), len(self.first)]:
            if begin < number:
                found.append(Tiles(words[ends[before[begin]] : ends[before[number]]]))
            if number in self.runs:
                found.append(self.runs[number])
            begin = number + 1
        return found

    def newest(self, low: int) -> int | None:
        """When the newest row happened that shows and is later than ``low``."""
        newest = int(self.last.max(initial=BEGINNING))
        return newest if newest > low else None


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *parts])


__all__ = ["Tiling", "tiling"]
