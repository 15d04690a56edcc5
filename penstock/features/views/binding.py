"""Definitions fitted to tables: every feature an expression, every entity a table with one key column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from penstock import language
from penstock.errors import QueryError, RequestError
from penstock.expression import Expr
from penstock.features.views.bound import Bound, BoundEntity, BoundFeature, BoundOnDemand, BoundView
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
)
from penstock.features.views.implied import completed
from penstock.features.views.meaning import fingerprint, joined, plain
from penstock.features.views.roots import Rooted, rooted, stream_of
from penstock.features.views.values import dtype_of, list_of, misplaced
from penstock.plan import Latest
from penstock.schema import Dtype, Graph


def bind(definitions: Definitions, graph: Graph) -> Bound:
    """The definitions as they fit the tables.

    Raises ``RequestError`` (``FEATURE_…``, or ``PQL_…`` for an expression) with the place of the definition, what
    exists and what to try.
    """
    for one in (*definitions.entities.values(), *definitions.views.values(), *definitions.services.values()):
        _check_names(one)
    told = completed(definitions, graph)
    found = rooted(told, plain(graph))
    fitting = _Fitting(found)
    views = {one.name: fitting.view(one) for one in told.views.values() if isinstance(one, LatestView | ExpressionView)}
    for view in told.views.values():
        if isinstance(view, RoleView):
            views[view.name] = _role(view, views, told)
    on_demand = calculated({one.name: one for one in told.views.values() if isinstance(one, OnDemandView)}, views)
    bound = Bound(found.graph, found.joins, found.entities, views, on_demand, told.services)
    for service in told.services.values():
        _check_service(service, bound)
    return bound


def _check_service(service: Service, bound: Bound) -> None:
    """All that a service names is there."""
    about = service.about
    if not service.features:
        raise RequestError("FEATURE_NONE", about.said(f"service {service.name} has no features"))
    try:
        members(bound, service)
    except RequestError as error:
        message = about.said(f"service {service.name}: {error.message}")
        hint = "A service lists features, and no other services." if error.name in bound.services else error.hint
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

    def view(self, view: LatestView | ExpressionView) -> BoundView:
        """A view with its features bound."""
        entity = self.found.entities[view.entity]
        made = self._latest(view) if isinstance(view, LatestView) else self._expressions(view, entity)
        features = tuple(self._feature(entity, name, expression) for name, expression in made)
        ttl = view.ttl if isinstance(view, LatestView) else None
        version = fingerprint(sorted((one.name, one.fingerprint) for one in features))
        return BoundView(view.name, entity, features, view.name, ttl or None, view.about, version)

    def _feature(self, entity: BoundEntity, name: str, expression: Expr) -> BoundFeature:
        about = entity.dtypes, entity.table, entity.column, entity.exists, joined(self.found.joins, expression)
        dtype = dtype_of(expression)
        return BoundFeature(name, expression, dtype, fingerprint(about, expression, dtype), list_of(expression))

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
                there = [one.name for one in table.columns]
                raise RequestError("FEATURE_COLUMN", message, name=column, candidates=there)
            told = table.column(column)
            if told.dtype is Dtype.OTHER:
                message = view.about.said(f"{view.name}:{name}: {view.table}.{column} holds values of an unknown type")
                raise RequestError("FEATURE_DTYPE", message, hint="Cast it in a derived table.")
            yield name, Latest(stream, column, told.dtype, told.kind, view.ttl or None)

    def _expressions(self, view: ExpressionView, entity: BoundEntity) -> Iterator[tuple[str, Expr]]:
        for name, text in view.features.items():
            try:
                yield name, language.feature(text, self.found.graph, entity.table)
            except QueryError as error:
                raise misplaced(error, view.about.said(f"{view.name}:{name}: {error.message}", name)) from error


def _role(view: RoleView, views: Mapping[str, BoundView], told: Definitions) -> BoundView:
    """The features of another view, of an entity that other columns name."""
    if view.view not in views or isinstance(told.views[view.view], RoleView):
        why = "is worked out on demand" if isinstance(told.views.get(view.view), OnDemandView) else "is no stored view"
        why = "is a role itself" if isinstance(told.views.get(view.view), RoleView) else why
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


__all__ = ["Bound", "BoundOnDemand", "Graph", "bind"]
