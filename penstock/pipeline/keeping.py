"""The stage that keeps the online store in step with the lake."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from hashlib import blake2b

from penstock.errors import PenstockError
from penstock.features.views.bound import Bound
from penstock.lake.kept import content_of
from penstock.lake.versioned import VersionedTable
from penstock.pipeline.featurefiles import bound_of
from penstock.pipeline.journal import Outcome
from penstock.pipeline.site import Site
from penstock.pipeline.stages import Progress, Stage
from penstock.schema import Graph
from penstock.settings import VERSION, Settings

NAME = "online store"


def features_of(site: Site, graph: Graph) -> Bound | PenstockError:
    """The declared features, fitted to tables, or why they do not fit."""
    try:
        return bound_of(site, graph)
    except PenstockError as error:
        return error


def keep_stage(site: Site, features: Bound | PenstockError, kept: Mapping[str, VersionedTable]) -> Stage:
    """The stage that brings every view into step; skipped where store and lake are as it left them."""
    if isinstance(features, PenstockError):
        return Stage("features", NAME, "keep what is served in step", broken=features)
    tables = tuple(table.name for table in features.graph if table.name in kept)

    def do(progress: Progress) -> Outcome:
        from penstock.online.stores import open_store
        from penstock.online.sync import sync

        settings = Settings.from_environment()
        with closing(open_store(site.online_url)) as store:
            done = sync(features, site.lake, store, settings=settings, now=site.now, progress=progress)
        told = {one.view: one.how for one in done}
        return Outcome(None, sum(one.rows for one in done), any(one.how != "nothing" for one in done), told)

    sentence = f"keep {len(features.views)} feature views in step with the lake"
    state = _state(features, kept, tables) if _held(site, features) else ""
    return Stage("features", NAME, sentence, tables, state, do=do)


def _held(site: Site, features: Bound) -> bool:
    """Whether the store holds every view as it is declared."""
    from penstock.online.catalogue import all_live
    from penstock.online.stores import open_store

    try:
        with closing(open_store(site.online_url)) as store:
            held = {name: state.version for name, state in all_live(store).items()}
    except PenstockError:
        return False  # the stage itself will say so
    return held == {view.kept: features.views[view.kept].fingerprint for view in features.views.values()}


def _state(features: Bound, kept: Mapping[str, VersionedTable], tables: tuple[str, ...]) -> str:
    told = [VERSION, *(f"{name} {view.fingerprint}" for name, view in sorted(features.views.items()))]
    told += [f"{name} {content_of(kept[name])}" for name in tables]
    return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()
