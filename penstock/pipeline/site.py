"""A project opened: its file, its lake, its journal, and the folders where the rest of it lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from penstock.errors import RequestError
from penstock.lake.awaited import is_awaited
from penstock.lake.ingest import Check
from penstock.lake.reserved import DEAD, DEAD_KEY
from penstock.lake.versioned import Lake, Roles, open_lake
from penstock.pipeline.datasets import Datasets
from penstock.pipeline.journal import Journal
from penstock.pipeline.projectfile import OnlineSettings, ProjectFile
from penstock.pipeline.settled import Place, filled
from penstock.quality.alerts.alert import read_alerts
from penstock.quality.alerts.episodes import Alerts
from penstock.quality.contract import Contract
from penstock.quality.gate import gate
from penstock.quality.results import Results

LIVE = "live"
"""In place of a store's URL: nothing is kept, the sources themselves are asked."""


@dataclass(frozen=True)
class Site:
    """Where a project's parts are; ``now`` gives microseconds since 1970, in UTC."""

    file: ProjectFile
    now: Callable[[], int]

    @cached_property
    def lake(self) -> Lake:
        """The project's versioned tables; the lake is made when it is first asked for."""
        told, place = self.file.lake, Place(self.file.path.name, "lake")
        where = filled(told.place, place.at("place"))
        catalogue = None if told.catalogue is None else filled(told.catalogue, place.at("catalogue"))
        return open_lake(where if "://" in where else self.file.folder / where, catalogue)

    @cached_property
    def journal(self) -> Journal:
        """The history of runs."""
        return Journal(self.state / "journal.db")

    @cached_property
    def datasets(self) -> Datasets:
        """The dataset snapshots."""
        return Datasets(self.file.folder / "snapshots", self.lake)

    @cached_property
    def results(self) -> Results:
        """What checks found, and profiles of good versions."""
        return Results(self.state / "checks")

    @cached_property
    def alerts(self) -> Alerts | None:
        """Who is told when a check fails; None when nobody is."""
        if not self.file.alerts:
            return None
        place = Place(self.file.path.name, "alerts")
        told = [{key: _filled(value, place.at(key)) for key, value in one.items()} for one in self.file.alerts]
        return Alerts(self.state / "alerts", read_alerts(told, str(place)))

    @property
    def online(self) -> OnlineSettings:
        """Where features are kept to be served; by default beside the lake."""
        return self.file.online or OnlineSettings()

    @property
    def keeps_online(self) -> bool:
        """Whether the project has a store that is to be kept in step."""
        return self.file.online is not None and self.online.store != LIVE

    @cached_property
    def online_url(self) -> str:
        """Where the online store is, with its secrets; a path is made absolute.

        Raises ``RequestError`` for a secret that is not set, and for a path that can be no folder.
        """
        place = Place(self.file.path.name, "online", "store")
        whole = filled(self.online.store, place).removeprefix("lmdb:").strip()
        if "://" in whole or whole == LIVE:
            return whole
        folder = Path(os.path.normpath(self.file.folder / whole))
        file = next((path for path in (folder, *folder.parents) if path.is_file()), None)
        if file is not None or not whole:
            why = f"is kept in a folder, and {file} is a file" if whole else "has to be somewhere, and this is empty"
            hint = f'Name a folder: store = "{OnlineSettings().store}"; or redis://…, postgresql://…, {LIVE}.'
            raise RequestError("PROJECT_VALUE", f"{place}: a store {why}", hint=hint)
        return str(folder)

    def gate(self, contract: Contract | None) -> Check | None:
        """What looks at a table's staged rows before they are committed."""
        if contract is None:
            return None
        return gate(contract, self.lake, kept=self.results, alerts=self.alerts, now=self.now)

    @property
    def state(self) -> Path:
        """What is kept beside the lake and belongs in no version control."""
        return self.file.folder / ".penstock"

    @property
    def quarantine(self) -> Path:
        """Rows and batches that were refused."""
        return self.state / "quarantine"

    @property
    def definitions(self) -> Path:
        """The folder of derived tables."""
        return self.file.folder / "tables"

    @property
    def contracts(self) -> Path:
        """The folder of contracts."""
        return self.file.folder / "contracts"


def aside(name: str, roles: Roles) -> bool:
    """Whether a lake table is no table of the data itself: labels, which come in as a whole, dead letters, and keys
    that are awaited.

    >>> aside("labels_fraud", Roles(origin="labels")), aside("labels_printed", Roles(origin="shop.sqlite"))
    (True, False)
    """
    return roles.origin == "labels" or (name.endswith(DEAD) and roles.key == DEAD_KEY) or is_awaited(name, roles)


def _filled(value: object, place: Place) -> object:
    if isinstance(value, list):
        return [_filled(one, place) for one in value]
    return filled(value, place) if isinstance(value, str) else value
