"""The lineage of features through a project's derived tables, down to what its sources give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.features.views.lineage import Lineage as FeatureLineage
from penstock.lake.kept import shown_tables
from penstock.lake.recipes import recipes_of
from penstock.pipeline.derive import Derivation, Lineage, lineage_of, load
from penstock.pipeline.derive.recipes import recipes_to_be
from penstock.pipeline.site import Site
from penstock.pipeline.walk import Walk, without_own


@dataclass(frozen=True)
class Maker:
    """A derived table that a feature rests on: its file, the version of how its rows are made, and whether the files
    say otherwise since.
    """

    table: str
    file: str
    version: str
    changed: bool

    def __str__(self) -> str:
        since = ", changed since: penstock run" if self.changed else ""
        return f"{self.table} ({self.file}, version {self.version[:8]}{since})"


@dataclass(frozen=True)
class Origins:
    """The derived tables of a project as their files define them, and how the lake's rows were made."""

    derivations: Sequence[Derivation]
    recipes: Mapping[str, str]

    @classmethod
    def of(cls, site: Site, features: Sequence[FeatureLineage]) -> Origins:
        """What these features come from, as the lake's tables are now.

        The files are read only where a feature rests on one. Raises ``SchemaError`` for a wrong one then.
        """
        recipes = recipes_of(site.lake.tables())
        if not any(table in recipes for one in features for table in one.tables):
            return cls((), {})
        files = Walk(site).files()
        kept = {name: table for name, table in shown_tables(site.lake).items() if name not in files}
        given = {name: without_own(table.schema) for name, table in kept.items()}
        return cls(load(site.definitions, given, kept=site.state / "lineage"), recipes)

    def told(self, feature: FeatureLineage) -> dict[str, object]:
        """A feature's lineage for people and machines."""
        makers = [{"table": one.table, "file": one.file, "version": one.version, "changed": one.changed}
                  for one in self.makers(feature)]  # fmt: skip
        return {**feature.to_dict(), "derived": self.columns(feature), "made_by": makers}

    def columns(self, feature: FeatureLineage) -> dict[str, list[str]]:
        """The columns of derived tables that a feature comes from, and what each is made of; rows by ``table.*``."""
        derived, found = self._lineage, {}
        for table, column in (*feature.values, *feature.uses):
            if table in derived.reads:
                below = derived.upstream(table, None if column == "*" else column)
                found[f"{table}.{column}"] = [".".join(one) for one in below]
        return {column: below for column, below in found.items() if below}

    def makers(self, feature: FeatureLineage) -> list[Maker]:
        """The derived tables that a feature's version rests on: those that it reads, and those that these do."""
        wanted, to_be = set(feature.tables), recipes_to_be(self.derivations)
        found = []
        for one in reversed(self.derivations):
            if one.name in wanted and one.name in self.recipes:
                wanted |= set(one.reads)
                kept = self.recipes[one.name]
                found.append(Maker(one.name, f"tables/{one.file}", kept, kept != to_be[one.name]))
        return found

    @property
    def _lineage(self) -> Lineage:
        return lineage_of(self.derivations)
