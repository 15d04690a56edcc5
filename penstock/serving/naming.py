"""What a request names: features of views, resolved to what has to be read and to what the answer is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from penstock.errors import FailedError, PenstockError, RequestError
from penstock.features.views.bound import Bound, BoundOnDemand, BoundView
from penstock.features.views.broken import What
from penstock.features.views.chosen import needed, output_names, resolve, view_of
from penstock.online.pushing import SOURCE, view_of_source
from penstock.schema import Dtype
from penstock.serving.faults import unknown
from penstock.serving.tables import instants


@dataclass(frozen=True)
class Named:
    """Features that are asked for together.

    ``dtypes`` are theirs, ``keys`` the columns of all their entities, ``entities`` those of each, ``requested`` the
    columns that on-demand features take from the request, ``instants`` those of either that hold instants, ``views``
    the views that the answer tells of, each once. ``full``: features are called ``view__feature``.
    """

    features: tuple[str, ...]
    dtypes: tuple[Dtype, ...]
    keys: tuple[str, ...]
    entities: tuple[tuple[str, ...], ...]
    requested: tuple[str, ...]
    instants: tuple[str, ...]
    views: tuple[str, ...]
    full: bool

    @cached_property
    def usual(self) -> frozenset[str] | None:
        """The columns of a request that has all keys and nothing else; None where more is needed."""
        return None if self.requested else frozenset(self.keys)

    def given(self, columns: dict[str, list[object]]) -> tuple[dict[str, list[object]], dict[str, list[object]]]:
        """A request's columns as keys and as what on-demand features take.

        A part of a key that is missing is NULL in all rows. Raises ``RequestError`` where all parts are, or where a
        column of the request is.
        """
        if not self.instants and columns.keys() == self.usual:
            return columns, {}
        for entity in self.entities:
            if not any(name in columns for name in entity):
                raise _missing_key(entity, columns)
        if lacking := [name for name in self.requested if name not in columns]:
            message = f"the request has no {', '.join(lacking)}, which on-demand features need"
            raise RequestError("SERVE_REQUESTED", message, hint="Say it beside the keys, in entities.")
        rows = max((len(columns[name]) for name in self.keys if name in columns), default=0)
        if self.instants:
            columns = {name: instants(column) if name in self.instants else column for name, column in columns.items()}
        absent: list[object] = [None] * rows
        keys = {name: columns.get(name, absent) for name in self.keys}
        return keys, {name: columns[name] for name in self.requested}


def _missing_key(entity: Sequence[str], columns: Mapping[str, object]) -> RequestError:
    said = f": it says {', '.join(list(columns)[:20])}" if columns else ""
    return RequestError("SERVE_KEY", f"the request says no {' and no '.join(entity)}{said}")


def named(bound: Bound, features: str | Sequence[str], *, full: bool) -> Named:
    """A service by name, or features (``view:feature``). Raises ``RequestError`` for what there is not."""
    chosen = resolve(bound, features)
    output_names(chosen, full)
    views = tuple(dict.fromkeys(one.view for one in chosen))
    read = dict.fromkeys(one.view for one in needed(bound, chosen))
    entities = {bound.views[name].entity.keys: bound.views[name].entity for name in read}
    keys = {name: dtype for one in entities.values() for name, dtype in zip(one.keys, one.dtypes, strict=True)}
    requested = {name: dtype for view in views for name, dtype in _requested(bound, view)}
    return Named(
        tuple(map(str, chosen)),
        tuple(view_of(bound, one.view).feature(one.feature).dtype for one in chosen),
        tuple(keys),
        tuple(entities),
        tuple(requested),
        tuple(name for name, dtype in (keys | requested).items() if dtype is Dtype.TIMESTAMP),
        views,
        full,
    )


def _requested(bound: Bound, view: str) -> Iterator[tuple[str, Dtype]]:
    """The columns that an on-demand view, or one of its inputs, takes from the request."""
    if (demanded := bound.on_demand.get(view)) is not None:
        yield from demanded.requested.items()
        for name in dict.fromkeys(name for name, _ in demanded.inputs.values()):
            yield from _requested(bound, name)


def check_names(bound: Bound, service: str | None, features: Sequence[str]) -> None:
    """Whether services and views are there, said so that Feast's clients know what is not. Raises ``RequestError``."""
    if service is not None and service not in bound.services:
        _must_not_be_broken(bound, "service", service)
        raise unknown("SERVE_SERVICE", "feature service", service, bound.services)
    for ref in features if service is None else ():
        name, colon, _ = ref.partition(":")
        if colon:
            known_view(bound, name)


def _must_not_be_broken(bound: Bound, what: What, name: str) -> None:
    """Raise ``FailedError`` (``FEATURE_BROKEN``) for a broken definition: whoever asks for it did nothing wrong."""
    try:
        bound.must_not_be_broken(what, name)
    except PenstockError as error:
        raise FailedError("FEATURE_BROKEN", f"the {what} {name} is broken: {error.message}", name=name) from error


def known_view(bound: Bound, name: str) -> BoundView | BoundOnDemand:
    """A view by name. Raises ``RequestError`` (``SERVE_VIEW``)."""
    view = bound.views.get(name) or bound.on_demand.get(name)
    if view is None:
        _must_not_be_broken(bound, "view", name)
        raise unknown("SERVE_VIEW", "feature view", name, [*bound.views, *bound.on_demand])
    return view


def known_source(bound: Bound, name: str) -> BoundView | BoundOnDemand:
    """A view by its name or its tag ``push_source``. Raises ``RequestError`` (``SERVE_PUSH_SOURCE``)."""
    view = view_of_source(bound, name) or bound.on_demand.get(name)
    if view is None:
        tags = (view.about.tags.get(SOURCE) for view in bound.views.values())
        raise unknown("SERVE_PUSH_SOURCE", "push source", name, {*bound.views, *filter(None, tags)})
    return view
