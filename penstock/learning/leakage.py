"""Which columns know the future: those overwritten since their row began, judged by the rows that followed.

A table that keeps only the latest of its rows shows, for a row of last year, what is true today. The audit looks for
columns that are totals of what was still to come, that explain the future as only an effect of it can, that grow with
a row's age as counters do, or that are dates set anew each time. Everything is measured on rows that had happened by
an instant, cutoffs and futures inside the data before it, so that no row after the first test cutoff decides anything.

The words of a name never decide alone: they lower what the values must show. An attribute that merely goes with
activity, such as an income, stays; what no test can tell from an effect is kept and asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow.compute as pc

from penstock.inference.clocks import EDITED, ENDED
from penstock.inference.overrides import BY_HAND
from penstock.inference.words import words
from penstock.learning.activity import Stream, Watched, pointed, watch
from penstock.learning.calibrate import Floats
from penstock.learning.evidence import Around, Sight, around, rank_correlation
from penstock.learning.findings import Finding
from penstock.plan import Rows
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.window import Unit

COLLIDES = 4.0
"""Standard errors below zero at which past and future, a column held still, are sure to move against each other."""
FORESEES = 0.8
"""The partial correlation with the future, given the past, that no cause of a random process reaches."""
TELLS, ASKS = 0.35, 0.5
"""Those from which on a column that says twice as much of the future as of the past is left out if its name speaks of
a state, and asked about otherwise: an honest cause of leaving, such as a contract's length, does the same."""
GROWS, GROWS_ALONE = 0.1, 0.2
"""Rank correlations with a row's age: for a name that speaks of change, beside another sign, and alone."""
TIED = 0.5
"""The share of rows a total must equal, none falling short of it."""
FEWEST, FEWEST_TIED = 100, 30
"""Of rows that are compared, and of those that a total must equal."""
MOST_CATEGORIES = 39

MUTABLE = frozenset({
    "active", "answers", "balance", "changed", "churned", "clicks", "closed", "comments", "count", "counts", "current",
    "downloads", "downvotes", "edited", "editor", "favorite", "favorites", "follower", "followers", "hits",
    "impressions", "karma", "last", "latest", "level", "lifetime", "like", "likes", "ltv", "members", "modified",
    "plays", "points", "rank", "rating", "reads", "recent", "replies", "reputation", "score", "scores", "shares",
    "status", "stock", "total", "totals", "updated", "upvotes", "view", "views", "visits", "vote", "votes",
})  # fmt: skip
"""Words of columns that are usually overwritten."""
_OVERWRITTEN = frozenset({"current", "editor", "last", "latest", "recent"}) | EDITED
_STATES = frozenset({"active", "balance", "churned", "closed", "status"}) | _OVERWRITTEN


@dataclass(frozen=True)
class Speaks:
    """What a name says: that its values change, and that they are a state."""

    of_change: bool
    of_state: bool


@dataclass(frozen=True)
class Looked:
    """A column's values as numbers: NULL below all others, categories as codes; ``there`` tells what is no NULL."""

    column: Column
    values: Floats
    there: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def categories(self) -> bool:
        """Whether the numbers are mere codes."""
        return self.column.kind is not Kind.NUMERICAL

    def says(self, some: frozenset[str] = MUTABLE) -> bool:
        """Whether the column's name has one of these words: of those that speak of change."""
        return bool(some & set(words(self.column.name)))


def inspect(rows: Rows, places: Iterable[tuple[str, str]], undated: Iterable[Link], until: int) -> tuple[Finding, ...]:
    """What there is to say of these columns (table, name), and of rows without a time that these links lead to.

    Columns of tables that say when each version was known are not looked at: they tell what was true when.
    """
    found: list[Finding] = []
    for name, some in groupby(sorted(set(places)), key=lambda place: place[0]):
        table = rows.graph.table(name)
        columns = [c for c in (table.column(column) for _, column in some) if _suspect(table, c)]
        if columns:
            found += _of_table(watch(rows, table, columns, until), columns)
    for link in sorted(set(undated), key=str):
        found += _of_link(rows, link, until)
    return tuple(found)


def _suspect(table: Table, column: Column) -> bool:
    """Whether a column may be overwritten at all: no clock, no key, of a table that keeps no versions."""
    if table.known is not None or column.name in (*table.keys, table.happened, table.ends, table.deleted):
        return False
    return column.dtype is Dtype.TIMESTAMP or column.kind in (Kind.NUMERICAL, Kind.CATEGORICAL)


def _of_table(watched: Watched, columns: Sequence[Column]) -> list[Finding]:
    looked = [look(watched, column) for column in columns if column.dtype is not Dtype.TIMESTAMP]
    prepared = [a for stream in watched.streams for a in around(watched, stream)]
    found = {one.column.name: _of_column(watched, prepared, one) for one in looked}
    if any(f is not None and f.kind == "snapshot" and f.action == "dropped" for f in found.values()):
        also = ((one.column.name, _beside(watched, one)) for one in looked if _open(found[one.column.name]))
        found |= {name: finding for name, finding in also if finding is not None}
    found |= {c.name: _of_date(watched, c) for c in columns if c.dtype is Dtype.TIMESTAMP}
    return [_overruled(f, c) for c in columns if (f := found.get(c.name)) is not None]


def _open(finding: Finding | None) -> bool:
    return finding is None or finding.action == "asked"


def _overruled(finding: Finding, column: Column) -> Finding:
    """A column whose kind was set by hand stays, whatever was found."""
    if column.why != BY_HAND:
        return finding
    return Finding(finding.kind, finding.what, f"{finding.evidence}; its kind was set by hand", "kept")


def look(watched: Watched, column: Column) -> Looked:
    """The column's values of the watched rows, as numbers."""
    found: Any = watched.rows[column.name].combine_chunks()
    there = np.asarray(found.is_valid())
    if column.kind is Kind.NUMERICAL and column.dtype is not Dtype.STRING:
        values = found.cast("double").to_numpy(zero_copy_only=False)
        there = there & ~np.isnan(values)
        values = np.where(there, values, np.min(values[there], initial=0.0) - 1)
        return Looked(column, values, there)
    counts = sorted(pc.value_counts(found.drop_null()).to_pylist(), key=lambda e: (-e["counts"], str(e["values"])))
    codes = {entry["values"]: float(code) for code, entry in enumerate(counts[:MOST_CATEGORIES], 1)}
    rest = len(codes) + 1.0
    values = np.array([0.0 if v is None else codes.get(v, rest) for v in found.to_pylist()])
    return Looked(column, values, there)


# ---------------------------------------------------------------- columns


def _of_column(watched: Watched, prepared: Sequence[Around], looked: Looked) -> Finding | None:
    """The first thing that can be said against a column, the surest first."""
    if len(np.unique(looked.values)) < 2:
        return None
    what = f"{watched.table.name}.{looked.column.name}"
    if not looked.categories:
        if (evidence := _total(watched, looked)) is not None:
            return Finding("snapshot", what, evidence, "dropped")
        if (evidence := _key(watched, looked)) is not None:
            return Finding("key", what, evidence, "dropped")
    grown, speaks = growth(watched, looked), Speaks(looked.says(), looked.says(_STATES))
    if looked.there.sum() < FEWEST or (watched.born is None and not prepared):
        few = "and nothing there to test it by" if looked.there.sum() >= FEWEST else "with too few rows to test it"
        named = speaks.of_change and not looked.categories
        return Finding("snapshot", what, f"named as what changes, {few}", "asked") if named else None
    sights = [s for a in prepared if (s := a.sight(looked.values, categories=looked.categories)) is not None]
    return _judged(what, sights, grown, speaks)


def _judged(what: str, sights: Sequence[Sight], grown: float, speaks: Speaks) -> Finding | None:
    """What sights and growth amount to: an effect for sure, one by a name that says so, or something to ask about."""
    sure = max(sights, key=lambda s: (s.collides, s.forward), default=None)
    if sure is not None and sure.collides >= COLLIDES and sure.forward >= GROWS:
        return Finding("snapshot", what, _collision(sure), "dropped")
    ahead = max(sights, key=lambda s: s.forward, default=None)
    if ahead is not None and ahead.forward >= FORESEES and ahead.forward > ahead.backward:
        return Finding("snapshot", what, _foresight(ahead), "dropped")
    if speaks.of_change and grown >= GROWS_ALONE:
        return Finding("snapshot", what, _growth(grown), "dropped")
    if ahead is None or ahead.forward * np.sqrt(ahead.rows) < COLLIDES:
        return None
    if speaks.of_change and grown >= GROWS and ahead.forward >= GROWS:
        return Finding("snapshot", what, f"{_growth(grown)}, and {_foresight(ahead)}", "dropped")
    if ahead.forward < 2 * ahead.backward or ahead.forward < (TELLS if speaks.of_state else ASKS):
        return None
    return Finding("snapshot", what, _foresight(ahead), "dropped" if speaks.of_state else "asked")


def _beside(watched: Watched, looked: Looked) -> Finding | None:
    """A column in a table of which another was shown to be overwritten: its name, or its name and growth, suffice."""
    what = f"{watched.table.name}.{looked.column.name}"
    if len(np.unique(looked.values)) < 2:
        return None
    shown = "in a table of which other columns were overwritten later"
    if looked.says(_OVERWRITTEN):
        return Finding("snapshot", what, f"named as what is overwritten, {shown}", "dropped")
    if watched.age is None or looked.categories or not looked.says():
        return None
    grown = rank_correlation(watched.age[looked.there], looked.values[looked.there])
    if grown * np.sqrt(looked.there.sum()) >= COLLIDES:
        return Finding("snapshot", what, f"{_growth(grown)}, {shown}", "dropped")
    return None


def growth(watched: Watched, looked: Looked) -> float:
    """How a number grows with its row's age: the rank correlation, NULL apart; 0 unless both halves of time agree."""
    if watched.age is None or looked.categories or looked.there.sum() < FEWEST:
        return 0.0
    age, values = watched.age[looked.there], looked.values[looked.there]
    young = age <= np.median(age)
    halves = [rank_correlation(age[half], values[half]) for half in (young, ~young) if half.sum() >= FEWEST // 4]
    return rank_correlation(age, values) if min(halves, default=0.0) > 0 else 0.0


def _total(watched: Watched, looked: Looked) -> str | None:
    """Whether a number is the count or sum of rows that came later than its own: equal for most, short for none."""
    many = len(watched)
    for stream in watched.streams:
        later = stream if watched.born is None else stream.only(stream.when > watched.born[stream.place])
        there = looked.there & (later.count(many) > 0)
        if there.sum() < FEWEST_TIED or len(np.unique(looked.values[there])) < 3:
            continue
        totals = {f"the count of {stream.table}": stream.count(many)}
        totals |= {f"the sum of {stream.table}.{name}": stream.total(many, name) for name in stream.numbers}
        for name, total in totals.items():
            gap = looked.values[there] - total[there]
            close = 1e-6 * np.maximum(1.0, np.abs(total[there]))
            if (np.abs(gap) <= close).mean() >= TIED and (gap < -close).mean() <= 0.01:
                return f"it is {name} for {(np.abs(gap) <= close).mean():.0%} of the rows, later ones included"
    return None


def _key(watched: Watched, looked: Looked) -> str | None:
    """Whether a number names its row and grows with time, as an automatic key does."""
    values = looked.values[looked.there]
    if (
        len(values) < FEWEST_TIED
        or not looked.there.all()
        or len(np.unique(values)) < len(values)
        or (values != np.floor(values)).any()
    ):
        return None
    if watched.born is not None:
        if abs(rank_correlation(values, watched.born.astype(np.float64))) < 0.99:
            return None
        return f"every value once, in the order of {watched.table.happened}"
    for stream in watched.streams:
        first = stream.first(len(watched))
        met = stream.count(len(watched)) > 0
        if met.sum() >= FEWEST and abs(rank_correlation(values[met], first[met].astype(np.float64))) >= 0.95:
            return f"every value once, in the order of each row's first {stream.table}"
    return None


# ---------------------------------------------------------------- dates


def _of_date(watched: Watched, column: Column) -> Finding | None:
    """A date that is set anew each time: it says when the last of the events was, however late.

    A date that is set once, such as one of delivery, is unknown until it has come, and its age is NULL until then: it
    may stay. So may one that is planned.
    """
    dates = watched.rows[column.name].cast("int64")
    there = np.asarray(dates.is_valid())
    values = pc.fill_null(dates, 0).to_numpy(zero_copy_only=False)
    later = there if watched.born is None else there & (values > watched.born)
    said = set(words(column.name))
    if said & ENDED or there.sum() < FEWEST // 4 or later.sum() < 0.1 * there.sum():
        return None
    what, share = f"{watched.table.name}.{column.name}", later.sum() / there.sum()
    if said & _OVERWRITTEN:
        after = f"{share:.0%} of the values are later than {watched.table.happened}" if watched.table.happened else ""
        told = f"named as what is overwritten, and {after}" if after else "named as what is overwritten"
        return Finding("last seen", what, told, "dropped")
    tied = next((s for s in watched.streams if _tracks(watched, s, values, there)), None)
    if tied is None:
        return None
    return Finding("last seen", what, f"it follows each row's last {tied.table}, and none comes after it", "dropped")


def _tracks(watched: Watched, stream: Stream, values: Any, there: Any) -> bool:
    """Whether a date is that of a row's last event: never before it, soon after it, and there for the active, too."""
    last, day = stream.last(len(watched)), Unit.DAYS.microseconds
    met = last > (np.iinfo(np.int64).min if watched.born is None else watched.born)
    if not len(stream.when) or (met & there).sum() < FEWEST:
        return False
    span = int(stream.when.max() - stream.when.min())
    active = met & (last > watched.until - span // 6)
    resting = met & there & (values <= watched.until)
    if active.sum() < FEWEST // 4 or resting.sum() < FEWEST // 4 or there[active].mean() < 0.9:
        return False
    never_before = (values[met & there] + day > last[met & there]).mean() >= 0.99
    soon = np.median(values[resting] - last[resting]) <= 0.05 * span
    return bool(never_before and soon)


# ---------------------------------------------------------------- rows without a time


def _of_link(rows: Rows, link: Link, until: int) -> Iterator[Finding]:
    """Rows without a time, counted for each row they point to: whether their number knows the future."""
    watched = watch(rows, rows.graph.table(link.to), [], until)
    if len(watched) < FEWEST:
        return
    counts = pointed(rows, link, watched)
    prepared = [a for stream in watched.streams for a in around(watched, stream)]
    sights = [s for a in prepared if (s := a.sight(counts, categories=False)) is not None]
    looked = Looked(Column("*", Dtype.INT, Kind.NUMERICAL), counts, np.ones(len(counts), bool))
    found = _judged(f"{link.table}.*", sights, growth(watched, looked), Speaks(of_change=True, of_state=True))
    if found is not None:
        yield Finding("no clock", found.what, f"they cannot be dated, and their number {found.evidence}", found.action)


def _collision(sight: Sight) -> str:
    turned = f"turns how they go together from {sight.together:.2f} to {sight.held:.2f}"
    return f"{_foresight(sight)}, and is made of both: held still, it {turned}"


def _foresight(sight: Sight) -> str:
    return f"explains later {sight.stream} beyond earlier ones, partial correlation {sight.forward:.2f}"


def _growth(grown: float) -> str:
    return f"grows with its row's age, {grown:.2f}"


def undated(graph: Graph, links: Iterable[Link]) -> bool:
    """Whether none of the tables whose rows point by these links has a time."""
    return all(graph.table(link.table).happened is None for link in links)


__all__ = ["MUTABLE", "inspect", "undated"]
