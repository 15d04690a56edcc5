"""Values worked out again as training does, with rows or maximum ages left out to find why they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import Relational
from penstock.expression import Expr
from penstock.features.historical import historical
from penstock.features.views.bound import Bound, BoundView
from penstock.features.views.entities import EntityRows
from penstock.plan import Latest, Rows
from penstock.schema import Graph


def again(
    bound: Bound,
    relational: Relational,
    come_by: Callable[[int], Rows],
    view: BoundView,
    features: Sequence[str],
    spine: pa.Table,
    *,
    known: int | None,
    ages: bool,
) -> pa.Table:
    """The features of a view for a spine of its keys and cutoffs; see `penstock.online.verifying.verify.Recomputed`.

    ``come_by`` gives the rows that the lake had by an instant, as far as their own clock does not tell.
    """
    if known is not None:
        earlier = EntityRows(KnownBy(come_by(known), bound.graph, known), bound.joins, bound.graph)
        relational = Relational(earlier, relational.settings)
    if not ages:
        bound = replace(bound, views={**bound.views, view.name: ageless(view)})
    asked = [f"{view.name}:{name}" for name in features]
    return historical(bound, relational, spine, asked, time="cutoff", full_names=False)


def ageless(view: BoundView) -> BoundView:
    """The view without its maximum age."""
    features = tuple(replace(one, expression=one.expression.map(_ageless)) for one in view.features)
    return replace(view, features=features, ttl=None)


def _ageless(node: Expr) -> Expr:
    return replace(node, ttl=None) if isinstance(node, Latest) else node


@dataclass(frozen=True)
class KnownBy:
    """The rows of a database that were known by an instant (microseconds)."""

    rows: Rows
    graph: Graph
    at: int

    @property
    def fingerprint(self) -> str:
        """Changes whenever any row or the schema may have changed."""
        return f"{self.rows.fingerprint} known by {self.at}"

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of the rows that were known; those that do not say when always were."""
        known = self.graph.table(table).known
        if known is None:
            return self.rows.read(table, columns)
        read = self.rows.read(table, [*dict.fromkeys([*columns, known])])
        late = pc.greater(read[known].cast(pa.int64()), self.at)
        return read.filter(pc.invert(pc.fill_null(late, False))).select(list(columns))


@dataclass(frozen=True)
class Moments:
    """When the rows of a database became known."""

    rows: Rows
    graph: Graph

    def __call__(self, since: int, until: int) -> np.ndarray:
        """The instants after one and by another, rising, each once."""
        first, last = np.searchsorted(self._all, [since, until], side="right")
        return self._all[first:last]

    @cached_property
    def _all(self) -> np.ndarray:
        read = [self.rows.read(one.name, [one.known])[0] for one in self.graph if one.known is not None]
        known = [pc.drop_null(column).cast(pa.int64()).to_numpy() for column in read]
        return np.unique(np.concatenate([np.empty(0, np.int64), *known]))
