"""Features for many (entity, cutoff) rows at once: one plan, one answer in the spine's order."""

from __future__ import annotations

import pyarrow as pa

from penstock.engine.execute import Progress, execute, quiet
from penstock.engine.relational import Relational
from penstock.features.definitions import FeatureSet
from penstock.language import lower_features


def offline(features: FeatureSet, spine: pa.Table, relational: Relational, progress: Progress = quiet) -> pa.Table:
    """The features' columns, one row a spine row (columns ``entity`` and ``cutoff``), in the spine's order.

    NULL where an aggregate is undefined; counts of entities that nothing is known of are 0.
    """
    plan = lower_features(features.expressions, features.table, features.key)
    return execute(plan, spine, relational, progress).table.select([feature.name for feature in features.features])
