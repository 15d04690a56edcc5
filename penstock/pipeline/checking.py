"""Contracts of a project: run on what is kept, proposed from it, and taken over from other tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from penstock.errors import RequestError
from penstock.lake.kept import shown_tables
from penstock.lake.versioned import Scan
from penstock.pipeline.site import Site
from penstock.quality.contract import Contract, with_own_names
from penstock.quality.contractfile import read_contracts, write_contract
from penstock.quality.gate import last_good
from penstock.quality.imports.dbt import from_dbt
from penstock.quality.imports.great_expectations import from_great_expectations
from penstock.quality.imports.imported import Imported
from penstock.quality.report import Report
from penstock.quality.run import run_checks
from penstock.quality.suggest import suggest

Tool = Literal["dbt", "great-expectations"]


def check_now(site: Site, tables: Sequence[str] = ()) -> Iterator[Report]:
    """Run the contracts on the newest versions of their tables (or of these); results are kept and alerts sent."""
    contracts = read_contracts(site.contracts)
    for name in tables:
        if name not in contracts:
            message = f"there is no contract of a table {name!r}"
            hint = f"Make one: penstock checks suggest {name} --write"
            raise RequestError("CHECKS_NO_CONTRACT", message, name=name, candidates=contracts, hint=hint)
    scans = kept_scans(site)
    for name, contract in contracts.items():
        if name in scans and (not tables or name in tables):
            before = last_good(site.lake.table(name), contract, site.results)
            report = run_checks(contract, scans, table=name, before=before, now=site.now)
            site.results.add(report)
            if site.alerts is not None:
                site.alerts.tell(report)
            yield report


def without_table(site: Site, tables: Sequence[str] = ()) -> tuple[str, ...]:
    """The contracts (or those of these tables) that cannot be run, as their tables hold nothing yet."""
    there = kept_scans(site)
    return tuple(
        name for name in read_contracts(site.contracts) if name not in there and (not tables or name in tables)
    )


def kept_scans(site: Site) -> dict[str, Scan]:
    """The newest versions of all tables that have one."""
    tables = shown_tables(site.lake)
    return {name: table.scan() for name, table in tables.items() if table.newest() is not None}


def suggest_for(site: Site, name: str) -> Contract:
    """A contract that a table's newest version passes, joined with the checks that its contract has already."""
    scans, table = kept_scans(site), site.lake.table(name)
    roles = table.roles
    found = suggest(
        scans[name], name, links=dict(roles.links or {}), tables=scans, happened=roles.happened, now=site.now
    )
    return joined(site, found)


def joined(site: Site, contract: Contract) -> Contract:
    """A contract together with the checks that are kept for its table."""
    there = read_contracts(site.contracts).get(contract.table)
    if there is None:
        return contract
    return Contract(contract.table, with_own_names((*there.checks, *contract.checks)), there.version)


def imported(path: Path, tool: Tool) -> Imported:
    """The checks that a file or folder of another tool holds, as contracts; what has no equal is listed."""
    return from_dbt(path) if tool == "dbt" else from_great_expectations(path)


def keep(site: Site, contract: Contract) -> Contract:
    """Write a contract beside the tables, under a new version where it promises something else."""
    return write_contract(site.contracts, contract)
