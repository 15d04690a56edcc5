"""Features in `penstock.toml`: the sections ``[entities.…]``, ``[features.…]`` and ``[services.…]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from penstock.errors import RequestError
from penstock.features.views.broken import What
from penstock.features.views.declared import (
    About,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
    View,
)
from penstock.features.views.spelling import age, dtypes
from penstock.pipeline.projectfile import FILE, ProjectFile
from penstock.pipeline.settled import Place, read_value

Declared: TypeAlias = Entity | View | Service


@dataclass(frozen=True, kw_only=True)
class _Told:
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def about(self, place: Place) -> About:
        """What people say of the definition, and where it stands."""
        return About(self.description, self.owner, self.tags, str(place))


@dataclass(frozen=True)
class _Entity(_Told):
    key: tuple[str, ...]
    table: str | None = None
    joins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Latest(_Told):
    entity: str
    table: str
    columns: object
    keys: tuple[str, ...] = ()
    ttl: object = None


@dataclass(frozen=True)
class _Expressions(_Told):
    entity: str
    expressions: Mapping[str, str]


@dataclass(frozen=True)
class _OnDemand(_Told):
    expressions: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    requested: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Role(_Told):
    view: str
    keys: Mapping[str, str]


@dataclass(frozen=True)
class _Service(_Told):
    features: tuple[str, ...]


def declared_in(file: ProjectFile) -> Iterator[tuple[What, str, Callable[[], Declared]]]:
    """What each section of the project's file declares: what it is, its name, and what reads it.

    Reading raises ``RequestError`` with the section and key that is not understood.
    """
    sections: tuple[tuple[What, str, Mapping[str, object], Callable[[str, object, Place], Declared]], ...] = (
        ("entity", "entities", file.entities, _entity),
        ("view", "features", file.features, _view),
        ("service", "services", file.services, _service),
    )
    for what, section, told, read in sections:
        for name, one in told.items():
            yield what, name, partial(read, name, one, Place(FILE, section).within(name))


def _entity(name: str, told: object, place: Place) -> Entity:
    read = read_value(_Entity, told, place)
    return Entity(name, read.key, read.table, read.joins, read.about(place))


def _service(name: str, told: object, place: Place) -> Service:
    read = read_value(_Service, told, place)
    return Service(name, read.features, read.about(place))


def _view(name: str, told: object, place: Place) -> View:
    """A view of the kind that its keys tell."""
    if not isinstance(told, Mapping):
        raise RequestError("PROJECT_VALUE", f"{place} is no section", hint="Write it as a table of keys and values.")
    if "query" in told:
        hint = f'Write its features down once: penstock features synthesise "{told["query"]}" --out features/{name}.pql'
        raise RequestError("PROJECT_KEY", f"{place}: a query is no view", hint=hint)
    for key, read in _KINDS.items():
        if key in told:
            return read(name, told, place)
    if "expressions" in told:
        return (_expressions if "entity" in told else _on_demand)(name, told, place)
    hint = "A view has columns (of a table), expressions, or another view whose role it is."
    raise RequestError("PROJECT_MISSING", f"{place} does not say what its features are", hint=hint)


def _latest(name: str, told: object, place: Place) -> View:
    read = read_value(_Latest, told, place)
    columns = _columns(read.columns, place.at("columns"))
    return LatestView(name, read.entity, read.table, columns, read.keys, _ttl(read.ttl, place), read.about(place))


def _columns(told: object, place: Place) -> dict[str, str]:
    """Columns by what they are called as features."""
    listed = [told] if isinstance(told, str) else told
    pairs = dict(zip(listed, listed, strict=True)) if isinstance(listed, list) else listed
    if not isinstance(pairs, dict) or not all(isinstance(one, str) for one in [*pairs, *pairs.values()]):
        hint = 'Write ["a", "b"], or { name = "column" }.'
        raise RequestError("PROJECT_VALUE", f"{place} names no columns", hint=hint)
    if isinstance(listed, list) and len(pairs) < len(listed):
        raise RequestError("FEATURE_TWICE", f"{place} names a column twice")
    return pairs


def _ttl(told: object, place: Place) -> int | None:
    try:
        if told is None or isinstance(told, str | int | float):
            return age(told)
    except RequestError as error:
        raise RequestError(error.code, f"{place.at('ttl')}: {error.message}", hint=error.hint) from None
    raise RequestError("PROJECT_VALUE", f"{place.at('ttl')} is {told!r}, which is no length of time")


def _expressions(name: str, told: object, place: Place) -> View:
    read = read_value(_Expressions, told, place)
    return ExpressionView(name, read.entity, read.expressions, read.about(place))


def _on_demand(name: str, told: object, place: Place) -> View:
    read = read_value(_OnDemand, told, place)
    try:
        requested = dtypes(read.requested)
    except RequestError as error:
        message = f"{place.at('requested')}: {error.message}"
        raise RequestError(error.code, message, name=error.name, candidates=error.candidates) from None
    return OnDemandView(name, read.expressions, read.inputs, requested, about=read.about(place))


def _role(name: str, told: object, place: Place) -> View:
    read = read_value(_Role, told, place)
    return RoleView(name, read.view, read.keys, read.about(place))


_KINDS: Mapping[str, Callable[[str, object, Place], View]] = {
    "view": _role,
    "inputs": _on_demand,
    "requested": _on_demand,
    "columns": _latest,
    "table": _latest,
}
"""What kind of view a section is, by a key that only such views have."""
