"""Labels on the command line: what a query's target was, and labels that people, files and rules give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.ask import labels_of
from penstock.cli.front import SourceOrCommand, main
from penstock.cli.options import destination, project_option
from penstock.cli.terminal import deliver, echo_json, instant_text, print_table, shown_rows, watched

if TYPE_CHECKING:
    import pyarrow as pa


@main.group(cls=SourceOrCommand, short_help="What targets were, and labels that people and rules give.")
def labels() -> None:
    """What a target was (penstock labels SOURCE QUERY), and labels that people, files, tools and rules give."""


labels.add_command(labels_of, "of")


@labels.command("list", short_help="The label sets, and how many labels they have.")
@project_option
def list_sets(project: Any, as_json: bool) -> None:
    """The label sets: what they are about, and how many labels and labellers they have."""
    sets = [project.labels.set(name) for name in project.labels.names()]
    held = [(one, one.at()) for one in sets]
    told = [{"labels": one.name, "about": one.entity, "values": str(one.kind), "count": rows.num_rows,
             "entities": len(rows["entity"].unique()), "labellers": len(rows["labeller"].unique())}
            for one, rows in held]  # fmt: skip
    if as_json:
        echo_json(told)
        return
    names = ("labels", "about", "values", "count", "entities", "labellers")
    none = "there are no labels; give some: penstock labels apply NAME, or penstock labels import NAME FILE"
    shown_rows(names, [[row[name] for name in names] for row in told], none)


@labels.command(short_help="The labels of a set that hold.")
@click.argument("name")
@click.option("--at", metavar="TIME", help="As they were known at this instant.")
@click.option("--rows", type=click.IntRange(min=0), help="Rows to print. Default: 20, and all with --json.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write all of them there.")
@project_option
def show(project: Any, name: str, at: str | None, rows: int | None, out: str | None, as_json: bool) -> None:
    """The labels of set NAME that hold: value, labeller, source, confidence, and both clocks."""
    from penstock.window import instant

    found: pa.Table = project.labels.set(name).at(None if at is None else instant(at))
    if out or as_json:
        deliver(found, out, as_json, rows=rows)
    else:
        print_table(found.drop_columns(["written"]), 20 if rows is None else rows, "--rows, --json or --out shows them")


@labels.command("import", short_help="Add labels of a CSV file or of Label Studio.")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--entity", metavar="TABLE", help="The table they are about. Default: as the project's file says.")
@click.option("--label-studio", "studio", is_flag=True, help="PATH is a Label Studio export, whatever it is called.")
@click.option("--labeller", default="unnamed", show_default=True, help="Who said it, where the file does not.")
@click.option("--keep-good", is_flag=True, help="Add what is right even where some rows are rejected.")
@project_option
def import_labels(
    project: Any, name: str, path: Path, entity: str | None, studio: bool, labeller: str, keep_good: bool, as_json: bool
) -> None:
    """Add the labels of a CSV file, or of a Label Studio export (.json), to set NAME. Adding twice adds once.

    A CSV needs the columns entity and value; happened, known, labeller, source, confidence and note are read too.
    """
    read = project.labels.read(path, studio=studio, labeller=labeller)
    added = project.labels.add(name, read, entity=entity, keep_good=keep_good)
    _show_added(added, as_json=as_json)


@labels.command(short_help="Add what a set's rules say.")
@click.argument("name")
@click.option("--spine", metavar="FILE", help="Columns entity and cutoff. Default: all entities, at the newest time.")
@project_option
def apply(project: Any, name: str, spine: str | None, as_json: bool) -> None:
    """Add what the rules of set NAME in the project's file say."""
    with watched("asking the rules"):
        added = project.labels.apply(name, spine)
    _show_added(added, as_json=as_json)


def _show_added(added: Any, *, as_json: bool) -> None:
    told = {part: getattr(added, part) for part in ("new", "corrected", "unchanged", "late")}
    if as_json:
        echo_json({**told, "rejected": added.rejected.to_pylist()})
        return
    click.echo(str(added))
    for row in added.rejected.slice(0, 5).to_pylist():
        click.echo(f"rejected: {row['place']}: {row['reason']}", err=True)


@labels.command(short_help="How far the labellers of a set agree.")
@click.argument("name")
@project_option
def agreement(project: Any, name: str, as_json: bool) -> None:
    """How the labellers of set NAME agree: coverage, conflicts, estimated accuracy, kappa and alpha."""
    found = project.labels.agreement(name)
    echo_json(found.to_dict(), indent=2) if as_json else click.echo(str(found))


@labels.command(short_help="The most useful entities to label next.")
@click.argument("name")
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option(
    "--predictions", metavar="QUERY", help="Ask about what the answer to this query (or its name) is unsure of."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn by chance.")
@click.option("--tasks", metavar="FILE.json", type=click.Path(path_type=Path), help="Write them as Label Studio tasks.")
@project_option
def queue(
    project: Any, name: str, count: int, predictions: str | None, seed: int, tasks: Path | None, as_json: bool
) -> None:
    """The most useful entities to label next: those that labellers disagree about, or a model is unsure of."""
    with watched("looking for what is unsure") as progress:
        asked = None if predictions is None else project.predict(predictions, progress=progress).to_arrow()
        found = project.labels.queue(name, count, asked, seed=seed)
    if tasks is not None:
        click.echo(f"wrote {project.labels.export(name, found, tasks)}", err=True)
    if as_json:
        echo_json(found.to_pylist())
    elif found.num_rows:
        print_table(found, count, "--count or --json shows them")
    else:
        click.echo("no labeller disagrees with another; say --predictions QUERY to ask what a model is unsure of")


@labels.command(short_help="Say something else of an entity from now on.")
@click.argument("name")
@click.argument("entity")
@click.argument("value")
@click.option("--labeller", required=True, help="Whose label is corrected.")
@click.option("--happened", metavar="TIME", help="The time that the label is about, if it is about one.")
@project_option
def correct(
    project: Any, name: str, entity: str, value: str, labeller: str, happened: str | None, as_json: bool
) -> None:
    """Say something else of ENTITY from now on; what was said before holds for cutoffs before."""
    from penstock.window import instant

    when = {} if happened is None else {"happened": instant_text(instant(happened))}
    _show_added(project.labels.correct(name, entity, value, labeller=labeller, **when), as_json=as_json)
