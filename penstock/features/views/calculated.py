"""On-demand views: features worked out from others and from a request, each after those that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from penstock import language
from penstock.errors import QueryError, RequestError
from penstock.expression import Expr
from penstock.features.views.bound import BoundFeature, BoundOnDemand, BoundView, Input
from penstock.features.views.declared import OnDemandView
from penstock.features.views.meaning import code, fingerprint
from penstock.features.views.values import dtype_of, misplaced
from penstock.schema import Dtype


@dataclass(frozen=True)
class Calculations:
    """On-demand views in the making; each is bound once, when it or another that needs it is asked for."""

    declared: Mapping[str, OnDemandView]
    stored: Mapping[str, BoundView]
    done: dict[str, BoundOnDemand] = field(default_factory=dict)

    def bound(self, name: str, above: tuple[str, ...] = ()) -> BoundOnDemand:
        """An on-demand view. Raises ``RequestError`` for what it cannot rest on: what is not there, or itself."""
        view = self.declared[name]
        if name in above:
            circle = " needs ".join([*above[above.index(name) :], name])
            hint = "Take one of these inputs out."
            raise RequestError("FEATURE_CIRCLE", view.about.said(circle), name=name, hint=hint)
        if name not in self.done:
            self.done[name] = self._bound(view, (*above, name))
        return self.done[name]

    def _bound(self, view: OnDemandView, above: tuple[str, ...]) -> BoundOnDemand:
        twice = view.inputs.keys() & view.requested.keys()
        if twice:
            message = f"{view.name}: {', '.join(sorted(twice))} is an input and comes with the request, too"
            raise RequestError("FEATURE_TWICE", view.about.said(message), hint="Call one of them something else.")
        inputs = {called: self._input(view, called, ref, above) for called, ref in view.inputs.items()}
        found = {called: self._feature(place, above) for called, place in inputs.items()}
        dtypes = {called: one.dtype for called, one in found.items()} | dict(view.requested)
        meant = {called: one.fingerprint for called, one in found.items()}
        features = tuple(_feature(view, name, told, dtypes, meant) for name, told in view.features.items())
        version = fingerprint(sorted((one.name, one.fingerprint) for one in features))
        return BoundOnDemand(view.name, inputs, dict(view.requested), features, view.function, view.about, version)

    def _input(self, view: OnDemandView, called: str, ref: str, above: tuple[str, ...]) -> tuple[str, str]:
        """Which feature an input is. Raises ``RequestError`` (``FEATURE_UNKNOWN``)."""
        name, colon, feature = ref.partition(":")
        known = {**self.stored, **self.declared}
        if not colon or name not in known:
            message = f"{view.name}: input {called} is {ref!r}, and there is no such view"
            there = [f"{one}:…" for one in known if one != view.name]
            hint = "An input is a view's feature: view:feature."
            raise RequestError("FEATURE_UNKNOWN", view.about.said(message), name=ref, candidates=there, hint=hint)
        names = [one.name for one in self._view(name, above).features]
        if feature not in names:
            message = f"{view.name}: input {called} is {ref!r}, and {name} has no feature {feature!r}"
            raise RequestError("FEATURE_UNKNOWN", view.about.said(message), name=feature, candidates=names)
        return name, feature

    def _view(self, name: str, above: tuple[str, ...]) -> BoundView | BoundOnDemand:
        return self.stored[name] if name in self.stored else self.bound(name, above)

    def _feature(self, place: tuple[str, str], above: tuple[str, ...]) -> BoundFeature:
        view, feature = place
        return self._view(view, above).feature(feature)


def _feature(
    view: OnDemandView, name: str, told: str, dtypes: Mapping[str, Dtype], meant: Mapping[str, str]
) -> BoundFeature:
    """A feature of an on-demand view: by what is calculated, or by the code of its function."""
    if view.function is None:
        expression = _expression(view, name, told, dtypes)
        dtype = dtype_of(expression)
        return BoundFeature(
            name, expression, dtype, fingerprint(expression.map(lambda one: _meaning(one, meant)), dtype)
        )
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
