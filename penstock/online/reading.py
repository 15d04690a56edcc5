"""Reading features as they are now from an online store: a request is compiled once, and answered many times."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

from penstock.errors import RequestError
from penstock.features.views.bound import Bound, BoundFeature, BoundView, Chosen
from penstock.features.views.chosen import needed, output_names, resolve, view_of
from penstock.online.answer import Online, Status
from penstock.online.answering.held import Held, Rows
from penstock.online.answering.views import Answer, Reader, reader, told
from penstock.online.catalogue import VIEW, ViewState, live
from penstock.online.coercing import asked_rows, entity_keys
from penstock.online.expressions import Column
from penstock.online.holdings import Kept, kept_for
from penstock.online.store import OnlineStore
from penstock.online.texts import Texts
from penstock.online.values import OnDemand, Valued
from penstock.schema import Dtype

Keys = Mapping[str, Sequence[object]]
REMEMBERED = 256
"""How many different requests are kept compiled."""
STALE = 0.05
"""After how many seconds a reader looks whether a view was built anew: sooner than what it replaces can be gone."""
_SYNC = "Run: penstock online sync"


@dataclass(frozen=True)
class Part:
    """The features of one view that a request needs."""

    view: BoundView
    kept: Kept
    chosen: tuple[Chosen, ...]
    reader: Reader


@dataclass(frozen=True)
class Compiled:
    """A request for features, whoever it is about.

    ``order`` says where each output is among what the parts give, one after the other; None where on-demand features
    are among them, which ``outputs`` name. ``dated`` are the outputs that are instants or lists of them.
    """

    names: tuple[str, ...]
    parts: tuple[Part, ...]
    on_demand: tuple[OnDemand, ...]
    outputs: tuple[Chosen, ...]
    order: tuple[int, ...] | None
    dated: tuple[tuple[int, BoundFeature], ...]
    columns: frozenset[str]


class FeatureReader(ABC):
    """Features of entities as they are now, wherever their rows are; ``now`` tells the instant in microseconds.

    ``kept`` is what is kept for views that the graph of ``bound`` cannot tell. Threads may share it.
    """

    def __init__(self, bound: Bound, now: Callable[[], int], kept: Mapping[str, Kept] = MappingProxyType({})) -> None:
        self.bound, self.now = bound, now
        self._compiled: dict[object, Compiled] = {}
        self._kept = dict(kept)

    def kept(self, view: str) -> Kept:
        """What is kept for a stored view. Raises ``RequestError`` (``ONLINE_CANNOT``)."""
        if view not in self._kept:
            self._kept[view] = kept_for(self.bound.views[view], self.bound.graph)
        return self._kept[view]

    @abstractmethod
    def rows(self, parts: Sequence[Part], instant: int) -> tuple[Sequence[Rows], int]:
        """Where the rows of each part are, and until when (microseconds) they are all there."""

    def read(
        self,
        features: str | Sequence[str],
        keys: Keys,
        *,
        requested: Keys | None = None,
        at: int | None = None,
        full_names: bool | None = None,
        lenient: bool = False,
    ) -> Online:
        """The features of the entities that ``keys`` name, column by column, in the request's order.

        ``features`` are ``view:feature``, ``view:*`` or services; ``requested`` has the columns that on-demand
        features take from the request; ``at`` (microseconds) asks for another instant than now, which a store answers
        as long as it still holds what showed then. An entity that is not there, and one of whose key a
        column is NULL or missing, is NOT_FOUND; with ``lenient`` so is one whose key is missing as a whole, and columns
        that nobody needs are let be.

        Raises ``RequestError``: names (``FEATURE_…``), keys (``ENTITY_VALUE``, ``ENTITY_MISSING``, ``ENTITY_UNKNOWN``,
        ``ENTITY_LENGTHS``, ``REQUEST_TOO_MANY``), values (``REQUEST_VALUE``, ``FEATURE_REQUEST_MISSING``,
        ``FEATURE_FUNCTION``), and views that the store does not hold as they are defined (``ONLINE_NOT_SYNCED``,
        ``ONLINE_OTHER_VERSION``); ``StoreError`` for a store that does not answer.
        """
        compiled = self._compile(features, full_names)
        instant = self.now() if at is None else at
        held, kept = self.rows(compiled.parts, instant)
        given: Keys = {**keys, **requested} if requested else keys
        rows = asked_rows(given)
        if not lenient and not keys.keys() <= compiled.columns:
            raise _unknown(keys, compiled)
        found = [
            part.reader.read(one, entity_keys(part.view.entity, keys, rows, lenient=lenient), instant)
            for part, one in zip(compiled.parts, held, strict=True)
        ]
        values, statuses, times = found[0] if len(found) == 1 else _together(found)
        if compiled.order is None:
            values, statuses, times = _with_on_demand(compiled, given, rows, (values, statuses, times))
        elif compiled.order:
            values = [values[place] for place in compiled.order]
            statuses = [statuses[place] for place in compiled.order]
            times = [times[place] for place in compiled.order]
        for place, feature in compiled.dated:
            values[place] = told(values[place], feature.dtype, feature.list_of)
        return Online(compiled.names, values, statuses, times, instant, kept)

    def _compile(self, features: str | Sequence[str], full_names: bool | None) -> Compiled:
        asked = (features if isinstance(features, str) else tuple(features), full_names)
        try:
            compiled = self._compiled.get(asked)
        except TypeError:  # names that are no texts, which resolving them will say
            return self._made(features, full_names)
        if compiled is None:
            compiled = self._made(features, full_names)
            if len(self._compiled) >= REMEMBERED:
                self._compiled.clear()
            self._compiled[asked] = compiled
        return compiled

    def _made(self, features: str | Sequence[str], full_names: bool | None) -> Compiled:
        bound = self.bound
        outputs = resolve(bound, features)
        names = output_names(outputs, full_names)
        parts = tuple(self._parts(needed(bound, outputs)))
        demanded = on_demand(bound, outputs)
        stored = [one for part in parts for one in part.chosen]
        order = None if demanded else tuple(stored.index(one) for one in outputs)
        if order == tuple(range(len(stored))):
            order = ()
        kinds = [view_of(bound, one.view).feature(one.feature) for one in outputs]
        dated = tuple((n, f) for n, f in enumerate(kinds) if Dtype.TIMESTAMP in (f.dtype, f.list_of))
        columns = {name for part in parts for name in part.view.entity.keys}
        columns |= {name for one in demanded for name, _ in one.requested}
        return Compiled(tuple(names), parts, demanded, outputs, order, dated, frozenset(columns))

    def _parts(self, chosen: Sequence[Chosen]) -> list[Part]:
        by_view: dict[str, list[Chosen]] = {}
        for one in chosen:
            by_view.setdefault(one.view, []).append(one)
        made = []
        for name, some in by_view.items():
            kept = self.kept(name)
            made.append(Part(kept.view, kept, tuple(some), reader(kept, [one.feature for one in some])))
        return made


class OnlineReader(FeatureReader):
    """Features of entities as they are now, from a store; ``now`` tells the instant in microseconds.

    Threads may share it. It notices at once that a view was built anew (see `STALE`).
    """

    def __init__(
        self,
        bound: Bound,
        store: OnlineStore,
        now: Callable[[], int],
        kept: Mapping[str, Kept] = MappingProxyType({}),
    ) -> None:
        super().__init__(bound, now, kept)
        self.store = store
        self._held: dict[str, tuple[float, str | None, Held]] = {}

    def rows(self, parts: Sequence[Part], instant: int) -> tuple[Sequence[Rows], int]:
        """The views as the store holds them."""
        held = [self._state(part) for part in parts]
        return held, min([one.state.kept for one in held]) if held else instant

    def _state(self, part: Part) -> Held:
        """The view as the store holds it, looked at again after a while."""
        name, moment = part.view.name, time.monotonic()
        known = self._held.get(name)
        if known is not None and moment - known[0] < STALE:
            return known[2]
        text = self.store.note(VIEW + part.view.kept)
        if known is None or text != known[1]:
            known = (moment, text, self._noticed(part, known and known[2]))
        self._held[name] = (moment, text, known[2])
        return known[2]

    def _noticed(self, part: Part, before: Held | None) -> Held:
        """The view as the store holds it now. Texts read before stay known while their space is the same."""
        state = live(self.store, part.view.kept)
        _check(part, state)
        assert state is not None
        if before is not None and before.state.texts == state.texts:
            return Held(self.store, part.kept, state, before.texts)
        return Held(self.store, part.kept, state, Texts(self.store, state.texts))


def on_demand(bound: Bound, chosen: Sequence[Chosen]) -> tuple[OnDemand, ...]:
    """The on-demand views that features rest on, each after those that it needs."""
    names: dict[str, dict[str, None]] = {}
    order: dict[str, None] = {}

    def ask(one: Chosen) -> None:
        if one.view not in bound.on_demand:
            return
        for place in bound.on_demand[one.view].inputs.values():
            ask(Chosen(*place))
        names.setdefault(one.view, {})[one.feature] = None
        order[one.view] = None

    for one in chosen:
        ask(one)
    return tuple(OnDemand.of(bound, bound.on_demand[name], list(names[name])) for name in order)


def _together(found: Sequence[Answer]) -> Answer:
    """What several parts give, one after the other."""
    values, statuses, times = zip(*found, strict=True) if found else ((), (), ())
    return Answer(list(chain(*values)), list(chain(*statuses)), list(chain(*times)))


def _with_on_demand(
    compiled: Compiled,
    given: Keys,
    rows: int,
    read: tuple[list[Column], list[list[Status]], list[list[int | None]]],
) -> tuple[list[Column], list[list[Status]], list[list[int | None]]]:
    """The outputs, where some are worked out from what was read."""
    stored = [one for part in compiled.parts for one in part.chosen]
    found = {one: Valued(*told_of) for one, *told_of in zip(stored, *read, strict=True)}
    for view in compiled.on_demand:
        found |= view.work(found, given, rows)
    chosen = [found[one] for one in compiled.outputs]
    return [one.values for one in chosen], [list(one.statuses) for one in chosen], [one.times for one in chosen]


def _check(part: Part, state: ViewState | None) -> None:
    """Whether the store holds a view as it is defined."""
    view = part.view
    if state is None:
        message = f"the online store does not hold {view.kept}"
        raise RequestError("ONLINE_NOT_SYNCED", message, name=view.kept, hint=_SYNC)
    if state.version != view.fingerprint or not state.holds(part.kept):
        message = f"the online store holds another version of {view.kept} than is defined"
        raise RequestError("ONLINE_OTHER_VERSION", message, name=view.kept, hint=_SYNC)


def _unknown(keys: Keys, compiled: Compiled) -> RequestError:
    unknown = sorted(keys.keys() - compiled.columns)
    message = f"no entity of the features asked for has a key {unknown[0]}"
    return RequestError("ENTITY_UNKNOWN", message, name=unknown[0], candidates=sorted(compiled.columns))
