"""The law that no prediction knows what came after its cutoff, tried on a whole database.

A model is trained once, on what lay before the test cutoff. Then every row that happened after it is rewritten in
memory: half of them are taken away, the others get other values, parents and times (all still later), and as many are
added. The features that would be made, their values for every training, validation and test row, and the predictions
must come out equal to the bit. Where rows have times of their own, the law is tried at a few of them, for the rows up
to each.

A row of a table without a clock counts as later if the row that it points to is. Other rows without a clock (a
customer's country) are left alone: no cutoff can tell their versions apart, which is what the leakage audit is for. The
graph (keys, links, kinds) is the one inferred from the database as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.accuracy.asked import Asked, told
from benchmarks.accuracy.judge import Array
from benchmarks.accuracy.tasks import tables
from penstock import lake
from penstock.database import Database
from penstock.engine.execute import quiet
from penstock.features.definitions import FeatureSet
from penstock.learning import ask
from penstock.learning.fitting.trained import Trained
from penstock.learning.rows import examples
from penstock.learning.rows.dataset import Samples
from penstock.schema import Graph, Table

MOST_CUTOFFS = 3
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Verdict:
    """What became of the law on one task: rows rewritten, rows compared, and what changed (empty where it held)."""

    rewritten: int
    compared: int
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.changed) if self.changed else "held"


def tried(asked: Asked, trained: Trained, seed: int = 0) -> Verdict:
    """The law at the test cutoff, or at a few of many."""
    cutoffs = np.unique(asked.test.cutoff)
    chosen = cutoffs if len(cutoffs) <= MOST_CUTOFFS else cutoffs[len(cutoffs) * np.arange(1, 4) // 4]
    found = [_at(asked, trained, int(cutoff), seed) for cutoff in chosen]
    changed = tuple(dict.fromkeys(text for verdict in found for text in verdict.changed))
    return Verdict(sum(v.rewritten for v in found), sum(v.compared for v in found), changed)


def _at(asked: Asked, trained: Trained, cutoff: int, seed: int) -> Verdict:
    clean = tables(asked.db)
    after = later(asked.db.graph, clean, cutoff)
    other = in_memory(asked.db, poisoned(asked.db.graph, clean, after, cutoff, seed))
    parts = [_until(part, cutoff) for part in (asked.gathered.train, asked.gathered.validation, asked.test)]
    again = ask.gather(asked.query, other.relational, ask.Given(*map(spine, parts)), asked.how, quiet)
    changed = _made_otherwise(asked.gathered.features, again.features)
    if changed:  # the same features once more, to see whether their values hold at least
        again = _recomputed(asked, other, again, parts)
    changed += _values_changed(parts, (again.train, again.validation, again.test))
    rows = replace(again.test, features=again.test.features.select(parts[2].features.column_names))
    if not same(told(asked, trained, parts[2]), told(asked, trained, rows)):
        changed.append("predictions changed")
    return Verdict(sum(int(mask.sum()) for mask in after.values()), sum(map(len, parts)), tuple(changed))


def _recomputed(asked: Asked, other: Database, again: ask.Gathered, parts: list[Samples]) -> ask.Gathered:
    """The rows with the features of the clean database, computed on the other."""
    made = examples.parted_samples(asked.query, asked.gathered.features, list(map(spine, parts)), other.relational)
    return replace(again, train=made[0], validation=made[1], test=made[2])


def _until(samples: Samples, cutoff: int) -> Samples:
    return samples.take(np.flatnonzero(samples.cutoff <= cutoff))


def spine(samples: Samples) -> pa.Table:
    """The rows of samples with their targets, as a spine from outside."""
    columns: dict[str, Any] = {
        "entity": samples.entity,
        "cutoff": pa.array(samples.cutoff).cast(pa.timestamp("us")),
        "target": samples.target,
    }
    return pa.table(columns if samples.step is None else {**columns, "step": pa.array(samples.step)})


def _made_otherwise(before: FeatureSet, after: FeatureSet) -> list[str]:
    """Which features were made from one database alone."""
    apart = set(before.expressions) ^ set(after.expressions)
    return [f"{len(apart)} features were made otherwise, such as {min(apart)}"] if apart else []


def _values_changed(before: Sequence[Samples], after: Sequence[Samples]) -> list[str]:
    """Which features came out otherwise for any row."""
    pairs = [(old.features, new.features) for old, new in zip(before, after, strict=True)]
    names = {name for old, new in pairs for name in old.column_names if not same_column(old[name], new[name])}
    return [f"{len(names)} features changed, such as {min(names)}"] if names else []


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables are equal to the bit, NULLs and NaNs too."""
    return one.column_names == other.column_names and all(
        same_column(one[name], other[name]) for name in one.column_names
    )


def same_column(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether two columns are equal to the bit."""
    if one.type != other.type or len(one) != len(other):
        return False
    if not pa.types.is_floating(one.type):
        return bool(one.combine_chunks().equals(other.combine_chunks()))
    unknown = np.asarray(one.is_null())
    values = [np.where(unknown, 0.0, c.fill_null(0.0).to_numpy()).view(np.uint64) for c in (one, other)]
    return bool(np.array_equal(unknown, np.asarray(other.is_null())) and np.array_equal(*values))


# ---------------------------------------------------------------- rewriting


def in_memory(db: Database, rows: Mapping[str, pa.Table]) -> Database:
    """The same graph over other rows."""
    opened = lake.open_source(dict(rows))
    return Database(opened, lake.describe(opened), db.graph, db.settings)


def later(graph: Graph, rows: Mapping[str, pa.Table], cutoff: int) -> dict[str, Array]:
    """Which rows of each table happened after a cutoff; without a clock, those that point to a row that did."""
    dated = {t.name: _after(rows[t.name][t.happened], cutoff) for t in graph if t.happened is not None}
    found = {}
    for table in graph:
        if table.name in dated:
            found[table.name] = dated[table.name]
            continue
        mask = np.zeros(rows[table.name].num_rows, bool)
        for link in graph.links_from(table.name):
            if link.to in dated and len(link.columns) == 1:
                keys = rows[link.to][graph.table(link.to).keys[0]].filter(pa.array(dated[link.to]))
                mask |= np.asarray(pc.is_in(rows[table.name][link.columns[0]], keys.combine_chunks()))
        found[table.name] = mask
    return found


def _after(column: pa.ChunkedArray, cutoff: int) -> Array:
    happened = column.cast(pa.timestamp("us")).cast(pa.int64()).fill_null(-(2**62))
    return np.asarray(happened.to_numpy()) > cutoff


def poisoned(
    graph: Graph, rows: Mapping[str, pa.Table], after: Mapping[str, Array], cutoff: int, seed: int
) -> dict[str, pa.Table]:
    """The tables with all later rows rewritten."""
    random = np.random.default_rng(seed)
    return {t.name: _rewritten(graph, t, rows, after[t.name], cutoff, random) for t in graph}


def _rewritten(
    graph: Graph, table: Table, rows: Mapping[str, pa.Table], after: Array, cutoff: int, random: np.random.Generator
) -> pa.Table:
    """New rows first, then the earlier ones as they were, then what is left of the later ones."""
    whole = rows[table.name]
    future = np.flatnonzero(after)
    if not len(future) and table.happened is None:
        return whole
    pool = future if len(future) else np.arange(whole.num_rows)
    left = random.permutation(future)[: len(future) // 2]
    added = random.choice(pool, max(10, len(future))) if len(pool) else pool
    scramble = _Scramble(graph, table, rows, cutoff, random)
    earlier = whole.filter(pa.array(~after))
    return pa.concat_tables([scramble.made(added, fresh=True), earlier, scramble.made(left, fresh=False)])


@dataclass(frozen=True)
class _Scramble:
    """How the rows of one table get other values."""

    graph: Graph
    table: Table
    rows: Mapping[str, pa.Table]
    cutoff: int
    random: np.random.Generator

    def made(self, places: Array, *, fresh: bool) -> pa.Table:
        """These rows with everything but their key changed; the key too where they are new."""
        taken = self.rows[self.table.name].take(pa.array(places))
        return pa.table({c.name: self._column(c.name, taken[c.name], fresh=fresh) for c in self.table.columns})

    def _column(self, name: str, column: pa.ChunkedArray, *, fresh: bool) -> pa.ChunkedArray:
        link = next((k for k in self.graph.links_from(self.table.name) if k.columns == (name,)), None)
        if name == self.table.happened:
            return self._times(column)
        if link is not None:
            keys = self._parents(link.to)
            return keys.take(pa.array(self.random.integers(0, len(keys), len(column)))).cast(column.type)
        if name in self.table.keys:
            return self._keys(name, column) if fresh else column
        return self._values(column)

    def _parents(self, name: str) -> pa.ChunkedArray:
        """The keys that rows may point to: without a clock of their own, only those of later rows, to stay later."""
        parent = self.graph.table(name)
        keys = self.rows[name][parent.keys[0]]
        if self.table.happened is not None or parent.happened is None:
            return keys
        after = keys.filter(pa.array(_after(self.rows[name][parent.happened], self.cutoff)))
        return after if len(after) else keys

    def _times(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        moments = self.cutoff + self.random.integers(1, 500 * _DAY, len(column))
        return pa.chunked_array([pa.array(moments).cast(pa.timestamp("us")).cast(column.type, safe=False)])

    def _keys(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        numbers = np.arange(len(column))
        if pa.types.is_integer(column.type):
            most = pc.max(self.rows[self.table.name][name]).as_py() or 0
            return pa.chunked_array([pa.array(most + 1 + numbers).cast(column.type)])
        return pa.chunked_array([pa.array([f"poison {n}" for n in numbers]).cast(column.type)])

    def _values(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        shuffled = column.take(pa.array(self.random.permutation(len(column))))
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            factor = self.random.choice([-1_000, 0, 7], len(column))
            return pc.multiply(shuffled, pa.array(factor).cast(kind))
        if pa.types.is_string(kind):
            new = pa.array(self.random.random(len(column)) < 0.3)
            return pc.if_else(new, pa.scalar("poison", kind), shuffled)
        return shuffled
