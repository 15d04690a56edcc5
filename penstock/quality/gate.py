"""A contract as a gate of a lake table: staged rows that break it are not committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.lake.ingest.verdict import Verdict
from penstock.lake.versioned import Lake, Scan, Staged, VersionedTable
from penstock.quality.alerts.episodes import Alerts
from penstock.quality.contract import Contract
from penstock.quality.profile import Profile
from penstock.quality.profiling import own_schema, profile
from penstock.quality.results import Results, rows_fingerprint
from penstock.quality.run import names_table, run_checks, system_now


def gate(
    contract: Contract,
    lake: Lake,
    *,
    kept: Results | None = None,
    alerts: Alerts | None = None,
    now: Callable[[], int] = system_now,
) -> Callable[[VersionedTable, Staged], Verdict]:
    """What looks at staged rows before they are committed: the table as it would be, beside its last good version.

    A check of severity ``error`` that fails stops the commit; one of severity ``warn`` only tells. Results and profiles
    are kept in ``kept``, and failures told to ``alerts``, whatever comes of it. The verdict's results are the `Report`.
    """

    def judged(table: VersionedTable, staged: Staged) -> Verdict:
        rows = table.scan(beside=staged)
        before = last_good(table, contract, kept)
        report = run_checks(
            contract, _tables(contract, lake, table.name, rows), table=table.name, before=before, now=now
        )
        if kept is not None:
            kept.add(report)
            if report.profile is not None:
                kept.keep_profile(table.name, rows_fingerprint(rows), report.profile)
        if alerts is not None:
            alerts.tell(report)
        reasons = tuple(result.reason for result in report.failures if result.check.severity == "error")
        return Verdict(report.passed, reasons, report)

    return judged


def last_good(table: VersionedTable, contract: Contract, kept: Results | None = None) -> Profile | None:
    """The profile of the table's newest version, as far as a contract compares; None before the first.

    It is measured only where it was not kept.
    """
    if table.newest() is None or not any(check.compares for check in contract.checks):
        return None
    rows = table.scan()
    named = {name for check in contract.checks if check.compares for name in check.columns}
    wanted = [name for name in own_schema(rows).names if name in named]
    found = None if kept is None else kept.profile(table.name, rows_fingerprint(rows))
    if found is not None and set(wanted) <= set(found.columns):
        return found
    measured = profile(rows, wanted)
    if kept is not None:
        kept.keep_profile(table.name, rows_fingerprint(rows), measured)
    return measured


def _tables(contract: Contract, lake: Lake, name: str, rows: Scan) -> Mapping[str, Scan]:
    """The table, and those of the lake that the contract names."""
    others = [other for other in lake.names() if other != name and names_table(contract, other)]
    return {name: rows, **{other: lake.table(other).scan() for other in others}}
