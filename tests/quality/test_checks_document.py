"""The page on checks: each of its examples is a contract that is read, runs and means what the page says."""

from __future__ import annotations

import re
import tomllib

import pyarrow as pa
import pytest

from penstock.quality.alerts.alert import Command, Email, Webhook, read_alerts
from penstock.quality.contractfile import contract_text, parse_contract
from penstock.quality.kinds import KINDS
from penstock.quality.run import must_fit, run_checks
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
CONTRACTS = [block for block in BLOCKS if block.startswith("table")]
DAY = 86_400_000_000
ROWS = 400
ORDERS = pa.table(
    {
        "order_id": range(ROWS),
        "customer_id": [n % 20 for n in range(ROWS)],
        "code": [f"ORD-{n:06d}" for n in range(ROWS)],
        "status": ["new", "paid", "sent", "paid"] * (ROWS // 4),
        "amount": [float(n) for n in range(ROWS)],
        "placed": pa.array([(20_000 + n) * DAY for n in range(ROWS)], pa.timestamp("us")),
        "paid": pa.array([(20_001 + n) * DAY if n % 4 else None for n in range(ROWS)], pa.timestamp("us")),
    }
)
TABLES = {"orders": ORDERS, "customers": pa.table({"customer_id": range(20)})}
BROKEN = ORDERS.set_column(4, "amount", pa.array([-5_000.0 * (n + 1) for n in range(ROWS)]))


def now() -> int:
    return (20_000 + ROWS) * DAY


@pytest.mark.parametrize("text", CONTRACTS, ids=range(len(CONTRACTS)))
def test_each_contract_on_the_page_is_read_and_holds_for_good_rows(text: str):
    contract = parse_contract(text)
    must_fit(contract, {name: rows.schema for name, rows in TABLES.items()}, {"orders": (), "customers": ()})
    report = run_checks(contract, TABLES, before=ORDERS, now=now)
    assert [result.check.name for result in report.failures] == []
    assert parse_contract(contract_text(contract)) == contract


def test_the_page_shows_every_check():
    assert {one.kind for text in CONTRACTS for one in parse_contract(text).checks} == set(KINDS)


def test_what_moved_is_noticed_by_the_statistical_example():
    (text,) = [text for text in CONTRACTS if "wasserstein" in text]
    text = text.replace("min_rows = 1000", "min_rows = 100")
    report = run_checks(parse_contract(text), {"orders": BROKEN}, before=ORDERS, now=now)
    assert [result.check.name for result in report.failures] == ["amount_mean", "amount_psi", "amount_wasserstein"]
    assert not report.passed


def test_the_alerts_on_the_page_are_alerts():
    (block,) = [block for block in BLOCKS if "[[alerts]]" in block]
    hook, mail, command = read_alerts(tomllib.loads(block)["alerts"])
    assert (type(hook), type(mail), type(command)) == (Webhook, Email, Command)
    assert (hook.severity, mail.severity) == ("error", "warn")


def test_what_the_page_says_of_defaults_is_so():
    assert "(`volume` has none, `values` then means all, `min_rows` is 100)" in PAGE
    (text,) = [text for text in CONTRACTS if "wasserstein" in text]
    from penstock.quality.check import check

    given = {one.kind: one for one in parse_contract(text).checks}
    for kind, option in [("null_rate", "rise"), ("mean", "shift"), ("share", "shift"), ("psi", "max"), ("psi", "bins"),
                         ("wasserstein", "max")]:  # fmt: skip
        assert check(kind, "a").number(option) == given[kind].number(option), kind
    assert check("mean", "a").min_rows == 100
