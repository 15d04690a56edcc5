"""How the rows of derived tables are made: a table's definition with those of all derived tables that it reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from penstock.pipeline.derive.derivation import Derivation
from penstock.pipeline.derive.statement import hashed


def recipes_to_be(derivations: Iterable[Derivation]) -> dict[str, str]:
    """By derived table, how its rows are made by its file as it is now; each comes after those that it reads."""
    found: dict[str, str] = {}
    for one in derivations:
        found[one.name] = recipe(one.fingerprint, {read: found[read] for read in one.reads if read in found})
    return found


def recipe(definition: str, below: Mapping[str, str]) -> str:
    """The recipe of a table of this definition, that reads derived tables of these recipes."""
    return hashed(json.dumps([definition, sorted(below.items())]))
