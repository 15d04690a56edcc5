"""Rows to learn from: where they are split in time, how many are kept, and when there are too few to say anything."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RefusedError
from penstock.window import Instants

Rows: TypeAlias = npt.NDArray[np.int64]
Bits: TypeAlias = npt.NDArray[np.uint64]
Array: TypeAlias = Any  # a pyarrow.Array or ChunkedArray, whose stubs know less than the library

FEWEST_ROWS = 20
FEWEST_OF_A_CLASS = 3
_VALIDATION_SHARE, _TEST_SHARE = 0.2, 0.2


@dataclass(frozen=True)
class Samples:
    """Examples of a task: whose, when, what was known, and (but for questions still open) what came of it.

    ``step`` is the frame ahead, from 1, of a forecast. ``own_past`` names the features that are the target moved
    back, nearest first; ``static`` those that come from the entity's own row alone. For ranking the target is a list
    of items a row, and ``log`` has what happened: columns ``entity``, ``item``, ``happened`` (microseconds), and
    ``known`` where rows were learnt of later.
    """

    entity: Array
    cutoff: Instants
    features: pa.Table
    target: Array | None = None
    step: Rows | None = None
    own_past: Sequence[str] = ()
    static: Sequence[str] = ()
    log: pa.Table | None = None

    def __post_init__(self) -> None:
        features = self.features if self.features.num_columns else None
        lengths = {len(c) for c in (self.entity, self.cutoff, features, self.target, self.step) if c is not None}
        if len(lengths) > 1:
            raise ValueError(f"the columns of samples differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.cutoff)

    def take(self, rows: Rows) -> Samples:
        """These rows, in this order."""
        picked = pa.array(rows)
        return replace(
            self,
            entity=self.entity.take(picked),
            cutoff=self.cutoff[rows],
            features=self.features.take(picked) if self.features.num_columns else self.features,
            target=None if self.target is None else self.target.take(picked),
            step=None if self.step is None else self.step[rows],
        )

    def only(self, features: Sequence[str]) -> Samples:
        """The same rows with these features alone."""
        return replace(self, features=self.features.select(list(features)))


def known(samples: Samples) -> Samples:
    """The rows that have a target."""
    if samples.target is None or not samples.target.null_count:
        return samples
    return samples.take(np.flatnonzero(np.asarray(samples.target.is_valid())))


def joined(first: Samples, second: Samples) -> Samples:
    """The rows of both, one after the other."""
    step = None if first.step is None or second.step is None else np.concatenate([first.step, second.step])
    both = (first.target, second.target)
    target = None if both[0] is None or both[1] is None else pa.chunked_array([*_chunks(both[0]), *_chunks(both[1])])
    return replace(
        first,
        entity=pa.chunked_array([*_chunks(first.entity), *_chunks(second.entity)]),
        cutoff=np.concatenate([first.cutoff, second.cutoff]),
        features=pa.concat_tables([first.features, second.features.select(first.features.column_names)]),
        target=target,
        step=step,
    )


def _chunks(array: Array) -> list[Any]:
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]


# ---------------------------------------------------------------- splits


@dataclass(frozen=True)
class Split:
    """Which cutoffs are for training, validation and test, and why; printed as sentences.

    Where there are too few cutoffs to part by time, a cutoff stands in several and its entities are parted by a
    seeded hash.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    notes: tuple[str, ...] = ()
    seed: int = 0

    def rows(self, entity: Array, cutoff: Instants) -> tuple[Rows, Rows, Rows]:
        """The rows of each part: train, validation, test."""
        parts = (self.train, self.validation, self.test)
        shares = (1 - _VALIDATION_SHARE - _TEST_SHARE, _VALIDATION_SHARE, _TEST_SHARE)
        place = hashed(entity, self.seed).astype(np.float64) / 2.0**64
        wanted = [np.isin(cutoff, np.array(part, np.int64)) for part in parts]
        chosen = []
        for number in range(3):
            rivals = [n for n in range(3) if set(parts[n]) & set(parts[number])]
            total = sum(shares[n] for n in rivals)
            start = sum(shares[n] for n in rivals if n < number) / total
            mine = (place >= start) & (place < start + shares[number] / total)
            chosen.append(np.flatnonzero(wanted[number] & mine if len(rivals) > 1 else wanted[number]))
        return chosen[0], chosen[1], chosen[2]

    def __str__(self) -> str:
        named = (("Train", self.train), ("Validation", self.validation), ("Test", self.test))
        return "\n".join([*(f"{name}: {dates(part)}." for name, part in named), *self.notes])


def split(cutoffs: Sequence[int] | Instants, horizon: int, seed: int = 0) -> Split:
    """Part cutoffs by time: test is the newest, validation the newest a horizon before it, training all older ones.

    ``horizon`` is how far a label reaches, in microseconds: no label of one part looks into the next. Parts that
    time cannot separate are separated by a seeded hash of the entity, and the notes say so.

    >>> day = 86_400_000_000
    >>> print(split([0, 30 * day, 60 * day, 90 * day], 30 * day))
    Train: 2 cutoffs, 1970-01-01 to 1970-01-31.
    Validation: 1970-03-02.
    Test: 1970-04-01.
    """
    known = sorted({int(t) for t in cutoffs})
    if not known:
        raise RefusedError(
            "DATA_NO_CUTOFF",
            "there is no cutoff whose label window is complete",
            hint="The data spans less than the query looks ahead: ask for a shorter window.",
        )
    test = known[-1]
    before_test = [t for t in known if t <= test - horizon]
    if horizon <= 0 or not before_test:
        said = "There is one usable cutoff: its entities were parted by a seeded hash, 60 : 20 : 20, not by time."
        return Split((test,), (test,), (test,), (said,), seed)
    validation = before_test[-1]
    train = tuple(t for t in known if t <= validation - horizon)
    if not train:
        said = "There are two usable cutoffs: the entities of the older one were parted by a seeded hash, 75 : 25."
        return Split((validation,), (validation,), (test,), (said,), seed)
    return Split(train, (validation,), (test,), (), seed)


def dates(part: tuple[int, ...]) -> str:
    """The one instant there is, or how many and from when to when."""
    days = [when(t) for t in part]
    return days[0] if len(days) == 1 else f"{len(days)} cutoffs, {days[0]} to {days[-1]}"


def when(instant: int) -> str:
    """An instant as people write it: the day, and the time of day if it is not midnight.

    >>> when(0), when(3_600_000_000)
    ('1970-01-01', '1970-01-01 01:00:00')
    """
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=int(instant))
    return moment.strftime("%Y-%m-%d" if int(instant) % 86_400_000_000 == 0 else "%Y-%m-%d %H:%M:%S")


# ---------------------------------------------------------------- caps


def capped(samples: Samples, most: int, seed: int = 0) -> Samples:
    """At most ``most`` rows, all cutoffs kept, as evenly as they come; which rows depends on what they are, not where.

    Rows of one entity and cutoff (the steps of a forecast) stay together only by chance.
    """
    return samples if len(samples) <= most else samples.take(np.sort(drawn(samples, most, seed)))


def drawn(samples: Samples, most: int, seed: int = 0) -> Rows:
    """The places of at most ``most`` rows, in an order that does not depend on the one they came in."""
    if len(samples) == 0:
        return np.zeros(0, np.int64)
    step = np.zeros(len(samples), np.uint64) if samples.step is None else samples.step.astype(np.uint64)
    lot = _mixed(hashed(samples.entity, seed) ^ _mixed(samples.cutoff.astype(np.uint64)) ^ _mixed(step))
    order = np.lexsort((lot, samples.cutoff))
    if len(order) <= most:
        return order
    counted = np.unique(samples.cutoff, return_counts=True)
    if 2 * len(counted[0]) > most:  # rows with times of their own
        return np.sort(np.lexsort((samples.cutoff, lot))[:most])
    quotas = _quotas(*counted, most)
    starts = np.flatnonzero(np.diff(samples.cutoff[order], prepend=samples.cutoff.min() - 1))
    return np.concatenate([order[start : start + quota] for start, quota in zip(starts, quotas, strict=True)])


def _quotas(_cutoffs: Rows, counts: Rows, most: int) -> Rows:
    """How many rows of each cutoff: the same for all, but for those that have fewer."""
    level = np.sort(counts)
    for place, count in enumerate(level):
        if level[:place].sum() + count * (len(level) - place) > most:
            share = (most - int(level[:place].sum())) // (len(level) - place)
            return np.minimum(counts, max(1, share))
    return counts


def hashed(values: Array, seed: int) -> Bits:
    """A number for each value that depends on the value and the seed alone."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_integer(values.type) and values.null_count == 0:
        bits = np.asarray(values.cast(pa.int64()), np.int64).astype(np.uint64)
        return _mixed(bits ^ _mixed(seed + 1))
    plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    coded: Any = pc.dictionary_encode(plain, "encode")
    keys = [hashlib.blake2b(f"{seed}:{v}".encode(), digest_size=8).digest() for v in coded.dictionary.to_pylist()]
    table = np.frombuffer(b"".join(keys), np.uint64)
    picked: Bits = table[np.asarray(coded.indices)]
    return picked


def _mixed(bits: Any) -> Bits:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every bit of the answer depends on every bit given."""
    bits = np.atleast_1d(np.asarray(bits, np.uint64))
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Bits = bits ^ (bits >> np.uint64(31))
    return mixed


# ---------------------------------------------------------------- refusals


def check(task: str, samples: Samples) -> None:
    """Refuse to learn from too few rows, from one class only, or a target that never varies. Says what was found."""
    target: Any = samples.target
    found = 0 if target is None else len(target) - target.null_count
    if found < FEWEST_ROWS:
        raise RefusedError(
            "DATA_TOO_FEW",
            f"there are {found} training examples; {FEWEST_ROWS} is the least to learn from",
            hint="Ask about more entities, loosen WHERE, or shorten the window so that more cutoffs fit.",
        )
    if task in ("binary", "multiclass"):
        _check_classes(pc.value_counts(target).to_pylist(), found)
    elif task in ("regression", "forecasting"):
        _check_numbers(target)
    elif task in ("multilabel", "ranking") and len(pc.list_flatten(target)) == 0:
        raise RefusedError(
            "DATA_ONE_CLASS",
            f"none of the {found} training examples has anything in its list",
            hint="Lengthen the window, or loosen the condition inside the aggregate.",
        )


def _check_classes(counted: list[dict[str, Any]], found: int) -> None:
    counts = {str(c["values"]): int(c["counts"]) for c in counted if c["values"] is not None}
    if len(counts) == 1:
        raise RefusedError(
            "DATA_ONE_CLASS",
            f"the answer is {next(iter(counts))} for all {found:,} training examples: there is nothing to tell apart",
            hint="Try another threshold, a longer or shorter window, or a WHERE that keeps a more mixed group.",
        )
    rest = found - max(counts.values())
    if rest < FEWEST_OF_A_CLASS:
        raise RefusedError(
            "DATA_ONE_CLASS",
            f"the answer is the same for all but {rest} of {found:,} training examples: too few to learn from",
            candidates=(f"{value}: {count}" for value, count in counts.items()),
            hint="Try another threshold, a longer or shorter window, or a WHERE that keeps a more mixed group.",
        )


def _check_numbers(target: Array) -> None:
    limits = pc.min_max(target).as_py()
    if limits["min"] == limits["max"]:
        raise RefusedError(
            "DATA_CONSTANT",
            f"the target is {limits['min']} for all {len(target):,} training examples: it never varies",
            hint="Try a longer window, or a WHERE that keeps the entities for which it does vary.",
        )
