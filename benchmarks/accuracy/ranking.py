"""Recency and frequency for rankings: LambdaRank over the items an entity had before and those that sell of late.

Candidates of a row (entity, cutoff): the 50 items that the entity had most often up to the cutoff, and the 50 that most
rows had in the 90 days before it. Each is described by how often and how long ago this entity had it, how often anybody
did, and how busy the entity is: one SQL statement over the rows of the table that the target reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.accuracy.asked import Asked, grid
from benchmarks.accuracy.judge import Array
from benchmarks.accuracy.keep import fingerprint, kept
from benchmarks.accuracy.peers import ROUNDS, SETTINGS
from penstock.learning.rows.dataset import Samples

_CANDIDATES = """
WITH moment AS (SELECT DISTINCT cutoff FROM spine),
     asked AS (SELECT DISTINCT entity, cutoff FROM spine),
     own AS (SELECT a.entity, a.cutoff, l.item, count(*) AS own_count,
                    count(*) FILTER (happened > a.cutoff - INTERVAL 30 DAY) AS own_30,
                    count(*) FILTER (happened > a.cutoff - INTERVAL 90 DAY) AS own_90,
                    epoch(a.cutoff - max(happened)) / 86400 AS own_recency,
                    epoch(a.cutoff - min(happened)) / 86400 AS own_tenure
             FROM asked a JOIN log l ON l.entity = a.entity AND l.happened <= a.cutoff
             GROUP BY a.entity, a.cutoff, l.item),
     busy AS (SELECT entity, cutoff, sum(own_count) AS entity_count, count(*) AS entity_items,
                     min(own_recency) AS entity_recency FROM own GROUP BY entity, cutoff),
     sold AS (SELECT m.cutoff, l.item, count(*) AS item_count,
                     count(*) FILTER (happened > m.cutoff - INTERVAL 30 DAY) AS item_30,
                     count(*) FILTER (happened > m.cutoff - INTERVAL 90 DAY) AS item_90,
                     count(DISTINCT entity) AS item_entities
              FROM moment m JOIN log l ON l.happened <= m.cutoff GROUP BY m.cutoff, l.item),
     chosen AS (
        (SELECT entity, cutoff, item FROM own
         QUALIFY row_number() OVER (PARTITION BY entity, cutoff ORDER BY own_count DESC, own_recency, item) <= 50)
        UNION
        (SELECT a.entity, a.cutoff, p.item FROM asked a JOIN (
            SELECT cutoff, item FROM sold
            QUALIFY row_number() OVER (PARTITION BY cutoff ORDER BY item_90 DESC, item_count DESC, item) <= 50
         ) p ON p.cutoff = a.cutoff))
SELECT s.row, c.item, coalesce(own_count, 0) AS own_count, coalesce(own_30, 0) AS own_30,
       coalesce(own_90, 0) AS own_90, own_recency, own_tenure, own_tenure / own_count AS own_gap,
       item_count, item_30, item_90, item_entities, entity_count, entity_items, entity_recency
FROM spine s JOIN chosen c ON c.entity = s.entity AND c.cutoff = s.cutoff
LEFT JOIN own o ON o.entity = c.entity AND o.cutoff = c.cutoff AND o.item = c.item
LEFT JOIN busy b ON b.entity = c.entity AND b.cutoff = c.cutoff
LEFT JOIN sold i ON i.cutoff = c.cutoff AND i.item = c.item
ORDER BY s.row, c.item
"""
MOST_ROWS = 3_000
"""Rows of training, and of validation, each with up to a hundred candidates."""
_PATIENCE = 20
_TOLD = {"objective": "lambdarank", "metric": "map", "learning_rate": 0.1}


def boosted(asked: Asked, parts: Sequence[Samples]) -> Array:
    """Rows × k of the test part, whether the item at that place came."""
    told = [candidates(part) for part in parts]
    sets = [_learnable(made, part) for made, part in zip(told[:2], parts, strict=False)]
    values = _values(told[2])
    settings = {**SETTINGS, **_TOLD, "eval_at": [asked.top_k]}
    made_of = fingerprint(*sets[0], *sets[1], values, repr(settings))
    threads = asked.db.settings.threads
    score = kept(made_of, lambda: _scores({**settings, "num_threads": threads}, sets, values))
    return grid(ordered(told[2], score, asked.top_k), parts[2], asked.top_k)[0]


def _scores(settings: Mapping[str, Any], sets: Sequence[tuple[Array, Array, Array]], values: Array) -> Array:
    """Early stopping on the validation rows, then once more on all."""
    import lightgbm as lgb

    data = [lgb.Dataset(features, hits, group=groups) for features, hits, groups in sets]
    callbacks = [lgb.early_stopping(_PATIENCE, verbose=False)]
    first = lgb.train(dict(settings), data[0], ROUNDS, valid_sets=[data[1]], callbacks=callbacks)
    both = [np.concatenate([one, other]) for one, other in zip(*sets, strict=True)]
    final = lgb.train(dict(settings), lgb.Dataset(both[0], both[1], group=both[2]), max(1, first.best_iteration))
    return np.asarray(final.predict(values))


def candidates(part: Samples) -> pa.Table:
    """``row``, ``item`` and the features of every candidate of every row, by row."""
    import duckdb

    cutoff = pa.array(part.cutoff).cast(pa.timestamp("us"))
    spine = pa.table({"row": np.arange(len(part)), "entity": part.entity, "cutoff": cutoff})
    assert part.log is not None
    log = part.log.select(["entity", "item"])
    log = log.append_column("happened", part.log["happened"].cast(pa.int64()).cast(pa.timestamp("us")))
    with duckdb.connect() as connection:
        connection.register("spine", spine)
        connection.register("log", log)
        return connection.sql(_CANDIDATES).to_arrow_table()


def ordered(made: pa.Table, score: Array, top_k: int) -> pa.Table:
    """The best candidates of each row: ``row``, ``item``, ``rank`` from 1."""
    row = made["row"].to_numpy()
    order = np.lexsort((-score, row))
    starts = np.searchsorted(row[order], row[order])
    place = np.arange(len(order)) - starts
    first = order[place < top_k]
    return pa.table({"row": row[first], "item": made["item"].take(pa.array(first)), "rank": place[place < top_k] + 1})


def _values(made: pa.Table) -> Array:
    names = made.column_names[2:]
    return np.column_stack([made[n].cast(pa.float64()).to_numpy() for n in names]).astype(np.float32)


def _learnable(made: pa.Table, part: Samples) -> tuple[Array, Array, Array]:
    """Matrix, hits and group sizes of the rows of which at least one candidate came."""
    row, hit = made["row"].to_numpy(), _hits(made, part)
    useful = np.bincount(row, hit, minlength=len(part))[row] > 0
    return _values(made)[useful], hit[useful].astype(float), np.unique(row[useful], return_counts=True)[1]


def _hits(made: pa.Table, part: Samples) -> Array:
    """Whether each candidate came."""
    lists: Any = part.target
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    came, owner = pc.list_flatten(lists), np.asarray(pc.list_parent_indices(lists))
    items = pc.unique(came)
    code = np.asarray(pc.fill_null(pc.index_in(made["item"], items), -1))
    keys = owner * len(items) + np.asarray(pc.index_in(came, items))
    return (code >= 0) & np.isin(made["row"].to_numpy() * len(items) + code, keys)
