"""A project: what `penstock.toml` says, as frozen values."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from penstock.errors import RequestError
from penstock.pipeline.settled import Place, filled, read_value

FILE = "penstock.toml"
Mode = Literal["full", "incremental", "compare"]
Named = TypeVar("Named")


@dataclass(frozen=True)
class LakeSettings:
    """Where versions of tables are kept, under which catalogue, and for how many days.

    ``place`` is a folder beside the project's file or ``s3://bucket/prefix``; ``catalogue`` the URL of a database
    (default: a SQLite file in the folder).
    """

    place: str = "lake"
    catalogue: str | None = None
    keep_days: int = 30


@dataclass(frozen=True)
class SourceSettings:
    """A database or folder that tables come from, and which of its tables (default: all)."""

    name: str
    url: str
    tables: tuple[str, ...] = ()
    mode: Mode | None = None


@dataclass(frozen=True)
class TableSettings:
    """What is known of one table: where it comes from, how it is brought in, and what its columns are for.

    ``columns`` are those that are taken (default: all). ``renames`` maps our names of columns to the source's;
    ``drops`` names columns whose loss is accepted. ``overlap`` is how far below the greatest watermark is read again
    (seconds, or units of a number); with ``refuse_future`` rows of times to come are rejected instead of noted.

    The rest is about files: ``types`` of columns (`TYPES`), ``encoding``, ``separator``, whether in 03/04/2024 the day
    comes first, and whether in 1,500 the comma begins the fraction.
    """

    name: str
    source: str | None = None
    from_: str | None = None
    mode: Mode | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    known: str | None = None
    watermark: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    drops: tuple[str, ...] = ()
    overlap: float | None = None
    refuse_future: bool = False
    types: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    separator: str | None = None
    day_first: bool | None = None
    decimal_comma: bool | None = None


@dataclass(frozen=True)
class StreamSettings:
    """A stream of messages and the table they become."""

    name: str
    url: str
    table: str | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    known: str | None = None


@dataclass(frozen=True)
class RuleSettings:
    """A labelling function: a condition in PQL with the value where it holds (and ``otherwise``), or a SELECT."""

    pql: str | None = None
    sql: str | None = None
    value: bool | float | str | None = None
    otherwise: bool | float | str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class LabelSettings:
    """A set of labels: the table they are about, and rules that give some."""

    name: str
    entity: str
    rules: Mapping[str, RuleSettings] = field(default_factory=dict)


@dataclass(frozen=True)
class OnlineSettings:
    """Where features are kept to be served, and how many requests a second are logged for `penstock online verify`.

    A project whose file has the section keeps its store in step with every run.

    ``store`` is a folder (LMDB), ``redis://…``, ``postgresql://…``, or ``live``: the sources themselves are asked.
    ``timeout`` is how many seconds `penstock serve` waits for what is asked before it answers 503: by default 2 for a
    store's server, 30 for sources.
    """

    store: str = ".penstock/online"
    log: int = 100
    timeout: float | None = None


@dataclass(frozen=True)
class ProjectFile:
    """All that a project says, and the folder that its paths are relative to.

    Some sections are as the file has them: `penstock.quality.alerts` reads ``alerts``, and
    `penstock.pipeline.featurefiles` reads ``entities``, ``features`` and ``services``.
    """

    folder: Path
    name: str
    lake: LakeSettings = LakeSettings()
    online: OnlineSettings | None = None
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    tables: Mapping[str, TableSettings] = field(default_factory=dict)
    streams: Mapping[str, StreamSettings] = field(default_factory=dict)
    labels: Mapping[str, LabelSettings] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[Mapping[str, object], ...] = ()
    entities: Mapping[str, object] = field(default_factory=dict)
    features: Mapping[str, object] = field(default_factory=dict)
    services: Mapping[str, object] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file itself."""
        return self.folder / FILE

    def located(self, url: str, place: Place) -> str:
        """A source's URL with its secrets, a relative path made absolute."""
        whole = filled(url, place)
        return whole if "://" in whole else os.path.normpath(self.folder / Path(whole).expanduser())


def read_project(path: str | os.PathLike[str]) -> ProjectFile:
    """The project of a file, or of a folder that holds ``penstock.toml``.

    Raises ``RequestError`` when there is none, it is no TOML, or something in it is not understood.
    """
    given = Path(path).expanduser()
    file = given / FILE if given.is_dir() else given
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise _absent(given) from None
    except OSError as error:
        raise RequestError("PROJECT_UNREADABLE", f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError("PROJECT_UNREADABLE", f"{file.name} is no TOML: {error}") from error
    return _read(told, file.absolute())


def _absent(given: Path) -> RequestError:
    """That a path is no project, with those beside, inside and around it."""
    folder = given if given.is_dir() else given.parent
    inside = sorted(str(file.parent) for file in folder.glob(f"*/{FILE}"))
    around = [str(one) for one in folder.absolute().parents if (one / FILE).is_file()]
    near = [*inside, *around[:1]]
    hint = "Go there, or say --project PATH." if near else "Make one: penstock init SOURCE"
    message = f"there is no {FILE} in {given.absolute()}" if given.is_dir() else f"there is no {given}"
    return RequestError("PROJECT_ABSENT", message, name=str(given), candidates=near, hint=hint)


def is_project(path: str) -> bool:
    """Whether a path is a project's file, or a folder that holds one."""
    return "://" not in path and (path.endswith(".toml") or (Path(path).expanduser() / FILE).is_file())


def _read(told: Mapping[str, object], file: Path) -> ProjectFile:
    top = Place(file.name)
    whole = read_value(_Top, told, top)
    lake = read_value(LakeSettings, whole.lake, top.within("lake"))
    if lake.keep_days < 0:
        raise RequestError("PROJECT_VALUE", f"{top.within('lake').at('keep_days')} is {lake.keep_days}, below zero")
    return ProjectFile(
        file.parent,
        whole.name or file.parent.name,
        lake,
        None if whole.online is None else read_value(OnlineSettings, whole.online, top.within("online")),
        _named(SourceSettings, whole.sources, top.within("sources")),
        _named(TableSettings, whole.tables, top.within("tables")),
        _named(StreamSettings, whole.streams, top.within("streams")),
        _named(LabelSettings, whole.labels, top.within("labels")),
        whole.queries,
        whole.alerts,
        whole.entities,
        whole.features,
        whole.services,
    )


@dataclass(frozen=True)
class _Top:
    name: str = ""
    lake: Mapping[str, object] = field(default_factory=dict)
    online: Mapping[str, object] | None = None
    sources: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, object] = field(default_factory=dict)
    streams: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, object] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[Mapping[str, object], ...] = ()
    entities: Mapping[str, object] = field(default_factory=dict)
    features: Mapping[str, object] = field(default_factory=dict)
    services: Mapping[str, object] = field(default_factory=dict)


def _named(kind: type[Named], told: Mapping[str, object], place: Place) -> dict[str, Named]:
    return {name: read_value(kind, one, place.within(name), name=name) for name, one in told.items()}
