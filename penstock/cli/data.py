"""What is kept: versions, snapshots, differences, quarantine, and the care of the lake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.front import main
from penstock.cli.options import destination, project_option
from penstock.cli.terminal import NO_TABLES, deliver, echo_json, instant_text, print_table, shown_rows, watched

if TYPE_CHECKING:
    from penstock.pipeline.datasets import TableDifference


@main.group(short_help="What is kept: versions, snapshots, and what was refused.")
def data() -> None:
    """Versions of tables, snapshots of all of them, what differs, and what was refused."""


@data.command("list", short_help="The tables: newest version, rows, key, clock and tags.")
@project_option
def list_tables(project: Any, as_json: bool) -> None:
    """The tables: newest version, how many versions are kept, row versions, key, clock and tags."""
    from penstock.lake.kept import shown_tables

    tables = shown_tables(project.site.lake).values()
    told = [
        {"table": t.name, "version": v and v.number, "kept": len(t.versions()), "row_versions": v.rows if v else 0,
         "key": "+".join(t.roles.key), "time": t.roles.happened or "", "tags": ", ".join(t.tags())}
        for t in tables for v in [t.newest()]
    ]  # fmt: skip
    names = ("table", "version", "kept", "row_versions", "key", "time", "tags")
    _rows(told, names, as_json=as_json, none=NO_TABLES)


@data.command(short_help="The versions of a table, newest first.")
@click.argument("table")
@project_option
def versions(project: Any, table: str, as_json: bool) -> None:
    """The versions of TABLE, newest first: when, how many row versions came and are there, its batch and tags."""
    opened = project.site.lake.table(table)
    tags = {number: name for name, number in opened.tags().items()}
    told = [
        {"version": v.number, "committed": instant_text(v.instant), "kind": v.kind, "added": v.added,
         "row_versions": v.rows, "batch": v.batch, "tag": tags.get(v.number, "")} for v in reversed(opened.versions())
    ]  # fmt: skip
    _rows(told, ("version", "committed", "kind", "added", "row_versions", "batch", "tag"), as_json=as_json)


@data.command(short_help="The rows of a table, as they are or were.")
@click.argument("table")
@click.option("--version", metavar="N|TAG|TIME", help="As it was at this version, tag or instant.")
@click.option("--log", is_flag=True, help="Every version of every row, with when it was known.")
@click.option("--rows", type=click.IntRange(min=0), help="Rows to print. Default: 20, and all with --json.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write all rows there.")
@project_option
def show(
    project: Any, table: str, version: str | None, log: bool, rows: int | None, out: str | None, as_json: bool
) -> None:
    """The rows of TABLE, as they are true now or were true once."""
    found = project.rows(table, version, log=log)
    key = () if log else project.site.lake.table(table).roles.key
    deliver(found, out, as_json, rows=rows, key=key, more="--rows, --json or --out shows them")


@data.command(short_help="Pin every table's version under a name.")
@click.argument("name")
@project_option
def snapshot(project: Any, name: str, as_json: bool) -> None:
    """Pin every table's version, the queries and the settings as snapshot NAME."""
    made = project.snapshot(name)
    echo_json(made.to_dict(), indent=2) if as_json else click.echo(str(made))


@data.command(short_help="The snapshots that were made.")
@project_option
def snapshots(project: Any, as_json: bool) -> None:
    """The snapshots: when they were made, their hash and how many tables they pin."""
    made = [project.data.named(name) for name in project.data.names()]
    told = [{"snapshot": d.name, "made": instant_text(d.made), "tables": len(d.tables), "hash": d.hash} for d in made]
    none = "there are no snapshots; make one: penstock data snapshot NAME"
    _rows(told, ("snapshot", "made", "tables", "hash"), as_json=as_json, none=none)


@data.command(short_help="Forget a snapshot: what it pins may expire.")
@click.argument("name")
@project_option
def forget(project: Any, name: str, as_json: bool) -> None:
    """Forget snapshot NAME: its versions may expire from now on."""
    project.data.drop(name)
    echo_json({"forgot": name}) if as_json else click.echo(f"forgot {name}")


@data.command(short_help="What differs between two snapshots, or two versions.")
@click.argument("before")
@click.argument("after")
@click.option("--table", metavar="NAME", help="BEFORE and AFTER are versions (or tags, or times) of this table.")
@click.option("--rows", type=click.IntRange(min=0), default=5, show_default=True, help="Rows to print of each kind.")
@project_option
def diff(project: Any, before: str, after: str, table: str | None, rows: int, as_json: bool) -> None:
    """What differs between two snapshots, or between two versions of one table: rows added, removed, changed."""
    found = project.differences(before, after, table)
    if as_json:
        echo_json([one.to_dict(rows) for one in found])
        return
    for one in found:
        _show_difference(one, rows)
    if not found:
        click.echo("nothing differs")


def _show_difference(one: TableDifference, rows: int) -> None:
    click.secho(str(one), bold=True)
    for kind, table in one.parts():
        if table.num_rows and rows:
            click.echo(f"{kind}:")
            print_table(table, rows, "--rows shows them")


@data.command(short_help="Write a snapshot to a folder of Parquet files.")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@project_option
def export(project: Any, name: str, folder: Path, as_json: bool) -> None:
    """Write snapshot NAME to a new FOLDER: Parquet files, a manifest with checksums, and a pointer that DVC reads."""
    with watched("writing"):
        made = project.export(name, folder)
    echo_json({"folder": str(made), "pointer": f"{made}.dvc"}) if as_json else click.echo(
        f"wrote {made} and {made}.dvc"
    )


@data.command(short_help="Name a version of a table, which keeps it.")
@click.argument("table")
@click.argument("name")
@click.option("--version", metavar="N|TIME", help="Default: the newest.")
@click.option("--remove", is_flag=True, help="Take the tag away.")
@project_option
def tag(project: Any, table: str, name: str, version: str | None, remove: bool, as_json: bool) -> None:
    """Give a version of TABLE the tag NAME, which keeps it from expiring."""

    opened = project.site.lake.table(table)
    opened.untag(name) if remove else opened.tag(name, version)
    echo_json(opened.tags()) if as_json else click.echo(
        "\n".join(f"{t}: version {n}" for t, n in opened.tags().items())
    )


@data.command(short_help="Write many small files as few large ones.")
@click.argument("table", required=False)
@project_option
def compact(project: Any, table: str | None, as_json: bool) -> None:
    """Write many small files of TABLE (or of all tables) as few large ones. No row changes."""
    with watched("compacting") as progress:
        done = project.compact(table, progress=progress)
    _rows([{"table": n, "version": v} for n, v in done.items()], ("table", "version"), as_json=as_json)


@data.command(short_help="Forget old versions, and delete their files.")
@click.option("--keep-days", type=click.IntRange(min=0), help="Default: keep_days of the project's file.")
@project_option
def expire(project: Any, keep_days: int | None, as_json: bool) -> None:
    """Forget versions older than so many days and delete the files that none needs. Tags and snapshots stay."""
    days = project.site.file.lake.keep_days if keep_days is None else keep_days
    with watched("expiring"):
        gone = project.site.lake.expire(timedelta(days=days))
    told = {"versions": gone.versions, "files": gone.files, "orphans": gone.orphans}
    echo_json(told) if as_json else click.echo(", ".join(f"{count:,} {name}" for name, count in told.items()) + " gone")


@data.command(short_help="Read every file, and name those that are damaged.")
@project_option
def verify(project: Any, as_json: bool) -> None:
    """Read every file that a version needs and name those that are torn, changed or missing. Exit status 1 then."""
    with watched("reading every file"):
        found = project.site.lake.verify()
    told = [{"table": d.table, "file": d.file, "version": d.version, "reason": d.reason} for d in found]
    if as_json or found:
        _rows(told, ("table", "file", "version", "reason"), as_json=as_json)
    else:
        click.echo("every file is whole")
    if found:
        raise click.exceptions.Exit(1)


@data.command(short_help="Read a past range of a table's source again.")
@click.argument("table")
@click.option("--from", "start", metavar="TIME|VALUE", help="From this value of the watermark or time column on.")
@click.option("--to", "end", metavar="TIME|VALUE", help="Up to this value, itself left out.")
@click.option("--known", type=click.Choice(["now", "happened"]), default="now", show_default=True,
              help="When rows that were missing count as known.")  # fmt: skip
@project_option
def backfill(project: Any, table: str, start: str | None, end: str | None, known: str, as_json: bool) -> None:
    """Read a past range of TABLE's source again: what was missing is added, what differs becomes a new version."""
    with watched("reading again") as progress:
        found = project.backfill(table, start, end, known=known, progress=progress)
    told = [{"table": found.table, "version": found.version, "read": found.read, "added": found.added,
             "changed": found.changed, "rejected": found.rejected}]  # fmt: skip
    _rows(told, ("table", "version", "read", "added", "changed", "rejected"), as_json=as_json)


# ------------------------------------------------------------ quarantine


@data.group(short_help="What was refused: look, let in, or throw away.")
def quarantine() -> None:
    """Rows and batches that were refused: look at them, let them in, or throw them away."""


@quarantine.command("list", short_help="Refused batches and rejected rows.")
@project_option
def list_refused(project: Any, as_json: bool) -> None:
    """Refused batches with their reasons, and files of rejected rows."""
    told = project.refused()
    _rows(told, ("table", "batch", "rows", "kind", "why"), as_json=as_json, none="nothing was refused")


@quarantine.command("show", short_help="The rows of a refused batch.")
@click.argument("table")
@click.argument("batch")
@click.option("--rows", type=click.IntRange(min=0), help="Rows to print. Default: 20, and all with --json.")
@project_option
def show_refused(project: Any, table: str, batch: str, rows: int | None, as_json: bool) -> None:
    """The rows of a refused BATCH of TABLE, and the rows rejected under its name: file, row, reason, what it held."""
    from penstock.lake.ingest import quarantined

    found = quarantined(project.site.quarantine, table, batch)
    if as_json:
        echo_json([{"kind": kind, "rows": held.slice(0, rows).to_pylist()} for kind, held in found.items()])
        return
    for kind, held in found.items():
        click.secho(f"{kind}: {held.num_rows:,}", bold=True)
        print_table(held, 20 if rows is None else rows, "--rows or --json shows them")


@quarantine.command(short_help="Let a refused batch in after all.")
@click.argument("table")
@click.argument("batch")
@project_option
def release(project: Any, table: str, batch: str, as_json: bool) -> None:
    """Commit a refused BATCH of TABLE after all."""
    version = project.release(table, batch)
    told = {"table": table, "version": version.number}
    echo_json(told) if as_json else click.echo(f"{table} is at version {version.number}")


@quarantine.command(short_help="Throw a refused batch away.")
@click.argument("table")
@click.argument("batch")
@project_option
def discard(project: Any, table: str, batch: str, as_json: bool) -> None:
    """Throw a refused BATCH of TABLE, or the rows rejected under its name, away."""
    project.discard(table, batch)
    echo_json({"table": table, "discarded": batch}) if as_json else click.echo(f"discarded {batch}")


def _rows(told: list[dict[str, Any]], names: tuple[str, ...], *, as_json: bool, none: str = "there is nothing") -> None:
    if as_json:
        echo_json(told)
    else:
        shown_rows([name.replace("_", " ") for name in names], [[row[name] for name in names] for row in told], none)
