"""Recipes: how the rows of a derived table are made, as the versions of the table say it.

A recipe is the fingerprint of a table's definition with those of all derived tables that it reads. It is a fact of the
commit that brings the rows, so that nobody can see rows without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.errors import SourceError
from penstock.lake.versioned import VersionedTable

RECIPE = "recipe"
"""The fact that says it."""
FILES = "tables/"
"""How the origin of a derived table begins: its file in the project."""


def recipe_of(table: VersionedTable) -> str | None:
    """How the rows that a table has now were made; None where nothing derives it, or it has none yet."""
    is_derived = table.roles.origin.startswith(FILES) and table.newest() is not None
    return table.facts().get(RECIPE) if is_derived else None


def recipes_of(tables: Mapping[str, VersionedTable]) -> dict[str, str]:
    """By derived table of a lake, how the rows that it has now were made.

    It changes when the table is built by a definition that means something else, or one of the derived tables that it
    read was; not with rows, nor with files that were changed and not run yet.
    """
    found = {name: recipe_of(table) for name, table in tables.items()}
    return {name: recipe for name, recipe in found.items() if recipe is not None}


def made_by(table: VersionedTable, recipe: str | None) -> VersionedTable:
    """The table with the newest rows that were made by a recipe (None: before there were any), whatever came since.

    Raises ``SourceError`` (``LAKE_REMADE``) where no such version is kept.
    """
    if recipe_of(table) == recipe:
        return table
    if recipe is None:
        return table.at(0)
    number, current = 0, None
    for version in table.versions():
        current = version.facts.get(RECIPE, current)
        number = version.number if current == recipe else number
    if not number:
        message = f"the rows of {table.name} are made by another definition by now, and older ones are kept no longer"
        raise SourceError("LAKE_REMADE", message, name=table.name, hint="Read the definitions again.")
    return table.at(number)
