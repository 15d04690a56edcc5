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

LOUD = """
from penstock.features import on_demand

@on_demand({"n": "int"}, inputs={"n": "recent:orders_30d"})
def loud(rows):
    print("asked")
    return {"n": rows["n"]}
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
    views = {one["view"]: one for one in told(project, "list")["views"]}
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


@pytest.fixture
def broken(project):
    """The project with a view that does not fit, and a service and an on-demand view that rest on it."""
    write(project, "features/wrong.pql", "FOR EACH customers.customer_id\nx = SUM(orders.amuont, -9, 0)\n")
    more = ON_BROKEN + "\nlater = service('later', ['recent:*', 'wrong:*'])\n"
    write(project, "features/more.py", more)
    yield project
    (project / "features" / "wrong.pql").unlink()
    (project / "features" / "more.py").unlink()


ON_BROKEN = """
from penstock.features import calculated, service

on_wrong = calculated("on_wrong", {"y": "a + 1"}, inputs={"a": "wrong:x"})
"""


def test_what_is_broken_is_listed_beside_what_is_sound(broken):
    result = ran(broken, "list", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    states = {one["view"]: one["state"] for one in told["views"]}
    assert states.pop("wrong") == states.pop("on_wrong") == "broken"
    assert set(states.values()) == {"sound"}
    assert {"recent", "last_order", "payer", "risk", "doubled", "spent"} <= set(states)
    errors = {one["name"]: one["error"] for one in told["errors"]}
    assert errors["wrong"]["code"] == "PQL_SCHEMA_UNKNOWN_COLUMN"
    assert (errors["on_wrong"]["code"], errors["later"]["code"]) == ("FEATURE_BROKEN", "FEATURE_BROKEN")
    assert "orders has no column 'amuont'" in errors["later"]["hint"]
    shown = ran(broken, "list")
    assert shown.exit_code == 1
    assert "recent" in shown.stdout
    assert "features/wrong.pql, line 2: wrong:x: orders has no column 'amuont'" in shown.stderr


def test_before_the_first_run_features_wait_for_tables(tmp_path):
    folder = made(tmp_path)
    with (folder / "penstock.toml").open("a") as file:
        file.write(SECTIONS + '\n[online]\nstore = "store"\n')
    write(folder, "features/recent.pql", RECENT)
    write(folder, "features/torn.pql", "FOR EACH\n")
    result = ran(folder, "list")
    assert result.exit_code == 1
    assert result.stderr.count("no table has been brought in yet. Bring them in: penstock run") == 1
    assert "torn is broken" in result.stderr and "recent is broken" not in result.stderr
    states = {one["view"]: one["state"] for one in json.loads(ran(folder, "list", "--json").stdout)["views"]}
    assert states.pop("torn") == "broken"
    assert set(states.values()) == {"waits"}
    assert "Bring them in: penstock run" in ran(folder, "show", "recent").stderr
    assert "Bring them in: penstock run" in ran(folder, "show", "risk").stderr
    for words in (("sync",), ("status",)):
        online = CliRunner().invoke(main, ["online", *words, "--project", str(folder)])
        assert online.exit_code == 1
        assert online.stderr.count("Bring them in: penstock run") == 1


def test_a_broken_view_is_shown_with_its_whole_error(broken):
    result = ran(broken, "show", "wrong")
    assert result.exit_code == 2
    assert "SUM(orders.amuont, -9, 0)\n             ~~~~~~" in result.stderr
    assert "Did you mean 'amount'?" in result.stderr
    assert "_known" not in result.stderr
    assert ran(broken, "show", "recent").exit_code == 0


@pytest.mark.parametrize("asked", ["wrong:x", "on_wrong:*", "later"])
def test_whatever_rests_on_a_broken_view_is_refused_and_the_rest_can_be_read(broken, asked):
    spine = broken / "spine.csv"
    spine.write_text("customer_id,cutoff\n1,2024-03-01\n")
    assert ran(broken, "historical", str(spine), "recent:orders_30d", "risk:busy").exit_code == 2  # amount is missing
    read = ran(broken, "historical", str(spine), "recent:orders_30d", "last_order:*", "--json")
    assert list(json.loads(read.stdout)[0]) == ["customer_id", "cutoff", "orders_30d", "amount"]
    refused = ran(broken, "historical", str(spine), asked)
    assert (refused.exit_code, "amuont" in refused.stderr) == (2, True)


def test_a_python_file_that_does_not_run_breaks_only_what_it_declares(project):
    write(project, "features/torn.py", "from penstock.features import service\nraise ValueError('no')\n")
    listed, shown = ran(project, "list"), ran(project, "show", "features/torn.py")
    asked, sound = ran(project, "show", "unheard"), ran(project, "show", "recent")
    (project / "features" / "torn.py").unlink()
    assert (listed.exit_code, "file features/torn.py is broken" in listed.stderr) == (1, True)
    assert "features/torn.py, line 2" in shown.stderr
    assert "It may be declared in features/torn.py" in asked.stderr
    assert sound.exit_code == 0


@pytest.mark.parametrize("raised", ["class Own(BaseException): pass\nraise Own('no')", "raise GeneratorExit('no')"])
def test_whatever_a_python_file_raises_is_an_error_of_the_file(project, raised):
    """Frameworks of tests stop with exceptions that are no ``Exception``."""
    write(project, "features/torn.py", f"{raised}\n")
    listed, sound = ran(project, "list"), ran(project, "show", "recent")
    (project / "features" / "torn.py").unlink()
    assert (listed.exit_code, sound.exit_code) == (1, 0)
    assert f"features/torn.py, line {raised.count(chr(10)) + 1}: it cannot be run" in listed.stderr


def test_what_functions_print_is_no_part_of_the_answer(project):
    """Nor what files print that declare them: JSON on standard output stays JSON."""
    write(project, "features/loud.py", f"print('read')\n{LOUD}")
    spine = project / "loud.csv"
    spine.write_text("customer_id,cutoff\n1,2024-03-01\n")
    result = ran(project, "historical", str(spine), "loud:n", "--json")
    (project / "features" / "loud.py").unlink()
    assert [list(row) for row in json.loads(result.stdout)] == [["customer_id", "cutoff", "n"]]
    assert ("read" in result.stderr, "asked" in result.stderr) == (True, True)


def test_a_projects_file_may_begin_with_a_mark(project):
    """Editors of Windows write one."""
    file = project / "penstock.toml"
    text = file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + text)
    listed = ran(project, "list")
    file.write_bytes(text)
    assert listed.exit_code == 0


def test_the_features_of_a_query_are_asked_for_as_before(project):
    source = str(project / "shop.sqlite")
    query = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
    for words in ([source, query, "--describe"], ["of", source, query], ["--json", source, query]):
        result = CliRunner().invoke(main, ["features", *words])
        assert result.exit_code == 0, result.stderr
        assert "COUNT(orders.*, -30, 0, days)" in result.stdout


def test_a_lone_word_that_is_no_command_is_a_slip_and_no_source(project):
    for word, told in (("lst", "Did you mean 'list'?"), ("frobnicate", "Commands: datasets, describe")):
        result = CliRunner().invoke(main, ["features", word])
        assert (result.exit_code, told in result.stderr) == (2, True)


def test_a_view_asked_for_like_a_feature_is_told_with_its_features(project):
    result = ran(project, "describe", "recent")
    assert (result.exit_code, "recent is a view, not a feature" in result.stderr) == (2, True)
    assert "recent:orders_30d" in result.stderr
    assert "fraud is a service, not a view" in ran(project, "show", "fraud").stderr


def test_a_dataset_names_the_views_that_changed_since(project):
    spine = project / "kept.csv"
    spine.write_text("customer_id,cutoff\n1,2024-03-01\n")
    said(project, "historical", str(spine), "recent:orders_30d", "spent:spent", "--save", "kept")
    assert [one["changed"] for one in told(project, "datasets")] == [[]]
    write(project, "features/recent.pql", RECENT.replace("-30, 0", "-31, 0"))
    try:
        assert [one["changed"] for one in told(project, "datasets")] == [["recent"]]
        assert "recent" in said(project, "datasets")
    finally:
        write(project, "features/recent.pql", RECENT)


def test_lineage_says_how_the_rows_below_were_made(project):
    made_by = told(project, "lineage", "spent:spent")["made_by"]
    assert [(one["table"], one["file"], one["changed"]) for one in made_by] == [("totals", "tables/totals.sql", False)]
    write(project, "tables/totals.sql", TOTALS.replace("sum(amount)", "max(amount)"))
    try:
        assert "changed since: penstock run" in said(project, "lineage", "spent:spent")
    finally:
        write(project, "tables/totals.sql", TOTALS)
    everything = said(project, "lineage", "spent:spent") + said(project, "lineage", "recent:*")
    assert "_known" not in everything
    assert "_deleted" not in everything


def test_a_wrong_sql_file_hides_no_other_features_lineage(project):
    write(project, "tables/wrong.sql", "SELECT nothing FROM nowhere")
    try:
        assert "orders.*" in said(project, "lineage", "recent:orders_30d")
        refused = ran(project, "lineage", "spent:spent")
        assert (refused.exit_code, "wrong.sql" in refused.stderr) == (2, True)
    finally:
        (project / "tables" / "wrong.sql").unlink()
