"""Features as they are declared: entities, views of several kinds, and services that name features together.

Values only. They come from `penstock.toml`, from ``features/*.pql`` or from ``features/*.py`` and mean the same
wherever they stood; `penstock.features.views.bound` fits them to tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from penstock.features.views.broken import BrokenDefinition, What
from penstock.schema import Dtype

if TYPE_CHECKING:
    import pyarrow as pa

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class About:
    """What people say of a definition; no part of its meaning."""

    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    place: str = ""
    """Where it was declared: the file, from the project's folder on, and the line or section in it."""
    places: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Where its features were declared, by name, as far as that is known."""

    def said(self, message: str, feature: str = "") -> str:
        """A message after the place that it is about.

        >>> About(place="penstock.toml: [features.stats]").said("stats: there is no table 'trip'")
        "penstock.toml: [features.stats]: stats: there is no table 'trip'"
        """
        place = self.places.get(feature, self.place)
        return f"{place}: {message}" if place else message


@dataclass(frozen=True)
class Entity:
    """What features are about: ``keys`` name the columns of spines and requests that say which one.

    ``table`` has a row for each of them, under its own key (in the order of ``keys``); an entity without one is known
    only by the rows of others. ``joins`` maps tables to their columns that hold the key, in the same order. A table
    that it does not name belongs to the entity by its links to ``table``, else by its columns called like ``keys``. No
    columns: what these are called says nothing.
    """

    name: str
    keys: tuple[str, ...]
    table: str | None = None
    joins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    about: About = About()


@dataclass(frozen=True)
class LatestView:
    """Columns of the newest row that a table has for an entity: ``features`` maps names to the table's columns.

    ``keys`` are the table's columns that hold the entity's key (default: as the entity joins it). A row older than
    ``ttl`` microseconds does not count; one of exactly that age does. None: a row of any age counts.
    """

    name: str
    entity: str
    table: str
    features: Mapping[str, str]
    keys: tuple[str, ...] = ()
    ttl: int | None = None
    about: About = About()


@dataclass(frozen=True)
class ExpressionView:
    """Expressions in PQL about an entity's past: ``features`` maps names to them."""

    name: str
    entity: str
    features: Mapping[str, str]
    about: About = About()


OnDemandFunction: TypeAlias = "Callable[[pa.Table], pa.Table | pa.RecordBatch | Mapping[str, pa.Array]]"


@dataclass(frozen=True)
class OnDemandView:
    """Features worked out from others and from what a request says, when they are asked for.

    ``inputs`` maps names to features (``view:feature``), ``requested`` names to the kinds of the request's columns.
    ``features`` maps names to PQL arithmetic over those names; with a ``function`` they map names to dtypes, and it
    gives them as columns from an Arrow table of the inputs, row for row. ``source`` is the function's text, which its
    version rests on.
    """

    name: str
    features: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    requested: Mapping[str, Dtype] = field(default_factory=dict)
    function: OnDemandFunction | None = field(default=None, compare=False, repr=False)
    source: str = ""
    about: About = About()


@dataclass(frozen=True)
class RoleView:
    """Another view in a role: the same features of an entity that other columns of the spine name.

    ``keys`` maps the entity's key columns to those columns: ``{"location_id": "origin_id"}``.
    """

    name: str
    view: str
    keys: Mapping[str, str]
    about: About = About()


View: TypeAlias = LatestView | ExpressionView | OnDemandView | RoleView


@dataclass(frozen=True)
class Service:
    """Features that are asked for together, by one name."""

    name: str
    features: tuple[str, ...]
    about: About = About()


def what_of(one: Entity | View | Service) -> What:
    """What a definition is, in one word."""
    return "entity" if isinstance(one, Entity) else "service" if isinstance(one, Service) else "view"


@dataclass(frozen=True)
class Definitions:
    """All that a project declares, by name; ``broken`` is what cannot be read, and is in none of the others."""

    entities: Mapping[str, Entity] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    broken: tuple[BrokenDefinition, ...] = ()
