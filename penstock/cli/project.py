"""A project on the command line: begun, planned, run, and looked at."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.front import main
from penstock.cli.options import opened, project_option, source_options
from penstock.cli.terminal import NO_TABLES, echo_json, instant_text, shown_rows, watched
from penstock.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.pipeline.journal import Run

_COLOURS = {"done": "green", "unchanged": "green", "failed": "red", "killed": "red", "running": "yellow"}


@main.command(short_help="Begin a project: write down what is found in a source.")
@source_options
@click.argument("folder", default=".", required=False, type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path, source: str, as_json: bool, **where: Any) -> None:
    """Begin a project in FOLDER: write down what is found in SOURCE, to be read, corrected and run."""
    from penstock.pipeline.starter import secret, secret_of, start

    with opened(source=source, **where) as db:
        made = start(folder, source, db.graph)
    if as_json:
        echo_json({"made": [str(path) for path in made]})
        return
    for path in made:
        click.echo(f"made {path}")
    if secret(source):
        click.echo(f"The password is not in the file. Set it: export {secret_of(source)}=…")
    click.echo(f"Next: look at {made[0]}, then penstock plan and penstock run")


@main.command(short_help="What a run would do, and what changed at the sources.")
@project_option
def plan(project: Any, as_json: bool) -> None:
    """What a run would do, stage by stage; what changed at the sources; and what that breaks. Changes nothing."""
    with watched("looking at the sources") as progress:
        found = project.plan(progress=progress)
    echo_json(found.to_dict(), indent=2) if as_json else click.echo(str(found))
    if found.refused:
        raise click.exceptions.Exit(1)


@main.command(short_help="Do what plan lists: all of it, or nothing.")
@project_option
def apply(project: Any, as_json: bool) -> None:
    """Do what plan lists, all of it; nothing at all when something that is in use would break."""
    with watched("applying") as progress:
        runs = project.apply(progress=progress)
    _show_runs(runs, as_json=as_json)


@main.command(short_help="Bring tables in, derive others, and serve what is new.")
@click.argument("stage", required=False)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; may be given several times.")
@click.option("--anew", is_flag=True, help="Skip nothing that is done already.")
@project_option
def run(project: Any, stage: str | None, tables: tuple[str, ...], anew: bool, as_json: bool) -> None:
    """Do all stages, or those of one kind: ingest, derive or features; or stream, which goes on until it is stopped.

    A table whose stage fails stays at its last good version, and the others go on.
    """
    if stage == "stream":
        if tables or anew:
            option = "--table" if tables else "--anew"
            hint = "Leave it out: all streams of the project's file are read, from where they stopped."
            raise RequestError("RUN_STREAM", f"run stream takes no {option}", hint=hint)
        _stream(project, as_json=as_json)
        return
    from penstock.pipeline.stages import KINDS

    if stage is not None and stage not in KINDS:
        kinds = (*KINDS, "stream")
        raise RequestError("RUN_STAGE", f"there is no stage {stage!r}", name=stage, candidates=kinds)
    with watched("running") as progress:
        runs = project.run(stage, tables=tables, anew=anew, progress=progress)
    for line in project.untold():
        click.echo(f"{line}; tried again at the next run", err=True)
    _show_runs(runs, as_json=as_json)


def _show_runs(runs: tuple[Run, ...], *, as_json: bool) -> None:
    """The runs as a table, and an exit status that says whether all went well."""
    if as_json:
        echo_json([run.to_dict() for run in runs])
    else:
        print_runs(runs)
    if any(run.state == "failed" for run in runs):
        raise click.exceptions.Exit(1)


def print_runs(runs: Iterable[Run]) -> None:
    """Runs as a table, then the reasons of those that failed."""
    told = list(runs)
    shown_rows(
        ("stage", "table", "state", "version", "rows", "seconds"),
        [(r.stage, r.name, click.style(r.state, fg=_COLOURS.get(r.state)), r.version, r.rows, _seconds(r.seconds))
         for r in told],
        "there is nothing to do",
    )  # fmt: skip
    for one in told:
        for note in one.facts.get("notes", ()):  # type: ignore[attr-defined]
            click.echo(f"note: {one.name}: {note}")
        if one.state == "failed":
            click.secho(f"\n{one.stage} {one.name} failed:", fg="red", bold=True, err=True)
            click.echo(f"{one.failure}", err=True)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


@main.command(short_help="What each table holds, and how its newest run went.")
@project_option
def status(project: Any, as_json: bool) -> None:
    """Each table's version, row versions and age, and how its newest run went. Exit status 1 when one failed."""
    found = project.status()
    if as_json:
        echo_json(found.to_dict(), indent=2)
    else:
        click.secho(found.project, bold=True)
        shown_rows(
            ("table", "from", "version", "row versions", "age", "newest run"),
            [(t.name, _origin(t.origin), t.version, None if t.version is None else t.row_versions, _age(t.age),
              click.style(t.state, fg=_COLOURS.get(t.state)))
             for t in found.tables],
            NO_TABLES,
        )  # fmt: skip
        for table in found.tables:
            if table.failure:
                click.echo(f"{table.name}: {table.failure}")
        if found.snapshots:
            click.echo(f"snapshots: {', '.join(found.snapshots)}")
    if not found.healthy:
        raise click.exceptions.Exit(1)


def _origin(told: str) -> str:
    """Where a table comes from; a file as it is found from here."""
    return os.path.relpath(told) if told.startswith("/") else told


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "0 seconds"


@main.command(short_help="The newest runs: when, how long, how they ended.")
@click.option("--table", metavar="NAME", help="Only of this table.")
@click.option("--rows", type=click.IntRange(min=1), default=20, show_default=True, help="How many to show.")
@project_option
def runs(project: Any, table: str | None, rows: int, as_json: bool) -> None:
    """The newest runs: when, how long, how they ended."""
    found = project.site.journal.runs(rows, name=table)
    if table is not None and not found:
        known = sorted({*project.site.lake.names(), *(one.name for one in project.site.journal.runs(1000))})
        raise RequestError("RUN_TABLE", f"no stage has made a table {table!r}", name=table, candidates=known)
    if as_json:
        echo_json([one.to_dict() for one in found])
        return
    shown_rows(
        ("started", "stage", "table", "state", "version", "rows", "seconds", "peak MB"),
        [(instant_text(r.started), r.stage, r.name, click.style(r.state, fg=_COLOURS.get(r.state)), r.version, r.rows,
          _seconds(r.seconds), "" if r.memory is None else f"{r.memory / 1e6:,.0f}") for r in found],
        "nothing has run yet: penstock run",
    )  # fmt: skip


def _stream(project: Any, *, as_json: bool) -> None:
    """Read the project's streams until a signal stops them, telling how each goes; all that was read is kept."""
    from penstock.lake.streams import stopping_on_signals

    def told(status: Any) -> None:
        echo_json(asdict(status)) if as_json else click.echo(str(status), err=True)

    with stopping_on_signals() as stop:
        project.stream(stop=stop, told=told)
