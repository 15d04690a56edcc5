"""A source's columns now against those that were known: added, dropped, retyped and renamed, told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType

from penstock.errors import RefusedError, RequestError
from penstock.pipeline.change.assign import assigned
from penstock.pipeline.change.changes import Added, Changes, Doubtful, Dropped, Renamed, Retyped
from penstock.pipeline.change.content import same_values
from penstock.pipeline.change.likeness import Evidence, evidence, places, usual_likeness
from penstock.pipeline.change.prints import ColumnPrint
from penstock.pipeline.change.retyped import holds, retyping

LEAST, MARGIN = 1.0, 1.0
"""Log odds (nearly 3 to 1) that a proposed rename has at least, and by how much it is better than any other."""
_STRANGE, _MUTUAL = 0.6, 0.3
"""Below so much likeness with itself a column is looked for under other names; so much more alike is a swap."""
_NONE: Mapping[str, str] = MappingProxyType({})


def compare(
    before: Sequence[ColumnPrint],
    after: Sequence[ColumnPrint],
    renames: Mapping[str, str] = _NONE,
    table: str = "",
    *,
    guessed: bool = False,
) -> Changes:
    """What changed from the columns that are known (by our names) to those a source has (by its names).

    ``renames`` are declared: ours to theirs. They come first; what they name is one column. ``table`` is the table's
    name, whose words say little in a column's. ``guessed`` says that types are told by the values alone, as in CSV: a
    type whose values the known one holds too is then no change.

    Raises ``RequestError`` (``CHANGE_RENAME``) where a declared rename names no column, or both names are there, and
    ``RefusedError`` (``CHANGE_RENAME_MISFIT``) where the two columns' values are of different kinds. Where the source
    still has our name, a declared rename waits.
    """
    ours, theirs = _by_name(before), _by_name(after)
    declared = {mine: other for mine, other in renames.items() if mine != other and _holds(mine, other, ours, theirs)}
    now = {column.name: column for column in by_our_names(theirs.values(), declared)}
    told = _evidence(ours, now, table)
    found = assigned({pair: one.odds for pair, one in told.items()}, LEAST, MARGIN)
    sure = dict(found.sure)
    pairs = [(ours[name], now[sure.get(name, name)]) for name in ours if sure.get(name, name) in now]
    as_declared = [Renamed(m, o, 1.0, "declared", declared=True) for m, o in declared.items() if m in ours]
    proposed = [Renamed(*pair, told[pair].likeness, str(told[pair])) for pair in found.sure]
    return Changes(
        renamed=tuple(sorted((*as_declared, *proposed), key=lambda one: ours[one.ours].position)),
        retyped=tuple(change for mine, other in pairs if (change := _retyped(mine, other, guessed)) is not None),
        dropped=tuple(Dropped(n, c.type) for n, c in ours.items() if n not in now and n not in sure),
        added=tuple(Added(n, c.type) for n, c in now.items() if n not in ours and n not in sure.values()),
        doubtful=(*(_doubt(name, may, told) for name, may in found.doubtful.items()), *_swaps(ours, now)),
        notes=_notes(pairs),
    )


def by_our_names(columns: Iterable[ColumnPrint], renames: Mapping[str, str]) -> tuple[ColumnPrint, ...]:
    """A source's columns under our names, as they are to be kept for the next comparison."""
    called = {other: mine for mine, other in renames.items()}
    return tuple(replace(column, name=called.get(column.name, column.name)) for column in columns)


def _by_name(columns: Sequence[ColumnPrint]) -> dict[str, ColumnPrint]:
    return {column.name: column for column in sorted(columns, key=lambda column: (column.position, column.name))}


def _holds(mine: str, other: str, ours: Mapping[str, ColumnPrint], theirs: Mapping[str, ColumnPrint]) -> bool:
    """Whether a declared rename is to be applied: not where the source still has our name. Refuses what cannot be."""
    line = f'renames = {{ {mine} = "{other}" }}'
    if mine in theirs and other in theirs:
        message = f"{line}: the source has both {mine!r} and {other!r}"
        hint = "Two columns cannot be one: take the line away."
        raise RequestError("CHANGE_RENAME", message, name=mine, candidates=theirs, hint=hint)
    if mine not in theirs and other not in theirs:
        message = f"{line}: the source has neither {mine!r} nor {other!r}"
        raise RequestError(
            "CHANGE_RENAME", message, name=other, candidates=theirs, hint="Take the line away, or mend it."
        )
    if other in theirs and mine in ours and not _fits(ours[mine], theirs[other]):
        message = f"{line}: {mine!r} is {ours[mine].type}, but {other!r} is {theirs[other].type}"
        raise RefusedError("CHANGE_RENAME_MISFIT", message, hint="The values of one column must be of one kind.")
    return other in theirs


def _fits(mine: ColumnPrint, other: ColumnPrint) -> bool:
    return mine.family == other.family or not mine.filled or not other.filled


def _evidence(
    ours: Mapping[str, ColumnPrint], now: Mapping[str, ColumnPrint], table: str
) -> dict[tuple[str, str], Evidence]:
    """What speaks for each column that went being each that came."""
    stayed = frozenset(ours.keys() & now.keys())
    gone, come = [c for n, c in ours.items() if n not in stayed], [c for n, c in now.items() if n not in stayed]
    if not gone or not come:
        return {}
    usual = usual_likeness(ours, now)
    where = places(tuple(ours.values()), stayed), places(tuple(now.values()), stayed)
    return {(a.name, b.name): evidence(a, b, where, usual, table) for a in gone for b in come}


def _doubt(name: str, may: Sequence[str], told: Mapping[tuple[str, str], Evidence]) -> Doubtful:
    return Doubtful(name, tuple((other, told[name, other].likeness) for other in may))


def _retyped(mine: ColumnPrint, other: ColumnPrint, guessed: bool) -> Retyped | None:
    """The change of type, if any; a column without values fits every type."""
    if mine.type == other.type or not other.filled or (guessed and holds(mine.type, other.type)):
        return None
    return Retyped(mine.name, mine.type, other.type, retyping(mine.type, other.type))


def _swaps(ours: Mapping[str, ColumnPrint], now: Mapping[str, ColumnPrint]) -> Iterator[Doubtful]:
    """Columns of one type whose values look like the other's and not like their own."""
    own = {name: same_values(column, now[name]) for name, column in ours.items() if name in now}
    strange = [name for name, likeness in own.items() if likeness is not None and likeness < _STRANGE]
    for a, b in combinations(strange, 2):
        across = [same_values(ours[a], now[b]), same_values(ours[b], now[a])]
        if ours[a].type == ours[b].type and None not in across:
            least = min(value for value in across if value is not None)
            if least > max(own[a] or 0.0, own[b] or 0.0) + _MUTUAL:
                yield Doubtful(a, ((b, least),), swapped=True)


def _notes(pairs: Sequence[tuple[ColumnPrint, ColumnPrint]]) -> tuple[str, ...]:
    order = [other.position for _, other in sorted(pairs, key=lambda pair: pair[0].position)]
    return ("the columns are in another order",) if order != sorted(order) else ()
