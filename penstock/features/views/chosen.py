"""Which features are asked for, what they are called in an answer, and what is to be read for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from penstock.errors import RequestError
from penstock.features.views.bound import Bound, BoundOnDemand, BoundView, Chosen
from penstock.features.views.declared import Service

MOST = 10_000
"""How many features may be asked for at once."""


def resolve(bound: Bound, features: str | Sequence[str]) -> tuple[Chosen, ...]:
    """The features that are meant, each once, in order: ``view:feature``, ``view:*``, a service, or a feature's name
    that only one view has.

    Raises ``RequestError``: ``FEATURE_UNKNOWN`` with what exists, ``FEATURE_AMBIGUOUS`` and ``FEATURE_TOO_MANY``.
    """
    asked = [features] if isinstance(features, str) else list(_told(features))
    _check_count(len(asked))
    if not asked:
        raise RequestError("FEATURE_NONE", "no features are asked for", candidates=_names(bound))
    found: dict[Chosen, None] = {}
    for ref in asked:
        found.update(dict.fromkeys(_meant(bound, ref)))
        _check_count(len(found))
    return tuple(found)


def view_of(bound: Bound, name: str) -> BoundView | BoundOnDemand:
    """The view called so, stored or on demand.

    Raises ``RequestError``: ``FEATURE_UNKNOWN``, or of a view that is broken why it is.
    """
    found = bound.views.get(name) or bound.on_demand.get(name)
    if found is None:
        bound.must_not_be_broken("view", name)
        raise _unknown(f"there is no view {name!r}", name, bound.names, bound)
    return found


def output_names(chosen: Sequence[Chosen], full: bool | None = None) -> list[str]:
    """What features are called in an answer: by their names, and those that share one as ``view__feature``.

    With ``full`` all are called ``view__feature``; without (False) none is. Raises ``RequestError``
    (``FEATURE_COLLISION``) where two would be called the same.

    >>> output_names([Chosen("a", "x"), Chosen("b", "x"), Chosen("b", "y")])
    ['a__x', 'b__x', 'y']
    """
    times = Counter(one.feature for one in chosen)
    whole = [full if full is not None else times[one.feature] > 1 for one in chosen]
    names = [f"{one.view}__{one.feature}" if long else one.feature for one, long in zip(chosen, whole, strict=True)]
    for name, count in Counter(names).items():
        if count > 1:
            both = [str(one) for one, called in zip(chosen, names, strict=True) if called == name]
            message = f"{' and '.join(both)} would both be called {name}"
            hint = "Ask for full names (view__feature), or for one of them." if not full else "Rename one of them."
            raise RequestError("FEATURE_COLLISION", message, name=name, hint=hint)
    return names


def needed(bound: Bound, chosen: Sequence[Chosen]) -> tuple[Chosen, ...]:
    """The stored features that these are, or rest on, each once. On-demand views are worked out whole."""
    found: dict[Chosen, None] = {}
    seen: set[Chosen] = set()
    waiting = list(reversed(chosen))
    while waiting:
        one = waiting.pop()
        if one.view in bound.views:
            found[one] = None
        elif one not in seen:
            seen.add(one)
            waiting += [Chosen(*place) for place in reversed(list(bound.on_demand[one.view].inputs.values()))]
    return tuple(found)


def _meant(bound: Bound, ref: str) -> Iterator[Chosen]:
    if not isinstance(ref, str):
        raise RequestError("FEATURE_UNKNOWN", f"{ref!r} is no feature's name", hint="Features are named by texts.")
    if ":" not in ref and ref in bound.services:
        yield from members(bound, bound.services[ref])
    else:
        yield from _member(bound, ref)


def members(bound: Bound, service: Service) -> tuple[Chosen, ...]:
    """The features of a service: ``view:feature``, ``view:*``, or a feature's name; no other service.

    Raises ``RequestError`` as `resolve`.
    """
    found = tuple(dict.fromkeys(one for ref in service.features for one in _member(bound, ref)))
    _check_count(len(found))
    return found


def _member(bound: Bound, ref: str) -> Iterator[Chosen]:
    """What is named without services."""
    name, colon, feature = ref.partition(":")
    if colon:
        yield from _of_view(bound, name, feature)
    else:
        yield _alone(bound, ref)


def _told(features: object) -> Iterable[str]:
    if isinstance(features, Iterable):
        return features
    hint = "Give a text, or a list of texts: view:feature."
    raise RequestError("FEATURE_UNKNOWN", f"{features!r} names no features", hint=hint)


def _of_view(bound: Bound, name: str, feature: str) -> Iterator[Chosen]:
    there = view_of(bound, name).by_name
    if feature == "*":
        yield from (Chosen(name, one) for one in there)
    elif feature in there:
        yield Chosen(name, feature)
    else:
        raise _unknown(f"{name} has no feature {feature!r}", feature, list(there), bound)


def _alone(bound: Bound, name: str) -> Chosen:
    """A feature by its bare name."""
    found = [Chosen(view.name, name) for view in _all(bound) if name in view.by_name]
    if len(found) == 1:
        return found[0]
    if not found and name in bound.names:
        hint = f"All of its features are {name}:*"
        there = [f"{name}:{one}" for one in view_of(bound, name).by_name]
        raise RequestError("FEATURE_UNKNOWN", f"{name} is a view, not a feature", candidates=there, hint=hint)
    if not found:
        bound.must_not_be_broken("view", name)
        bound.must_not_be_broken("service", name)
        raise _unknown(
            f"there is no feature or service {name!r}", name, _names(bound), bound, tuple(bound.broken_views)
        )
    message = f"{len(found)} views have a feature {name}"
    hint = f"Say which: {found[0]}."
    raise RequestError("FEATURE_AMBIGUOUS", message, name=name, candidates=map(str, found), hint=hint)


def _all(bound: Bound) -> Iterator[BoundView | BoundOnDemand]:
    yield from bound.views.values()
    yield from bound.on_demand.values()


def _names(bound: Bound) -> list[str]:
    """What can be asked for: services first, then features."""
    return [*bound.services, *(f"{view.name}:{one.name}" for view in _all(bound) for one in view.features)]


def _unknown(message: str, name: str, there: Sequence[str], bound: Bound, broken: tuple[str, ...] = ()) -> RequestError:
    """The error for a name that there is not; ``broken`` views might have it, as files that cannot be read might."""
    hint = "Features are named view:feature, view:* or by a service's name."
    if not bound.names and not bound.broken:
        hint = "None are declared yet: begin with a file features/NAME.pql, or with [features.NAME] in penstock.toml."
    if suspects := (*bound.broken_files, *broken):
        hint = f"It may be declared in {' or '.join(suspects)}, which is broken: penstock features list"
    return RequestError("FEATURE_UNKNOWN", message, name=name, candidates=there, hint=hint)


def _check_count(count: int) -> None:
    if count > MOST:
        message = f"more than {MOST:,} features are asked for at once"
        raise RequestError("FEATURE_TOO_MANY", message, hint="Ask in several requests.")
