"""Small worlds whose truth is known, to learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.learning.rows.dataset import Samples

DAY = 86_400_000_000
NUMBERS, CATEGORIES = 6, 5


def world(task: str, cutoff: int, rows: int = 1200, seed: int = 0) -> Samples:
    """Rows of one cutoff: numbers, a category, a constant, an empty column, a copy; the target follows from some."""
    rng = np.random.default_rng((seed, cutoff))
    numbers = rng.normal(size=(rows, NUMBERS))
    category = rng.integers(0, CATEGORIES, rows)
    signal = 1.5 * numbers[:, 0] + numbers[:, 1] + 1.5 * (category == 3) - 1
    columns: dict[str, Any] = {f"n{i}": pa.array(numbers[:, i], mask=rng.random(rows) < 0.05) for i in range(NUMBERS)}
    columns["kind"] = pa.array([f"k{c}" for c in category]).dictionary_encode()
    columns |= {"constant": np.ones(rows), "empty": pa.nulls(rows, pa.float64()), "copy": columns["n0"]}
    columns["past"] = pa.array(signal + rng.normal(size=rows) > 0) if task == "binary" else pa.array(signal)
    step = rng.integers(1, 4, rows) if task == "forecasting" else None
    target = _TARGETS[task](signal if step is None else signal + step, rng)
    names = np.arange(rows)
    return Samples(
        pa.array(names), np.full(rows, cutoff * DAY), pa.table(columns), target, step, own_past=["past"],
        static=["kind", "n5"],
    )  # fmt: skip


def worlds(task: str, rows: int = 1200, seed: int = 0) -> tuple[Samples, Samples, Samples]:
    """Training, validation and test rows, each later than the one before."""
    train, validation, test = (world(task, cutoff, rows, seed) for cutoff in (30, 60, 90))
    return chunked(train), validation, chunked(test)


def chunked(samples: Samples) -> Samples:
    """The same rows in columns of several chunks, as tables from elsewhere come."""
    half = len(samples) // 2
    entity = pa.chunked_array([samples.entity[:half], samples.entity[half:]])
    target: Any = pa.chunked_array([samples.target[:half], samples.target[half:]])
    features = pa.concat_tables([samples.features[:half], samples.features[half:]])
    return replace(samples, entity=entity, target=target, features=features)


def chance(signal: Any) -> Any:
    return 1 / (1 + np.exp(-signal))


def _yes_or_no(signal: Any, rng: np.random.Generator) -> Any:
    return pa.array(rng.random(len(signal)) < chance(signal))


def _count(signal: Any, rng: np.random.Generator) -> Any:
    return pa.array(rng.poisson(np.exp(np.clip(signal, -4, 4) / 2)).astype(np.int64))


def _class(signal: Any, rng: np.random.Generator) -> Any:
    drawn = np.argmax(rng.gumbel(size=(len(signal), 3)) + np.column_stack([signal, 0 * signal, -signal]), axis=1)
    return pa.array(np.array(["high", "middle", "low"])[drawn])


def _labels(signal: Any, rng: np.random.Generator) -> Any:
    chances = np.column_stack([chance(signal), np.full(len(signal), 0.3), np.full(len(signal), 0.1)])
    held = rng.random(chances.shape) < chances
    return pa.array([[label for label, has in zip("xyz", row, strict=True) if has] for row in held])


_TARGETS = {
    "binary": _yes_or_no,
    "regression": _count,
    "forecasting": _count,
    "multiclass": _class,
    "multilabel": _labels,
}
TABULAR = tuple(_TARGETS)


def shuffled(samples: Samples, seed: int = 1) -> Samples:
    return samples.take(np.random.default_rng(seed).permutation(len(samples)))


def shop(seed: int = 0, entities: int = 300, items: int = 80, days: int = 120) -> pa.Table:
    """Interactions of people who mostly come back to the few items they like; a few items are everybody's."""
    rng = np.random.default_rng(seed)
    liked = rng.integers(0, items, (entities, 4))
    count = entities * 30
    entity = rng.integers(0, entities, count)
    own = liked[entity, rng.integers(0, 4, count)]
    item = np.where(rng.random(count) < 0.6, own, np.minimum(rng.geometric(0.1, count), items - 1))
    happened = np.sort(rng.integers(0, days * DAY, count))
    names = pa.array([f"item {i:03d}" for i in range(items)])
    return pa.table({"entity": entity, "item": names.take(pa.array(item)), "happened": happened})


def basket(log: pa.Table, cutoff: int, horizon: int, visible: pa.Table | None = None) -> Samples:
    """Everyone seen by a cutoff, with the items they met in the horizon after it."""
    happened = log["happened"].to_numpy()
    known = np.unique(log["entity"].to_numpy()[happened <= cutoff])
    later = (happened > cutoff) & (happened <= cutoff + horizon)
    entity, item = log["entity"].to_numpy()[later], log["item"].to_numpy(zero_copy_only=False)[later]
    lists = [sorted(set(item[entity == who])) for who in known]
    cutoffs = np.full(len(known), cutoff, np.int64)
    target = pa.array(lists, pa.list_(pa.string()))
    entity = pa.chunked_array([pa.array(known)])
    return Samples(entity, cutoffs, pa.table({}), target, log=log if visible is None else visible)


def asked(samples: Samples) -> Samples:
    """The same rows, with their answers taken away."""
    return replace(samples, target=None)
