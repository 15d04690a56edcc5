"""What to label next: what a model is unsure of, what labellers disagree about, and no two that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.errors import RequestError
from penstock.learning.labelling.label import INSTANT
from penstock.learning.labelling.votes import Floats, Votes

QUEUE = pa.schema([("entity", pa.string()), ("cutoff", INSTANT), ("reason", pa.string()), ("score", pa.float64())])


@dataclass(frozen=True)
class _Asked:
    """Something that may be labelled: of whom and when, how useful from 0 to 1, and why."""

    entity: str
    cutoff: int | None
    score: float
    reason: str


def queue(
    n: int,
    predictions: pa.Table | None = None,
    votes: Votes | None = None,
    *,
    labelled: Iterable[object] = (),
    features: pa.Table | None = None,
    seed: int = 0,
) -> pa.Table:
    """The ``n`` most useful ones to label next: ``entity`` (text), ``cutoff`` (NULL: none), ``reason`` and ``score``.

    ``predictions`` are those of a query (`Predictions.to_arrow`): what they are unsure of scores high, by the entropy
    of the classes, or by the width of a number's interval among all. Of ``votes`` it is what labellers disagree about.
    One that both speak of has the higher score and both reasons. The entities in ``labelled`` are left out. With
    ``features`` (column ``entity`` and others) no two come from one group of alike ones while there are other groups:
    numbers are alike within a third of all, categories where they are equal. Equal scores are drawn by ``seed``.
    Raises ``RequestError`` where there is nothing to choose from.
    """
    if n < 1:
        raise RequestError("LABELS_QUEUE", f"{n} is no number of things to label", hint="Ask for 1 or more.")
    if predictions is None and votes is None:
        raise RequestError("LABELS_QUEUE", "there is nothing to choose from", hint="Give predictions, or votes.")
    found = [*(() if predictions is None else _most(_unsure(predictions))), *(() if votes is None else _split(votes))]
    done = {str(one) for one in labelled}
    open_ones = _merged(one for one in found if one.entity not in done)
    ordered = sorted(open_ones, key=lambda one: (-round(one.score, 12), _drawn(one, seed)))
    chosen = _apart(ordered, _groups(features), n)
    return pa.Table.from_pylist([{"entity": one.entity, "cutoff": one.cutoff, "reason": one.reason, "score": one.score}
                                 for one in chosen], QUEUE)  # fmt: skip


def _drawn(one: _Asked, seed: int) -> bytes:
    return blake2b(f"{seed} {one.entity} {one.cutoff}".encode(), digest_size=8).digest()


def _most(found: Iterable[_Asked]) -> list[_Asked]:
    """Each of whom and when once, by the highest score: a forecast speaks of it at every step."""
    held: dict[tuple[str, int | None], _Asked] = {}
    for one in found:
        before = held.setdefault((one.entity, one.cutoff), one)
        if one.score > before.score:
            held[one.entity, one.cutoff] = one
    return list(held.values())


def _merged(found: Iterable[_Asked]) -> list[_Asked]:
    """Each of whom and when once: the higher score, and every reason."""
    held: dict[tuple[str, int | None], _Asked] = {}
    for one in found:
        before = held.get((one.entity, one.cutoff))
        if before is not None:
            one = _Asked(one.entity, one.cutoff, max(one.score, before.score), f"{before.reason}; {one.reason}")
        held[one.entity, one.cutoff] = one
    return list(held.values())


# ---------------------------------------------------------------- unsure


def _unsure(predictions: pa.Table) -> Iterator[_Asked]:
    there = set(predictions.column_names)
    if "entity" not in there:
        raise _no_predictions(predictions)
    if {"class", "probability"} <= there:
        yield from _unsure_classes(predictions)
    elif "probability" in there:
        chance = _numbers(predictions, "probability")
        for entity, cutoff, p in zip(_entities(predictions), _cutoffs(predictions), chance.tolist(), strict=True):
            yield _Asked(entity, cutoff, _entropy(np.array([p, 1 - p])), f"the model is unsure: probability {p:.2f}")
    elif {"low", "high"} <= there:
        yield from _wide(predictions)
    else:
        raise _no_predictions(predictions)


def _no_predictions(table: pa.Table) -> RequestError:
    hint = "Give the table that predict(…).to_arrow() gives."
    names = table.column_names
    return RequestError("LABELS_QUEUE", "these are no predictions of a class or number", candidates=names, hint=hint)


def _unsure_classes(predictions: pa.Table) -> Iterator[_Asked]:
    held: dict[tuple[str, int | None], list[tuple[float, str]]] = {}
    classes = map(str, predictions["class"].to_pylist())
    chance = _numbers(predictions, "probability").tolist()
    for entity, cutoff, one, p in zip(_entities(predictions), _cutoffs(predictions), classes, chance, strict=True):
        held.setdefault((entity, cutoff), []).append((p, one))
    for (entity, cutoff), told in held.items():
        first = sorted(told, key=lambda pair: (-pair[0], pair[1]))[:2]
        between = " or ".join(f"{one} ({p:.2f})" for p, one in first)
        yield _Asked(
            entity, cutoff, _entropy(np.array([p for p, _ in told]), len(told)), f"the model is unsure: {between}"
        )


def _wide(predictions: pa.Table) -> Iterator[_Asked]:
    low, high = _numbers(predictions, "low"), _numbers(predictions, "high")
    width = high - low
    widest = float(np.nanmax(width)) if np.isfinite(width).any() else 0.0
    for entity, cutoff, one, other in zip(_entities(predictions), _cutoffs(predictions), low, high, strict=True):
        share = (other - one) / widest if widest and np.isfinite(other - one) else 0.0
        yield _Asked(entity, cutoff, float(share), f"the model is unsure: between {one:.4g} and {other:.4g}")


def _entities(table: pa.Table) -> list[str]:
    return [str(one) for one in table["entity"].to_pylist()]


def _cutoffs(table: pa.Table) -> list[int | None]:
    if "cutoff" not in table.column_names:
        return [None] * table.num_rows
    return list(table["cutoff"].cast(INSTANT).cast(pa.int64()).to_pylist())


def _numbers(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _entropy(shares: Floats, several: int = 0) -> float:
    """From 0 (one is certain) to 1 (all that are likely at all, or ``several``, are equally likely)."""
    shares = shares[shares > 0]
    shares = shares / shares.sum() if len(shares) else shares
    return abs(float((shares * np.log(shares)).sum() / np.log(max(2, several, len(shares)))))


# ---------------------------------------------------------------- disagreeing


def _split(votes: Votes) -> Iterator[_Asked]:
    """The items that labellers disagree about, by the entropy of their votes; those decided by gold are settled."""
    counts = votes.counts
    for at in np.flatnonzero(((counts > 0).sum(axis=1) > 1) & (votes.gold < 0)).tolist():
        order = sorted(np.flatnonzero(counts[at]).tolist(), key=lambda v: (-counts[at][v], v))
        told = ", ".join(f"{counts[at][v]} say {_shown(votes.values[v])}" for v in order[:3])
        entity, happened = votes.items[at]
        yield _Asked(entity, happened, _entropy(counts[at].astype(np.float64)), f"labellers disagree: {told}")


def _shown(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else f"{value}"


# ---------------------------------------------------------------- diverse


def _groups(features: pa.Table | None) -> dict[str, tuple[Any, ...]]:
    """The group of alike ones that each entity is in."""
    if features is None:
        return {}
    if "entity" not in features.column_names:
        raise RequestError("LABELS_QUEUE", "the features have no column 'entity'", name="entity",
                           candidates=features.column_names)  # fmt: skip
    told = [_codes(features[name]) for name in features.column_names if name not in ("entity", "cutoff")]
    return dict(zip(_entities(features), zip(*told, strict=True), strict=True)) if told else {}


def _codes(column: pa.ChunkedArray) -> list[Any]:
    """In which third of all a number lies; anything else as it is."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return [str(value) for value in column.to_pylist()]
    values = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    there = values[np.isfinite(values)]
    bounds = np.quantile(there, [1 / 3, 2 / 3]) if len(there) else np.zeros(2)
    sides = [np.searchsorted(bounds, values, side) for side in ("left", "right")]  # where bounds are values, both count
    return list(np.where(np.isfinite(values), sides[0] + sides[1], -1).tolist())


def _apart(ordered: list[_Asked], groups: dict[str, tuple[Any, ...]], n: int) -> list[_Asked]:
    """The first ``n``, each group once before any comes again."""
    chosen: list[_Asked] = []
    rest = ordered
    while rest and len(chosen) < n:
        taken: set[object] = set()
        later: list[_Asked] = []
        for one in rest:
            group = groups.get(one.entity, (one.entity,)) if groups else (one.entity, one.cutoff)
            (later if group in taken else chosen).append(one)
            taken.add(group)
        rest = later
    return chosen[:n]


__all__ = ["QUEUE", "queue"]
