"""The command line: one short function a command; everything they do is in the rooms below."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.errors import PenstockError, RequestError

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])

EPILOG = """\b
Examples:
  penstock demo
  penstock graph shop.duckdb --mermaid
  penstock predict shop.duckdb "PREDICT COUNT(orders.*, 0, 90, days) = 0 FOR EACH customers.customer_id"
"""


class Front(click.Group):
    """Turns errors into exit statuses: 2 for a wrong request, 1 for data that cannot answer, 130 when interrupted."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is asked for, so that errors can be told in it before a command is known."""
        context.meta["penstock.json"] = "--json" in args
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        as_json = context.meta["penstock.json"]
        try:
            return super().invoke(context)
        except PenstockError as error:
            _show_error(error, as_json=as_json)
            context.exit(error.exit_status)
        except click.UsageError as error:
            if as_json:
                _echo_json({"error": RequestError("USAGE", error.format_message()).to_dict()})
            raise
        except KeyboardInterrupt:
            click.echo("interrupted; nothing is left half-written", err=True)
            context.exit(130)


def _echo_json(value: object, indent: int | None = None) -> None:
    """Plain values as JSON on stdout: instants as text, and null where a number is none, as JSON knows no NaN."""
    click.echo(json.dumps(_plain(value), indent=indent, allow_nan=False, default=str))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _show_error(error: PenstockError, *, as_json: bool) -> None:
    if as_json:
        _echo_json({"error": error.to_dict()})
    head, *rest = str(error).split("\n")
    click.secho(head, fg="red", bold=True, err=True)
    for line in rest:
        click.secho(line, fg="yellow" if set(line.strip()) == {"~"} else None, err=True)


@click.group(
    cls=Front, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="penstock")
def main() -> None:
    """Ask a database what will happen: one line of PQL in, predictions with evidence out.

    SOURCE is a folder of CSV, Parquet or JSON-lines files, one such file, a .duckdb or .sqlite file, or a URL such as
    postgresql://user@host/db or mysql://user@host/db. Secrets may come from the environment as the drivers read them.
    """


def _source(command: Command) -> Command:
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
def _opened(
    source: str, settings: tuple[str, ...], links: tuple[str, ...], unlinks: tuple[str, ...], no_infer: bool
) -> Iterator[Database]:
    import penstock
    from penstock.lake import spare_pandas

    spare_pandas()
    with _watched("reading the schema"):
        db = penstock.connect(source, infer=not no_infer)
    for name, column in map(_pair, settings):
        table, _, role = name.rpartition(".")
        db.set(table, **{role: column})
    for column in unlinks:
        db.unlink(column)
    for column, table in map(_pair, links):
        db.link(column, table)
    yield db


def _learning(command: Command) -> Command:
    """The options of how to learn."""
    for option in (
        click.option("--effort", type=click.Choice(["fast", "normal", "best"]), default="fast", show_default=True,
                     help="How long to look for a better model: seconds, a minute, several."),
        click.option("--loss", type=click.Choice(["auto", "mae", "rmse"]), default="auto", show_default=True,
                     help="What a predicted number should be close to: the middle, the mean, or both."),
        click.option("--model", default="auto", show_default=True, metavar="NAME|MODULE:CLASS",
                     help="boosted, linear, blend, or a class of your own. auto: what validates best."),
        click.option("--keep-leaks", is_flag=True, help="Keep columns that plainly know the future."),
        click.option("--seed", type=int, default=0, show_default=True),
    ):  # fmt: skip
        command = option(command)
    return command


def _how(given: dict[str, Any]) -> dict[str, Any]:
    """How to learn as the database takes it, taken out of a command's options."""
    named = {name: given.pop(name) for name in ("effort", "loss", "model", "seed")}
    return {**named, "leaks": "keep" if given.pop("keep_leaks") else "drop"}


def _destination(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A place to write to, refused before any work is done for it."""
    if value is not None:
        from penstock.lake import check_destination

        check_destination(value)
    return value


def _page(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A page to write, refused before any work is done for it."""
    if value is not None:
        from penstock.learning.reasons.report import check_page

        check_page(value)
    return value


def _kept(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
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


@contextmanager
def _watched(first: str) -> Iterator[Callable[[str, float], None]]:
    """Progress on stderr in a terminal, gone when done; elsewhere only what takes long and comes once."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=1.0)

        def told(message: str, share: float) -> None:
            bar.update(task, description=message[:70], completed=share)
            if message.startswith("compiling") and not console.is_terminal:
                click.echo(f"{message} ...", err=True)

        yield told


@main.command()
@_source
@click.option("--mermaid", is_flag=True, help="Print a Mermaid diagram.")
def graph(
    source: str,
    settings: tuple[str, ...],
    links: tuple[str, ...],
    unlinks: tuple[str, ...],
    no_infer: bool,
    as_json: bool,
    mermaid: bool,
) -> None:
    """Show the tables of SOURCE: keys, clocks, links, and why each was inferred."""
    with _opened(source, settings, links, unlinks, no_infer) as db:
        if as_json:
            _echo_json(db.graph.to_dict(), indent=2)
        else:
            click.echo(db.graph.to_mermaid() if mermaid else str(db.graph))


@main.command()
@_source
@click.argument("query")
@click.option(
    "--at", multiple=True, metavar="TIME", help="A cutoff; may be given several times. Default: all usable ones."
)
@click.option("--dialect", type=click.Choice(["kumo"]), help="Accept only this dialect.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=_destination, help="Write all rows there.")
def labels(query: str, at: tuple[str, ...], dialect: str | None, out: str | None, as_json: bool, **where: Any) -> None:
    """What the target of QUERY was: one row (entity, cutoff, target) for every entity that existed at each cutoff."""
    with _opened(**where) as db, _watched("computing labels") as progress:
        table = db.labels(db.query(query, dialect=dialect), at=list(at) or None, progress=progress)
    _deliver(table, out, as_json)


@main.command()
@_source
@click.argument("query")
@click.option("--spine", metavar="FILE", help="Parquet or CSV with columns entity and cutoff.")
@click.option("--describe", is_flag=True, help="List the features instead of computing them.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=_destination, help="Write all rows there.")
def features(query: str, spine: str | None, describe: bool, out: str | None, as_json: bool, **where: Any) -> None:
    """The features made for QUERY, as expressions (--describe) or as values for the rows of a spine (--spine)."""
    with _opened(**where) as db, _watched("computing features") as progress:
        asked = db.query(query)
        if describe or spine is None:
            made = db.synthesise(asked)
            _echo_json(made.to_dicts(), indent=2) if as_json else click.echo(made.described())
            return
        table = db.features(asked, spine, progress=progress)
    _deliver(table, out, as_json)


@main.command()
@_source
@click.argument("query")
@click.option("--dialect", type=click.Choice(["kumo"]), help="Accept only this dialect.")
@click.option("--train", metavar="FILE", help="Spine (entity, cutoff[, target]) to train on, Parquet or CSV.")
@click.option("--validation", metavar="FILE", help="Spine to choose on.")
@click.option(
    "--test", metavar="FILE", help="Spine to be judged on; without the others, what came before is learnt from."
)
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Judge so many of the newest windows, each with what was known before it.",
)
@click.option("--frozen", is_flag=True, help="Test rows see nothing after the first test cutoff.")
@_learning
@click.option("--out", metavar="FILE|URL#TABLE", callback=_destination, help="Write the test predictions there.")
@click.option("--save", metavar="FILE.parquet", callback=_kept, help="Keep the evaluation, to compare it with others.")
@click.option("--report", metavar="FILE.html", callback=_page, help="Write all there is to see as one page.")
def evaluate(
    query: str, dialect: str | None, train: str | None, validation: str | None, test: str | None, windows: int,
    frozen: bool, out: str | None, save: str | None, report: str | None, as_json: bool, **where: Any,
) -> None:  # fmt: skip
    """How good predictions of QUERY have been: a backtest on the newest complete window, beside trivial baselines.

    Spines are tables of (entity, cutoff[, target]), in that order of columns or as a public benchmark names them.
    """
    how = {**_how(where), "regime": "frozen" if frozen else "seed-time"}
    with _opened(**where) as db, _watched("evaluating") as progress:
        asked = db.query(query, dialect=dialect)
        evaluation = db.evaluate(asked, train, validation, test, windows=windows, progress=progress, **how)
    if out:
        evaluation.write(out)
    if save:
        evaluation.save(save)
    if report:
        from penstock.learning.reasons.report import write_page

        write_page(evaluation, report, query=query, source=where["source"])
        click.echo(f"wrote {report}", err=True)
    _echo_json(evaluation.to_dict(), indent=2) if as_json else click.echo(str(evaluation))


@main.command()
@click.argument("first")
@click.argument("second")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def compare(first: str, second: str, seed: int, as_json: bool) -> None:
    """Which of two evaluations of the same rows is better, and whether by more than noise.

    FIRST and SECOND are files that penstock evaluate --save wrote.
    """
    from penstock.learning.judging.compare import compare as compared
    from penstock.learning.judging.evaluation import Evaluation

    found = compared(Evaluation.load(first), Evaluation.load(second), seed)
    _echo_json(found.to_dict(), indent=2) if as_json else click.echo(str(found))


@main.command()
@_source
@click.argument("query")
@click.option("--at", metavar="TIME", help="The cutoff to predict from. Default: the newest instant in the data.")
@click.option("--entities", metavar="ID,ID,…", help="Predict for these only.")
@click.option("--explain", is_flag=True, help="Give the reasons for each prediction.")
@click.option("--what-if", is_flag=True, help="Say what single change would change each prediction.")
@click.option("--act-on", metavar="TABLE[.COLUMN],…", help="What can be acted on. Default: whatever events can move.")
@click.option("--dialect", type=click.Choice(["kumo"]), help="Accept only this dialect.")
@click.option("--plan", is_flag=True, help="Print the plan and stop.")
@click.option("--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to print.")
@_learning
@click.option("--no-cache", is_flag=True, help="Train anew even if this was asked before.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=_destination, help="Write all predictions there.")
def predict(
    query: str, at: str | None, entities: str | None, explain: bool, what_if: bool, act_on: str | None,
    dialect: str | None, plan: bool, rows: int, no_cache: bool, out: str | None, as_json: bool, **where: Any,
) -> None:  # fmt: skip
    """Answer QUERY: a prediction for every entity, with a backtest that says how good such predictions have been."""
    how = _how(where)
    with _opened(**where) as db, _watched("understanding the question") as progress:
        asked = db.query(query, dialect=dialect)
        if plan:
            _echo_json(str(asked.plan()).splitlines()) if as_json else click.echo(str(asked.plan()))
            return
        chosen = None if entities is None else [e.strip() for e in entities.split(",")]
        explain_, change = (_beside(one, rows, whole=as_json or out is not None) for one in (explain, what_if))
        named = [one.strip() for one in act_on.split(",")] if act_on else []
        answer = db.predict(
            asked, at, chosen, explain_, change=change, act_on=named, cache=not no_cache, progress=progress, **how
        )
    if out:
        answer.write(out)
        click.echo(f"wrote {answer.to_arrow().num_rows:,} rows to {out.partition('@')[2] or out}", err=True)
    if as_json:
        _echo_json(answer.to_dict())
        return
    _print_answer(answer, rows, explain or what_if)


@main.command()
@click.argument("folder", default=".", required=False)
@click.option("--subscribers", type=int, default=20_000, show_default=True, help="How many subscribers to make.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def demo(folder: str, subscribers: int, seed: int, as_json: bool) -> None:
    """Make a telecom database in FOLDER, ask who will churn, and show predictions, backtest and reasons."""
    from penstock.demo.show import demonstrate
    from penstock.lake import spare_pandas

    spare_pandas()
    with _watched("making the demo database") as progress:
        shown = demonstrate(folder, subscribers=subscribers, seed=seed, progress=progress)
    if as_json:
        _echo_json(shown.to_dict())
        return
    click.echo(shown.introduction)
    _print_answer(shown.answer, 10, beside=True)
    click.echo(shown.conclusion)


def _beside(asked: bool, rows: int, *, whole: bool) -> bool | int:
    """Sentences for all rows where all are delivered, else only for the ones that are printed."""
    return asked if whole or not asked else rows


def _print_answer(answer: Any, rows: int, beside: bool) -> None:
    click.echo(str(answer.evaluation))
    click.echo("")
    shown = answer.ordered()
    _print_table(shown.drop_columns([c for c in ("reasons", "changes") if c in shown.column_names]), rows)
    for note in answer.notes:
        click.echo(f"note: {note}")
    if beside:
        click.echo("")
        click.echo(answer.reasons_text(rows))


def _deliver(table: pa.Table, out: str | None, as_json: bool) -> None:
    """Write, print as JSON, or print the first rows."""
    if out:
        from penstock.lake import write

        write(table, out, [name for name in ("entity", "cutoff", "step") if name in table.column_names])
        click.echo(f"wrote {table.num_rows:,} rows", err=True)
    if as_json:
        _echo_json(table.to_pylist())
    elif not out:
        _print_table(table, 20)


def _print_table(table: pa.Table, rows: int) -> None:
    """The first rows as a table as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(header_style="bold")
    for name in table.column_names:
        shown.add_column(
            name, justify="left" if name in ("entity", "item", "class", "cutoff") else "right", overflow="fold"
        )
    for row in table.slice(0, rows).to_pylist():
        shown.add_row(*(_cell(value) for value in row.values()))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(shown)
    if table.num_rows > rows:
        click.echo(f"… {table.num_rows - rows:,} more rows (--rows, --json or --out shows them)")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)
