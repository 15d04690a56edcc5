"""What a project's file and its sources say together: one intake a table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from penstock.errors import PenstockError, RequestError, SourceError
from penstock.lake.ingest import Intake
from penstock.lake.ingest.feeds.listing import Listed
from penstock.lake.reserved import AWAITED, DEAD, LABELS
from penstock.lake.sources import open_source
from penstock.lake.versioned.roles import Roles
from penstock.pipeline.projectfile import ProjectFile, SourceSettings, TableSettings
from penstock.pipeline.reading import landing_of
from penstock.pipeline.settled import Place
from penstock.schema import names

_LONGEST_NAME = 200


@dataclass(frozen=True)
class Look:
    """A source looked at: where it is (secrets filled in), its tables, or why they cannot be seen."""

    settings: SourceSettings
    url: str = ""
    tables: Mapping[str, Listed] | None = None
    error: PenstockError | None = None

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of the tables that are wanted of it, as it calls them."""
        return self.settings.tables or tuple(self.tables or ())

    @cached_property
    def state(self) -> str:
        """What tells whether files have changed; empty for a server, which only reading tells."""
        if self.error is not None or ("://" in self.url and not self.url.startswith("s3://")):
            return ""
        try:
            return open_source(self.url).fingerprint()
        except PenstockError:
            return ""


@dataclass(frozen=True)
class Wanted:
    """A table to be brought in: its intake, the look at its source, and what the source says of it (None: absent)."""

    intake: Intake
    look: Look
    listed: Listed | None
    settings: TableSettings

    @property
    def error(self) -> PenstockError | None:
        """Why it cannot be brought in at all: its name, its source, or that it is not there."""
        if self.look.error is not None:
            return self.look.error
        if not _is_plain(self.intake.table):
            message = f"{self.intake.table!r} cannot name a table of the lake"
            hint = f"Give it another name: [tables.NAME] from = {json.dumps(self.intake.origin)}"
            return RequestError("PROJECT_TABLE_NAME", message, name=self.intake.table, hint=hint)
        if self.listed is None:
            message = f"the source {self.look.settings.name} has no table {self.intake.origin!r}"
            there = self.look.tables or ()
            return SourceError("SOURCE_UNKNOWN_TABLE", message, name=self.intake.origin, candidates=there)
        return self.listed.error


def misnamed(one: Wanted, known: Collection[str]) -> RequestError | None:
    """The error for a column that the project's file names and neither source nor lake (``known``) has, if any."""
    there = {*_ours(tuple(one.listed.columns if one.listed else ()), one.settings), *known}
    says = one.settings
    told = {
        "key": says.key,
        "columns": says.columns or (),
        "links": tuple(part for columns in says.links for part in columns.split("+")),
        **{role: names(getattr(says, role)) for role in ("time", "known", "watermark")},
    }
    for role, columns in told.items():
        for column in columns:
            if column not in there:
                message = f"[tables.{says.name}] {role}: there is no column {column!r}"
                return RequestError("PROJECT_COLUMN", message, name=column, candidates=sorted(there))
            if says.columns is not None and column not in says.columns:
                message = f"[tables.{says.name}] columns leaves out {column!r}, which is its {role}"
                return RequestError("PROJECT_COLUMN", message, name=column, candidates=says.columns)
    return None


def roles_of(intake: Intake, before: Roles) -> Roles:
    """A table's roles as the project has them now: clocks and links may be said, or corrected, at any moment."""
    return replace(before, happened=intake.happened, known=intake.known, links=dict(intake.links) or None)


def _is_plain(name: str) -> bool:
    """Whether a name can be that of a folder, and is not kept for what is beside the data: sources may say anything.

    >>> _is_plain("order lines"), _is_plain("../orders"), _is_plain(".orders")
    (True, False, False)
    """
    reserved = name.startswith(LABELS) or name.endswith((DEAD, AWAITED))
    return 0 < len(name.encode()) <= _LONGEST_NAME and not re.search(r"[/\\\0]|^\.", name) and not reserved


def looks(file: ProjectFile, list_tables: Callable[[str], Mapping[str, Listed]]) -> tuple[Look, ...]:
    """Each source of the project, looked at; one that cannot be opened keeps the others from nothing."""
    return tuple(_look(file, source, list_tables) for source in file.sources.values())


def _look(file: ProjectFile, source: SourceSettings, list_tables: Callable[[str], Mapping[str, Listed]]) -> Look:
    try:
        url = file.located(source.url, Place(file.path.name, f"sources.{source.name}", "url"))
        return Look(source, url, list_tables(url))
    except PenstockError as error:
        return Look(source, error=error)


def wanted(file: ProjectFile, seen: tuple[Look, ...]) -> tuple[Wanted, ...]:
    """The tables to be brought in, in the order of the sources.

    Raises ``RequestError`` when two sources would make one table, or a table's source is none or cannot be told.
    """
    made: dict[str, Wanted] = {}
    pairs = [(look, name, settings) for look in seen for name, settings in _offers(file, look)]
    names = _Names({(look.settings.name, settings.from_ or name): (name, settings) for look, name, settings in pairs})
    for look, name, settings in pairs:
        if name in made:
            both = " and ".join(sorted({made[name].look.settings.name, look.settings.name}))
            hint = f'Say which: [tables.{name}] source = "{look.settings.name}", or give one another name with from.'
            raise RequestError("PROJECT_TABLE_TWICE", f"the table {name} would come from {both}", hint=hint)
        made[name] = _wanted(name, settings, look, names)
    for name, settings in file.tables.items():
        if name not in made:
            made[name] = _wanted(name, settings, _place(file, settings, seen), names)
    return tuple(made.values())


def _offers(file: ProjectFile, look: Look) -> Iterator[tuple[str, TableSettings]]:
    """The tables that a source is to give, by our names."""
    own = {name: one for name, one in file.tables.items() if _belongs(one, look)}
    taken = {one.from_ or name for name, one in own.items()}
    yield from own.items()
    for name in look.offered:
        if name not in taken and (name not in file.tables or file.tables[name].source is None):
            yield name, file.tables.get(name, TableSettings(name))


def _belongs(settings: TableSettings, look: Look) -> bool:
    if settings.source is not None:
        return settings.source == look.settings.name
    return (settings.from_ or settings.name) in look.offered


@dataclass(frozen=True)
class _Names:
    """Our tables by their source and what it calls them."""

    ours: Mapping[tuple[str, str], tuple[str, TableSettings]]

    def links(self, look: Look, listed: Listed, settings: TableSettings) -> Iterator[tuple[str, str]]:
        """The declared links that lead to the key of a table that is ours, too: columns (with ``+``) and table."""
        for link in listed.links:
            name, target = self.ours.get((look.settings.name, link.to), ("", TableSettings("")))
            there = (look.tables or {}).get(link.to)
            plain = not any("+" in column for column in link.columns)
            if name and there is not None and plain:
                key = _key(target, there)
                pairs = dict(zip(_ours(link.to_columns, target) or key, _ours(link.columns, settings), strict=False))
                taken = settings.columns is None or set(pairs.values()) <= set(settings.columns)
                if key and pairs.keys() == set(key) and taken:
                    yield "+".join(pairs[part] for part in key), name


def _key(settings: TableSettings, listed: Listed | None) -> tuple[str, ...]:
    """The key of a table: as the project says, else as its source declares."""
    return settings.key or (() if listed is None else _ours(listed.key, settings))


def _wanted(name: str, settings: TableSettings, look: Look, names: _Names) -> Wanted:
    origin = settings.from_ or name
    listed = None if look.tables is None else look.tables.get(origin)
    key = _key(settings, listed)
    declared = {} if listed is None else dict(names.links(look, listed, settings))
    mode = settings.mode or look.settings.mode or ("compare" if key else "full")
    intake = Intake(
        name,
        look.url,
        origin,
        mode,
        key=key,
        watermark=settings.watermark,
        happened=settings.time,
        known=settings.known,
        renames=settings.renames,
        columns=settings.columns,
        overlap=settings.overlap,
        refuse_future=settings.refuse_future,
        landing=landing_of(settings),
        links=dict(settings.links) or declared,
    )
    return Wanted(intake, look, listed, settings)


def _ours(columns: tuple[str, ...], settings: TableSettings) -> tuple[str, ...]:
    """Our names of columns that the source calls so."""
    theirs = {name: ours for ours, name in settings.renames.items()}
    return tuple(theirs.get(column, column) for column in columns)


def _place(file: ProjectFile, settings: TableSettings, seen: tuple[Look, ...]) -> Look:
    """Where a table that no source has should come from: the source it names, or the only one that may have it."""
    hidden = [look for look in seen if look.error is not None] or list(seen)
    if settings.source is None and len(hidden) == 1:
        return hidden[0]
    named = next((look for look in seen if look.settings.name == settings.source), None)
    if named is not None:
        return named
    place = Place(file.path.name, f"tables.{settings.name}")
    if settings.source is not None:
        message = f"{place} names a source that there is not"
        raise RequestError("PROJECT_SOURCE", message, name=settings.source, candidates=file.sources)
    there = sorted({name for look in seen for name in look.tables or ()})
    name = settings.from_ or settings.name
    message = f"{place}: no source has a table {name!r}"
    raise RequestError("PROJECT_TABLE_ABSENT", message, name=name, candidates=there)


def without_secrets(intake: Intake) -> str:
    """All that is said of an intake but its place, as text."""
    return repr(replace(intake, source=""))
