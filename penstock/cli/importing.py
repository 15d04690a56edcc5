"""Definitions of other tools, taken over on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.front import main
from penstock.cli.terminal import echo_json


@main.group("import", short_help="Take over the definitions of another tool.")
def take_over() -> None:
    """Take over what another tool has: its definitions, as a project."""


@take_over.command(short_help="Make a project of a Feast repository.")
@click.argument("repo", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the project is to be (default: a folder named after REPO, beside it).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def feast(repo: Path, folder: Path | None, as_json: bool) -> None:
    """Make a project of the Feast repository REPO: entities, views, services and the tables they rest on.

    Its files are read and never run. What cannot be carried over is listed with its place and the reason.
    """
    from penstock.features.feast import write_project

    whole = repo.expanduser().absolute()
    found = write_project(whole, folder or whole.with_name(f"{whole.name}_penstock"))
    if as_json:
        echo_json(found.to_dict(), indent=2)
        return
    for one in found.left_out:
        click.echo(f"left out: {one}", err=True)
    for path in found.made:
        click.echo(f"made {path}")
    told = ", ".join(f"{count} {kind if count > 1 else _SINGLE[kind]}" for kind, count in found.counts.items() if count)
    click.echo(f"carried over: {told or 'nothing'}")
    click.echo(f"Next: look at {found.made[0]}; then penstock run and penstock serve in {found.folder}")


_SINGLE = {"sources": "source", "tables": "table", "streams": "stream", "entities": "entity",
           "features": "view", "services": "service"}  # fmt: skip
