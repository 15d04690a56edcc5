"""The stage that keeps the online store in step with the lake."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from hashlib import blake2b

from penstock.errors import PenstockError, RequestError
from penstock.features.views.bound import Bound
from penstock.features.views.broken import left_alone
from penstock.lake.kept import content_of
from penstock.lake.versioned import VersionedTable
from penstock.pipeline.journal import Outcome
from penstock.pipeline.site import Site
from penstock.pipeline.stages import Progress, Stage
from penstock.settings import VERSION, Settings

NAME = "online store"


def keep_stage(site: Site, features: Bound, kept: Mapping[str, VersionedTable]) -> Stage:
    """The stage that brings every sound view into step; skipped where store and lake are as it left them.

    Where a view is broken the others are brought into step, and then the stage fails: what the store holds of the
    broken one stays.
    """
    tables = tuple(table.name for table in features.graph if table.name in kept)
    wanting = left_alone(features.broken)

    def do(progress: Progress) -> Outcome:
        from penstock.online.stores import open_store
        from penstock.online.sync import sync

        settings = Settings.from_environment()
        with closing(open_store(site.online_url)) as store:
            done = sync(features, site.lake, store, settings=settings, now=site.now, progress=progress)
        if wanting is not None:
            raise wanting
        told = {one.view: one.how for one in done}
        return Outcome(None, sum(one.rows for one in done), any(one.how != "nothing" for one in done), told)

    count = len(features.views)
    sentence = f"keep {count} feature view{'' if count == 1 else 's'} in step with the lake"
    try:
        touched = not _held(site, features)
    except RequestError as error:
        return Stage("features", NAME, sentence, tables, broken=error)
    state = _state(features, kept, tables) if kept.keys() >= set(tables) else ""
    return Stage("features", NAME, sentence, tables, state, touched, wanting=wanting, do=do)


def _held(site: Site, features: Bound) -> bool:
    """Whether the store holds every view as it is declared. Raises ``RequestError`` for a place that can be none."""
    from penstock.online.catalogue import all_live
    from penstock.online.stores import open_store

    try:
        with closing(open_store(site.online_url)) as store:
            held = {name: state.version for name, state in all_live(store).items()}
    except RequestError:
        raise
    except PenstockError:
        return False  # the stage itself will say so
    return held == {view.kept: features.views[view.kept].fingerprint for view in features.views.values()}


def _state(features: Bound, kept: Mapping[str, VersionedTable], tables: tuple[str, ...]) -> str:
    told = [VERSION, *(f"{name} {view.fingerprint}" for name, view in sorted(features.views.items()))]
    told += [f"{name} {content_of(kept[name])}" for name in tables]
    return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()
