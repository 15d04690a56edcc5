"""Served values worked out again: the same features of the same entities at the instants at which they were asked.

What training would read for that instant is the truth. Where a value differs, it is worked out in other ways until one
gives what was served: that way is the cause.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Protocol

import numpy as np
import pyarrow as pa

from penstock.features.views.bound import Bound, BoundView
from penstock.online.answer import Status
from penstock.online.beside import NOTHING, Beside
from penstock.online.verifying.served import Entry
from penstock.online.verifying.verdict import EXAMPLES, Cause, Difference, Example, FeatureVerdict, Verified
from penstock.plan import Aggregate, Latest
from penstock.schema import Dtype

_CLOSE = 1e-12
_MOMENT = 1_000_000
"""Within so many microseconds everybody has noticed that a view was switched, those on other machines included."""
_MOMENTS = 64
"""So many moments, the last ones, are looked at for each answer that differs."""
_ROUNDED = ("SUM", "AVG", "VAR", "STDDEV", "TREND", "ENTROPY", "MEAN_OF", "SPREAD_OF")


class Recomputed(Protocol):
    """How values are worked out again: ``spine`` has the key columns of the view's entity and ``cutoff``.

    ``known`` leaves out rows that became known after that instant, whatever the cutoff; ``ages`` False ignores the
    maximum age. One column a feature, in the spine's order.
    """

    def __call__(
        self, view: BoundView, features: Sequence[str], spine: pa.Table, *, known: int | None, ages: bool
    ) -> pa.Table:
        """The features' values."""
        ...


@dataclass
class _Tally:
    """A feature's counts in the making."""

    checked: int = 0
    alone: int = 0
    differences: Counter[Difference] = field(default_factory=Counter)
    causes: Counter[Cause] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def finished(self, feature: str) -> FeatureVerdict:
        """The feature's verdict."""
        d = self.differences
        counts = (d["mismatch"], d["missing"], d["extra"])
        return FeatureVerdict(feature, self.checked, *counts, self.alone, dict(self.causes), tuple(self.examples))


@dataclass(frozen=True)
class _Asked:
    """Logged answers about one view that can be worked out together: a row for each entity and request.

    ``rows`` are the places of the keys in the table of all keys.
    """

    view: BoundView
    features: tuple[str, ...]
    rows: np.ndarray
    at: np.ndarray
    kept: np.ndarray
    versions: tuple[str, ...]
    served: tuple[list[object], ...]
    statuses: tuple[list[int], ...]
    alone: tuple[bool, ...]


def verify(
    bound: Bound,
    entries: Sequence[Entry],
    keys: Callable[[BoundView], tuple[pa.Table, Sequence[bytes]]],
    again: Recomputed,
    *,
    beside: Callable[[BoundView], Beside] = lambda view: NOTHING,
    moments: Callable[[int, int], np.ndarray] = lambda since, until: np.empty(0, np.int64),
    most: int = 10_000,
    progress: Callable[[str, float], None] = lambda message, share: None,
) -> Verified:
    """Compare logged answers of these definitions with what training reads: the newest ``most`` rows of each view and
    set of features.

    ``keys`` gives a view's entities as a table of its key columns, and their hashes in the same order; ``beside`` tells
    when answers about them may have rested on rows that are in no lake; ``moments`` tells when, after an instant and by
    another, any rows became known (microseconds, rising). Values are equal to the bit; sums and moments
    of fractions to 1e-12 of themselves.
    """
    tallies: dict[str, _Tally] = {}
    served = unknown = 0
    held: dict[str, tuple[pa.Table, dict[bytes, int]]] = {}
    groups = _grouped(sorted(entries, key=lambda one: -one.at), most)
    for number, ((name, features), logged) in enumerate(groups.items()):
        progress(f"working out {name} again", number / len(groups))
        view = bound.views[name]
        if name not in held:
            table, hashes = keys(view)
            held[name] = table, {key: row for row, key in enumerate(hashes)}
        alone = beside(view)
        asked, lost = _asked(view, features, logged, held[name][1], alone)
        _count_strangers(view, features, logged, held[name][1], alone, tallies)
        served, unknown = served + len(asked.at) + lost, unknown + lost
        if len(asked.at):
            _compare(asked, held[name][0].take(pa.array(asked.rows)), again, moments, tallies)
    verdicts = [tally.finished(feature) for feature, tally in sorted(tallies.items())]
    return Verified(tuple(verdicts), served, unknown)


def answered_by(
    bound: Bound, entries: Iterable[Entry], since: Callable[[BoundView], int] = lambda view: 0
) -> tuple[list[Entry], list[Entry]]:
    """The answers that these definitions have to stand for, and the others.

    ``since`` tells from which instant on (microseconds) a view is served by its definition without a break. What was
    answered before it answered for the first time since then is another's, and so it is for a moment after: not all who
    answer notice a switch at once. Whoever answers by another one after that is found out.
    """
    kept, first, began = list(entries), dict[str, int](), dict[str, int]()
    present = [one for one in kept if one.view in bound.views and one.version == bound.views[one.view].fingerprint]
    for one in present:
        if one.view not in began:
            began[one.view] = since(bound.views[one.view])
        if one.at >= began[one.view]:
            first[one.view] = min(one.at, first.get(one.view, one.at))
    mine = [_defines(bound, one) and _is_asked(bound, one, first.get(one.view)) for one in kept]
    return list(compress(kept, mine)), [one for one, is_mine in zip(kept, mine, strict=True) if not is_mine]


def _is_asked(bound: Bound, entry: Entry, first: int | None) -> bool:
    """Whether a definition that answered ``first`` then has to stand for an answer."""
    if first is None:
        return False
    return entry.at >= first if entry.version == bound.views[entry.view].fingerprint else entry.at >= first + _MOMENT


def _defines(bound: Bound, entry: Entry) -> bool:
    """Whether the features of an answer are there still."""
    view = bound.views.get(entry.view)
    return view is not None and set(entry.features) <= view.by_name.keys()


def _grouped(entries: Iterable[Entry], most: int) -> dict[tuple[str, tuple[str, ...]], list[Entry]]:
    """The newest answers by view and features."""
    groups: dict[tuple[str, tuple[str, ...]], list[Entry]] = {}
    for entry in entries:
        group = groups.setdefault((entry.view, entry.features), [])
        if sum(len(one.keys) for one in group) < most:
            group.append(entry)
    return groups


def _asked(
    view: BoundView, features: tuple[str, ...], logged: Sequence[Entry], places: Mapping[bytes, int],
    alone: Beside,
) -> tuple[_Asked, int]:  # fmt: skip
    """The answers row by row, and how many are about keys that no lake has."""
    rows = [(entry, j, places.get(key, -1)) for entry in logged for j, key in enumerate(entry.keys)]
    known = [(entry, j, place) for entry, j, place in rows if place >= 0]
    many = range(len(features))
    asked = _Asked(
        view,
        features,
        np.array([place for _, _, place in known], np.int64),
        np.array([entry.at for entry, _, _ in known], np.int64),
        np.array([entry.kept for entry, _, _ in known], np.int64),
        tuple(entry.version for entry, _, _ in known),
        tuple([entry.values[i][j] for entry, j, _ in known] for i in many),
        tuple([entry.statuses[i][j] for entry, j, _ in known] for i in many),
        tuple([alone(entry.keys[j], entry.at) for entry, j, _ in known]),
    )
    return asked, len(rows) - len(known)


def _count_strangers(
    view: BoundView, features: tuple[str, ...], logged: Sequence[Entry], places: Mapping[bytes, int],
    alone: Beside, tallies: dict[str, _Tally],
) -> None:  # fmt: skip
    """Count what was served of entities that no row names, of whom training has nothing to tell."""
    for entry in logged:
        for j, key in enumerate(entry.keys):
            if key not in places:
                cause = _cause_of_a_stranger(view, entry, alone=alone(key, entry.at))
                for i, name in enumerate(features):
                    if (served := entry.values[i][j]) is not None:
                        tally = tallies.setdefault(f"{view.name}:{name}", _Tally())
                        tally.checked += 1
                        _note(tally, entry.at, served, None, cause)


def _cause_of_a_stranger(view: BoundView, entry: Entry, *, alone: bool) -> Cause:
    if entry.version != view.fingerprint:
        return "definition version"
    return "online push" if alone else "key"


def _compare(
    asked: _Asked, keys: pa.Table, again: Recomputed, moments: Callable[[int, int], np.ndarray],
    tallies: dict[str, _Tally],
) -> None:  # fmt: skip
    trained = _worked_out(asked, keys, again)
    wrong: dict[int, list[int]] = {}
    for i, name in enumerate(asked.features):
        tally = tallies.setdefault(f"{asked.view.name}:{name}", _Tally())
        tally.checked += len(asked.at)
        alike = _alike(asked.view, name)
        wrong[i] = [j for j, value in enumerate(trained[i]) if not alike(asked.served[i][j], value)]
    rows = sorted({j for found in wrong.values() for j in found})
    if not rows:
        return
    causes = _causes(_only(asked, rows), keys.take(pa.array(rows)), again, moments)
    place = {row: n for n, row in enumerate(rows)}
    for i, name in enumerate(asked.features):
        for j in wrong[i]:
            served, value = asked.served[i][j], trained[i][j]
            cause = causes(i, place[j], served, value)
            _note(tallies[f"{asked.view.name}:{name}"], int(asked.at[j]), served, value, cause)


def _note(tally: _Tally, at: int, served: object, trained: object, cause: Cause) -> None:
    difference: Difference = "missing" if served is None else "extra" if trained is None else "mismatch"
    if cause == "online push":
        tally.alone += 1
    else:
        tally.differences[difference] += 1
    tally.causes[cause] += 1
    if len(tally.examples) < EXAMPLES:
        tally.examples.append(Example(at, difference, cause, served, trained))


def _only(asked: _Asked, rows: Sequence[int]) -> _Asked:
    some = np.array(rows, np.int64)
    return replace(
        asked,
        rows=asked.rows[some],
        at=asked.at[some],
        kept=asked.kept[some],
        versions=tuple(asked.versions[row] for row in rows),
        served=tuple([column[row] for row in rows] for column in asked.served),
        statuses=tuple([column[row] for row in rows] for column in asked.statuses),
        alone=tuple(asked.alone[row] for row in rows),
    )


def _worked_out(
    asked: _Asked, keys: pa.Table, again: Recomputed, *, at: np.ndarray | None = None, known: int | None = None,
    ages: bool = True,
) -> list[list[object]]:  # fmt: skip
    cutoffs = pa.array(asked.at if at is None else at).cast(pa.timestamp("us"))
    spine = keys.append_column("cutoff", cutoffs)
    found = again(asked.view, asked.features, spine, known=known, ages=ages)
    return [[plain(value) for value in found[name].to_pylist()] for name in asked.features]


def _causes(
    asked: _Asked, keys: pa.Table, again: Recomputed, moments: Callable[[int, int], np.ndarray]
) -> Callable[[int, int, object, object], Cause]:
    """Why a value of feature i in row j differs; each other way of working it out is gone once for all rows."""
    alike = [_alike(asked.view, name) for name in asked.features]
    behind = _behind(asked, keys, again)
    ageless = _worked_out(asked, keys, again, ages=False) if asked.view.ttl is not None else None
    elsewhen = _worked_out(asked, keys, again, at=asked.kept)
    meanwhile = _meanwhile(asked, keys, again, moments)

    def cause(i: int, j: int, served: object, trained: object) -> Cause:
        same = alike[i]
        if asked.versions[j] != asked.view.fingerprint:
            return "definition version"
        if _same_in_words(served, trained):
            return "type"
        outside = asked.statuses[i][j] == Status.OUTSIDE_MAX_AGE
        if outside or (ageless is not None and served is not None and trained is None and same(served, ageless[i][j])):
            return "ttl"
        if asked.kept[j] > asked.at[j]:
            return "clock"
        if same(served, behind[i][j]):
            return "late row"
        if same(served, elsewhen[i][j]):
            return "clock"
        if any(same(served, value) for value in meanwhile[i][j]):
            return "late row"
        return "online push" if asked.alone[j] else "unknown"

    return cause


def _behind(asked: _Asked, keys: pa.Table, again: Recomputed) -> list[list[object]]:
    """The values by what the store had followed when it was asked: one pass for each such instant."""
    found: list[list[object]] = [[None] * len(asked.at) for _ in asked.features]
    for known in np.unique(asked.kept):
        rows = np.flatnonzero(asked.kept == known)
        part = _worked_out(_only(asked, rows.tolist()), keys.take(pa.array(rows)), again, known=int(known))
        for i, column in enumerate(part):
            for row, value in zip(rows, column, strict=True):
                found[i][row] = value
    return found


def _meanwhile(
    asked: _Asked, keys: pa.Table, again: Recomputed, moments: Callable[[int, int], np.ndarray]
) -> list[list[list[object]]]:
    """The values as they were while rows became known that the store may have followed in part, in one pass."""
    there = [moments(int(since), int(at))[-_MOMENTS:] for since, at in zip(asked.kept, asked.at, strict=True)]
    rows = np.repeat(np.arange(len(there)), [len(some) for some in there])
    found: list[list[list[object]]] = [[[] for _ in there] for _ in asked.features]
    if len(rows):
        some = _only(asked, rows.tolist())
        worked_out = _worked_out(some, keys.take(pa.array(rows)), again, at=np.concatenate(there))
        for i, column in enumerate(worked_out):
            for row, value in zip(rows, column, strict=True):
                found[i][row].append(value)
    return found


def _alike(view: BoundView, feature: str) -> Callable[[object, object], bool]:
    """How values of a feature are compared: those that are rounded sums of fractions within 1e-12 of themselves."""
    one = view.feature(feature)
    rounded = one.dtype is Dtype.FLOAT and any(_is_rounded(node) for node in one.expression.walk())
    return close if rounded else equal


def _is_rounded(node: object) -> bool:
    if isinstance(node, Latest):
        return False
    return (isinstance(node, Aggregate) and node.function in _ROUNDED) or type(node).__name__ in ("Call", "Arithmetic")


def equal(a: object, b: object) -> bool:
    """Whether two values are one: of one type, NaN equal to itself.

    >>> equal(1, 1.0), equal(float("nan"), float("nan")), equal([1], [1])
    (False, True, True)
    """
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


def close(a: object, b: object) -> bool:
    """Whether two numbers differ by no more than 1e-12 of themselves; anything else as `equal`.

    >>> close(0.1 + 0.2, 0.3), close(None, 0.0)
    (True, False)
    """
    if isinstance(a, float) and isinstance(b, float) and math.isfinite(a) and math.isfinite(b):
        return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return equal(a, b)


def _same_in_words(a: object, b: object) -> bool:
    """Whether two values of different types say the same: 1 and 1.0, 7 and "7"."""
    if a is None or b is None or type(a) is type(b):
        return False
    return a == b or str(a) == str(b)


def plain(value: object) -> object:
    """A value as logs hold it: instants as microseconds, all else as it is."""
    if isinstance(value, dt.datetime):
        moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
        return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    if isinstance(value, list) and any(isinstance(one, dt.datetime) for one in value):
        return [plain(one) for one in value]
    return value
