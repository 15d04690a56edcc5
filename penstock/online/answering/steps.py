"""What is read for a view, step by step: rows looked up, newest rows, streams swept. Each step fills columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from penstock.engine.program import Asked, Program
from penstock.engine.streams import over, wanted
from penstock.expression import Expr
from penstock.online.answering.arrays import Arrays, Decoding, Form, Spec, spec_for
from penstock.online.answering.held import Crowded, Events, Keys, Row, Rows
from penstock.online.answering.tiling import Tiling, tiling
from penstock.online.expressions import Column
from penstock.online.holdings import Holding, Looked, Recalled, Swept
from penstock.plan import Age, Aggregate, Field, Peers
from penstock.schema import Dtype, Link
from penstock.window import BEGINNING

_DAY = 86_400_000_000.0


@dataclass
class Answering:
    """A view's answer in the making: the entities' keys , and the columns that are there.

    ``times`` has for each step, by its number, when the newest row that it read happened.
    """

    held: Rows
    keys: Keys
    at: int
    columns: list[Column]
    times: list[list[int | None]]
    reached: dict[tuple[Link, ...], list[Row | None]] = field(default_factory=dict)


class Step(Protocol):
    """Something that is read."""

    def run(self, answering: Answering) -> None:
        """Fill the step's columns and times."""
        ...


# ---------------------------------------------------------------- rows


@dataclass(frozen=True)
class LookUp:
    """Columns of the entity's own row, or of a parent's, as they show: ``outs`` are (place, leaf, place in the row)."""

    number: int
    looked: Looked
    source: int | None
    convert: Callable[[Any], Any]
    outs: tuple[tuple[int, Field | Age, int], ...]

    def run(self, answering: Answering) -> None:
        """Fill the step's columns and times."""
        rows = self._rows(answering)
        answering.reached[self.looked.hops] = rows
        answering.times[self.number] = [None if row is None else row[0] for row in rows]
        for place, leaf, value in self.outs:
            column = [None if row is None else row[value] for row in rows]
            answering.columns[place] = _ages(column, answering.at) if isinstance(leaf, Age) else column

    def _rows(self, answering: Answering) -> list[Row | None]:
        holding, at = self.looked.holding, answering.at
        if self.source is None:
            return answering.held.newest(holding, answering.keys, at)
        below = answering.reached[self.looked.hops[:-1]]
        keys = [None if row is None else self.convert(row[self.source]) for row in below]
        return spread(keys, lambda found: answering.held.newest(holding, Keys(found, holding.key), at))


def look_up(number: int, looked: Looked, before: Looked | None, place: Callable[[Expr], int | None]) -> LookUp:
    """The step for a look-up; ``before`` is that of the row which says the key, ``place`` gives a leaf's column."""
    holding = looked.holding
    source: int | None = None
    convert: Callable[[Any], Any] = _same
    if before is not None and looked.by is not None:
        names = [_name(one) for one in before.holding.columns]
        column = names.index(looked.by)
        source, convert = 3 + column, cast(before.holding.dtypes[column], holding.key)
    names = [_name(one) for one in holding.columns]
    outs = [
        (found, leaf, 3 + names.index((leaf.field if isinstance(leaf, Age) else leaf).column))
        for leaf in looked.leaves
        if (found := place(leaf)) is not None
    ]
    return LookUp(number, looked, source, convert, tuple(outs))


def _name(wanted_: Any) -> str:
    """The name of a kept column of a row."""
    assert wanted_.field is not None
    return str(wanted_.field.column)


def _ages(instants: Column, at: int) -> Column:
    """Days from each instant to the cutoff; NULL while it lies ahead."""
    return [None if one is None or one > at else (at - one) / _DAY for one in instants]


@dataclass(frozen=True)
class Recall:
    """Columns of the newest row of a stream: ``outs`` are (place, place in the row, oldest age)."""

    number: int
    holding: Holding
    outs: tuple[tuple[int, int, int | None], ...]

    def run(self, answering: Answering) -> None:
        """Fill the step's columns and times."""
        at = answering.at
        rows = answering.held.newest(self.holding, answering.keys, at)
        answering.times[self.number] = [None if row is None else row[0] for row in rows]
        for place, value, ttl in self.outs:
            answering.columns[place] = [
                None if row is None or (ttl is not None and at - row[0] > ttl) else row[value] for row in rows
            ]


def recall(number: int, recalled: Recalled, place: Callable[[Expr], int | None]) -> Recall:
    """The step for newest rows."""
    names = [_name(one) for one in recalled.holding.columns]
    outs = [
        (found, 3 + names.index(leaf.column), leaf.ttl)
        for leaf in recalled.leaves
        if (found := place(leaf)) is not None
    ]
    return Recall(number, recalled.holding, tuple(outs))


# ---------------------------------------------------------------- streams


@dataclass(frozen=True)
class Sweeping:
    """A stream swept at the cutoff: ``outs`` are the places of columns, in the order of the program's requests.

    ``anchor`` is the place of the column that says whose rows they are (None: the entity's own); ``everyone`` means the
    one key of a stream that all share. ``tiling`` answers keys of very many rows; None where tiles cannot.
    """

    number: int
    holding: Holding
    specs: tuple[Spec, ...]
    program: Program | None
    outs: tuple[int, ...]
    decoding: Decoding
    anchor: int | None = None
    everyone: bool = False
    convert: Callable[[Any], Any] = lambda value: value
    tiling: Tiling | None = None

    def run(self, answering: Answering) -> None:
        """Fill the step's columns and times."""
        if self.everyone:
            self._spread(answering, [0] * len(answering.keys.values))
        elif self.anchor is not None:
            self._spread(answering, [self.convert(value) for value in answering.columns[self.anchor]])
        else:
            found, times = self._sweep(answering, answering.keys)
            answering.times[self.number] = times
            self._put(answering.columns, found)

    @cached_property
    def _side(self) -> slice | None:
        """Where the columns stand, if it is one beside the other."""
        first = min(self.outs, default=0)
        side = slice(first, first + len(self.outs))
        return side if self.outs == tuple(range(side.start, side.stop)) else None

    def _put(self, columns: list[Column], found: list[Column]) -> None:
        """Put what was found into its places."""
        if self._side is not None:
            columns[self._side] = found
            return
        for place, column in zip(self.outs, found, strict=True):
            columns[place] = column

    def _spread(self, answering: Answering, keys: list[Any]) -> None:
        """Answers of others' rows, each worked out once; NULL for entities that name none."""
        distinct = list(dict.fromkeys(key for key in keys if key is not None))
        columns: list[Column] = [[] for _ in self.outs]
        times: list[int | None] = []
        if distinct:
            columns, times = self._sweep(answering, Keys(distinct, self.holding.key))
        where = {key: place for place, key in enumerate(distinct)}
        places = [where.get(key, -1) for key in keys]
        answering.times[self.number] = [times[place] if place >= 0 else None for place in places]
        for out, column in zip(self.outs, columns, strict=True):
            answering.columns[out] = [column[place] if place >= 0 else None for place in places]

    def _sweep(self, answering: Answering, keys: Keys) -> tuple[list[Column], list[int | None]]:
        at = answering.at
        events = answering.held.events(self.holding, keys, at)
        times = events.newest(at, self._low(at))
        found = self._swept(answering, events)
        for place, key in events.crowded:
            values, times[place] = self._of_many(answering, key)
            for column, value in zip(found, values, strict=True):
                column[place] = value
        return found, times

    def _low(self, at: int) -> int:
        """What happened then or before is out of reach."""
        return BEGINNING if self.holding.reach is None else at - self.holding.reach

    def _of_many(self, answering: Answering, key: Crowded) -> tuple[list[Any], int | None]:
        """What is answered of a key of very many rows: from tiles where they can, else from all rows."""
        at = answering.at
        told = None if self.tiling is None else self.tiling.answer(key, at, self._low(at), answering.held.texts)
        if told is not None:
            return told
        events = key.events()
        return [column[0] for column in self._swept(answering, events)], events.newest(at, self._low(at))[0]

    def _swept(self, answering: Answering, events: Events) -> list[Column]:
        """The columns of the events that were read."""
        if self.program is None:
            return []
        at = answering.at
        arrays = Arrays(events, answering.held.texts)
        columns = [arrays.of(spec) for spec in self.specs]
        outs = self.program.outs(events.starts, events.happened, events.shown_from, events.shown_until, columns, at)
        return self.decoding.plain(self.program.jobs, outs, arrays)


def sweeping(number: int, swept: Swept, place: Callable[[Expr], int | None]) -> Sweeping:
    """The step for a stream: those of its aggregates that have a place are worked out."""
    stream, holding = swept.stream, swept.holding
    chosen = [(found, one) for one in swept.aggregates if (found := place(one)) is not None]
    overs = list(dict.fromkeys(over(one, stream) for _, one in chosen))
    specs: dict[Spec, int] = {}
    asked, read = [], []
    for _, one in chosen:
        needed = wanted(one, stream)
        spec = None if needed is None else spec_for(one, needed, holding.place(needed))
        column = None if spec is None else specs.setdefault(spec, len(specs))
        asked.append(Asked(one.function, overs.index(over(one, stream)), column, one.n))
        read.append((one, spec))
    counted = {}
    for window, (_, kept) in enumerate(overs):
        if kept is not None:
            spec = spec_of_flags(holding.place(kept))
            counted[window] = specs.setdefault(spec, len(specs))
    program = Program.of([window for window, _ in overs], asked, counted) if asked else None
    anchor, everyone, convert = _anchored(swept, place)
    outs, decoding = tuple(found for found, _ in chosen), Decoding.of(read)
    parts = [(one, what, wanted(one, stream)) for (_, one), what in zip(chosen, asked, strict=True)]
    tiles = None if counted else tiling(holding, [window for window, _ in overs], parts)
    return Sweeping(number, holding, tuple(specs), program, outs, decoding, anchor, everyone, convert, tiles)


def spec_of_flags(place: int) -> Spec:
    """A column that only marks rows."""
    return Spec(place, Dtype.FLOAT, Form.FLAGS)


def _anchored(swept: Swept, place: Callable[[Expr], int | None]) -> tuple[int | None, bool, Callable[[Any], Any]]:
    """Where the column is that says whose rows a stream has; whether all share them; and what makes keys of it."""
    anchor = swept.anchor
    said: Field | Aggregate | None = anchor.field if isinstance(anchor, Peers) else anchor
    if said is None:
        return None, anchor is not None, _same
    return place(said), False, cast(said.dtype, swept.holding.key)


# ---------------------------------------------------------------- keys of others


def spread(keys: Sequence[Any], read: Callable[[list[Any]], list[Row | None]]) -> list[Row | None]:
    """The rows of keys, each read once; none for None."""
    distinct = list(dict.fromkeys(key for key in keys if key is not None))
    found = dict(zip(distinct, read(distinct), strict=True)) if distinct else {}
    return [found.get(key) for key in keys]


def cast(dtype: Dtype, key: Dtype) -> Callable[[Any], Any]:
    """What makes a key of a value of a column that points to it; None where it can be none.

    >>> cast(Dtype.STRING, Dtype.INT)("12"), cast(Dtype.STRING, Dtype.INT)("x"), cast(Dtype.INT, Dtype.STRING)(7)
    (12, None, '7')
    """
    if dtype is key:
        return _same
    if key is Dtype.STRING and dtype in (Dtype.INT, Dtype.STRING, Dtype.OTHER):
        return lambda value: None if value is None else str(value)
    if key is Dtype.INT and dtype is Dtype.STRING:
        return _whole
    if key is Dtype.INT and dtype is Dtype.FLOAT:
        return lambda value: None if value is None or abs(value) >= 2.0**63 or value != value else round(value)
    if key is Dtype.FLOAT and dtype is Dtype.INT:
        return lambda value: None if value is None else float(value)
    return lambda _value: None


def _same(value: Any) -> Any:
    return value


def _whole(text: str | None) -> int | None:
    """A text as a whole number of 64 bits."""
    if text is None or not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", text, re.ASCII):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


__all__ = ["Answering", "LookUp", "Recall", "Step", "Sweeping", "cast", "look_up", "recall", "sweeping"]
