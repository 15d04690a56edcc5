"""Views as they were, where they are broken now or a store holds them so still: it can be read on by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from penstock.errors import RequestError
from penstock.features.views.bound import Bound, BoundOnDemand, BoundView
from penstock.features.views.chosen import members, view_of
from penstock.features.views.declared import Service

T = TypeVar("T")


def with_former(now: Bound, before: Bound, views: Mapping[str, BoundView]) -> Bound:
    """The definitions, with these views as they were ``before`` instead of as they are now, if they are.

    On-demand views and services that do not fit any more are as they were, where all that they rest on is there. The
    graph is that of now: it tells nothing of what came along.
    """
    found = replace(now, views={**now.views, **views}, on_demand={})
    for name in dict.fromkeys((*now.on_demand, *before.on_demand)):
        told = _told(name, now, now.on_demand, before.on_demand)
        fitting = next((one for one in told if _has_inputs(found, one)), None)
        found = found if fitting is None else replace(found, on_demand={**found.on_demand, name: fitting})
    services: dict[str, Service] = {}
    for name in dict.fromkeys((*now.services, *before.services)):
        told_ = _told(name, now, now.services, before.services)
        service = next((one for one in told_ if _has_members(found, one)), None)
        services |= {} if service is None else {name: service}
    there = {"view": {*found.views, *found.on_demand}, "service": {*services}}
    left = tuple(one for one in now.broken if one.name not in there.get(one.what, ()))
    return replace(found, services=services, broken=left)


def _told(name: str, bound: Bound, now: Mapping[str, T], before: Mapping[str, T]) -> list[T]:
    """What is called so now, and what was; of what is gone, nothing."""
    is_there = name in now or any(one.name == name for one in bound.broken)
    return [told[name] for told in (now, before) if is_there and name in told]


def _has_inputs(bound: Bound, view: BoundOnDemand) -> bool:
    """Whether all inputs of a view are there as it knows them."""
    there = {name: set(view_of(bound, name).by_name) for name in bound.names}
    return all(feature in there.get(name, ()) for name, feature in view.inputs.values())


def _has_members(bound: Bound, service: Service) -> bool:
    try:
        return bool(members(bound, service))
    except RequestError:
        return False
