"""Which column says when a row happened: declared names of events before stamps of loading, editing and expiry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from penstock.inference.facts import ColumnFacts, TableFacts
from penstock.inference.words import singular, stem, words
from penstock.schema import Dtype

KNOWN_NAMES = frozenset({("known", "at"), ("known", "time"), ("known", "from"), ("known", "on"), ("known",)})
DELETED_NAMES = frozenset({("deleted",), ("is", "deleted"), ("removed",), ("is", "removed")})
LOADED = frozenset({
    "loaded", "load", "ingested", "ingest", "ingestion", "synced", "sync", "imported", "import", "etl",
    "fetched", "extracted", "exported", "replicated", "fivetran", "airbyte", "dbt", "scraped",
    "snapshot", "refreshed", "dwh", "cdc",
})  # fmt: skip
EDITED = frozenset(
    {"updated", "update", "modified", "modification", "edited", "edit", "changed", "change", "touched", "revised"}
)
BORN = frozenset({"birth", "birthday", "birthdate", "dob", "born", "death", "died", "dod"})
ENDED = frozenset({
    "expiry", "expires", "expire", "expired", "expiration", "exp", "due", "end", "ends", "ended", "until", "to",
    "thru", "deadline", "deleted", "removed", "deactivated", "archived", "terminated", "termination", "renewal",
    "renews", "valid", "planned", "scheduled", "expected", "estimated", "promised", "target", "retired", "next",
    "leave", "left",
})  # fmt: skip
LATEST = frozenset({"last", "latest", "recent", "first", "previous", "prior"})
FOLLOWS = frozenset({
    "shipped", "shipping", "ship", "delivered", "delivery", "paid", "payment", "closed", "close", "resolved",
    "completed", "complete", "finished", "finish", "cancelled", "canceled", "processed", "approved", "returned",
    "refunded",
    "settled", "arrival", "arrived", "dropoff", "checkout", "out", "response", "responded", "answered",
    "confirmed", "fulfilled", "accepted", "picked", "release", "released",
})  # fmt: skip
HAPPENED = frozenset({"happened", "occurred", "event", "placed", "when", "ts", "timestamp", "datetime"})
BEGINS = frozenset(
    {"start", "started", "starts", "begin", "began", "from", "opened", "pickup", "departure", "checkin", "in"}
)
CREATED = frozenset({"created", "creation", "create", "inserted", "added", "recorded", "logged"})
_TIME_WORDS = frozenset({"date", "time", "at", "on", "datetime", "timestamp", "ts", "utc", "day", "when", "dt"})
_PAIRS = {
    "start": ("end",), "starts": ("ends",), "started": ("ended",), "begin": ("end",), "from": ("to", "until", "thru"),
}  # fmt: skip
_MOSTLY = 0.999
_HALF = 0.5


@dataclass(frozen=True)
class Clocks:
    """The clocks of a table, why, and what to say about those not chosen."""

    happened: str | None = None
    known: str | None = None
    deleted: str | None = None
    ends: str | None = None
    why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose_clocks(table: TableFacts) -> Clocks:
    """The clocks of a table; a stamp of loading, editing, birth or expiry is never when a row happened."""
    times = [
        column for column in table.columns if column.dtype is Dtype.TIMESTAMP and (column.filled or not table.rows)
    ]
    known = next((c.name for c in times if words(c.name) in KNOWN_NAMES), None)
    events = [c for c in times if c.name != known and not _refused(table, c)]
    column, why, notes = _best(table, events)
    ends = _paired_end(times, column) if column else None
    deleted = _deletion(table) if known else None
    why += (f"known {known}: its name says so",) if known else ()
    why += (f"deleted {deleted}: its name says so",) if deleted else ()
    why += (f"ends {ends}: it closes what {column} opens, and never comes before it",) if ends else ()
    spoken = [c for c in times if c.name not in {column, known, ends}]
    notes += _refusals(table, spoken, has_time=column is not None)
    return Clocks(column, known, deleted, ends, why, notes)


def _deletion(table: TableFacts) -> str | None:
    flags = [c.name for c in table.columns if c.dtype is Dtype.BOOL and words(c.name) in DELETED_NAMES]
    return flags[0] if len(flags) == 1 else None


def _refused(table: TableFacts, column: ColumnFacts) -> str:
    """Why a column is no event time; empty when it may be one."""
    said = set(words(column.name))
    about = set(stem(table.name)) | {singular(word) for word in words(table.name)}
    for refused, reason in ((LOADED, "loading"), (EDITED, "editing"), (BORN, "birth"), (ENDED, "expiry or an end")):
        if said & refused - about:
            return reason
    return "a summary" if said & LATEST and not said & about else ""


def _score(table: TableFacts, column: ColumnFacts) -> tuple[int, str]:
    said, about = words(column.name), {_root(word) for word in words(table.name)}
    if set(said) & FOLLOWS:
        return 2, "a later step"
    if set(said) & HAPPENED or set(said) <= _TIME_WORDS:
        return 6, "named as event times are"
    if {_root(word) for word in said if word not in _TIME_WORDS} & about:
        return 5, "named after the table"
    if set(said) & BEGINS:
        return 4, "a beginning"
    if set(said) & CREATED:
        return 3, "when the row was created"
    return (4, "a date of its own") if set(said) & _TIME_WORDS else (1, "the only time there is")


def _root(word: str) -> str:
    """A word without the endings that verbs and plurals add, so that ``ordered`` meets ``orders``."""
    word = singular(word)
    for ending in ("ption", "tion", "ed", "ing", "e"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word[: -len(ending)]
    return word


def _best(table: TableFacts, events: Sequence[ColumnFacts]) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    full = [c for c in events if c.filled >= _HALF * table.rows]
    if not full:
        sparse = ", ".join(c.name for c in events)
        return None, (), (f"{table.name} has no time: {sparse} is mostly NULL",) if sparse else ()
    ranked = sorted(full, key=lambda c: -_score(table, c)[0])
    top = [c for c in ranked if _score(table, c)[0] == _score(table, ranked[0])[0]]
    if len(top) > 1:
        return _earliest(table, top)
    why = _score(table, top[0])[1]
    others = f", better than {', '.join(c.name for c in ranked[1:])}" if len(ranked) > 1 else ""
    return top[0].name, (f"happened {top[0].name}: {why}{others}",), _missing(table, top[0])


def _missing(table: TableFacts, column: ColumnFacts) -> tuple[str, ...]:
    if not column.nulls:
        return ()
    return (f"{table.name}.{column.name}: {column.nulls:,} of {table.rows:,} rows have no time; they are never seen",)


def _earliest(table: TableFacts, top: Sequence[ColumnFacts]) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Of equally good names the one that is never later than the others; else none, and say so."""
    listed = ", ".join(column.name for column in top)
    for column in top:
        if all(_never_later(column, other) for other in top if other is not column):
            return (
                column.name,
                (f"happened {column.name}: the earliest of {listed} in every row",),
                _missing(table, column),
            )
    note = f"{table.name} has several times ({listed}) and none is plainly the event's: choose one with set(time=…)"
    return None, (), (note,)


def _never_later(column: ColumnFacts, other: ColumnFacts) -> bool:
    ordered = pc.mean(pc.cast(pc.less_equal(column.values, other.values), "float64")).as_py()
    return ordered is not None and ordered >= _MOSTLY


def _paired_end(times: Sequence[ColumnFacts], happened: str) -> str | None:
    """The column that closes what ``happened`` opens: the same name but for the word that opens."""
    start, said = next(c for c in times if c.name == happened), words(happened)
    wanted = {
        (*said[:at], closing, *said[at + 1 :]) for at, word in enumerate(said) for closing in _PAIRS.get(word, ())
    }
    for column in times:
        if words(column.name) in wanted and (not column.filled or _never_later(start, column)):
            return column.name
    return None


def _refusals(table: TableFacts, columns: Sequence[ColumnFacts], *, has_time: bool) -> tuple[str, ...]:
    loads = [c.name for c in columns if _refused(table, c) == "loading"]
    notes = [
        f"{table.name}.{name} looks like a stamp of loading: set(known={name!r}) if rows can come late"
        for name in loads
    ]
    others = [f"{c.name} ({_refused(table, c)})" for c in columns if c.name not in loads and _refused(table, c)]
    if others and not has_time:
        notes.append(f"{table.name} has no time: {', '.join(others)} does not say when a row happened")
    return tuple(notes)
