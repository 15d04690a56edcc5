"""From a query to rows to learn from: who was there at each cutoff, what came of it, and what was known before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.execute import Progress, execute, quiet
from penstock.engine.lookup import look_up
from penstock.engine.relational import Relational
from penstock.engine.streams import interactions
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.offline import offline
from penstock.language import Query, Task, lower_labels, lower_population
from penstock.language import feature as language_feature
from penstock.learning.ranking.candidates import MUTUAL
from penstock.learning.rows.dataset import Samples
from penstock.plan import Aggregate, Field, Node
from penstock.schema import Graph
from penstock.window import Instants

AT_ONCE = 4_000_000
"""Rows of (entity, cutoff) asked about in one go."""


@dataclass(frozen=True)
class Labelled:
    """Rows (entity, cutoff[, step], target), and how many were dropped on the way, by the reason's sentence."""

    table: pa.Table
    dropped: dict[str, int] = field(default_factory=dict)


def entities(query: Query, relational: Relational) -> pa.Array:
    """Every entity of the query's table, each once, in order."""
    return relational.keys(query.entity, query.key)


def labels(query: Query, relational: Relational, cutoffs: Instants, progress: Progress = quiet) -> Labelled:
    """The target of every entity that counts at each cutoff, in the cutoffs' order and then the entities'."""
    return _ask(lower_labels(query), _own_times(query, relational, cutoffs), relational, progress)


def population(query: Query, relational: Relational, cutoff: int, progress: Progress = quiet) -> Labelled:
    """The entities to predict for at a cutoff."""
    return _ask(lower_population(query), [spine(entities(query, relational), cutoff)], relational, progress)


def spine(entity: pa.Array, cutoff: int) -> pa.Table:
    """Rows (entity, cutoff) that ask about these entities at one cutoff."""
    return pa.table({"entity": entity, "cutoff": pa.array(np.full(len(entity), cutoff)).cast(pa.timestamp("us"))})


def _own_times(query: Query, relational: Relational, cutoffs: Instants) -> list[pa.Table]:
    """The spines to ask: everyone at each cutoff, joined up to a bounded size."""
    everyone, asked = entities(query, relational), [int(cutoff) for cutoff in cutoffs]
    per_ask = max(1, AT_ONCE // max(1, len(everyone)))
    groups = [asked[i : i + per_ask] for i in range(0, len(asked), per_ask)]
    return [pa.concat_tables([spine(everyone, cutoff) for cutoff in group]) for group in groups]


def _ask(plan: Node, spines: Sequence[pa.Table], relational: Relational, progress: Progress) -> Labelled:
    answers = [execute(plan, asked, relational, progress) for asked in spines]
    dropped: dict[str, int] = {}
    for answer in answers:
        for sentence, rows in answer.dropped.items():
            dropped[sentence] = dropped.get(sentence, 0) + rows
    return Labelled(pa.concat_tables([answer.table for answer in answers]).combine_chunks(), dropped)


def labels_of_rows(query: Query, relational: Relational, end: int) -> Labelled:
    """The labels of a query about a plain column: one row an entity for which it is known.

    Rows of a table of events are asked about at their own time; rows of other tables as of now.
    """
    return _ask(lower_labels(query), [own_times(query, relational, end)], relational, quiet)


def own_times(query: Query, relational: Relational, end: int) -> pa.Table:
    """Every entity, at its own time if its table holds events (with a clock, and links to others), else at ``end``.

    What rows that point to it say (labels of it, for one) is known after it happened: that is asked as of ``end``, too.
    """
    table = query.graph.table(query.entity)
    everyone = spine(entities(query, relational), end)
    if table.happened is None or not query.graph.links_from(query.entity) or _said_by_others(query):
        return everyone
    born = look_up(relational, everyone, query.entity, query.key, (), [table.happened])[table.happened]
    return everyone.set_column(1, "cutoff", born).filter(born.is_valid())


def _said_by_others(query: Query) -> bool:
    pointing = {link.table for link in query.graph.links_to(query.entity)} - {query.entity}
    return any(isinstance(node, Field) and node.table in pointing for node in query.target.walk())


def blanks(query: Query, relational: Relational, end: int, chosen_ones: pa.Array | None) -> pa.Table:
    """The rows whose plain column is to be filled in: where it is NULL, or the ones named."""
    everyone = own_times(query, relational, end)
    if chosen_ones is not None:
        return chosen(everyone, chosen_ones)
    known = _ask(lower_labels(query), [everyone], relational, quiet).table["entity"].combine_chunks()
    rows = execute(lower_population(query), everyone, relational).table
    return rows.filter(pc.invert(pc.is_in(rows["entity"], known)))


def targets(query: Query, relational: Relational, given: pa.Table) -> pa.Table:
    """The rows of a spine, in order, with the target; NULL where it is undefined or the query would not ask.

    Of a forecast each row comes once a step.
    """
    rows = given.select(["entity", "cutoff"])
    found = execute(lower_labels(query), rows, relational).table
    rows = rows if query.steps is None else unrolled(rows, query.steps)
    places = {key: place for place, key in enumerate(_rows_of(found))}
    taken = pa.array([places.get(key) for key in _rows_of(rows)], pa.int64())
    return rows.append_column("target", found["target"].combine_chunks().take(taken))


def _rows_of(table: pa.Table) -> Iterator[tuple[object, ...]]:
    cutoff = table["cutoff"].cast(pa.int64()).to_pylist()
    step = table["step"].to_pylist() if "step" in table.column_names else [None] * len(cutoff)
    return zip(table["entity"].to_pylist(), cutoff, step, strict=True)


def unrolled(asked: pa.Table, steps: int) -> pa.Table:
    """Each row once a step of the forecast."""
    kept = asked.take(pa.array(np.repeat(np.arange(asked.num_rows), steps)))
    return kept.append_column("step", pa.array(np.tile(np.arange(1, steps + 1), asked.num_rows)))


def features_named(query: Query, named: Sequence[str], graph: Graph) -> FeatureSet:
    """The features with these texts."""
    made = [Feature(language_feature(name, graph, query.entity)) for name in named]
    return FeatureSet.of(query.entity, query.key, made)


def samples(
    query: Query, features: FeatureSet, table: pa.Table, relational: Relational, progress: Progress = quiet
) -> Samples:
    """Labelled (or, without a ``target``, open) rows with their features, in the table's order."""
    return parted_samples(query, features, [table], relational, progress)[0]


def parted_samples(
    query: Query, features: FeatureSet, parts: Sequence[pa.Table], relational: Relational, progress: Progress = quiet
) -> list[Samples]:
    """The samples of several tables; the features of all rows are computed in one go."""
    values = _features(features, parts, relational, progress)
    log = _log(query, relational) if query.task is Task.RANKING else None
    return [
        Samples(
            entity=table["entity"],
            cutoff=table["cutoff"].cast(pa.int64()).to_numpy(),
            features=own,
            target=table["target"] if "target" in table.column_names else None,
            step=table["step"].to_numpy() if "step" in table.column_names else None,
            own_past=features.names(lambda feature: feature.past),
            static=features.names(lambda feature: feature.static),
            log=log,
        )
        for table, own in zip(parts, values, strict=True)
    ]


def _features(
    features: FeatureSet, parts: Sequence[pa.Table], relational: Relational, progress: Progress
) -> list[pa.Table]:
    """The features of each part's rows; parts whose columns differ in type are asked about one by one."""
    asked, places = zip(*map(_distinct, parts), strict=True)
    if any(part.schema != asked[0].schema for part in asked):
        found = [offline(features, part, relational, progress) for part in asked]
    else:
        whole = offline(features, pa.concat_tables(asked), relational, progress)
        starts = np.cumsum([0, *map(len, asked)]).tolist()
        found = [whole.slice(start, len(part)) for start, part in zip(starts, asked, strict=False)]
    return [own if place is None else own.take(pa.array(place)) for own, place in zip(found, places, strict=True)]


def _distinct(table: pa.Table) -> tuple[pa.Table, np.ndarray | None]:
    """The rows to compute features for, and where each of the table's rows finds its own: steps share one."""
    asked, cutoff = table.select(["entity", "cutoff"]), table["cutoff"].cast(pa.int64()).to_numpy()
    if "step" not in table.column_names or table.num_rows == 0:
        return asked, None
    code = table["entity"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    fresh = np.ones(len(cutoff), bool)
    fresh[1:] = (code[1:] != code[:-1]) | (cutoff[1:] != cutoff[:-1])
    return asked.filter(pa.array(fresh)), np.cumsum(fresh) - 1


def _log(query: Query, relational: Relational) -> pa.Table:
    """What a ranking learns from; marked where items are entities of the table asked about."""
    assert isinstance(query.target, Aggregate)
    log = interactions(relational, query.target)
    mutual = query.items is not None and query.items.to == query.entity
    return log.replace_schema_metadata(MUTUAL) if mutual else log


def chosen(table: pa.Table, asked: pa.Array) -> pa.Table:
    """The rows of these entities."""
    return table.filter(pc.is_in(table["entity"], asked))
