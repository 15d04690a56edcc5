"""Definitions as plain values, to be shown to people and machines."""

from __future__ import annotations

from typing import TypeAlias

from penstock.errors import RequestError
from penstock.features.phrases import phrase
from penstock.features.views.bound import Bound, BoundEntity, BoundFeature, BoundOnDemand, BoundView, Chosen
from penstock.features.views.broken import What
from penstock.features.views.chosen import needed, view_of
from penstock.features.views.declared import Service
from penstock.plan import Latest

Told: TypeAlias = dict[str, object]
_WHATS: tuple[What, ...] = ("view", "service", "entity", "file")
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


def listed(bound: Bound) -> Told:
    """All that is declared: views, services, and under ``errors`` what is broken.

    Of a view its kind, entity, number of features, version, owner, description and ``state``: sound, broken, or
    waits for the first tables.
    """
    sound = [{**_summary(bound, view_of(bound, name)), "state": "sound"} for name in bound.names]
    return {
        "views": [*sound, *({"view": name, "state": state_of(bound, name)} for name in bound.broken_views)],
        "services": [_service(one) for one in bound.services.values()],
        "errors": [one.to_dict() for one in bound.broken],
    }


def state_of(bound: Bound, name: str) -> str:
    """How a view stands: sound, broken, or waits."""
    if name in bound.names:
        return "sound"
    return "waits" if any(one.waits for one in bound.broken if one.name == name) else "broken"


def _service(service: Service) -> Told:
    about = service.about
    return {
        "service": service.name,
        "features": list(service.features),
        "owner": about.owner,
        "description": about.description,
    }


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
    """All there is to say of a view, its features among it.

    Raises ``RequestError``: ``FEATURE_UNKNOWN``, or why whatever is called so is broken.
    """
    for what in _WHATS if name not in bound.names else ():
        bound.must_not_be_broken(what, name)
    if name in bound.services and name not in bound.names:
        hint = f"Its features: penstock features describe {name}"
        message = f"{name} is a service, not a view"
        raise RequestError("FEATURE_UNKNOWN", message, name=name, candidates=bound.services[name].features, hint=hint)
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
