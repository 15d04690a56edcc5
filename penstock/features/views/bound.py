"""Features as they fit the tables: every name an expression, every entity a table with one key column.

`penstock.features.views.binding.bind` makes these; training and serving read nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from penstock.expression import Expr
from penstock.features.views.broken import BrokenDefinition, What
from penstock.features.views.declared import About, OnDemandFunction, Service
from penstock.plan import Input
from penstock.schema import Dtype, Graph, Link

if TYPE_CHECKING:
    from penstock.features.views.entities import Joins


@dataclass(frozen=True)
class BoundEntity:
    """An entity: the columns that name it in spines, their dtypes, and where it is in the graph.

    ``table`` and ``column`` are the table of the graph whose key column stands for the whole key. ``virtual`` ones are
    in no source: `EntityRows` makes them up from the rows that name them; ``composed`` ones hold several columns as one
    text. ``exists`` is the table whose rows say that such an entity is there (None: any row about it says so), ``own``
    the link by which they do where the table is virtual.
    """

    name: str
    keys: tuple[str, ...]
    dtypes: tuple[Dtype, ...]
    table: str
    column: str
    exists: str | None = None
    virtual: bool = False
    own: Link | None = None

    @property
    def composed(self) -> bool:
        """Whether the key is several columns."""
        return len(self.keys) > 1


@dataclass(frozen=True)
class BoundFeature:
    """A feature of a view: its name there, what it is, and its values' dtype.

    The expression's leaves are `Latest`, `Aggregate`, `Field`, `Age` and `Calendar` of `penstock.plan`, bound to the
    graph with entities. ``fingerprint`` is equal for features that mean the same.
    """

    name: str
    expression: Expr
    dtype: Dtype
    fingerprint: str = ""
    list_of: Dtype | None = None


@dataclass(frozen=True)
class BoundView:
    """A view: its entity (in a role: with the role's columns for keys) and its features.

    ``kept`` is the name under which a store keeps it: its own, or that of the view whose role it is. ``ttl`` is that of
    a view of latest values, in microseconds. ``made`` says how the derived tables that it reads are made (empty: it
    reads none).
    """

    name: str
    entity: BoundEntity
    features: tuple[BoundFeature, ...]
    kept: str
    ttl: int | None = None
    about: About = field(default=About(), compare=False)
    fingerprint: str = ""
    made: str = ""

    @cached_property
    def by_name(self) -> Mapping[str, BoundFeature]:
        """Its features by name."""
        return {one.name: one for one in self.features}

    def feature(self, name: str) -> BoundFeature:
        """The feature called so; ``KeyError`` without one."""
        return self.by_name[name]


@dataclass(frozen=True)
class BoundOnDemand:
    """Features that are worked out when asked for; ``inputs`` maps names to features, as (view, feature).

    Either each feature has an expression over `Input` leaves, or ``function`` gives them all.
    """

    name: str
    inputs: Mapping[str, tuple[str, str]]
    requested: Mapping[str, Dtype]
    features: tuple[BoundFeature, ...]
    function: OnDemandFunction | None = field(default=None, compare=False, repr=False)
    about: About = field(default=About(), compare=False)
    fingerprint: str = ""

    @cached_property
    def by_name(self) -> Mapping[str, BoundFeature]:
        """Its features by name."""
        return {one.name: one for one in self.features}

    def feature(self, name: str) -> BoundFeature:
        """The feature called so; ``KeyError`` without one."""
        return self.by_name[name]

    def used(self, feature: str) -> tuple[str, ...]:
        """The names of the inputs and of the request's columns that a feature needs; a function needs all."""
        there = (*self.inputs, *self.requested)
        if self.function is not None:
            return there
        named = {node.name for node in self.feature(feature).expression.walk() if isinstance(node, Input)}
        return tuple(name for name in there if name in named)


@dataclass(frozen=True)
class Chosen:
    """A feature that is asked for: of which view, and its name there."""

    view: str
    feature: str

    def __str__(self) -> str:
        return f"{self.view}:{self.feature}"


@dataclass(frozen=True)
class Bound:
    """The sound definitions of a project, fitted to its tables; ``broken`` are the others, with their errors.

    ``graph`` has the virtual tables of entities. ``recipes`` are fingerprints of how derived tables are made, which
    versions of features rest on.
    """

    graph: Graph
    joins: Joins
    entities: Mapping[str, BoundEntity]
    views: Mapping[str, BoundView]
    on_demand: Mapping[str, BoundOnDemand]
    services: Mapping[str, Service]
    broken: tuple[BrokenDefinition, ...] = ()
    recipes: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all views, stored ones first."""
        return (*self.views, *self.on_demand)

    @property
    def empty(self) -> bool:
        """Whether no view is declared."""
        return not self.names and not self.broken

    @property
    def broken_views(self) -> Mapping[str, BrokenDefinition]:
        """The views among what is broken, by name."""
        return {one.name: one for one in self.broken if one.what == "view"}

    @property
    def broken_files(self) -> tuple[str, ...]:
        """The files of which nobody can tell what they declare."""
        return tuple(one.name for one in self.broken if one.what == "file")

    def must_be_sound(self) -> None:
        """Raise the error of the first definition that is broken, if any is."""
        for one in self.broken:
            raise one.error.with_traceback(None)

    def must_not_be_broken(self, what: What, name: str) -> None:
        """Raise the error of what is called so, if it is broken."""
        for one in self.broken:
            if (one.what, one.name) == (what, name):
                raise one.error.with_traceback(None)


__all__ = [
    "Bound", "BoundEntity", "BoundFeature", "BoundOnDemand", "BoundView", "Chosen", "Input",
]  # fmt: skip
