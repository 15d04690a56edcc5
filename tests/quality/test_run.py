"""A contract run over tables: what offends, by a naive loop and by example."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import RequestError, SchemaError
from penstock.lake.versioned import Roles, open_lake
from penstock.quality.check import Check, check
from penstock.quality.contract import Contract, with_own_names
from penstock.quality.report import Result
from penstock.quality.run import must_fit, run_checks
from tests.quality.made_up import SCHEMA, checks_of_rows, tables
from tests.quality.naive import offending

ORDERS = pa.table(
    {
        "id": [1, 2, 2, 4],
        "status": ["paid", "open", None, "lost"],
        "amount": [5.0, -1.0, None, 20.0],
        "placed": pa.array([0, 10, 20, None], pa.timestamp("us")),
    }
)


def run(one: Check, rows: pa.Table = ORDERS, now: int = 0, **others: pa.Table) -> Result:
    return run_checks(Contract("orders", (one,)), {"orders": rows, **others}, now=lambda: now).results[0]


@given(tables, tables, st.lists(checks_of_rows(), min_size=1, max_size=6), st.booleans())
def test_what_offends_is_what_a_plain_loop_finds(rows: pa.Table, parents: pa.Table, checks: list[Check], some: bool):
    if some:
        checks = [check(c.kind, *c.columns, where="part > 0", mostly=c.mostly, **dict(c.options)) for c in checks]
    contract = Contract("orders", with_own_names(checks))
    report = run_checks(contract, {"orders": rows, "parents": parents})
    asked = [row for row in rows.to_pylist() if not some or (row["part"] or 0) > 0]
    for result in report.results:
        judged, bad = offending(result.check, asked, {"parents": parents.to_pylist()})
        assert (result.error, result.rows, result.failed_rows) == ("", judged, len(bad)), result.check
        assert result.passed == (not bad or judged - len(bad) >= result.check.mostly * judged - 1e-9)
        told = [repr(row) for row in bad]
        assert result.passed or len(result.sample) == min(5, len(bad))
        assert all(repr(row) in told for row in result.sample.to_pylist())


@settings(max_examples=8)
@given(tables, tables, st.integers(0, 7))
def test_many_checks_in_one_pass_say_what_each_says_alone(rows: pa.Table, before: pa.Table, which: int):
    checks = (
        check("not_null", "id"),
        check("row_count", min=3),
        check("expression", condition="amount > part"),
        check("expression", condition="no_such_column", name="broken"),
        check("sql", query="SELECT * FROM orders WHERE id < 0"),
        check("mean", "amount", min_rows=2),
        check("psi", "part", min_rows=2),
        check("share", "code", min_rows=2),
    )
    together = run_checks(Contract("orders", checks), {"orders": rows}, before=before)
    result = together.results[which]
    alone = run_checks(Contract("orders", (result.check,)), {"orders": rows}, before=before).results[0]
    assert (alone.passed, alone.failed_rows, alone.observed) == (result.passed, result.failed_rows, result.observed)


EXAMPLES = [
    (check("row_count", min=5), False, "4 rows", "at least 5"),
    (check("row_count", max=2, where="id = 2"), True, "2 rows", "at most 2"),
    (check("not_null", "status"), False, "1 of 4 rows", "none"),
    (check("not_null", "status", mostly=0.75), True, "1 of 4 rows", "at most 25 %"),
    (check("unique", "id"), False, "2 of 4 rows", "none"),
    (check("unique", "id", where="amount IS NOT NULL"), True, "0 of 3 rows", "none"),
    (check("accepted", "status", values=["paid", "open"]), False, "1 of 3 rows", "none"),
    (check("accepted", "id", values=["1", "2", 4]), True, "0 of 4 rows", "none"),
    (check("range", "amount", min=0, below=20), False, "2 of 3 rows", "none"),
    (check("range", "amount", min=-1, max=20), True, "0 of 3 rows", "none"),
    (check("range", "placed", min=dt.date(1970, 1, 1)), True, "0 of 3 rows", "none"),
    (check("range", "placed", above="1970-01-01 00:00:00"), False, "1 of 3 rows", "none"),
    (check("range", "status", min="open"), False, "1 of 3 rows", "none"),
    (check("regex", "status", pattern="^[a-z]{4}$"), True, "0 of 3 rows", "none"),
    (check("expression", condition="amount < 10 -- a remark"), False, "1 of 4 rows", "none"),
    (check("sql", query="SELECT id FROM orders WHERE amount > 1;"), False, "2 rows", "none"),
    (check("freshness", "placed", at_most="1 second"), True, "1 second old", "at most 1 second old"),
    (check("freshness", "placed", at_most="1 second", where="id = 4"), False, "no time at all", "at most 1 second old"),
]


@pytest.mark.parametrize(("one", "passed", "observed", "expected"), EXAMPLES, ids=lambda v: getattr(v, "name", ""))
def test_each_kind_says_what_it_saw(one, passed, observed, expected):
    result = run(one, now=1_000_020)
    assert (result.error, result.passed, result.observed, result.expected) == ("", passed, observed, expected)
    assert result.passed == (len(result.sample) == 0)


def test_a_missing_link_offends_nothing_though_there_be_no_row_to_link_to():
    nobody = pa.table({"id": pa.array([], pa.int64())})
    one = check("foreign_key", "amount", table="users", to=["id"])
    result = run(one, users=nobody)
    assert (result.rows, result.failed_rows, result.observed) == (3, 3, "3 of 3 rows")
    assert run(check("foreign_key", "amount", table="users", to=["id"], where="id = 2"), users=nobody).failed_rows == 1


def test_time_moves_freshness():
    one = check("freshness", "placed", at_most="2 hours")
    assert run(one, now=7_200_000_020).passed
    late = run(one, now=3 * 86_400_000_000)
    assert (late.passed, late.observed) == (False, "3 days old")
    assert late.sample.to_pylist() == [{"observed": "3 days old", "expected": "at most 2 hours old"}]
    assert run(one, now=-3_600_000_000).observed == "60 minutes in the future"


def test_decimals_and_floats_are_compared_exactly():
    rows = pa.table(
        {
            "exact": pa.array([Decimal("0.10"), Decimal("0.30")], pa.decimal128(9, 2)),
            "double": [0.1, 0.3],
            "single": pa.array([0.1, 0.3], pa.float32()),
        }
    )
    for name in rows.column_names:
        assert run(check("range", name, min=0.1, max=0.3), rows).passed
        assert run(check("accepted", name, values=[0.1, 0.3]), rows).passed
        assert run(check("range", name, above=0.1, below=0.3), rows).failed_rows == 2


def test_names_and_values_with_quotes_are_only_names_and_values():
    rows = pa.table({'a"; DROP TABLE x': ["it's", "'; --"]})
    name = rows.column_names[0]
    assert run(check("accepted", name, values=["it's", "'; --"]), rows).passed
    assert run(check("regex", name, pattern="'"), rows).passed
    assert run(check("unique", name), rows).passed


def test_a_check_reaches_no_file_and_no_setting(tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    read = run(check("sql", query=f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')"))
    assert not read.passed
    assert "it could not be run: SQL_FAILED: Permission Error" in read.error
    two = run(check("expression", condition="TRUE) FROM orders; SELECT count(*) FILTER (WHERE TRUE"))
    assert "it could not be run: SQL_FAILED: Parser Error" in two.error


ABSENT = [
    (check("not_null", "statsu"), "CHECK_UNKNOWN_COLUMN: not_null_0 names a column 'statsu' that is not there"),
    (
        check("regex", "id", pattern="a"),
        "CHECK_COLUMN_TYPE: not_null_0 needs a column of texts, and id is of type int64",
    ),
    (check("mean", "status"), "needs a column of numbers, and status is of type string"),
    (check("accepted", "id", values=["x"]), "CHECK_BAD_VALUE: 'x' cannot be compared with values of type int64"),
    (check("foreign_key", "id", table="user"), "CHECK_UNKNOWN_TABLE: not_null_0 points to 'user', which is not there"),
    (check("foreign_key", "id", table="users"), "CHECK_LINK_COLUMNS: not_null_0 points with 1 columns to 0 of users"),
    (check("freshness", "id", at_most="1 day"), "needs a column of dates or times, and id is of type int64"),
    (check("expression", condition="ammount > 0"), 'SQL_FAILED: Binder Error: Referenced column "ammount" not found'),
    (check("expression", condition="sum(amount) > 0 AND sum(sum(id)) > 0"), "SQL_FAILED: Binder Error"),
    (check("sql", query="DELETE FROM orders"), "SQL_FAILED: Parser Error"),
    (check("range", "amount", min=0, where="CAST(status AS INTEGER) > 0"), "SQL_FAILED: Conversion Error"),
]


@pytest.mark.parametrize(("one", "says"), ABSENT, ids=[says[:60] for _, says in ABSENT])
def test_a_check_that_cannot_be_run_has_failed_and_spoils_no_other(one, says):
    good = check("not_null", "id", name="good")
    contract = Contract("orders", (one, good))
    report = run_checks(contract, {"orders": ORDERS, "users": ORDERS})
    results = {result.check.name: result for result in report.results}
    assert results["good"].passed
    failed = results[one.name]
    assert not failed.passed
    assert says.replace("not_null_0", one.name) in failed.error
    assert not report.passed


def test_one_that_fits_no_column_is_refused_before_anything_is_read():
    schemas, keys = {"orders": ORDERS.schema, "users": ORDERS.schema}, {"orders": (), "users": ("id",)}
    must_fit(Contract("orders", (check("foreign_key", "id", table="users"), check("unique", "id"))), schemas, keys)
    with pytest.raises(SchemaError, match=r"CHECK_UNKNOWN_COLUMN: .*'idd'(.|\n)*Did you mean 'id'"):
        must_fit(Contract("orders", (check("not_null", "idd"),)), schemas, keys)
    with pytest.raises(RequestError, match="CHECK_BAD_VALUE: 'x' cannot be compared"):
        must_fit(Contract("orders", (check("range", "id", min="x"),)), schemas, keys)
    with pytest.raises(SchemaError, match=r"CHECK_UNKNOWN_TABLE: the contract is of 'order'"):
        must_fit(Contract("order"), schemas, keys)


def test_a_table_that_is_not_there_is_refused():
    with pytest.raises(SchemaError, match=r"there is no table 'order'(.|\n)*Did you mean 'orders'"):
        run_checks(Contract("order"), {"orders": ORDERS})


def test_an_empty_contract_passes():
    report = run_checks(Contract("orders"), {"orders": ORDERS}, now=lambda: 0)
    assert report.passed
    assert str(report) == "orders: 0 of 0 checks passed (1970-01-01 00:00:00 UTC)"


def test_the_report_is_a_table_and_goes_to_json():
    contract = Contract("orders", (check("range", "amount", min=0), check("not_null", "status", severity="warn")), 7)
    report = run_checks(contract, {"orders": ORDERS}, now=lambda: 0)
    assert str(report).splitlines() == [
        "orders: 0 of 2 checks passed (1970-01-01 00:00:00 UTC)",
        "         check            seen         expected",
        "FAILED   amount_range     1 of 3 rows  none",
        "warning  status_not_null  1 of 4 rows  none",
        "",
        "amount_range: amount is at least 0",
        "  id=2, status='open', amount=-1.0, placed=1970-01-01 00:00:00.000010",
        "",
        "status_not_null: status is never NULL",
        "  id=2, status=None, amount=None, placed=1970-01-01 00:00:00.000020",
    ]
    told = report.to_dict()
    assert (told["passed"], told["version"], told["fingerprint"]) == (False, 7, contract.fingerprint)
    assert told["results"][0]["sample"] == [
        {"id": 2, "status": "open", "amount": -1.0, "placed": "1970-01-01 00:00:00.000010"}
    ]


def test_of_a_lake_table_the_current_rows_count(tmp_path):
    table = open_lake(tmp_path).create(
        "orders", pa.schema([("id", pa.int64()), ("amount", pa.int64())]), Roles(("id",))
    )

    def batch(rows: list[tuple[int, int, int | None, bool]]) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True))
        kinds = [field.type for field in table.schema]
        arrays = [pa.array(list(c), k) for c, k in zip(columns, kinds, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=table.schema)

    table.commit(table.stage([batch([(1, -5, None, False), (2, -6, None, False), (3, 1, None, False)])]), batch="a")
    staged = table.stage([batch([(1, 5, 10, False), (2, -6, 11, True)])])
    contract = Contract("orders", (check("range", "amount", min=0), check("unique", "id"), check("row_count", min=2)))
    before = run_checks(contract, {"orders": table.scan()})
    assert [result.failed_rows for result in before.results] == [0, 2, 0]
    after = run_checks(contract, {"orders": table.scan(beside=staged)})
    assert after.passed
    assert after.results[0].rows == 2


def test_a_key_that_is_twice_in_one_batch_offends_though_the_newest_row_hides_it(tmp_path):
    table = open_lake(tmp_path).create("orders", pa.schema([("id", pa.int64())]), Roles(("id",)))
    rows = pa.Table.from_pylist([{"id": 1}, {"id": 1}, {"id": 2}], schema=table.schema)
    table.commit(table.stage(rows.to_batches()), batch="a")
    result = run_checks(Contract("orders", (check("unique", "id"),)), {"orders": table.scan()}).results[0]
    assert (result.passed, result.failed_rows, result.rows) == (False, 2, 3)


def test_nan_in_a_file_offends_every_range(tmp_path):
    table = open_lake(tmp_path).create("orders", pa.schema([("amount", pa.float64())]), Roles())
    rows = pa.Table.from_pylist([{"amount": value} for value in (1.0, float("nan"), 1.0)], schema=table.schema)
    table.commit(table.stage(rows.to_batches()), batch="a")
    checks = [check("range", "amount", min=0), check("range", "amount", max=9, name="below")]
    checks += [check("accepted", "amount", values=[1.0]), check("wasserstein", "amount", min_rows=0)]
    report = run_checks(Contract("orders", tuple(checks)), {"orders": table.scan()}, before=table.scan())
    assert [result.check.name for result in report.failures] == ["amount_accepted", "amount_range", "below"]
    assert {(result.failed_rows, len(result.sample)) for result in report.failures} == {(1, 1)}
    assert report.profile is not None
    assert (report.profile.columns["amount"].odd, report.profile.columns["amount"].most) == (1, 1.0)


def test_schema_of_the_made_up_tables_is_what_the_oracle_knows():
    assert SCHEMA.names == ["id", "code", "amount", "part", 'odd "name"']
