"""The lineage of features through a project's derived tables, down to what its sources give."""

from __future__ import annotations

from penstock.features.views.lineage import Lineage as FeatureLineage
from penstock.pipeline.derive import Lineage, lineage_of, load
from penstock.pipeline.site import Site
from penstock.pipeline.walk import Walk, without_own


def derived_lineage(site: Site) -> Lineage:
    """The lineage of the derived tables, as the lake's tables are now. Raises ``SchemaError`` for a wrong file."""
    files = Walk(site).files()
    kept = {name: table for name, table in site.lake.tables().items() if name not in files}
    given = {name: without_own(table.schema) for name, table in kept.items()}
    return lineage_of(load(site.definitions, given, kept=site.state / "lineage") if files else ())


def origins(derived: Lineage, feature: FeatureLineage) -> dict[str, list[str]]:
    """The columns of derived tables that a feature comes from, and what each is made of; rows by ``table.*``."""
    found = {}
    for table, column in (*feature.values, *feature.uses):
        if table in derived.reads:
            below = derived.upstream(table, None if column == "*" else column)
            found[f"{table}.{column}"] = [".".join(one) for one in below]
    return {column: below for column, below in found.items() if below}
