"""Run a contract: everything that can be counted is counted in one pass, and only failures are looked up row by row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import pyarrow as pa

from penstock.errors import PenstockError, SchemaError, SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned.roles import KNOWN
from penstock.lake.versioned.scan import Scan, quoted
from penstock.quality.check import Check
from penstock.quality.comparisons import compare
from penstock.quality.conditions import given, has_condition, must_fit_schema
from penstock.quality.contract import Contract
from penstock.quality.counting import Counted, ask, counted
from penstock.quality.looks import EMPTY, Look, look, seen_row
from penstock.quality.profile import Profile
from penstock.quality.profiling import own_schema, profile
from penstock.quality.report import SHOWN, Report, Result
from penstock.quality.uniqueness import repeated

Rows: TypeAlias = Scan | pa.Table
Before: TypeAlias = Scan | pa.Table | Profile | None


def system_now() -> int:
    """Microseconds since 1970, UTC, by this machine's clock."""
    return time.time_ns() // 1000


def run_checks(
    contract: Contract,
    tables: Mapping[str, Rows],
    *,
    table: str | None = None,
    before: Before = None,
    now: Callable[[], int] = system_now,
) -> Report:
    """Run a contract's checks over one of the tables (default: the contract's own); the others are for links and SQL.

    Of a lake's scans the current rows count. ``before`` is the last good version, for statistical checks: a profile, or
    rows that are then read. A check that cannot be run (a column that is not there, SQL that fails) has failed and says
    why. Raises ``SchemaError`` where ``table`` is none of the tables.
    """
    name = table or contract.table
    if name not in tables:
        raise SchemaError("CHECK_UNKNOWN_TABLE", f"there is no table {name!r}", name=name, candidates=tables)
    needed = {key: rows for key, rows in tables.items() if key == name or names_table(contract, key)}
    with Sql(needed) as sql:
        run = _Run(sql, name, tables[name], {key: _key(rows) for key, rows in tables.items()}, now())
        results, found = run.results(contract.checks, before)
    return Report(name, contract.version, contract.fingerprint, run.instant, results, found)


def must_fit(contract: Contract, schemas: Mapping[str, pa.Schema], keys: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ``SchemaError`` or ``RequestError`` for the first check that the columns do not fit. Reads no row."""
    if contract.table not in schemas:
        message = f"the contract is of {contract.table!r}, which is not there"
        raise SchemaError("CHECK_UNKNOWN_TABLE", message, name=contract.table, candidates=schemas)
    for check in contract.checks:
        must_fit_schema(check, schemas[contract.table])
        look(check, schemas[contract.table], keys)


def names_table(contract: Contract, table: str) -> bool:
    """Whether the text of a check names a table: only such tables are opened."""
    texts = (f"{c.text('table')} {c.text('query')} {c.text('condition')} {c.where}" for c in contract.checks)
    return any(table.casefold() in text.casefold() for text in texts)


def _key(rows: Rows) -> tuple[str, ...]:
    return rows.key if isinstance(rows, Scan) else ()


@dataclass(frozen=True)
class _Run:
    """One run over one table."""

    sql: Sql
    table: str
    rows: Rows
    keys: Mapping[str, tuple[str, ...]]
    instant: int

    @property
    def schema(self) -> pa.Schema:
        return own_schema(self.rows)

    def results(self, checks: Sequence[Check], before: Before) -> tuple[tuple[Result, ...], Profile | None]:
        looks = {check: self.looked_at(check) for check in checks}
        together = [one for one in looks.values() if isinstance(one, Look) and one.aggregates and not one.apart]
        measured = self.measured(checks)
        found = counted(self.sql, self.table, together, measured)
        old = self.before(before, measured)
        results = []
        for check, one in looks.items():
            start = time.perf_counter()
            result = _unable(check, one) if isinstance(one, PenstockError) else self.result(one, found, old)
            shared = found.seconds if check in found.values else 0.0
            results.append(replace(result, seconds=shared + time.perf_counter() - start))
        return tuple(results), found.profile if isinstance(found.profile, Profile) else None

    def looked_at(self, check: Check) -> Look | PenstockError:
        """How a check is looked at, or why it cannot be."""
        try:
            must_fit_schema(check, self.schema)
            return look(check, self.schema, self.keys)
        except PenstockError as error:
            return error

    def measured(self, checks: Sequence[Check]) -> list[pa.Field] | None:
        """The columns whose profile is asked for; None where nothing is compared at all."""
        if not any(check.compares for check in checks):
            return None
        names = {name for check in checks if check.compares for name in check.columns}
        return [field for field in self.schema if field.name in names]

    def before(self, before: Before, measured: list[pa.Field] | None) -> Profile | None:
        if before is None or measured is None or isinstance(before, Profile):
            return before if isinstance(before, Profile) else None
        return profile(before, [field.name for field in measured])

    # ------------------------------------------------------------ results

    def result(self, found: Look, counted: Counted, old: Profile | None) -> Result:
        check = found.check
        values = ask(self.sql, self.table, found) if found.apart else counted.values.get(check, ())
        try:
            if isinstance(values, PenstockError):
                return _unable(check, values)
            if check.compares:
                return self.compared(check, old, counted.profile)
            if check.kind == "unique":
                return self.unique(check)
            if check.kind == "sql":
                return self.custom(check)
            if has_condition(check):
                return self.of_condition(found, *(int(str(value or 0)) for value in values))
            return found.judge(values, self.instant)
        except SourceError as error:
            return _unable(check, error)

    def of_condition(self, found: Look, rows: int, failed: int) -> Result:
        statement = f"SELECT * FROM {quoted(self.table)} WHERE {found.offends}"
        return self.of_rows(found.check, rows, failed, statement)

    def of_rows(self, check: Check, rows: int, failed: int, statement: str) -> Result:
        """The result of a check of single rows; a sample is fetched only if it failed."""
        passed = failed == 0 or rows - failed >= check.mostly * rows - 1e-9
        sample = EMPTY if passed else self.sql.arrow(f"{statement} LIMIT {SHOWN}")
        expected = "none" if check.mostly == 1 else f"at most {(1 - check.mostly) * 100:.6g} %"
        return Result(check, passed, failed, rows, sample, f"{failed:,} of {rows:,} rows", expected, 0.0)

    def unique(self, check: Check) -> Result:
        """Of a table's own key, the log is asked: among the current rows no key is twice by construction."""
        scan = self.rows
        if isinstance(scan, Scan) and scan.key and set(scan.key) == set(check.columns) and not check.where:
            with Sql({self.table: scan}, rows="log") as log:
                return replace(self, sql=log).unique_of(check, (*check.columns, KNOWN))
        return self.unique_of(check, check.columns)

    def unique_of(self, check: Check, columns: Sequence[str]) -> Result:
        """Rows with a NULL in their key are not looked at, as in SQL, unless NULLs are to count as equal."""
        present = [f"{quoted(name)} IS NOT NULL" for name in check.columns if not check.flag("nulls_equal")]
        rows, failed, statement = repeated(self.sql, self.table, columns, " AND ".join([given(check), *present]))
        return self.of_rows(check, rows, failed, statement)

    def custom(self, check: Check) -> Result:
        statement = f"SELECT * FROM (\n{check.text('query').strip().rstrip(';')}\n)"
        failed = int(self.sql.arrow(f"SELECT count(*) AS n FROM ({statement})")["n"][0].as_py())
        sample = self.sql.arrow(f"{statement} LIMIT {SHOWN}") if failed else EMPTY
        return Result(check, failed == 0, failed, failed, sample, f"{failed:,} rows", "none", 0.0)

    def compared(self, check: Check, old: Profile | None, profiled: Profile | PenstockError | None) -> Result:
        if not isinstance(profiled, Profile):
            return _unable(check, profiled or SourceError("SQL_FAILED", "there is no profile"))
        came = compare(check, old, profiled)
        sample = EMPTY if came.passed else seen_row(came.observed, came.expected)
        failed = int(not came.passed)
        return Result(check, came.passed, failed, profiled.rows, sample, came.observed, came.expected, 0.0)


def _unable(check: Check, error: PenstockError) -> Result:
    return Result(check, False, 0, 0, EMPTY, "", "", 0.0, f"it could not be run: {error}")
