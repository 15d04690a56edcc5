"""How the rows of derived tables are made: a table's definition with those of all derived tables that it reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from penstock.lake.versioned import VersionedTable
from penstock.pipeline.derive.building import DEFINITION, INPUTS
from penstock.pipeline.derive.derivation import Derivation
from penstock.pipeline.derive.statement import hashed

_FILES = "tables/"
"""How the origin of a derived table begins: its file in the project."""


def recipes_of(tables: Mapping[str, VersionedTable]) -> dict[str, str]:
    """By derived table of a lake, a fingerprint of how the rows that it has now were made.

    It changes when the table is built by a definition that means something else, or one of the derived tables that it
    read was; not with rows, nor with files that were changed and not run yet.
    """
    found: dict[tuple[str, int], str] = {}
    made = {name: table for name, table in tables.items() if table.roles.origin.startswith(_FILES)}
    return {name: _kept(table.facts(), made, found) for name, table in made.items() if table.newest()}


def _kept(
    facts: Mapping[str, str],
    made: Mapping[str, VersionedTable],
    found: dict[tuple[str, int], str],
) -> str:
    """How the rows of a version with these facts were made, from derived tables as they were at certain versions."""
    below = {}
    for name, number in json.loads(facts[INPUTS]).items():
        if number and name in made:
            if (name, number) not in found:
                found[name, number] = _kept(_facts(made[name], number), made, found)
            below[name] = found[name, number]
    return _recipe(facts[DEFINITION], below)


def _facts(table: VersionedTable, number: int) -> Mapping[str, str]:
    """What a version says of its making; where it has expired, what the newest does.

    Versions that only wrote the same rows otherwise say nothing: those before them do.
    """
    versions = reversed(table.versions())
    return next((one.facts for one in versions if one.number <= number and DEFINITION in one.facts), table.facts())


def recipes_to_be(derivations: Iterable[Derivation]) -> dict[str, str]:
    """By derived table, how its rows are made by its file as it is now; each comes after those that it reads."""
    found: dict[str, str] = {}
    for one in derivations:
        below = {read: found[read] for read in one.reads if read in found}
        found[one.name] = _recipe(one.fingerprint, below)
    return found


def _recipe(definition: str, below: Mapping[str, str]) -> str:
    return hashed(json.dumps([definition, sorted(below.items())]))
