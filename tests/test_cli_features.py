"""Features on the command line: what a project declares is listed, shown, described and followed to its sources."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from tests.pipeline.shop import made, write

SECTIONS = """
[entities.customer]
key = "customer_id"
table = "customers"

[features.last_order]
entity = "customer"
table = "orders"
columns = ["amount"]
ttl = "30 days"
owner = "growth"
description = "The newest order."
tags = { tier = "gold" }

[features.spent]
entity = "customer"
table = "totals"
columns = { spent = "total" }

[features.risk]
inputs = { last = "last_order:amount", n = "recent:orders_30d" }
requested = { amount = "float" }
expressions = { ratio = "amount / last", busy = "n > 3 AND amount > 10" }

[features.payer]
view = "last_order"
keys = { customer_id = "payer_id" }

[services.fraud]
features = ["risk:*", "last_order:amount"]
"""
RECENT = """-- owner: growth
FOR EACH customers.customer_id
orders_30d = COUNT(orders.*, -30, 0, days)
`what they pay` = SUM(orders.amount WHERE orders.amount > 1, -90, 0, days)
"""
TOTALS = "-- key: customer_id\nSELECT customer_id, sum(amount) AS total FROM orders GROUP BY ALL"
CODE = """
from penstock.features import on_demand

@on_demand({"double": "float"}, requested={"amount": "float"})
def doubled(rows):
    "Twice the amount."
    return {"double": rows["amount"]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with views of every kind over a shop that was brought in once."""
    folder = made(tmp_path_factory.mktemp("shop"), customers=12, days=80)
    write(folder, "tables/totals.sql", TOTALS)
    write(folder, "features/recent.pql", RECENT)
    write(folder, "features/code.py", CODE)
    with (folder / "penstock.toml").open("a") as file:
        file.write(SECTIONS)
    assert CliRunner().invoke(main, ["run", "--project", str(folder)]).exit_code == 0
    return folder


def ran(folder, *words: str) -> Result:
    result = CliRunner().invoke(main, ["features", *words, "--project", str(folder)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(folder, *words: str) -> str:
    result = ran(folder, *words)
    assert result.exit_code == 0, result.output + result.stderr
    return result.stdout


def told(folder, *words: str):
    return json.loads(said(folder, *words, "--json"))


def test_views_are_listed_with_their_kind_version_and_owner(project):
    views = {one["view"]: one for one in told(project, "list")}
    assert {name: one["kind"] for name, one in views.items()} == {
        "last_order": "latest", "spent": "latest", "recent": "expressions", "payer": "role of last_order",
        "risk": "on demand", "doubled": "on demand",
    }  # fmt: skip
    assert views["payer"]["version"] == views["last_order"]["version"] == told(project, "show", "payer")["version"]
    shown = said(project, "list")
    assert all(name in shown for name in views)
    assert views["last_order"]["description"] == "The newest order."
    assert "service fraud: risk:*, last_order:amount" in shown


def test_a_view_is_shown_with_its_features(project):
    shown = said(project, "show", "recent")
    assert "COUNT(orders.*, -30, 0, days)" in shown
    assert "what they pay" in shown
    view = told(project, "show", "last_order")
    assert (view["ttl_seconds"], view["tags"], view["keys"]) == (2_592_000.0, {"tier": "gold"}, {"customer_id": "int"})
    assert view["place"] == "penstock.toml: [features.last_order]"


def test_a_feature_is_described_in_words(project):
    shown = said(project, "describe", "recent:what they pay")
    assert "sum of amount of orders where amount above 1 in the last 90 days" in shown
    assert "features/recent.pql, line 4" in shown
    one = told(project, "describe", "risk:ratio")
    assert (one["expression"], one["inputs"]) == ("amount / last", {"last": "last_order:amount"})
    assert told(project, "describe", "doubled:double")["expression"] == "a Python function"
    assert [one["feature"] for one in told(project, "describe", "fraud")] == ["ratio", "busy", "amount"]


def test_a_feature_is_followed_to_the_sources_columns(project):
    one = told(project, "lineage", "spent:spent")
    assert one["values"] == ["totals.total"]
    assert one["derived"]["totals.total"] == ["orders.amount"]
    risk = said(project, "lineage", "risk:*")
    assert "last_order:amount" in risk
    assert "orders.*" in risk


def test_what_is_synthesised_for_a_query_becomes_a_view(project):
    file = project / "features" / "churn.pql"
    assert "wrote 7 features" in said(project, "synthesise", "churn", "--most", "7", "--out", str(file))
    assert told(project, "show", "churn")["entity"] == "customer"
    again = ran(project, "synthesise", "churn", "--out", str(file))
    assert (again.exit_code, "there is a file" in again.stderr) == (2, True)
    beside = project / "not there yet" / "churn.pql"
    assert "wrote 7 features" in said(project, "synthesise", "churn", "--most", "7", "--out", str(beside))
    assert beside.read_text() == file.read_text()
    file.unlink()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "recnt"], "FEATURE_UNKNOWN: there is no view 'recnt'"),
        (["describe", "recent:x"], "FEATURE_UNKNOWN: recent has no feature 'x'"),
        (["lineage", "amount"], "FEATURE_AMBIGUOUS: 2 views have a feature amount"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(project, words, code):
    result = ran(project, *words)
    assert result.exit_code == 2
    assert code in result.stderr


def test_a_file_that_is_wrong_is_told_with_its_line(project):
    write(project, "features/wrong.pql", "FOR EACH customers.customer_id\nx = SUM(orders.amuont, -9, 0)\n")
    result = ran(project, "list")
    (project / "features" / "wrong.pql").unlink()
    assert result.exit_code == 2
    assert "features/wrong.pql, line 2: wrong:x: orders has no column 'amuont'" in result.stderr
    assert "Did you mean 'amount'?" in result.stderr


def test_the_features_of_a_query_are_asked_for_as_before(project):
    source = str(project / "shop.sqlite")
    query = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
    for words in ([source, query, "--describe"], ["of", source, query], ["--json", source, query]):
        result = CliRunner().invoke(main, ["features", *words])
        assert result.exit_code == 0, result.stderr
        assert "COUNT(orders.*, -30, 0, days)" in result.stdout
