"""The online store on the command line: brought in step with the lake, read, and proved equal to training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock.cli.front import main
from penstock.cli.options import project_option
from penstock.cli.terminal import echo_json, instant_text, shown_rows, watched
from penstock.errors import RequestError

if TYPE_CHECKING:
    from penstock.online.answer import Online
    from penstock.online.verifying import Verified


@main.group()
def online() -> None:
    """Features as they are now: keep them in step with the lake, read them, prove them equal to training's."""


@online.command()
@click.argument("views", nargs=-1)
@click.option("--anew", is_flag=True, help="Build the views again beside what is served, and switch when all is there.")
@project_option
def sync(project: Any, views: tuple[str, ...], anew: bool, as_json: bool) -> None:
    """Bring VIEWS (default: all) into step with the lake: a first load, or what came since. A kill loses nothing."""
    with watched("looking at the lake") as progress:
        done = project.online.sync(views, anew=anew, progress=progress)
    if as_json:
        echo_json([{"view": d.view, "how": d.how, "rows": d.rows, "keys": d.keys, "seconds": d.seconds} for d in done])
        return
    shown_rows(
        ("view", "done", "rows", "keys", "seconds"), [(d.view, d.how, d.rows, d.keys, f"{d.seconds:.2f}") for d in done]
    )


@online.command()
@project_option
def status(project: Any, as_json: bool) -> None:
    """What the store holds of each view, whether it is what is declared, and up to when it follows the lake."""
    held = project.online.status()
    rows = []
    for name, view in sorted(project.features.bound.views.items()):
        state = held.get(view.kept)
        told = "not there" if state is None else "in step" if state.version == view.fingerprint else "another version"
        followed = None if state is None else state.kept
        rows.append({"view": name, "state": told, "version": view.fingerprint, "kept": followed})
    if as_json:
        echo_json({"store": printable_store(project), "views": rows})
        return
    click.echo(f"store: {printable_store(project)}")
    shown_rows(
        ("view", "state", "version", "follows the lake until"),
        [(r["view"], r["state"], r["version"][:8], r["kept"] and instant_text(r["kept"])) for r in rows],
    )


def printable_store(project: Any) -> str:
    """Where the store is, without a password."""
    from penstock.lake.source import printable

    store: str = project.site.online.store
    return printable(store) if "://" in store else store


@online.command()
@click.argument("features", nargs=-1, required=True)
@click.option("--key", "keys", multiple=True, required=True, metavar="COLUMN=VALUE[,VALUE…]", help="Whom to ask about.")
@click.option(
    "--request", "requested", multiple=True, metavar="COLUMN=VALUE[,VALUE…]", help="What on-demand features are told."
)
@click.option("--at", metavar="TIME", help="At another instant than now.")
@click.option("--full-names", is_flag=True, help="Call features view__feature.")
@project_option
def get(
    project: Any, features: tuple[str, ...], keys: tuple[str, ...], requested: tuple[str, ...], at: str | None,
    full_names: bool, as_json: bool,
) -> None:  # fmt: skip
    """FEATURES (view:feature, view:*, a service) of some entities as they are now: value, status and time."""
    from penstock.window import instant

    moment = None if at is None else instant(at)
    whom, told = _columns(keys), _columns(requested)
    found: Online = project.online.read(
        features, whom, requested=told or None, at=moment, full_names=full_names or None
    )
    rows = list(_rows(found, whom))
    if as_json:
        echo_json({"at": found.at, "kept": found.kept, "rows": rows})
        return
    names = [*whom, "feature", "value", "status", "event_time"]
    shown_rows(names, [[row[name] for name in names] for row in rows])


def _columns(told: tuple[str, ...]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {}
    for one in told:
        name, equals, values = one.partition("=")
        if not equals or not name:
            raise RequestError("REQUEST_KEY", f"{one!r} is no COLUMN=VALUE", hint="Write it like customer_id=7,8")
        columns.setdefault(name, []).extend(values.split(","))
    return columns


def _rows(found: Online, whom: dict[str, list[object]]) -> Any:
    """One row for each entity and feature."""
    for row in range(len(next(iter(whom.values())))):
        for place, name in enumerate(found.names):
            moment = found.times[place][row]
            yield {
                **{column: values[row] for column, values in whom.items()},
                "feature": name,
                "value": found.values[place][row],
                "status": found.statuses[place][row].name,
                "event_time": None if moment is None else instant_text(moment),
            }


@online.command()
@click.argument("views", nargs=-1)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Entities of each view that are asked about now, besides what was served before.",
)
@click.option("--since", metavar="TIME", help="Leave out what was served before.")
@project_option
def verify(project: Any, views: tuple[str, ...], sample: int, since: str | None, as_json: bool) -> None:
    """Work out again what was served, as training would have: nothing may differ. Exit status 1 if anything does."""
    from penstock.window import instant

    with watched("reading what was served") as progress:
        moment = None if since is None else instant(since)
        found: Verified = project.online.verify(views, sample=sample, since=moment, progress=progress)
    if as_json:
        echo_json(found.to_dict())
        if not found.passed:
            raise click.exceptions.Exit(1)
        return
    shown_rows(
        ("feature", "compared", "mismatch", "missing", "extra", "why"),
        [(f.feature, f.checked, f.mismatch, f.missing, f.extra,
          ", ".join(f"{cause} {count}" for cause, count in f.causes.items())) for f in found.features],
    )  # fmt: skip
    if found.superseded:
        click.echo(f"{found.superseded:,} answers of definitions that have been replaced were left out", err=True)
    found.must_pass()
