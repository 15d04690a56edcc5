"""Definitions fitted to tables: every feature an expression, every entity a table with one key column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from penstock import language
from penstock.errors import QueryError, RequestError
from penstock.expression import Expr
from penstock.features.views.bound import Bound, BoundEntity, BoundFeature, BoundOnDemand, BoundView
from penstock.features.views.broken import Sieve
from penstock.features.views.calculated import calculated
from penstock.features.views.chosen import members
from penstock.features.views.declared import (
    Definitions,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
    View,
    what_of,
)
from penstock.features.views.implied import completed
from penstock.features.views.meaning import fingerprint, joined, plain
from penstock.features.views.origins import Origins
from penstock.features.views.roots import Rooted, rooted, stream_of
from penstock.features.views.values import dtype_of, items_of, list_of, misplaced, must_not_be_listed
from penstock.plan import Latest
from penstock.schema import Dtype, Graph


def bind(definitions: Definitions, graph: Graph, recipes: Mapping[str, str] = MappingProxyType({})) -> Bound:
    """The definitions as they fit the tables; those that do not are ``broken``, with their errors.

    ``recipes`` say of derived tables how their rows are made: features that rest on one have another version when it
    is made otherwise. An error is a ``RequestError`` (``FEATURE_…``, or ``PQL_…`` for an expression) with the place of
    the definition, what exists and what to try; what rests on a broken definition is broken, too (``FEATURE_BROKEN``).
    """
    sieve = Sieve.of(definitions.broken)
    told = completed(_nameable_of(definitions, sieve), graph, sieve)
    found = rooted(told, plain(graph), sieve)
    views = _stored(told, _Fitting(found, recipes), sieve)
    on_demand = calculated(
        {one.name: one for one in told.views.values() if isinstance(one, OnDemandView)}, views, sieve
    )
    bound = Bound(found.graph, found.joins, found.entities, views, on_demand, {}, sieve.broken, dict(recipes))
    services = dict(_services(told, bound, sieve))
    return replace(bound, services=services, broken=sieve.broken)


def _nameable_of(definitions: Definitions, sieve: Sieve) -> Definitions:
    """The definitions that can be named; the others are held back."""
    for one in (*definitions.entities.values(), *definitions.views.values(), *definitions.services.values()):
        with sieve.over(what_of(one), one.name):
            _check_names(one)
    return replace(
        definitions,
        entities={name: one for name, one in definitions.entities.items() if not sieve.holds("entity", name)},
        views={name: one for name, one in definitions.views.items() if not sieve.holds("view", name)},
        services={name: one for name, one in definitions.services.items() if not sieve.holds("service", name)},
    )


def _stored(told: Definitions, fitting: _Fitting, sieve: Sieve) -> dict[str, BoundView]:
    """The views that stores keep, then their roles."""
    views: dict[str, BoundView] = {}
    for view in told.views.values():
        if isinstance(view, LatestView | ExpressionView) and not sieve.holds("view", view.name):
            with sieve.over("view", view.name):
                message = view.about.said(f"{view.name}: its entity {view.entity} is broken")
                sieve.must_be_sound("entity", view.entity, message)
                views[view.name] = fitting.view(view)
    for view in told.views.values():
        if isinstance(view, RoleView):
            with sieve.over("view", view.name):
                sieve.must_be_sound("view", view.view, view.about.said(f"{view.name}: its view {view.view} is broken"))
                views[view.name] = _role(view, views, told)
    return views


def _services(told: Definitions, bound: Bound, sieve: Sieve) -> Iterator[tuple[str, Service]]:
    """The services of which all features are there."""
    for service in told.services.values():
        with sieve.over("service", service.name):
            _check_service(service, told, bound, sieve)
            yield service.name, service


def _check_service(service: Service, told: Definitions, bound: Bound, sieve: Sieve) -> None:
    """All that a service names is there."""
    about = service.about
    if not service.features:
        raise RequestError("FEATURE_NONE", about.said(f"service {service.name} has no features"))
    for ref in service.features:
        view, colon, _ = ref.partition(":")
        if colon:
            sieve.must_be_sound("view", view, about.said(f"service {service.name}: its view {view} is broken"))
    try:
        members(bound, service)
    except RequestError as error:
        message = about.said(f"service {service.name}: {error.message}")
        hint = "A service lists features, and no other services." if error.name in told.services else error.hint
        raise RequestError(error.code, message, name=error.name, candidates=error.candidates, hint=hint) from error


def _check_names(one: View | Service | Entity) -> None:
    """A definition, and each of its features, can be named in ``view:feature``."""
    features = one.features if isinstance(one, LatestView | ExpressionView | OnDemandView) else None
    if features is not None and not features:
        raise RequestError("FEATURE_NONE", one.about.said(f"{one.name} has no features"))
    for name in (one.name, *(features or ())):
        if not _nameable(name):
            message = one.about.said(f"{name!r} can be no name", name)
            hint = "Any text will do that has no colon, no line break and no space around it."
            raise RequestError("FEATURE_NAME", message, hint=hint)


def _nameable(name: str) -> bool:
    """Whether a text can be a name.

    >>> [_nameable(name) for name in ("größe (m)", "a:b", "*", " x", "")]
    [True, False, False, False, False]
    """
    return name != "*" and ":" not in name and name.isprintable() and bool(name) and name == name.strip()


@dataclass(frozen=True)
class _Fitting:
    """Stored views in the making."""

    found: Rooted
    recipes: Mapping[str, str]

    def view(self, view: LatestView | ExpressionView) -> BoundView:
        """A view with its features bound."""
        entity = self.found.entities[view.entity]
        told = self._latest(view) if isinstance(view, LatestView) else self._expressions(view, entity)
        features = tuple(self._feature(entity, name, expression) for name, expression in told)
        ttl = view.ttl if isinstance(view, LatestView) else None
        version = fingerprint(sorted((one.name, one.fingerprint) for one in features))
        recipes = sorted({recipe for one in features for recipe in self._made_by(entity, one.expression)})
        made = fingerprint(*recipes) if recipes else ""
        return BoundView(view.name, entity, features, view.name, ttl or None, view.about, version, made)

    def _feature(self, entity: BoundEntity, name: str, expression: Expr) -> BoundFeature:
        about = entity.dtypes, entity.table, entity.column, entity.exists, joined(self.found.joins, expression)
        dtype = dtype_of(expression)
        made, items = self._made_by(entity, expression), items_of(expression, self.found.graph)
        clocks = self._clocks(entity, expression)
        version = fingerprint(about, expression, dtype, clocks, *made, *([items] if items else []))
        return BoundFeature(name, expression, dtype, version, items or list_of(expression))

    def _made_by(self, entity: BoundEntity, expression: Expr) -> list[tuple[str, str]]:
        """The derived tables that a feature rests on, with how they are made."""
        if not self.recipes:
            return []
        return [(table, self.recipes[table]) for table in self._read(entity, expression) if table in self.recipes]

    def _clocks(self, entity: BoundEntity, expression: Expr) -> list[tuple[str, str | None, str | None]]:
        """Which columns say when the rows that a feature rests on happened and ended, by table.

        A project's file may correct them at any moment, and with them which rows a cutoff sees.
        """
        read = (self.found.graph.table(name) for name in self._read(entity, expression))
        return [(table.name, table.happened, table.ends) for table in read]

    def _read(self, entity: BoundEntity, expression: Expr) -> list[str]:
        """The tables that a feature rests on."""
        return sorted(Origins.of(self.found.graph, self.found.joins, expression, entity.exists).tables)

    def _latest(self, view: LatestView) -> Iterator[tuple[str, Expr]]:
        stream = stream_of(self.found, view)
        table = self.found.graph.table(view.table)
        if view.ttl and table.happened is None and table.known is None:
            message = f"{view.name}: rows of {view.table} have no time, so none of them is older than ttl"
            hint = f"Say which column is its time: [tables.{view.table}] time = …; or leave ttl out."
            raise RequestError("FEATURE_NO_TIME", view.about.said(message), hint=hint)
        for name, column in view.features.items():
            if not table.has(column):
                message = view.about.said(f"{view.name}:{name}: {view.table} has no column {column!r}", name)
                raise RequestError("FEATURE_COLUMN", message, name=column, candidates=table.offered)
            told = table.column(column)
            if told.dtype is Dtype.OTHER:
                message = view.about.said(f"{view.name}:{name}: {view.table}.{column} holds values of an unknown type")
                raise RequestError("FEATURE_DTYPE", message, hint="Cast it in a derived table.")
            yield name, Latest(stream, column, told.dtype, told.kind, view.ttl or None)

    def _expressions(self, view: ExpressionView, entity: BoundEntity) -> Iterator[tuple[str, Expr]]:
        for name, text in view.features.items():
            try:
                expression = language.feature(text, self.found.about(entity), entity.table)
                must_not_be_listed(expression, self.found.graph)
                yield name, expression
            except QueryError as error:
                raise misplaced(error, view.about.said(f"{view.name}:{name}: {error.message}", name)) from error


def _role(view: RoleView, views: Mapping[str, BoundView], told: Definitions) -> BoundView:
    """The features of another view, of an entity that other columns name."""
    of = told.views.get(view.view)
    if isinstance(of, RoleView):
        raise _role_of_role(view, of, views)
    if view.view not in views:
        why = "is worked out on demand" if isinstance(of, OnDemandView) else "is no stored view"
        there = [name for name in views if not isinstance(told.views[name], RoleView)]
        message = view.about.said(f"{view.name}: {view.view!r} {why}, so it plays no role")
        raise RequestError("FEATURE_ROLE", message, name=view.view, candidates=there)
    base = views[view.view]
    for key in view.keys:
        if key not in base.entity.keys:
            message = view.about.said(f"{view.name}: {key!r} is no key of {base.entity.name}")
            raise RequestError("FEATURE_ROLE", message, name=key, candidates=base.entity.keys)
    keys = tuple(view.keys.get(key, key) for key in base.entity.keys)
    if len(set(keys)) < len(keys):
        message = view.about.said(f"{view.name}: two keys of {base.entity.name} would be the same column")
        raise RequestError("FEATURE_ROLE", message, candidates=keys)
    return replace(base, name=view.name, entity=replace(base.entity, keys=keys), about=view.about)


def _role_of_role(view: RoleView, of: RoleView, views: Mapping[str, BoundView]) -> RequestError:
    """A role of a role is a role of the first view, and says so itself: which columns name its entity."""
    message = view.about.said(f"{view.name}: {of.name!r} is a role itself, of {of.view}")
    first = views.get(of.view)
    keys = first.entity.keys if first is not None else tuple(of.keys)
    columns = {key: view.keys.get(of.keys.get(key, key), view.keys.get(key, "…")) for key in keys}
    said = ", ".join(f'{key} = "{column}"' for key, column in columns.items())
    hint = f'Take the view that it is a role of: view = "{of.view}", keys = {{ {said} }}.'
    return RequestError("FEATURE_ROLE", message, name=of.name, hint=hint)


__all__ = ["Bound", "BoundOnDemand", "Graph", "bind"]
