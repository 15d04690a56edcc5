"""Options that several commands take, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.cli.terminal import watched
from penstock.errors import RequestError

if TYPE_CHECKING:
    from penstock.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])


def source_options(command: Command) -> Command:
    """The arguments and options that every command about a source takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
        click.option("--set", "settings", multiple=True, metavar="TABLE.ROLE=COLUMN",
                     help="Say what inference cannot: orders.time=placed_at, orders.key=id, orders.known=loaded_at."),
        click.option("--link", "links", multiple=True, metavar="TABLE.COLUMN=TABLE", help="Add a link."),
        click.option("--unlink", "unlinks", multiple=True, metavar="TABLE.COLUMN", help="Take a link away."),
        click.option("--no-infer", is_flag=True, help="Use only declared keys and links."),
        click.argument("source"),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def opened(
    source: str, settings: tuple[str, ...], links: tuple[str, ...], unlinks: tuple[str, ...], no_infer: bool
) -> Iterator[Database]:
    """The database that a command asks, with what was said of its tables."""
    import penstock
    from penstock.lake import spare_pandas
    from penstock.pipeline.projectfile import is_project

    spare_pandas()
    with watched("reading the schema"):
        db = penstock.open(source).database() if is_project(source) else penstock.connect(source, infer=not no_infer)
    for name, column in map(_pair, settings):
        table, _, role = name.rpartition(".")
        db.set(table, **{role: column})
    for column in unlinks:
        db.unlink(column)
    for column, table in map(_pair, links):
        db.link(column, table)
    yield db


def project_option(command: Command) -> Command:
    """What every command about a project takes: where it is, and whether to print JSON. Gives it opened."""

    def opened_project(_context: click.Context, _option: click.Parameter, value: str) -> Any:
        from penstock.lake import spare_pandas
        from penstock.project import open_project

        spare_pandas()
        return open_project(value)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
        click.option("--project", metavar="PATH", default=".", show_default=True, callback=opened_project,
                     help="The project's folder, or its penstock.toml."),
    ):  # fmt: skip
        command = option(command)
    return command


def learning_options(command: Command) -> Command:
    """The options of how to learn."""
    for option in (
        click.option("--effort", type=click.Choice(["fast", "normal", "best"]), default="fast", show_default=True,
                     help="How long to look for a better model: seconds, a minute, several."),
        click.option("--loss", type=click.Choice(["auto", "mae", "rmse"]), default="auto", show_default=True,
                     help="What a predicted number should be close to: the middle, the mean, or both."),
        click.option("--model", default="auto", show_default=True, metavar="NAME|MODULE:CLASS",
                     help="boosted, linear, blend, or a class of your own. auto: what validates best."),
        click.option("--keep-leaks", is_flag=True, help="Keep columns that plainly know the future."),
        click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn by chance."),
    ):  # fmt: skip
        command = option(command)
    return command


def how(given: dict[str, Any]) -> dict[str, Any]:
    """How to learn as the database takes it, taken out of a command's options."""
    named = {name: given.pop(name) for name in ("effort", "loss", "model", "seed")}
    return {**named, "leaks": "keep" if given.pop("keep_leaks") else "drop"}


def destination(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A place to write to, refused before any work is done for it."""
    if value is not None:
        from penstock.lake import check_destination

        check_destination(value)
    return value


def page(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A page to write, refused before any work is done for it."""
    if value is not None:
        from penstock.learning.reasons.report import check_page

        check_page(value)
    return value


def kept(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A file to keep an evaluation in, refused before any work is done for it."""
    if value is not None and not value.endswith(".parquet"):
        message = f"an evaluation is kept in a .parquet file, not {value!r}"
        raise RequestError("REQUEST_EVALUATION", message, hint="Write it like evaluation.parquet.")
    return value


def _pair(text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals:
        raise RequestError("OPTION_NO_VALUE", f"{text!r} has no '='", hint="Write NAME=VALUE.")
    return left, right
