"""Questions about a source: one short function a command."""

from __future__ import annotations

from typing import Any

import click

from penstock.cli.front import main
from penstock.cli.options import destination, how, kept, learning_options, opened, page, source_options
from penstock.cli.terminal import deliver, echo_json, print_table, watched


@main.command(short_help="The tables of a source: keys, clocks, links, and why.")
@source_options
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
    with opened(source, settings, links, unlinks, no_infer) as db:
        if as_json:
            echo_json(db.graph.to_dict(), indent=2)
        else:
            click.echo(db.graph.to_mermaid() if mermaid else str(db.graph))


@click.command(short_help="What the target of a query was.")
@source_options
@click.argument("query")
@click.option(
    "--at", multiple=True, metavar="TIME", help="A cutoff; may be given several times. Default: all usable ones."
)
@click.option("--dialect", type=click.Choice(["kumo"]), help="Accept only this dialect.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write all rows there.")
def labels_of(
    query: str, at: tuple[str, ...], dialect: str | None, out: str | None, as_json: bool, **where: Any
) -> None:
    """What the target of QUERY was: one row (entity, cutoff, target) for every entity that existed at each cutoff."""
    with opened(**where) as db, watched("computing labels") as progress:
        table = db.labels(db.query(query, dialect=dialect), at=list(at) or None, progress=progress)
    deliver(table, out, as_json)


@click.command(short_help="The features made for a query, or their values.")
@source_options
@click.argument("query")
@click.option("--spine", metavar="FILE", help="Parquet or CSV with columns entity and cutoff.")
@click.option("--describe", is_flag=True, help="List the features instead of computing them.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write all rows there.")
def features_of(query: str, spine: str | None, describe: bool, out: str | None, as_json: bool, **where: Any) -> None:
    """The features made for QUERY, as expressions (--describe) or as values for the rows of a spine (--spine)."""
    with opened(**where) as db, watched("computing features") as progress:
        asked = db.query(query)
        if describe or spine is None:
            made = db.synthesise(asked)
            echo_json(made.to_dicts(), indent=2) if as_json else click.echo(made.described())
            return
        table = db.features(asked, spine, progress=progress)
    deliver(table, out, as_json)


@main.command(short_help="How good predictions have been: a backtest.")
@source_options
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
@learning_options
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write the test predictions there.")
@click.option("--save", metavar="FILE.parquet", callback=kept, help="Keep the evaluation, to compare it with others.")
@click.option("--report", metavar="FILE.html", callback=page, help="Write all there is to see as one page.")
def evaluate(
    query: str, dialect: str | None, train: str | None, validation: str | None, test: str | None, windows: int,
    frozen: bool, out: str | None, save: str | None, report: str | None, as_json: bool, **where: Any,
) -> None:  # fmt: skip
    """How good predictions of QUERY have been: a backtest on the newest complete window, beside trivial baselines.

    Spines are tables of (entity, cutoff[, target]), in that order of columns or as a public benchmark names them.
    """
    learning = {**how(where), "regime": "frozen" if frozen else "seed-time"}
    with opened(**where) as db, watched("evaluating") as progress:
        asked = db.query(query, dialect=dialect)
        evaluation = db.evaluate(asked, train, validation, test, windows=windows, progress=progress, **learning)
    if out:
        evaluation.write(out)
    if save:
        evaluation.save(save)
    if report:
        from penstock.learning.reasons.report import write_page

        write_page(evaluation, report, query=query, source=where["source"])
        click.echo(f"wrote {report}", err=True)
    echo_json(evaluation.to_dict(), indent=2) if as_json else click.echo(str(evaluation))


@main.command(short_help="Which of two evaluations is better.")
@click.argument("first")
@click.argument("second")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn by chance.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def compare(first: str, second: str, seed: int, as_json: bool) -> None:
    """Which of two evaluations of the same rows is better, and whether by more than noise.

    FIRST and SECOND are files that penstock evaluate --save wrote.
    """
    from penstock.learning.judging.compare import compare as compared
    from penstock.learning.judging.evaluation import Evaluation

    found = compared(Evaluation.load(first), Evaluation.load(second), seed)
    echo_json(found.to_dict(), indent=2) if as_json else click.echo(str(found))


@main.command(short_help="A prediction for every entity, with its backtest.")
@source_options
@click.argument("query")
@click.option("--at", metavar="TIME", help="The cutoff to predict from. Default: the newest instant in the data.")
@click.option("--entities", metavar="ID,ID,…", help="Predict for these only.")
@click.option("--explain", is_flag=True, help="Give the reasons for each prediction.")
@click.option("--what-if", is_flag=True, help="Say what single change would change each prediction.")
@click.option("--act-on", metavar="TABLE[.COLUMN],…", help="What can be acted on. Default: whatever events can move.")
@click.option("--dialect", type=click.Choice(["kumo"]), help="Accept only this dialect.")
@click.option("--plan", is_flag=True, help="Print the plan and stop.")
@click.option("--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to print.")
@learning_options
@click.option("--no-cache", is_flag=True, help="Train anew even if this was asked before.")
@click.option("--out", metavar="FILE|URL#TABLE", callback=destination, help="Write all predictions there.")
def predict(
    query: str, at: str | None, entities: str | None, explain: bool, what_if: bool, act_on: str | None,
    dialect: str | None, plan: bool, rows: int, no_cache: bool, out: str | None, as_json: bool, **where: Any,
) -> None:  # fmt: skip
    """Answer QUERY: a prediction for every entity, with a backtest that says how good such predictions have been."""
    learning = how(where)
    with opened(**where) as db, watched("understanding the question") as progress:
        asked = db.query(query, dialect=dialect)
        if plan:
            echo_json(str(asked.plan()).splitlines()) if as_json else click.echo(str(asked.plan()))
            return
        chosen = None if entities is None else [e.strip() for e in entities.split(",")]
        explain_, change = (_beside(one, rows, whole=as_json or out is not None) for one in (explain, what_if))
        named = [one.strip() for one in act_on.split(",")] if act_on else []
        answer = db.predict(
            asked, at, chosen, explain_, change=change, act_on=named, cache=not no_cache, progress=progress, **learning
        )
    if out:
        answer.write(out)
        click.echo(f"wrote {answer.to_arrow().num_rows:,} rows to {out.partition('@')[2] or out}", err=True)
    if as_json:
        echo_json(answer.to_dict())
        return
    _print_answer(answer, rows, explain or what_if, "--rows, --json or --out shows them")


@main.command(short_help="Make a telecom database, and ask who will leave.")
@click.argument("folder", default=".", required=False)
@click.option("--subscribers", type=int, default=20_000, show_default=True, help="How many subscribers to make.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another number makes another database.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def demo(folder: str, subscribers: int, seed: int, as_json: bool) -> None:
    """Make a telecom database in FOLDER, ask who will churn, and show predictions, backtest and reasons."""
    from penstock.demo.show import demonstrate
    from penstock.lake import spare_pandas

    spare_pandas()
    with watched("making the demo database") as progress:
        shown = demonstrate(folder, subscribers=subscribers, seed=seed, progress=progress)
    if as_json:
        echo_json(shown.to_dict())
        return
    click.echo(shown.introduction)
    _print_answer(shown.answer, 10, beside=True, more="--json shows them")
    click.echo(shown.conclusion)


def _beside(asked: bool, rows: int, *, whole: bool) -> bool | int:
    """Sentences for all rows where all are delivered, else only for the ones that are printed."""
    return asked if whole or not asked else rows


def _print_answer(answer: Any, rows: int, beside: bool, more: str) -> None:
    click.echo(str(answer.evaluation))
    click.echo("")
    shown = answer.ordered()
    print_table(shown.drop_columns([c for c in ("reasons", "changes") if c in shown.column_names]), rows, more)
    for note in answer.notes:
        click.echo(f"note: {note}")
    if beside:
        click.echo("")
        click.echo(answer.reasons_text(rows))
