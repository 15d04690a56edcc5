"""The types of a landing's columns and the manner in which each file's texts are read, from all of their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import pyarrow as pa

from penstock.lake.landing.columns import ColumnFacts, column_decision
from penstock.lake.landing.facts import Manner, TextFacts, manner, text_facts
from penstock.lake.landing.inorder import in_order
from penstock.lake.landing.piece import Part, Piece
from penstock.lake.landing.settings import LandingSettings


@dataclass(frozen=True)
class Decided:
    """Each column's type; how its texts are read where all files agree on it; and what is to be said."""

    kinds: Mapping[str, pa.DataType]
    manners: Mapping[str, Manner]
    notes: tuple[str, ...]


def decided_columns(parts: Sequence[Part], known: Mapping[str, pa.DataType], settings: LandingSettings) -> Decided:
    """The types of all columns: those known beforehand, and the others as all their values say."""
    wanted = {name for part in parts for name in part.names} - set(known)
    facts: dict[str, ColumnFacts] = {}
    for part in parts:
        for name, found in part_facts(part, wanted & set(part.names), settings).items():
            facts[name] = facts.get(name, ColumnFacts()).merged(found)
    decisions = {
        name: column_decision(found, settings, mixed_is_text=parts[0].texts != "text") for name, found in facts.items()
    }
    notes = tuple(f"{name}: {decision.note}" for name, decision in decisions.items() if decision.note)
    kinds = {**known, **{name: decision.kind for name, decision in decisions.items()}}
    return Decided(kinds, {name: decision.manner for name, decision in decisions.items()}, notes)


def part_facts(
    part: Part, names: set[str], settings: LandingSettings, blocks: int | None = None
) -> dict[str, ColumnFacts]:
    """What these columns of a file show, in all of it or in its first blocks."""
    declared = part.declared()
    if declared:
        return {name: ColumnFacts((kind,)) for name, kind in declared.items() if name in names}
    if not names:
        return {}
    quick = settings.decimal_comma is None
    found = _gathered(part, names, settings, blocks, quick=quick)
    if quick and any(_is_rough(facts.texts) for facts in found.values()):
        return _gathered(part, names, settings, blocks, quick=False)
    return found


def _is_rough(facts: TextFacts) -> bool:
    """Whether numbers found the quick way stand beside numbers with commas, so that all must be looked at closely."""
    return bool(facts.quick and facts.told and not facts.all_are("number"))


def _gathered(
    part: Part, names: set[str], settings: LandingSettings, blocks: int | None, *, quick: bool
) -> dict[str, ColumnFacts]:
    found = {name: ColumnFacts() for name in part.names if name in names}
    hopeless: set[str] = set()
    work = partial(_facts_of, part=part, names=names, hopeless=hopeless, quick=quick)
    for more in in_order(work, islice(part.pieces(), blocks), settings.threads):
        for name, facts in more.items():
            found[name] = found[name].merged(facts)
            if found[name].texts.hopeless:
                hopeless.add(name)
    return found


def _facts_of(
    made: Callable[[], Piece], *, part: Part, names: set[str], hopeless: set[str], quick: bool
) -> dict[str, ColumnFacts]:
    rows = made().rows
    return {
        name: _column_facts(rows.column(at), part, quick=quick)
        for at, name in enumerate(rows.schema.names)
        if name in names and name not in hopeless
    }


def _column_facts(values: pa.Array, part: Part, *, quick: bool) -> ColumnFacts:
    if not pa.types.is_string(values.type):
        return ColumnFacts((values.type,))
    return ColumnFacts((), text_facts(values, numbers=part.texts == "anything", quick=quick))


def manners(part: Part, columns: Decided, settings: LandingSettings) -> dict[str, Manner]:
    """How each column's texts are read in one file: as decided for all, or, of a known type, as this file shows.

    A first look is at the file's beginning; where numbers have commas or dates no plain form, at all of it.
    """
    asked = {name for name in part.names if name not in columns.manners and _has_manners(columns.kinds[name])}
    facts = part_facts(part, asked, settings, blocks=1)
    if any(not _is_plain(found.texts) for found in facts.values()):
        facts = part_facts(part, asked, settings)
    chosen = {
        name: manner(found.texts, day_first=settings.day_first, decimal_comma=settings.decimal_comma)
        for name, found in facts.items()
    }
    default = Manner("", settings.day_first)
    return {name: columns.manners.get(name) or chosen.get(name, default) for name in columns.kinds}


def _has_manners(kind: pa.DataType) -> bool:
    types = pa.types
    return not (types.is_string(kind) or types.is_boolean(kind) or types.is_binary(kind))


def _is_plain(facts: TextFacts) -> bool:
    """Whether numbers are written as programs write them and dates with the year first."""
    return facts.quick or facts.texts == 0 or (not facts.told and not facts.dates.first[0])
