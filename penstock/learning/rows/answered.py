"""Answers of other rows: a question about a column learns from them, but never from the row's own.

Features of this kind end just before the cutoff, and rows are asked about at their own time, so that their own answer
is not in what they read. A spine from outside may ask later; then such features are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import Relational
from penstock.expression import Expr
from penstock.features.definitions import FeatureSet
from penstock.language import Query
from penstock.learning.rows import examples
from penstock.plan import Aggregate, Field
from penstock.window import END

NOTE = "Rows are asked about after their own time: features that read the answers of other rows were left out."


def without_own_answers(
    query: Query, features: FeatureSet, relational: Relational, spines: Sequence[pa.Table]
) -> FeatureSet:
    """The features, without those that would read a row's own answer where a spine asks after the row's own time."""
    told = [f.name for f in features.features if query.static and _reads_answers(query, f.expression)]
    if not told or not any(_late(query, relational, spine) for spine in spines):
        return features
    left = features.only({feature.name for feature in features.features} - set(told))
    return replace(left, notes=(*left.notes, NOTE))


def _reads_answers(query: Query, expression: Expr) -> bool:
    """Whether it aggregates rows of the entity's table by a column that is asked about."""
    asked = {node.column for node in query.target.walk() if isinstance(node, Field) and node.table == query.entity}
    own = [n for n in expression.walk() if isinstance(n, Aggregate) and n.stream.table == query.entity]
    read = [part for node in own for part in (node.value, node.stream.where) if part is not None]
    return any(isinstance(n, Field) and n.column in asked for part in read for n in part.walk())


def _late(query: Query, relational: Relational, spine: pa.Table) -> bool:
    """Whether a row of the spine has a cutoff after its entity's own time."""
    born = examples.own_times(query, relational, END - 1)
    place = pc.index_in(spine["entity"], value_set=born["entity"].combine_chunks())
    own = born["cutoff"].cast(pa.int64()).take(place)
    return bool(pc.any(pc.greater(spine["cutoff"].cast(pa.int64()), own)).as_py())


__all__ = ["without_own_answers"]
