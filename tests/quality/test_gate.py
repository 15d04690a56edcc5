"""A contract as a gate of a real lake table."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake.versioned import Lake, Roles, VersionedTable, open_lake
from penstock.lake.versioned.staged import Staged
from penstock.quality.alerts.alert import Command
from penstock.quality.alerts.episodes import Alerts
from penstock.quality.check import check
from penstock.quality.contract import Contract
from penstock.quality.gate import gate, last_good
from penstock.quality.profiling import profile
from penstock.quality.results import Results, rows_fingerprint
from penstock.quality.suggest import suggest

CONTRACT = Contract(
    "orders",
    (
        check("not_null", "amount"),
        check("range", "amount", min=0, severity="warn"),
        check("foreign_key", "user_id", table="users"),
        check("mean", "amount", min_rows=10),
    ),
)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = open_lake(tmp_path / "lake")
    users = lake.create("users", pa.schema([("user_id", pa.int64())]), Roles(("user_id",)))
    users.commit(staged(users, [{"user_id": n} for n in range(5)]), batch="users")
    columns = [("order_id", pa.int64()), ("user_id", pa.int64()), ("amount", pa.float64())]
    lake.create("orders", pa.schema(columns), Roles(("order_id",)))
    return lake


def staged(table: VersionedTable, rows: list[dict[str, object]]) -> Staged:
    return table.stage(pa.Table.from_pylist(rows, schema=table.schema).to_batches())


def orders(first: int, amounts: list[float | None], user: int = 1) -> list[dict[str, object]]:
    return [{"order_id": first + at, "user_id": user, "amount": amount} for at, amount in enumerate(amounts)]


def test_a_good_batch_passes_and_a_bad_one_is_stopped_with_its_reasons(lake: Lake):
    table, judge = lake.table("orders"), gate(CONTRACT, lake, now=lambda: 7)
    good = staged(table, orders(0, [1.0, 2.0, 3.0]))
    verdict = judge(table, good)
    assert (verdict.passed, verdict.reasons) == (True, ())
    table.commit(good, batch="good")
    bad = judge(table, staged(table, [*orders(10, [None]), *orders(20, [1.0], user=77)]))
    assert not bad.passed
    assert bad.reasons == (
        "amount_not_null: amount is never NULL: 1 of 5 rows, expected none",
        "user_id_foreign_key: each user_id is in users: 1 of 5 rows, expected none",
    )
    assert bad.results.instant == 7
    assert [result.check.name for result in bad.results.failures] == ["amount_not_null", "user_id_foreign_key"]


def test_a_warning_stops_nothing(lake: Lake):
    table = lake.table("orders")
    verdict = gate(CONTRACT, lake)(table, staged(table, orders(0, [-1.0])))
    assert verdict.passed
    assert [result.check.name for result in verdict.results.failures] == ["amount_range"]


def test_an_update_that_breaks_the_table_is_stopped_and_one_that_mends_it_passes(lake: Lake):
    table, judge = lake.table("orders"), gate(CONTRACT, lake)
    table.commit(staged(table, orders(0, [None, 1.0])), batch="before there was a contract")
    mended = [{**row, "_known": 10} for row in orders(0, [2.0])]
    assert not judge(table, staged(table, orders(5, [1.0]))).passed
    assert judge(table, staged(table, mended)).passed


def test_what_moves_away_from_the_last_good_version_is_stopped(lake: Lake, tmp_path):
    kept = Results(tmp_path / "quality")
    table, judge = lake.table("orders"), gate(CONTRACT, lake, kept=kept)
    first = staged(table, orders(0, [float(n % 10) for n in range(200)]))
    assert judge(table, first).passed
    table.commit(first, batch="first")
    same = staged(table, orders(1_000, [float(n % 10) for n in range(200)]))
    assert judge(table, same).passed
    verdict = judge(table, staged(table, orders(2_000, [1_000.0 + n for n in range(200)])))
    assert not verdict.passed
    assert verdict.reasons[0].startswith("amount_mean: the mean of amount moves by at most 0.5 standard deviations: ")
    assert [run["passed"] for run in kept.newest("orders")] == [False, True, True]


def test_the_profile_of_the_last_good_version_is_kept_and_not_read_again(lake: Lake, tmp_path):
    kept = Results(tmp_path / "quality")
    table, judge = lake.table("orders"), gate(CONTRACT, lake, kept=kept)
    good = staged(table, orders(0, [1.0, 2.0, 3.0] * 10))
    judge(table, good)
    table.commit(good, batch="good")
    expected = last_good(table, CONTRACT, kept)
    assert expected is not None
    assert (expected.rows, expected.columns["amount"].mean) == (30, 2.0)
    for file in good.files:
        file.write_bytes(bytes(file.stat().st_size))
    assert last_good(table, CONTRACT, kept) == expected
    with pytest.raises(SourceError, match="LAKE_DAMAGED"):
        last_good(table, CONTRACT)


def test_a_proposal_for_a_lake_table_knows_its_key_and_not_the_lakes_own_columns(lake: Lake):
    table = lake.table("orders")
    table.commit(staged(table, orders(0, [float(n) for n in range(100)])), batch="good")
    contract = suggest(table.scan(), "orders", links={"user_id": "users"}, tables={"users": lake.table("users").scan()})
    kinds = {one.name: one.columns for one in contract.checks}
    assert kinds["order_id_unique"] == ("order_id",)
    assert kinds["user_id_foreign_key"] == ("user_id",)
    assert {name for columns in kinds.values() for name in columns} == {"order_id", "user_id", "amount"}
    assert gate(contract, lake)(table, staged(table, orders(500, [3.0]))).passed


def test_without_a_kept_profile_the_version_is_measured_and_the_profile_kept(lake: Lake, tmp_path):
    kept, table = Results(tmp_path / "quality"), lake.table("orders")
    assert last_good(table, CONTRACT, kept) is None
    table.commit(staged(table, orders(0, [1.0, 2.0])), batch="good")
    assert kept.profile("orders", rows_fingerprint(table.scan())) is None
    found = last_good(table, CONTRACT, kept)
    assert found == kept.profile("orders", rows_fingerprint(table.scan())) == profile(table.scan(), ["amount"])
    more = Contract("orders", (*CONTRACT.checks, check("share", "user_id")))
    assert last_good(table, more, kept).columns.keys() == {"amount", "user_id"}
    assert last_good(table, Contract("orders", (check("not_null", "amount"),)), kept) is None


def test_a_failure_is_told_and_a_deaf_receiver_stops_nothing(lake: Lake, tmp_path):
    heard = tmp_path / "heard.json"
    receivers = (Command(("tee", str(heard))), Command((str(tmp_path / "absent"),)))
    table = lake.table("orders")
    judge = gate(CONTRACT, lake, alerts=Alerts(tmp_path / "quality", receivers))
    assert not judge(table, staged(table, orders(0, [None]))).passed
    assert '"table": "orders"' in heard.read_text()


def test_a_contract_that_names_a_table_the_lake_lacks_passes_nothing(lake: Lake):
    table = lake.table("orders")
    contract = Contract("orders", (check("foreign_key", "user_id", table="clients"),))
    verdict = gate(contract, lake)(table, staged(table, orders(0, [1.0])))
    assert not verdict.passed
    assert "CHECK_UNKNOWN_TABLE: user_id_foreign_key points to 'clients', which is not there" in verdict.reasons[0]
