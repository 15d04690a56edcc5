"""A project's features as they fitted its tables before derived tables were made otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions
from penstock.lake.recipes import RECIPE, recipe_of, recipes_of
from penstock.lake.versioned import VersionedTable
from penstock.pipeline.knowngraph import graph_of


def earlier(definitions: Definitions, tables: Mapping[str, VersionedTable]) -> Iterator[Bound]:
    """The definitions as they are now, over derived tables as they were before each time one was made otherwise.

    The newest comes first; of versions that expired nobody can tell.
    """
    changed = {name: _changes(table) for name, table in tables.items() if recipe_of(table) is not None}
    for instant in sorted({instant for changes in changed.values() for instant, _ in changes}, reverse=True):
        before = {name: _before(tables[name], changes, instant) for name, changes in changed.items()}
        then = {**tables, **before}
        yield bind(definitions, graph_of(then), recipes_of(then))


def _changes(table: VersionedTable) -> list[tuple[int, int]]:
    """When a table was first made by another recipe than before, and the number of the version before that."""
    versions = table.versions()
    recipe, found = None, []
    for last, version in zip((None, *versions), versions, strict=False):
        if RECIPE in version.facts and version.facts[RECIPE] != recipe:
            if last is not None:
                found.append((version.instant, last.number))
            recipe = version.facts[RECIPE]
    return found


def _before(table: VersionedTable, changes: list[tuple[int, int]], instant: int) -> VersionedTable:
    """The table as it was before an instant, as far as that was another making."""
    return next((table.at(number) for changed, number in changes if changed >= instant), table)
