"""A project's tables as a database: what is kept, with the keys and clocks that the lake knows, and its labels."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import inference, lake
from penstock.database import Database
from penstock.labels import by_entity
from penstock.lake.kept import LakeSource, at_versions
from penstock.lake.versioned import DELETED, KNOWN
from penstock.learning.labelling import LabelStore, with_labels
from penstock.pipeline.datasets import Dataset
from penstock.pipeline.site import Site
from penstock.schema import Graph, Kind
from penstock.settings import Settings


def database_of(
    site: Site, settings: Settings, versions: Mapping[str, int], pinned: Dataset | None, *, labelled: bool
) -> Database:
    """The tables at these versions, to be asked; ``labelled`` with the labels that are known now.

    Whatever is learnt from it names the versions, and the snapshot that they were ``pinned`` in.
    """
    source = at_versions(site.lake, versions)
    facts = lake.describe(source)
    told = ", ".join(f"{name} version {number}" for name, number in source.at.items())
    data = told if pinned is None else f"snapshot {pinned.name} ({pinned.hash}): {told}"
    db = Database(source, facts, _with_roles(inference.infer(facts), source), settings, site.file.queries, data)
    return _labelled(db, LabelStore(site.lake, site.now)) if labelled else db


def _labelled(db: Database, store: LabelStore) -> Database:
    """The database with a table of labels: ``labels``, or one an entity where labels are about several tables."""
    about = by_entity(store.set(name) for name in store.names())
    for entity, names in about.items():
        if entity in db.graph:
            db = with_labels(db, store, names, table="labels" if len(about) == 1 else f"{entity}_labels")
    return db


def _with_roles(graph: Graph, source: LakeSource) -> Graph:
    """The graph with the keys, clocks and links that the lake knows; its own two columns make no features."""
    for name, table in source.opened.items():
        roles, there = table.roles, graph.table(name)
        time_ = roles.happened if roles.happened and there.has(roles.happened) else there.happened
        graph = inference.set_table(graph, name, key=roles.key or None, time=time_, known=KNOWN, deleted=DELETED)
        for own in (KNOWN, DELETED):
            graph = inference.set_column(graph, f"{name}.{own}", kind=Kind.IGNORED)
    return graph
