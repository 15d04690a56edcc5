"""Features on the command line: what is made for a query, and what a project declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.ask import features_of
from penstock.cli.front import SourceOrCommand, main
from penstock.cli.options import project_option
from penstock.cli.terminal import echo_json, shown_rows, watched
from penstock.errors import RequestError

if TYPE_CHECKING:
    from penstock.features.views.bound import Bound
    from penstock.features.views.broken import BrokenDefinition


NONE_DECLARED = "no features are declared; begin with a file features/NAME.pql: FOR EACH table.key, then name = …"


@main.group(cls=SourceOrCommand, short_help="Features made for a query, or declared by a project.")
def features() -> None:
    """The features made for a query (penstock features SOURCE QUERY), and those that a project declares."""


features.add_command(features_of, "of")


@features.command("list", short_help="Views and services, and what is broken.")
@project_option
def list_views(project: Any, as_json: bool) -> None:
    """The views that the project declares: kind, entity, number of features, version, owner and description.

    What is broken is named with its error, and the exit status is 1 then.
    """
    from penstock.features.views.described import listed

    bound = project.features.bound
    told: Any = listed(bound)
    if as_json:
        echo_json(told)
    elif bound.empty:
        click.echo(NONE_DECLARED)
    else:
        names = ("view", "state", "kind", "entity", "features", "version", "owner", "description")
        shown_rows(names, _short(names, told["views"]))
        for service in told["services"]:
            click.echo(f"service {service['service']}: {', '.join(service['features'])}")
        _tell_broken(bound)
    if bound.broken:
        raise click.exceptions.Exit(1)


def _tell_broken(bound: Bound) -> None:
    """What is broken, one a line, and where to see more."""
    if broken := tell_broken(bound.broken):
        shown = next((one for one in broken if one.error.code != "FEATURE_BROKEN"), broken[0])
        click.echo(f"See more: penstock features show {quote(shown.name)}", err=True)


def tell_broken(broken: Iterable[BrokenDefinition]) -> list[BrokenDefinition]:
    """Name what is broken, one a line, and in one line that others wait for tables; gives those that are named."""
    told = list(broken)
    named = [one for one in told if not one.waits]
    if len(named) < len(told):
        click.secho(
            "Features wait: no table has been brought in yet. Bring them in: penstock run", fg="yellow", err=True
        )
    for one in named:
        click.secho(f"{one} is broken: {one.error.message}", fg="red", err=True)
    return named


@features.command(short_help="All of a view, and its features.")
@click.argument("view")
@project_option
def show(project: Any, view: str, as_json: bool) -> None:
    """All there is to say of VIEW, and its features: expression, dtype and version."""
    from penstock.features.views.described import shown

    told = shown(project.features.bound, view)
    if as_json:
        echo_json(told, indent=2)
        return
    rows: Any = told.pop("features")
    _echo_parts(told)
    click.echo("")
    names = ("feature", "expression", "dtype", "version")
    shown_rows(names, _short(names, rows))


@features.command(short_help="All of a feature, also in words.")
@click.argument("feature")
@project_option
def describe(project: Any, feature: str, as_json: bool) -> None:
    """All there is to say of a FEATURE (VIEW:FEATURE): its expression, in PQL and in words, keys, version and owner."""
    from penstock.features.views.chosen import resolve
    from penstock.features.views.described import described

    bound = project.features.bound
    told = [described(bound, one) for one in resolve(bound, feature)]
    if as_json:
        echo_json(told[0] if len(told) == 1 else told, indent=2)
        return
    for at, one in enumerate(told):
        if at:
            click.echo("")
        _echo_parts(one)


@features.command(short_help="The columns that a feature comes from.")
@click.argument("feature")
@project_option
def lineage(project: Any, feature: str, as_json: bool) -> None:
    """The columns that FEATURE (VIEW:FEATURE, or VIEW:*) comes from, through derived tables down to the sources'."""
    from penstock.features.views.chosen import resolve
    from penstock.features.views.lineage import lineage as lineage_in
    from penstock.pipeline.featurefiles.origins import Origins

    bound = project.features.bound
    found = [one for chosen in resolve(bound, feature) for one in lineage_in(bound, chosen.view, chosen.feature)]
    origins = Origins.of(project.site, found)
    if as_json:
        told = [origins.told(one) for one in found]
        echo_json(told[0] if len(told) == 1 else told, indent=2)
        return
    for at, one in enumerate(found):
        if at:
            click.echo("")
        _echo_parts({**origins.told(one), "made_by": origins.makers(one)})


@features.command(short_help="Write a query's features as a view.")
@click.argument("query")
@click.option("--out", metavar="FILE.pql", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--most", type=click.IntRange(min=1), default=100, show_default=True, help="How many features at most.")
@project_option
def synthesise(project: Any, query: str, out: Path, most: int, as_json: bool) -> None:
    """Write the features that are made for QUERY down as a view of the project: a PQL file to look at and change.

    They are settled then: what rows come later changes their values, and never what they are.
    """
    from penstock.features.views.settling import fitting, written
    from penstock.pipeline.knowngraph import graph_of

    if out.exists():
        raise RequestError("FEATURE_FILE", f"there is a file {out} already", hint="Remove it, or choose another name.")
    definitions, graph = project.features.definitions, graph_of(project.site.lake.tables())
    with watched("looking at the data"):
        made = fitting(project.database().synthesise(query), definitions, graph)
        text, count = written(made, query, most)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    if as_json:
        echo_json({"file": str(out), "features": count})
    else:
        click.echo(f"wrote {count} features to {out}")


def _short(names: Sequence[str], told: Sequence[dict[str, Any]]) -> list[list[object]]:
    """Rows for people, who need no more of a version than tells it from others."""
    from penstock.features.views.described import SHORT

    return [
        [row[name][:SHORT] if name == "version" and name in row else row.get(name) for name in names] for row in told
    ]


def _echo_parts(told: dict[str, Any]) -> None:
    """Names and what they say, one a line; what says nothing is left out."""
    for name, value in told.items():
        if value not in ("", None, [], {}):
            click.echo(f"{name.replace('_', ' ') + ':':<13} {_words(value)}")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_words(one)}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
