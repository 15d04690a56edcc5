"""Which column points to which table: declared, or named so and with values found among the keys there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from penstock.inference.containment import Containment, contained_together, containment, unified
from penstock.inference.facts import ColumnFacts, DeclaredLink, Facts, TableFacts
from penstock.inference.keys import GENERIC
from penstock.inference.words import ends_with, says_id, singular, stem, without_id, words
from penstock.schema import Dtype, Link

EXACT_NAME, PLAIN_NAME = 4, 3
"""The levels from which a name alone is good evidence."""
TOLERATED = {5: 0.1, 4: 0.1, 3: 0.02}
"""The share of rows that may point nowhere, by how plain the name is; none where it is not."""
HALF = 0.5
SAYS_NOTHING = GENERIC | {(word,) for word in ("name", "title", "label", "number", "no", "nr", "num", "ref", "value")}
"""Names of keys that other tables may use for something else."""

_SELF = frozenset({
    ("parent",), ("reports", "to"), ("report", "to"), ("manager",), ("supervisor",), ("boss",), ("predecessor",),
    ("successor",), ("reply", "to"), ("in", "reply", "to"), ("replaced", "by"), ("replaces",), ("referrer",),
    ("referred", "by"), ("mentor",), ("previous",), ("next",), ("original",), ("root",),
    ("duplicate", "of"), ("merged", "into"),
})  # fmt: skip
_WORKS = ("employee", "staff", "agent", "rep", "person", "user", "member")
_ACTS = ("user", "account", "member", "person", "customer", "contact", "employee")
_WORKERS = frozenset({
    "rep", "representative", "manager", "supervisor", "salesperson", "seller", "agent", "staff", "assignee", "approver",
    "handler", "operator", "technician", "cashier", "reviewer", "assigned",
})  # fmt: skip
_ACTORS = frozenset({
    "owner", "author", "creator", "editor", "sender", "receiver", "recipient", "poster", "follower", "followee",
    "friend", "buyer", "invitee", "inviter", "referrer", "host", "guest", "voter", "by",
})  # fmt: skip
_EDITS = frozenset({
    "editor", "edited", "edit", "modifier", "modified", "updater", "updated", "changed", "deleter", "deleted", "closer",
    "closed", "approver", "approved",
})  # fmt: skip
_FEWEST_TEXTS = 5
_SHORTEST_TEXT = 3.0
_SPARSE = 0.001
_FEWEST_NUMBERS = 20


@dataclass(frozen=True)
class Candidate:
    """A parent that a column's name (``level`` > 0) or values alone (0) speak for.

    ``unsure`` names need more: small whole numbers fit the keys of any table, unless they reach most of them.
    """

    parent: TableFacts
    key: ColumnFacts
    level: int
    length: int
    why: str
    unsure: bool = False


def choose_links(facts: Facts, keys: Mapping[str, tuple[str, ...]]) -> tuple[list[Link], list[str]]:
    """The links of all tables, and what was ambiguous or odd about them. ``keys`` holds each table's key."""
    links: list[Link] = []
    notes: list[str] = []
    for table in facts.tables:
        for declared in table.links:
            _take_declared(table, declared, facts, keys, links, notes)
        linked = {name for link in links if link.table == table.name for name in link.columns}
        for column in table.columns:
            if column.name not in linked and _may_point(column):
                _take_inferred(table, column, facts, keys, links, notes)
        links += _composites(table, facts, keys, links)
    return _without_edits(links, notes), notes


def _without_edits(links: list[Link], notes: list[str]) -> list[Link]:
    """The links without those that say who changed a row later, where another says whose row it is.

    Such a column is filled in afterwards: it is no part of the event, and would make "the posts of a user" ambiguous.
    """
    kept = []
    for link in links:
        rivals = [k for k in links if (k.table, k.to) == (link.table, link.to) and not _edits(k)]
        if rivals and _edits(link):
            notes.append(f"{link} says who changed the row later, so it is no link: link({str(link)!r}, {link.to!r})")
        else:
            kept.append(link)
    return kept


def _edits(link: Link) -> bool:
    return link.why != "declared" and any(not _EDITS.isdisjoint(words(name)) for name in link.columns)


def _may_point(column: ColumnFacts) -> bool:
    return column.dtype is Dtype.STRING or column.whole


# ---------------------------------------------------------------- declared


def _take_declared(
    table: TableFacts, declared: DeclaredLink, facts: Facts, keys: Mapping[str, tuple[str, ...]], links: list[Link],
    notes: list[str],
) -> None:  # fmt: skip
    key = keys.get(declared.to, ())
    pointed = dict(zip(declared.to_columns or key, declared.columns, strict=False))
    name = f"{table.name}.{'+'.join(declared.columns)}"
    if set(pointed) != set(key) or len(pointed) != len(declared.columns):
        notes.append(
            f"{name}: the declared link points to {'+'.join(declared.to_columns)} of {declared.to}, not its key"
        )
        return
    columns = tuple(pointed[part] for part in key)
    single = columns[0] if len(columns) == 1 else columns
    links.append(Link(table.name, single, declared.to, "declared"))
    if isinstance(single, str) and (
        found := containment(table.column(single), facts.table(declared.to).column(key[0]))
    ):
        notes += _dangling(name, declared.to, found)


def _dangling(name: str, to: str, found: Containment) -> list[str]:
    said = f"{name}: {found.words}; they are treated as having no row in {to}"
    return [said] if found.dangling or found.unknown else []


# ---------------------------------------------------------------- inferred


def _take_inferred(
    table: TableFacts, column: ColumnFacts, facts: Facts, keys: Mapping[str, tuple[str, ...]], links: list[Link],
    notes: list[str],
) -> None:  # fmt: skip
    name = f"{table.name}.{column.name}"
    candidates = [*_by_name(table, column, facts, keys)] or [*_by_values(table, column, facts, keys)]
    ranks = sorted({(c.level, c.length) for c in candidates}, reverse=True)
    for rank in ranks:
        tried = [(c, containment(column, c.key)) for c in candidates if (c.level, c.length) == rank]
        fits = [(c, found) for c, found in tried if found and _holds(c, found) and unified(column, c.key)]
        if len(fits) > 1:
            tables = " or ".join(c.parent.name for c, _ in fits)
            notes.append(f"{name} may point to {tables}, equally well: choose with link({name!r}, …)")
            return
        if fits:
            chosen, found = fits[0]
            links.append(Link(table.name, column.name, chosen.parent.name, f"{chosen.why}; {found.words}"))
            notes.extend(_dangling(name, chosen.parent.name, found))
            return
        notes.extend(said for c, found in tried if (said := _failed(name, column, c, found)))


def _holds(candidate: Candidate, found: Containment) -> bool:
    if not found.filled:
        return candidate.level >= EXACT_NAME
    if candidate.unsure and found.matched < HALF * candidate.parent.rows:
        return False
    return found.matched > 0 and found.share <= TOLERATED.get(candidate.level, 0.0)


def _failed(name: str, column: ColumnFacts, candidate: Candidate, found: Containment | None) -> str:
    if candidate.level < PLAIN_NAME or not says_id(column.name):
        fits = candidate.level >= PLAIN_NAME and found and found.matched and not found.dangling
        return f"{name} may point to {candidate.parent.name}: link({name!r}, …) if it does" if fits else ""
    where = f"{name} is named like a link to {candidate.parent.name}, but"
    if found is None:
        return (
            f"{where} its values ({column.dtype}) cannot be compared with {candidate.key.name} ({candidate.key.dtype})"
        )
    if not found.filled:
        return f"{where} it has no values"
    if found.matched and not found.dangling and not found.unknown:
        return f"{where} its text cannot be matched with the text of {candidate.key.name} row by row"
    if not found.matched:
        return f"{where} none of its values is found in {candidate.key.name}"
    return f"{where} {found.share:.0%} of its rows point nowhere (such as {found.shown}): link it if that is meant"


def _by_name(
    table: TableFacts, column: ColumnFacts, facts: Facts, keys: Mapping[str, tuple[str, ...]]
) -> Iterator[Candidate]:
    own = keys.get(table.name) == (column.name,)
    for parent in facts.tables:
        key = keys.get(parent.name, ())
        if len(key) != 1 or (parent is table and column.name == key[0]):
            continue
        level, length, why = _named(column.name, table, parent, key[0], facts)
        if level and not (own and level < 5):
            pointing = says_id(column.name) or words(column.name)[-1] in {"by", "to"}
            unsure = column.whole and (not pointing or why.startswith(("short", "ends the")))
            yield Candidate(parent, parent.column(key[0]), level, length, why, unsure)


def _named(name: str, table: TableFacts, parent: TableFacts, key: str, facts: Facts) -> tuple[int, int, str]:
    """How plainly a column's name says the table: level, number of words that say it, and in what words."""
    bare, to, key_words = without_id(name), stem(parent.name), words(key)
    if bare == to and table is not parent:
        return 5, len(to), f"named after {parent.name}"
    if words(name) == key_words and key_words not in SAYS_NOTHING and table is not parent:
        return 4, len(key_words), f"named like the key of {parent.name}"
    if ends_with(bare, to):
        return 3, len(to), f"ends with the name of {parent.name}"
    if ends_with((*words(name)[:-1], singular(words(name)[-1])), key_words) and key_words not in SAYS_NOTHING:
        return 3, len(key_words), f"ends with the key of {parent.name}"
    if bare in _SELF or words(name) in _SELF:
        return (2, 1, "points within its own table") if parent is table else (0, 0, "")
    if says_id(name) and ends_with(to, bare):
        return 2, len(bare), f"ends the name of {parent.name}"
    pointing = says_id(name) or words(name)[-1] in {"by", "to"}
    if bare and pointing and _first_role(bare, facts) == parent.name:
        return 2, 1, f"{bare[-1]!r} is a role of {parent.name}"
    if says_id(name) and len(bare) == 1 and len(bare[0]) > 2 and to[-1].startswith(bare[0]):
        return 1, len(bare[0]), f"short for {parent.name}"
    return 0, 0, ""


def _first_role(bare: tuple[str, ...], facts: Facts) -> str | None:
    """The table of people that a role such as ``rep`` or ``author`` most likely means."""
    by_stem = {stem(table.name): table.name for table in facts.tables}
    persons = _WORKS if bare[-1] in _WORKERS else _ACTS if bare[-1] in _ACTORS else ()
    people = (by_stem.get((person,)) for person in persons)
    return next((table for table in people if table), None)


def _by_values(
    table: TableFacts, column: ColumnFacts, facts: Facts, keys: Mapping[str, tuple[str, ...]]
) -> Iterator[Candidate]:
    """Parents for a column whose values alone speak: texts, or numbers from a sparse range, never small counts."""
    if column.name in keys.get(table.name, ()) or not column.filled:
        return
    for parent in facts.tables:
        key = keys.get(parent.name, ())
        if parent is table or len(key) != 1 or len(column.distinct) > parent.rows:
            continue
        other = parent.column(key[0])
        if _telling_texts(column, other) or _telling_numbers(column, other):
            yield Candidate(parent, other, 0, 0, f"its values alone point to {parent.name}")


def _telling_texts(column: ColumnFacts, key: ColumnFacts) -> bool:
    if column.dtype is not Dtype.STRING or key.dtype is not Dtype.STRING:
        return False
    return len(column.distinct) >= _FEWEST_TEXTS and column.mean_length >= _SHORTEST_TEXT


def _telling_numbers(column: ColumnFacts, key: ColumnFacts) -> bool:
    if not (column.whole and key.whole and says_id(column.name)) or len(column.distinct) < _FEWEST_NUMBERS:
        return False
    low, high = pc.min_max(key.distinct).as_py().values()
    return bool(len(key.distinct) < _SPARSE * (high - low))


# ---------------------------------------------------------------- several columns at once


def _composites(table: TableFacts, facts: Facts, keys: Mapping[str, tuple[str, ...]], links: list[Link]) -> list[Link]:
    declared = {link.to for link in links if link.table == table.name and len(link.columns) > 1}
    own = {words(column.name): column.name for column in table.columns}
    found: list[Link] = []
    for parent in facts.tables:
        key = keys.get(parent.name, ())
        columns = tuple(own[words(part)] for part in key if words(part) in own)
        if parent is table or parent.name in declared or len(key) < 2 or len(columns) < len(key):
            continue
        if not table.rows or _said_singly(table.name, columns, parent.name, key, (*links, *found)):
            continue
        held = contained_together(table, columns, parent, key)
        if held and held.filled and not held.dangling:
            why = f"named like the key of {parent.name}; every combination is found there"
            found.append(Link(table.name, columns, parent.name, why))
    return found


def _said_singly(
    table: str, columns: tuple[str, ...], parent: str, key: tuple[str, ...], links: Iterable[Link]
) -> bool:
    """Whether each column points by itself to where the parent's column points: the parent only joins those tables."""
    ends = {(link.table, link.column): link.to for link in links}
    return all(
        (to := ends.get((table, a))) is not None and to == ends.get((parent, b))
        for a, b in zip(columns, key, strict=True)
    )
