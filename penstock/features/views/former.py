"""What was sound and is broken now, as it was: a store that holds it can be read on by it."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import RequestError
from penstock.features.views.bound import Bound, BoundOnDemand
from penstock.features.views.chosen import members, view_of


def with_former(now: Bound, before: Bound) -> Bound:
    """The definitions, and of those that are broken now what they were ``before``, where it was sound.

    On-demand views and services come along where all that they rest on does. The graph is that of now: it tells
    nothing of what came along.
    """
    views = {name: before.views[name] for name in now.broken_views if name in before.views}
    found = replace(now, views={**now.views, **views})
    for name, one in before.on_demand.items():
        if name in now.broken_views and _has_inputs(found, one):
            found = replace(found, on_demand={**found.on_demand, name: one})
    services = dict(found.services)
    for broken in now.broken:
        if broken.what == "service" and broken.name in before.services and _has_members(found, before, broken.name):
            services[broken.name] = before.services[broken.name]
    there = {"view": {*found.views, *found.on_demand}, "service": {*services}}
    left = tuple(one for one in now.broken if one.name not in there.get(one.what, ()))
    return replace(found, services=services, broken=left)


def _has_inputs(bound: Bound, view: BoundOnDemand) -> bool:
    """Whether all inputs of a view are there as it knows them."""
    there = {name: set(view_of(bound, name).by_name) for name in bound.names}
    return all(feature in there.get(name, ()) for name, feature in view.inputs.values())


def _has_members(bound: Bound, before: Bound, service: str) -> bool:
    try:
        return bool(members(bound, before.services[service]))
    except RequestError:
        return False
