"""A lake: named versioned tables in one place, found through one catalogue."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from penstock.errors import RequestError, SchemaError, SourceError
from penstock.lake.objects.address import address
from penstock.lake.versioned.bucket import BucketStorage
from penstock.lake.versioned.catalogue import NAMESPACE, OWN, Catalogue
from penstock.lake.versioned.commits import Handle
from penstock.lake.versioned.damage import Damage
from penstock.lake.versioned.expiry import Expired, expire, sweep_dropped
from penstock.lake.versioned.roles import OWN_COLUMNS, Roles
from penstock.lake.versioned.storage import LocalStorage, Storage
from penstock.lake.versioned.stored import stored_schema
from penstock.lake.versioned.table import VersionedTable
from penstock.lake.versioned.verification import verified
from penstock.settings import Settings


def micros_now() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Lake:
    """Versioned tables below ``place``, in the catalogue at ``catalogue_url``."""

    place: str
    catalogue_url: str = field(repr=False)
    storage: Storage = field(repr=False)
    now: Callable[[], int] = field(repr=False)
    _catalogue: Catalogue = field(repr=False)

    def names(self) -> tuple[str, ...]:
        """The tables' names, in order."""
        return self._catalogue.names()

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def table(self, name: str) -> VersionedTable:
        """The table called so, at its newest version. Raises ``SourceError`` with the ones that exist."""
        return VersionedTable(name, self._handle(name))

    def tables(self) -> dict[str, VersionedTable]:
        """All tables by name, in order, each at its newest version."""
        heads = self._catalogue.heads()
        return {
            name: VersionedTable(name, Handle(self._catalogue, name, head, self.storage, self.now))
            for name, head in sorted(heads.items())
        }

    def _handle(self, name: str) -> Handle:
        found = self._catalogue.head(name)
        if found is None:
            there = self.names()
            message = f"the lake has no table {name!r}"
            hint = None if there else "It holds no tables yet: penstock run brings them in."
            raise SourceError("LAKE_UNKNOWN_TABLE", message, name=name, candidates=there, hint=hint)
        return Handle(self._catalogue, name, found, self.storage, self.now)

    def create(self, name: str, schema: pa.Schema, roles: Roles) -> VersionedTable:
        """A new table with these columns (and the lake's own); the one that is there, if there is one.

        Raises ``SchemaError`` for a name that could not be a folder's, and for roles of columns that are not there.
        """
        if not name or name.startswith(".") or {"/", "\\", "\0"} & set(name):
            hint = "Leave out slashes, and a point at the start."
            raise SchemaError("LAKE_NAME", f"a lake table cannot be called {name!r}", name=name, hint=hint)
        roles.must_fit(name, schema.names)
        whole = pa.schema([*stored_schema(schema), *OWN_COLUMNS])
        self._catalogue.create(name, whole, roles.to_properties())
        return self.table(name)

    def drop(self, name: str) -> None:
        """Forget a table; its files stay until the lake is cleaned."""
        self.table(name)
        self._catalogue.drop(name)

    def expire(
        self,
        keep: timedelta | int,
        pinned: Mapping[str, Collection[int]] | None = None,
        grace: timedelta = timedelta(days=1),
    ) -> Expired:
        """Forget old versions of all tables and delete the files that no kept version needs.

        Kept are the newest version, those of the last ``keep`` (a time, or a number of versions), what was true when
        that time began, and what a tag or ``pinned`` (version numbers by table) names. Also deleted are files older
        than ``grace`` that no version names and no living writer works on: drafts and rows that were staged and
        forgotten, and what dropped tables left. Batch names and facts outlive their versions.
        """
        done = Expired(0, 0, 0)
        for name in self.names():
            done += expire(self._handle(name), keep, (pinned or {}).get(name, ()), grace)
        known = {self._handle(name).metadata.location for name in self.names()}
        for location in self.storage.tables(f"{self._catalogue.warehouse}/{NAMESPACE}"):
            if location not in known:
                done += Expired(0, 0, sweep_dropped(self.storage, location, self.now(), grace))
        return done

    def verify(self) -> tuple[Damage, ...]:
        """Read every file that a kept version needs and say which are torn, changed or missing."""
        return tuple(damage for name in self.names() for damage in self._damages(name))

    def _damages(self, name: str) -> tuple[Damage, ...]:
        try:
            return verified(self._handle(name))
        except SourceError as error:
            return (Damage(name, error.name or "", 0, error.message),)


def open_lake(
    place: str | os.PathLike[str], catalogue: str | None = None, *, now: Callable[[], int] = micros_now
) -> Lake:
    """The lake at a folder (made when it is not there) or at ``s3://bucket/prefix``.

    A folder's catalogue is a SQLite file in it unless another is named; that of a bucket must be: a database that all
    who use the lake reach (``postgresql://…``); in it the lake's place is the catalogue's name. Credentials, region
    and endpoint of a bucket come from the standard ``AWS_*`` environment. ``now`` gives the instants of commits
    (microseconds since 1970).
    """
    if str(place).startswith("s3://"):
        return _in_bucket(str(place), catalogue, now)
    folder = Path(place).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    url = catalogue or f"sqlite:///{folder / 'catalogue.db'}"
    named = Catalogue(folder.as_uri(), url, OWN if catalogue is None else folder.as_uri())
    return Lake(str(folder), url, LocalStorage(), now, named)


def _in_bucket(place: str, catalogue: str | None, now: Callable[[], int]) -> Lake:
    if catalogue is None:
        hint = "Name a database that all who use the lake reach, such as postgresql://user@host/database."
        raise RequestError("LAKE_NEEDS_CATALOGUE", f"a lake at {place} needs a catalogue", hint=hint)
    warehouse = str(address(place)).rstrip("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    options = {"s3.region": region} | ({"s3.endpoint": endpoint} if endpoint else {})
    cache = Settings.from_environment().cache or Path(tempfile.gettempdir())
    named = Catalogue(warehouse, catalogue, warehouse, options)
    return Lake(warehouse, catalogue, BucketStorage(cache / "lake"), now, named)
