"""Which columns know the future: those overwritten since their row began, judged by the rows that followed.

A table that keeps only the latest of its rows shows, for a row of last year, what is true today. The audit looks for
columns that are totals of what was still to come, that explain the future as only an effect of it can, that grow with
a row's age as counters do, or that are dates set anew each time. Everything is measured on rows that had happened by
an instant, cutoffs and futures inside the data before it, so that no row after the first test cutoff decides anything.

The words of a name never decide alone: they lower what the values must show. An attribute that merely goes with
activity, such as an income, stays; what no test can tell from an effect is kept and asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow.compute as pc

from penstock.inference.clocks import EDITED, ENDED
from penstock.inference.overrides import BY_HAND
from penstock.inference.words import words
from penstock.learning.calibration.calibrate import Floats
from penstock.learning.leaks.activity import Stream, Watched, pointed, watch
from penstock.learning.leaks.evidence import Around, Sight, around, rank_correlation
from penstock.learning.leaks.findings import Finding
from penstock.plan import Rows
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.window import Unit

COLLIDES, AGAINST = 4.0, -0.2
"""Standard errors below zero at which past and future, a column held still, are sure to move against each other; and
how much they must where neither a name nor growth speaks as well, for seasons and regular habits make for a little."""
TELLS, ASKS = 0.35, 0.5
"""Those from which on a column that says twice as much of the future as of the past is left out if its name speaks of
a state, and asked about otherwise: an honest cause of leaving, such as a contract's length, does the same."""
UNDATED = 0.2
"""The one from which on rows without a time are left out, if their number says no more of the past than that."""
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
        found.append(_of_link(rows, link, until))
    return tuple(dict.fromkeys(found))


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
        also = ((one.column.name, _beside(watched, one)) for one in looked if found[one.column.name] is None)
        found |= {name: finding for name, finding in also if finding is not None}
    found |= {c.name: _of_date(watched, c) for c in columns if c.dtype is Dtype.TIMESTAMP}
    return [*_of_clock(watched), *(_overruled(f, c) for c in columns if (f := found.get(c.name)) is not None)]


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
        if (evidence := _recency(watched, looked)) is not None:
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


def _judged(what: str, sights: Sequence[Sight], growth: Growth, speaks: Speaks) -> Finding | None:
    """What sights and growth amount to: an effect for sure, one by a name that says so, or something to ask about."""
    sure = max((s for s in sights if _made_of_both(s, growth, speaks)), key=lambda s: s.collides, default=None)
    if sure is not None:
        return Finding("snapshot", what, _collision(sure), "dropped")
    if speaks.of_change and growth.steady >= GROWS_ALONE:
        return Finding("snapshot", what, _growth(growth.steady), "asked" if _only_behind(sights) else "dropped")
    ahead = max(sights, key=lambda s: s.forward, default=None)
    if ahead is None or ahead.forward * np.sqrt(ahead.rows) < COLLIDES:
        return None
    if speaks.of_change and growth.steady >= GROWS and ahead.forward >= GROWS:
        return Finding("snapshot", what, f"{_growth(growth.steady)}, and {_foresight(ahead)}", "dropped")
    if ahead.forward < 2 * ahead.backward or ahead.forward < (TELLS if speaks.of_state else ASKS):
        return None
    return Finding("snapshot", what, _foresight(ahead), "dropped" if speaks.of_state else "asked")


def _made_of_both(sight: Sight, growth: Growth, speaks: Speaks) -> bool:
    """Whether past and future move against each other once the column is held still, as is true of totals alone.

    A total also grows with its row: a number that shows no sign of it, though rows have a time, must turn them twice
    as hard.
    """
    if sight.collides < COLLIDES or sight.forward < GROWS:
        return False
    if growth.absent:
        return sight.held <= 2 * AGAINST
    return speaks.of_change or growth.present or sight.held <= AGAINST


def _only_behind(sights: Sequence[Sight]) -> bool:
    """Whether a column goes with the past alone, as a cause does whose work is done once the past is known."""
    ahead = any(s.forward >= max(GROWS, 0.6 * s.backward) for s in sights)
    return not ahead and any(s.backward >= 0.3 for s in sights)


def _beside(watched: Watched, looked: Looked) -> Finding | None:
    """A column in a table of which another was shown to be overwritten: its name, or its name and growth, suffice."""
    what = f"{watched.table.name}.{looked.column.name}"
    if len(np.unique(looked.values)) < 2:
        return None
    shown = "in a table of which other columns were overwritten later"
    if looked.says(_OVERWRITTEN):
        return Finding("snapshot", what, f"named as what is overwritten, {shown}", "dropped")
    grown = growth(watched, looked)
    if looked.says() and grown.present:
        return Finding("snapshot", what, f"{_growth(grown.all)}, {shown}", "dropped")
    return None


@dataclass(frozen=True)
class Growth:
    """How a number grows with its row's age: the rank correlations, NULL apart, of all rows, the younger, the older."""

    all: float = 0.0
    young: float = 0.0
    old: float = 0.0
    rows: int = 0

    @property
    def steady(self) -> float:
        """The growth, where the younger and the older half agree that there is some; else 0."""
        return self.all if min(self.young, self.old) > 0 else 0.0

    @property
    def present(self) -> bool:
        """Whether there surely is some."""
        return bool(self.all * np.sqrt(self.rows) >= COLLIDES)

    @property
    def absent(self) -> bool:
        """Whether there could be some, and is no sign of any."""
        return bool(self.rows > 0 and self.all * np.sqrt(self.rows) < 1)


def growth(watched: Watched, looked: Looked) -> Growth:
    """How a column grows with its row's age; nothing is known of categories, nor without a clock."""
    if watched.age is None or looked.categories or looked.there.sum() < FEWEST:
        return Growth()
    age, values = watched.age[looked.there], looked.values[looked.there]
    young = age <= np.median(age)
    if young.all():
        return Growth()
    halves = [rank_correlation(age[half], values[half]) for half in (young, ~young)]
    return Growth(rank_correlation(age, values), halves[0], halves[1], len(values))


def _total(watched: Watched, looked: Looked) -> str | None:
    """Whether a number is the count or sum of rows that came later than its own: equal for most, short for none."""
    many = len(watched)
    for stream in watched.streams:
        later = stream if watched.born is None else stream.only(stream.when > watched.born[stream.place])
        there = looked.there & (later.count(many) > 0)
        if there.sum() < FEWEST_TIED or np.ptp(looked.values[there]) == 0:
            continue
        totals = {f"the count of {stream.table}": stream.count(many)}
        totals |= {f"the sum of {stream.table}.{name}": stream.total(many, name) for name in stream.numbers}
        for name, total in totals.items():
            gap = looked.values[there] - total[there]
            close = 1e-6 * np.maximum(1.0, np.abs(total[there]))
            tied = (np.abs(gap) <= close).mean() >= TIED and (gap < -close).mean() <= 0.01
            if tied and rank_correlation(looked.values[there], total[there]) >= 0.5:
                return f"it is {name} for {(np.abs(gap) <= close).mean():.0%} of the rows, later ones included"
    return None


def _recency(watched: Watched, looked: Looked) -> str | None:
    """Whether a number is how long each row's last event lies back: the same instant for most, and later for none.

    Rows to which something happened after ``until`` are those that say less.
    """
    for stream in watched.streams:
        last = stream.last(len(watched))
        kept = np.flatnonzero(looked.there & (last > np.iinfo(np.int64).min))
        if len(kept) < FEWEST_TIED or np.ptp(looked.values[kept]) == 0:
            continue
        for unit in (Unit.DAYS, Unit.HOURS, Unit.MINUTES, Unit.SECONDS):
            taken = last[kept] + looked.values[kept] * unit.microseconds
            near = np.abs(taken - np.quantile(taken, 0.99)) <= 2 * unit.microseconds
            if near.mean() >= TIED and np.ptp(last[kept][near]) >= 20 * unit.microseconds:
                return f"it tells how many {unit.value} each row's last {stream.table} lies back, however late that was"
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


def _of_clock(watched: Watched) -> list[Finding]:
    """Whether a table's own clock comes after most of what happened to its rows: then it is no beginning."""
    if watched.born is None:
        return []
    what = f"{watched.table.name}.{watched.table.happened}"
    early = [
        (s.table, float((s.when < watched.born[s.place]).mean())) for s in watched.streams if len(s.when) >= FEWEST
    ]
    found = [f"{share:.0%} of their {table} came before" for table, share in early if share > 0.5]
    told = "it is taken for the time at which rows began, yet "
    return [Finding("last seen", what, told + found[0], "asked")] if found else []


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


def _of_link(rows: Rows, link: Link, until: int) -> Finding:
    """Rows without a time, counted for each row they point to: whether their number knows the future."""
    watched, what = watch(rows, rows.graph.table(link.to), [], until), f"{link.table}.*"
    counts = pointed(rows, link, watched)
    prepared = [a for stream in watched.streams for a in around(watched, stream)]
    sights = [s for a in prepared if (s := a.sight(counts, categories=False)) is not None]
    looked = Looked(Column("*", Dtype.INT, Kind.NUMERICAL), counts, np.ones(len(counts), bool))
    found = _judged(what, sights, growth(watched, looked), Speaks(of_change=True, of_state=True))
    ahead = max(sights, key=lambda s: s.forward, default=None)
    if found is None and ahead is not None and ahead.forward >= max(UNDATED, ahead.backward):
        found = Finding("snapshot", what, _foresight(ahead), "dropped")
    if found is None:
        return Finding("no clock", what, "they cannot be dated, so that all count at every cutoff", "kept")
    return Finding("no clock", what, f"they cannot be dated, and their number {found.evidence}", found.action)


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
