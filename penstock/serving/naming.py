"""What a request names: features of views, resolved to what has to be read and to what the answer is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from penstock.errors import RequestError
from penstock.features.views.bound import Bound, BoundFeature, BoundOnDemand, BoundView
from penstock.schema import Dtype
from penstock.serving.faults import unknown
from penstock.serving.tables import instants


@dataclass(frozen=True)
class Named:
    """Features that are asked for together.

    ``keys`` are the columns of all their entities, ``entities`` those of each, ``requested`` the columns that on-demand
    features take from the request, ``instants`` those of either that hold instants, ``views`` the views, each once.
    """

    features: tuple[str, ...]
    dtypes: tuple[Dtype, ...]
    keys: tuple[str, ...]
    entities: tuple[tuple[str, ...], ...]
    requested: tuple[str, ...]
    views: tuple[str, ...]
    instants: tuple[str, ...]

    def given(self, columns: Mapping[str, list[object]]) -> tuple[dict[str, list[object]], dict[str, list[object]]]:
        """A request's columns as keys and as what on-demand features take.

        A part of a key that is missing is NULL in all rows. Raises ``RequestError`` where all parts are, or where a
        column of the request is.
        """
        for entity in self.entities:
            if not any(name in columns for name in entity):
                raise _missing_key(entity, columns)
        if lacking := [name for name in self.requested if name not in columns]:
            message = f"the request has no {', '.join(lacking)}, which on-demand features need"
            raise RequestError("SERVE_REQUESTED", message, name=lacking[0], candidates=columns)
        rows = max((len(columns[name]) for name in self.keys if name in columns), default=0)
        if self.instants:
            columns = {name: instants(column) if name in self.instants else column for name, column in columns.items()}
        absent: list[object] = [None] * rows
        keys = {name: columns.get(name, absent) for name in self.keys}
        return keys, {name: columns[name] for name in self.requested}


def _missing_key(entity: Sequence[str], columns: Mapping[str, object]) -> RequestError:
    message = f"the request says no {' and no '.join(entity)}"
    return RequestError("SERVE_KEY", message, name=entity[0], candidates=list(columns)[:20])


def named(bound: Bound, features: Sequence[str], *, full: bool) -> Named:
    """Features by name (``view:feature``; ``view`` alone: all of it). Raises ``RequestError`` for what there is not."""
    refs = [ref for text in features for ref in _refs(bound, text)]
    found = [_feature(bound, *ref) for ref in refs]
    _must_differ(refs, full=full)
    views = tuple(dict.fromkeys(view for view, _ in refs))
    below = [one for view in views for one in _below(bound, view)]
    entities = {one.entity.keys: one.entity for one in below if isinstance(one, BoundView)}
    requested = {
        name: dtype for one in below if isinstance(one, BoundOnDemand) for name, dtype in one.requested.items()
    }
    kinds = {name: dtype for one in entities.values() for name, dtype in zip(one.keys, one.dtypes, strict=True)}
    return Named(
        tuple(f"{view}:{feature}" for view, feature in refs),
        tuple(one.dtype for one in found),
        tuple(kinds),
        tuple(entities),
        tuple(requested),
        views,
        tuple(name for name, dtype in (kinds | requested).items() if dtype is Dtype.TIMESTAMP),
    )


def service_features(bound: Bound, name: str) -> tuple[str, ...]:
    """The features of a service. Raises ``RequestError`` (``SERVE_SERVICE``)."""
    if name not in bound.services:
        raise unknown("SERVE_SERVICE", "feature service", name, bound.services)
    return bound.services[name].features


def view_of(bound: Bound, name: str, code: str = "SERVE_VIEW") -> BoundView | BoundOnDemand:
    """A view by name. Raises ``RequestError`` (``code``)."""
    view = bound.views.get(name) or bound.on_demand.get(name)
    if view is None:
        what = "push source" if code == "SERVE_PUSH_SOURCE" else "feature view"
        raise unknown(code, what, name, [*bound.views, *bound.on_demand])
    return view


def _refs(bound: Bound, text: str) -> list[tuple[str, str]]:
    view, mark, feature = text.partition(":")
    if mark:
        return [(view, feature)]
    return [(view, one.name) for one in view_of(bound, view).features]


def _feature(bound: Bound, view: str, name: str) -> BoundFeature:
    there = view_of(bound, view)
    try:
        return there.feature(name)
    except (KeyError, StopIteration):
        raise unknown("SERVE_FEATURE", f"feature of {view}", name, [one.name for one in there.features]) from None


def _must_differ(refs: Sequence[tuple[str, str]], *, full: bool) -> None:
    names = Counter(f"{view}__{feature}" if full else feature for view, feature in refs)
    name, times = next(iter(names.most_common(1)), ("", 0))
    if times > 1:
        hint = None if full else "Set full_feature_names."
        raise RequestError("SERVE_NAMES", f"{times} features would be called {name!r}", name=name, hint=hint)


def _below(bound: Bound, view: str) -> Iterator[BoundView | BoundOnDemand]:
    """A view and those that it takes its inputs from."""
    there = view_of(bound, view)
    yield there
    if isinstance(there, BoundOnDemand):
        for name in dict.fromkeys(view for view, _ in there.inputs.values()):
            yield from _below(bound, name)
