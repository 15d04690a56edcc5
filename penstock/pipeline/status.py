"""What a project has: each table's newest version, and how its newest run went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from penstock.lake.kept import shown_tables
from penstock.lake.versioned import Version
from penstock.pipeline.journal import Run
from penstock.pipeline.site import Site

_RUNS = 1000
"""So many of the newest runs are looked at."""
_DEFINITIONS = "tables"
"""What the stage is called that stands for definitions that cannot be read."""


@dataclass(frozen=True)
class TableStatus:
    """One table: its newest version (None: nothing committed), its row versions, and its newest run.

    ``age`` is the time since that version in seconds; ``state`` is empty for a table that no stage makes.
    """

    name: str
    origin: str
    version: int | None
    row_versions: int
    age: float | None
    state: str
    failure: str | None


@dataclass(frozen=True)
class Status:
    """All tables of a project, and its snapshots."""

    project: str
    tables: tuple[TableStatus, ...]
    snapshots: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether no table's newest run failed or was killed."""
        return all(table.state not in ("failed", "killed") for table in self.tables)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {**asdict(self), "healthy": self.healthy}


def status(site: Site) -> Status:
    """The state of a project. Reads no rows."""
    ran = standing(site, site.journal.runs(_RUNS))
    tables = shown_tables(site.lake)
    shown = [
        _status(name, tables[name].newest() if name in tables else None,
                tables[name].roles.origin if name in tables else "", ran, site.now())
        for name in sorted({*tables, *ran})
    ]  # fmt: skip
    return Status(site.file.name, tuple(shown), site.datasets.names())


def standing(site: Site, runs: Sequence[Run]) -> dict[str, Run]:
    """The newest run of each stage that the project still has, by name; ``runs`` are newest first.

    Looks at no source: that a stage is gone shows in a later walk that did all else of what the older one did.
    """
    walks: dict[tuple[str, str], set[str]] = {}
    newest: dict[str, Run] = {}
    for run in runs:
        walks.setdefault((run.stage, run.batch), set()).add(run.name)
        newest.setdefault(run.name, run)
    return {name: run for name, run in newest.items() if not _gone(site, run, walks)}


def _gone(site: Site, run: Run, walks: Mapping[tuple[str, str], set[str]]) -> bool:
    """Whether the project has no stage any more that is called like a run; ``walks`` are newest first."""
    told = list(walks)
    if run.stage == "features":
        return site.file.online is None
    newer = [walks[one] for one in told[: told.index((run.stage, run.batch))] if one[0] == run.stage]
    if run.stage == "derive":
        files = {path.stem for path in site.definitions.glob("[!_]*") if path.suffix in (".sql", ".py")}
        if run.name in files or not files:
            return not files
        if run.name == _DEFINITIONS:  # what could not be read were the files together: who derived, has read them
            return bool(newer)
        newer = [walk for walk in newer if _DEFINITIONS not in walk]
    elif run.name in site.file.tables:
        return False
    rest = walks[run.stage, run.batch] - {run.name}
    return any(rest <= walk and (len(walk) > 1 or not rest) for walk in newer)


def _status(name: str, version: Version | None, origin: str, ran: Mapping[str, Run], now: int) -> TableStatus:
    run = ran.get(name)
    age = None if version is None else (now - version.instant) / 1e6
    return TableStatus(
        name,
        origin,
        None if version is None else version.number,
        0 if version is None else version.rows,
        age,
        "" if run is None else run.state,
        None if run is None else run.failure,
    )
