"""Definitions as plain values, to be shown to people and machines."""

from __future__ import annotations

from typing import TypeAlias

from penstock.features.phrases import phrase
from penstock.features.views.bound import Bound, BoundEntity, BoundFeature, BoundOnDemand, BoundView, Chosen
from penstock.features.views.chosen import needed, view_of
from penstock.plan import Latest

Told: TypeAlias = dict[str, object]
SHORT = 8
"""How many characters of a version people are shown."""


def kind_of(view: BoundView | BoundOnDemand) -> str:
    """What sort of view it is: latest, expressions, on demand, or a role."""
    if isinstance(view, BoundOnDemand):
        return "on demand"
    if view.kept != view.name:
        return f"role of {view.kept}"
    return "latest" if all(isinstance(one.expression, Latest) for one in view.features) else "expressions"


def entities_of(bound: Bound, view: BoundView | BoundOnDemand) -> tuple[BoundEntity, ...]:
    """Whose features they are: of an on-demand view the entities of all that it rests on, each role by itself."""
    if isinstance(view, BoundView):
        return (view.entity,)
    below = needed(bound, [Chosen(view.name, one.name) for one in view.features])
    return tuple(dict.fromkeys(bound.views[one.view].entity for one in below))


def listed(bound: Bound) -> list[Told]:
    """Every view: its kind, entity, features, version, owner and description."""
    stored = [_summary(bound, view) for view in bound.views.values()]
    return [*stored, *(_summary(bound, view) for view in bound.on_demand.values())]


def _summary(bound: Bound, view: BoundView | BoundOnDemand) -> Told:
    return {
        "view": view.name,
        "kind": kind_of(view),
        "entity": ", ".join(dict.fromkeys(one.name for one in entities_of(bound, view))),
        "features": len(view.features),
        "version": view.fingerprint,
        "owner": view.about.owner,
        "description": view.about.description,
    }


def shown(bound: Bound, name: str) -> Told:
    """All there is to say of a view, its features among it. Raises ``RequestError`` (``FEATURE_UNKNOWN``)."""
    view = view_of(bound, name)
    told = _summary(bound, view)
    told |= {"tags": dict(view.about.tags), "place": view.about.place}
    told["keys"] = {key: str(dtype) for one in entities_of(bound, view) for key, dtype in _keys(one)}
    if isinstance(view, BoundOnDemand):
        told["inputs"] = {called: str(Chosen(*place)) for called, place in view.inputs.items()}
        told["requested"] = {called: str(dtype) for called, dtype in view.requested.items()}
    elif view.ttl is not None:
        told["ttl_seconds"] = view.ttl / 1e6
    told["features"] = [_feature(view, one) for one in view.features]
    return told


def described(bound: Bound, chosen: Chosen) -> Told:
    """All there is to say of a feature."""
    view = view_of(bound, chosen.view)
    told: Told = {"view": view.name, **_feature(view, view.feature(chosen.feature))}
    whole = shown(bound, view.name)
    for part in ("kind", "entity", "keys", "ttl_seconds", "owner", "description", "tags"):
        told |= {part: whole[part]} if part in whole else {}
    if isinstance(view, BoundOnDemand):
        used = view.used(chosen.feature)
        told["inputs"] = {name: str(Chosen(*view.inputs[name])) for name in used if name in view.inputs}
        told["requested"] = {name: str(view.requested[name]) for name in used if name in view.requested}
    return told | {"place": view.about.places.get(chosen.feature, view.about.place)}


def _keys(entity: BoundEntity) -> list[tuple[str, str]]:
    return [(key, str(dtype)) for key, dtype in zip(entity.keys, entity.dtypes, strict=True)]


def _feature(view: BoundView | BoundOnDemand, one: BoundFeature) -> Told:
    by_code = isinstance(view, BoundOnDemand) and view.function is not None
    return {
        "feature": one.name,
        "expression": "a Python function" if by_code else str(one.expression),
        "phrase": "worked out by a Python function" if by_code else phrase(one.expression),
        "dtype": str(one.dtype) if one.list_of is None else f"list of {one.list_of}",
        "version": one.fingerprint,
    }
