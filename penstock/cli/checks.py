"""Contracts on the command line: run, proposed, taken over, and what they found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.front import main
from penstock.cli.options import project_option
from penstock.cli.terminal import NO_TABLES, echo_json, instant_text, shown_rows, watched
from penstock.errors import RequestError


@main.group(short_help="What must hold of tables, and whether it does.")
def checks() -> None:
    """What must hold of tables: contracts, their results, and proposals."""


@checks.command("list", short_help="Every check in a sentence, and how severe it is.")
@project_option
def list_contracts(project: Any, as_json: bool) -> None:
    """The contracts: every check in a sentence, and how severe it is."""
    from penstock.quality.contractfile import read_contracts

    contracts = read_contracts(project.site.contracts)
    if as_json:
        echo_json([
            {"table": name, "version": c.version, "check": one.name, "severity": one.severity, "says": one.sentence}
            for name, c in contracts.items() for one in c.checks
        ])  # fmt: skip
        return
    click.echo("\n\n".join(map(str, contracts.values())) or "there are no contracts: penstock checks suggest")


@checks.command(short_help="Check the newest versions of tables.")
@click.argument("tables", nargs=-1)
@project_option
def run(project: Any, tables: tuple[str, ...], as_json: bool) -> None:
    """Run the contracts of TABLES (default: all) on their newest versions.

    Exit status 1 when an error is found, or when none could be run.
    """
    from penstock.pipeline.checking import without_table

    with watched("checking"):
        reports, absent = project.check(tables), without_table(project.site, tables)
    for name in absent:
        click.echo(f"{name}: not checked, as there is no such table yet: penstock run", err=True)
    if as_json:
        echo_json([report.to_dict() for report in reports])
    else:
        nothing = "" if absent else "there is nothing to check: penstock checks suggest"
        click.echo("\n\n".join(map(str, reports)) or nothing, nl=bool(reports or nothing))
    if not all(report.passed for report in reports) or (absent and not reports):
        raise click.exceptions.Exit(1)


@checks.command(short_help="Propose checks that the rows of tables pass.")
@click.argument("tables", nargs=-1)
@click.option("--write", is_flag=True, help="Keep the proposals in contracts/.")
@project_option
def suggest(project: Any, tables: tuple[str, ...], write: bool, as_json: bool) -> None:
    """Propose contracts that the rows of TABLES (default: all) pass, for you to read and keep."""
    from penstock.lake.kept import shown_tables

    names = tables or tuple(shown_tables(project.site.lake))
    with watched("looking at the rows"):
        found = [project.suggest(name) for name in names]
    if not names and not as_json:
        click.echo(NO_TABLES)
    _propose(project, found, write=write, as_json=as_json)


@checks.command("import", short_help="Take over the tests of dbt or Great Expectations.")
@click.argument("tool", type=click.Choice(["dbt", "great-expectations"]))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Keep the contracts in contracts/.")
@project_option
def take_over(project: Any, tool: Any, path: Path, write: bool, as_json: bool) -> None:
    """Read the tests of a dbt schema.yml, or a Great Expectations suite, at PATH as contracts."""
    from penstock.pipeline.checking import imported, joined

    found = imported(path, tool)
    for one in found.left_out:
        click.echo(f"left out: {one}", err=True)
    _propose(project, [joined(project.site, one) for one in found.contracts.values()], write=write, as_json=as_json)


def _propose(project: Any, found: list[Any], *, write: bool, as_json: bool) -> None:
    from penstock.pipeline.checking import keep
    from penstock.quality.contractfile import contract_path, contract_text

    kept = [keep(project.site, one) for one in found] if write else found
    if as_json:
        echo_json([{"table": one.table, "version": one.version, "toml": contract_text(one)} for one in kept])
        return
    for one in kept:
        place = contract_path(project.site.contracts, one.table)
        click.echo(f"wrote {place}: {len(one.checks)} checks" if write else contract_text(one))


def _must_be_known(project: Any, table: str) -> None:
    """Raise ``RequestError`` for a table that is neither kept nor has a contract or results."""
    from penstock.quality.contractfile import read_contracts

    checked = {str(one["table"]) for one in project.site.results.newest()}
    known = sorted({*project.site.lake.names(), *read_contracts(project.site.contracts), *checked})
    if table not in known:
        raise RequestError("CHECKS_TABLE", f"there is no table {table!r}", name=table, candidates=known)


@checks.command(short_help="What checks have found, newest first.")
@click.argument("table", required=False)
@click.option("--failed", is_flag=True, help="Only those in which a check failed.")
@click.option("--rows", type=click.IntRange(min=1), default=20, show_default=True, help="How many to show.")
@project_option
def results(project: Any, table: str | None, failed: bool, rows: int, as_json: bool) -> None:
    """What checks have found, newest first."""
    from itertools import islice

    found = list(islice(project.site.results.newest(table, failed=failed), rows))
    if table is not None and not found:
        _must_be_known(project, table)
    if as_json:
        echo_json(found)
        return
    shown_rows(
        ("when", "table", "checks", "failed", "passed"),
        [(instant_text(one["instant"]), one["table"], len(one["results"]),
          ", ".join(r["name"] for r in one["results"] if not r["passed"]),
          click.style("yes", fg="green") if one["passed"] else click.style("no", fg="red")) for one in found],
        f"no check {'failed' if failed else 'has run yet: penstock checks run'}",
    )  # fmt: skip
