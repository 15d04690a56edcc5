"""On-demand views: features worked out from others and from a request, each after those that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from penstock import language
from penstock.errors import QueryError, RequestError
from penstock.expression import Expr
from penstock.features.views.bound import BoundFeature, BoundOnDemand, BoundView, Input
from penstock.features.views.broken import Sieve
from penstock.features.views.declared import OnDemandView
from penstock.features.views.meaning import code, fingerprint
from penstock.features.views.values import dtype_of, misplaced
from penstock.schema import Dtype


def calculated(
    declared: Mapping[str, OnDemandView], stored: Mapping[str, BoundView], sieve: Sieve
) -> dict[str, BoundOnDemand]:
    """The on-demand views, in the order in which they are declared.

    Held back are those that rest on what is not there (``FEATURE_UNKNOWN``), is broken (``FEATURE_BROKEN``), or on
    themselves (``FEATURE_CIRCLE``).
    """
    known: dict[str, BoundView | BoundOnDemand] = dict(stored)
    made: dict[str, BoundOnDemand] = {}
    for name in _ordered(declared, sieve):
        with sieve.over("view", name):
            known[name] = made[name] = _bound(declared[name], known, declared, sieve)
    return {name: made[name] for name in declared if name in made}


def _ordered(declared: Mapping[str, OnDemandView], sieve: Sieve) -> list[str]:
    """The views, each after those that it rests on; circles are held back."""
    below = {name: set(_below(view)) & declared.keys() for name, view in declared.items()}
    while True:
        try:
            return list(TopologicalSorter(below).static_order())
        except CycleError as error:
            circle = error.args[1][::-1]
        for at, name in enumerate(circle[:-1]):
            told = [*circle[at:-1], *circle[: at + 1]]
            message = declared[name].about.said(" needs ".join(told))
            hint = "Take one of these inputs out."
            sieve.hold("view", name, RequestError("FEATURE_CIRCLE", message, name=name, hint=hint))
        below = {name: needs - {*circle} for name, needs in below.items() if name not in circle}


def _below(view: OnDemandView) -> list[str]:
    return [ref.partition(":")[0] for ref in view.inputs.values()]


def _bound(
    view: OnDemandView,
    known: Mapping[str, BoundView | BoundOnDemand],
    declared: Mapping[str, OnDemandView],
    sieve: Sieve,
) -> BoundOnDemand:
    twice = view.inputs.keys() & view.requested.keys()
    if twice:
        message = f"{view.name}: {', '.join(sorted(twice))} is an input and comes with the request, too"
        raise RequestError("FEATURE_TWICE", view.about.said(message), hint="Call one of them something else.")
    for called, ref in view.inputs.items():
        name = ref.partition(":")[0]
        message = f"{view.name}: {name}, which has the input {called}, is broken"
        sieve.must_be_sound("view", name, view.about.said(message))
    inputs = {called: _input(view, called, ref, known, declared) for called, ref in view.inputs.items()}
    found = {called: known[name].feature(feature) for called, (name, feature) in inputs.items()}
    features = tuple(_feature(view, name, told, found) for name, told in view.features.items())
    version = fingerprint(sorted((one.name, one.fingerprint) for one in features))
    return BoundOnDemand(view.name, inputs, dict(view.requested), features, view.function, view.about, version)


def _input(
    view: OnDemandView,
    called: str,
    ref: str,
    known: Mapping[str, BoundView | BoundOnDemand],
    declared: Mapping[str, OnDemandView],
) -> tuple[str, str]:
    """Which feature an input is. Raises ``RequestError`` (``FEATURE_UNKNOWN``)."""
    name, colon, feature = ref.partition(":")
    if not colon or name not in known:
        message = f"{view.name}: input {called} is {ref!r}, and there is no such view"
        there = [f"{one}:…" for one in {**known, **declared} if one != view.name]
        hint = "An input is a view's feature: view:feature."
        raise RequestError("FEATURE_UNKNOWN", view.about.said(message), name=ref, candidates=there, hint=hint)
    if feature not in known[name].by_name:
        message = f"{view.name}: input {called} is {ref!r}, and {name} has no feature {feature!r}"
        names = known[name].by_name
        raise RequestError("FEATURE_UNKNOWN", view.about.said(message), name=feature, candidates=names)
    return name, feature


def _feature(view: OnDemandView, name: str, told: str, inputs: Mapping[str, BoundFeature]) -> BoundFeature:
    """A feature of an on-demand view: by what is calculated, or by the code of its function."""
    meant = {called: one.fingerprint for called, one in inputs.items()}
    if view.function is None:
        dtypes = {called: one.dtype for called, one in inputs.items()} | dict(view.requested)
        expression = _expression(view, name, told, dtypes)
        dtype = dtype_of(expression)
        version = fingerprint(expression.map(lambda one: _meaning(one, meant)), dtype)
        given = inputs.get(expression.name) if isinstance(expression, Input) else None
        return BoundFeature(name, expression, dtype, version, given.list_of if given is not None else None)
    dtype = _dtype(view, name, told)
    version = fingerprint(
        code(view.source),
        name,
        dtype,
        sorted(meant.items()),
        sorted((one, str(it)) for one, it in view.requested.items()),
    )
    return BoundFeature(name, Input(name, dtype), dtype, version, Dtype.STRING if dtype is Dtype.LIST else None)


def _expression(view: OnDemandView, name: str, text: str, dtypes: Mapping[str, Dtype]) -> Expr:
    try:
        return language.calculation(text, dtypes)
    except QueryError as error:
        raise misplaced(error, view.about.said(f"{view.name}:{name}: {error.message}", name)) from error


def _meaning(node: Expr, meant: Mapping[str, str]) -> Expr:
    """An input as the feature that it is, whatever it is called here."""
    return replace(node, name=meant[node.name]) if isinstance(node, Input) and node.name in meant else node


def _dtype(view: OnDemandView, name: str, told: str) -> Dtype:
    if told not in list(Dtype) or told == Dtype.OTHER:
        message = view.about.said(f"{view.name}:{name} would be {told!r}, which is no dtype")
        raise RequestError("FEATURE_DTYPE", message, name=told, candidates=[one for one in Dtype if one != Dtype.OTHER])
    return Dtype(told)
