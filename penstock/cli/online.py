"""The online store on the command line: brought in step with the lake, read, and proved equal to training."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.features import NONE_DECLARED, tell_broken
from penstock.cli.front import main
from penstock.cli.options import project_option
from penstock.cli.terminal import echo_json, instant_text, shown_rows, watched
from penstock.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.features.views.bound import Bound
    from penstock.features.views.broken import BrokenDefinition
    from penstock.online.answer import Online
    from penstock.online.catalogue import ViewState
    from penstock.online.verifying import Verified


@main.group(short_help="Features as they are now: kept in step, read, proved.")
def online() -> None:
    """Features as they are now: keep them in step with the lake, read them, prove them equal to training's."""


@online.command(short_help="Bring views into step with the lake.")
@click.argument("views", nargs=-1)
@click.option("--anew", is_flag=True, help="Build the views again beside what is served, and switch when all is there.")
@project_option
def sync(project: Any, views: tuple[str, ...], anew: bool, as_json: bool) -> None:
    """Bring VIEWS (default: all) into step with the lake: a first load, or what came since. A kill loses nothing.

    A view that is broken is left as the store holds it, and the exit status is 1 then.
    """
    with watched("looking at the lake") as progress:
        done = project.online.sync(views, anew=anew, progress=progress)
    broken = () if views else _broken_views(project)
    if as_json:
        told = [{"view": d.view, "how": d.how, "rows": d.rows, "keys": d.keys, "seconds": d.seconds} for d in done]
        echo_json([*told, *({"view": one.name, "how": "left alone", "error": one.error.to_dict()} for one in broken)])
    else:
        rows: list[tuple[object, ...]] = [(d.view, d.how, d.rows, d.keys, f"{d.seconds:.2f}") for d in done]
        rows += [(one.name, "left alone", None, None, None) for one in broken]
        _show(("view", "done", "rows", "keys", "seconds"), rows)
    _tell_left_alone(broken)


def _show(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table of views, or how to declare one."""
    shown_rows(columns, rows) if rows else click.echo(NONE_DECLARED)


def _broken_views(project: Any) -> tuple[BrokenDefinition, ...]:
    """What a store would keep and cannot, as it is broken."""
    return tuple(one for one in project.features.bound.broken if one.what in ("view", "file"))


def _tell_left_alone(broken: tuple[BrokenDefinition, ...]) -> None:
    """Name what is broken, and end with 1 where anything is."""
    if tell_broken(broken):
        click.echo("The store keeps what it holds of it. See more: penstock features list", err=True)
    if broken:
        raise click.exceptions.Exit(1)


@online.command(short_help="What the store holds, and up to when.")
@project_option
def status(project: Any, as_json: bool) -> None:
    """What the store holds of each view, whether it is what is declared, and up to when it follows the lake.

    The exit status is 1 where a view is broken.
    """
    broken = _broken_views(project)
    rows = list(_states(project.features.bound, project.online.status()))
    if as_json:
        errors = [one.to_dict() for one in broken]
        echo_json({"store": printable_store(project), "views": rows, "errors": errors})
    else:
        click.echo(f"store: {printable_store(project)}")
        _show(
            ("view", "state", "version", "follows the lake until"),
            [(r["view"], r["state"], r["version"] and r["version"][:8], r["kept"] and instant_text(r["kept"]))
             for r in rows],
        )  # fmt: skip
    _tell_left_alone(broken)


def _states(bound: Bound, held: Mapping[str, ViewState]) -> Iterator[dict[str, Any]]:
    """Each view as it is declared and as the store holds it, then what it holds of views that are broken."""
    for name, view in sorted(bound.views.items()):
        state = held.get(view.kept)
        told = "not there" if state is None else "in step" if state.version == view.fingerprint else "another version"
        yield {"view": name, "state": told, "version": view.fingerprint, "kept": None if state is None else state.kept}
    from penstock.features.views.described import state_of

    for name in sorted(bound.broken_views):
        state = held.get(name)
        version, kept = (None, None) if state is None else (state.version, state.kept)
        yield {"view": name, "state": state_of(bound, name), "version": version, "kept": kept}


def printable_store(project: Any) -> str:
    """Where the store is, without a password."""
    from penstock.lake.source import printable

    store: str = project.site.online.store
    return printable(store) if "://" in store else store


@online.command(short_help="Features of some entities as they are now.")
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
    with redirect_stdout(sys.stderr):  # what on-demand functions print
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


@online.command(short_help="Prove that what is served is right.")
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
    """Work out again what was served, as training would have: nothing may differ. Exit status 1 if anything does.

    What is broken cannot be worked out, and ends with 1 as well.
    """
    from penstock.window import instant

    if not as_json and project.features.bound.empty:
        click.echo(NONE_DECLARED)
        return
    with watched("reading what was served") as progress:
        moment = None if since is None else instant(since)
        found: Verified = project.online.verify(views, sample=sample, since=moment, progress=progress)
    broken = () if views else _broken_views(project)
    if as_json:
        echo_json({**found.to_dict(), "errors": [one.to_dict() for one in broken]})
        if not found.passed or broken:
            raise click.exceptions.Exit(1)
        return
    if found.features:
        _show_verdicts(found)
    if found.alone:
        click.echo(
            f"{found.alone:,} values rested on rows that were pushed to the store alone: no lake has them", err=True
        )
    if found.superseded:
        click.echo(f"{found.superseded:,} answers of definitions that have been replaced were left out", err=True)
    found.must_pass()
    _tell_left_alone(broken)


def _show_verdicts(found: Verified) -> None:
    """How each feature's served values compare with training's."""
    shown_rows(
        ("feature", "compared", "mismatch", "missing", "extra", "why"),
        [(f.feature, f.checked, f.mismatch, f.missing, f.extra,
          ", ".join(f"{cause} {count}" for cause, count in f.causes.items())) for f in found.features],
    )  # fmt: skip
