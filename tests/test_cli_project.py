"""A project on the command line: every command in its turn, in words and in JSON, and what mistakes are told."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from penstock.cli.terminal import print_table, shown_rows
from tests.pipeline.shop import do, instant, made, opened


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project that was run once, with a contract, a snapshot, labels and a derived table."""
    folder = made(tmp_path_factory.mktemp("shop"))
    (folder / "tables").mkdir()
    (folder / "tables" / "totals.sql").write_text(
        "-- key: customer_id\nSELECT customer_id, sum(amount) AS total FROM orders GROUP BY ALL"
    )
    with (folder / "penstock.toml").open("a") as file:
        file.write(
            '\n[labels.vip]\nentity = "customers"\n'
            '[labels.vip.rules.many]\npql = "COUNT(orders.*, -60, 0, days) > 5"\notherwise = false\n'
            '[labels.vip.rules.big]\nsql = "SELECT customer_id AS entity, total > 500 AS value FROM totals"\n'
        )
    said(folder, "run")
    return folder


def ran(folder, *words: str) -> Result:
    result = CliRunner().invoke(main, [*words, "--project", str(folder)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(folder, *words: str) -> str:
    result = ran(folder, *words)
    assert result.exit_code == 0, result.output + result.stderr
    return result.stdout


def told(folder, *words: str):
    return json.loads(said(folder, *words, "--json"))


def test_a_project_is_begun_planned_and_run(tmp_path):
    made(tmp_path)
    (tmp_path / "penstock.toml").unlink()
    begun = CliRunner().invoke(main, ["init", str(tmp_path / "shop.sqlite"), str(tmp_path / "new")])
    assert begun.exit_code == 0, begun.output
    assert "Next: look at" in begun.output
    folder = tmp_path / "new"
    assert 'url = "../shop.sqlite"' in (folder / "penstock.toml").read_text()
    assert "2 stages, 2 to run" in said(folder, "plan")
    assert {step["prospect"] for step in told(folder, "plan")["steps"]} == {"runs"}
    assert [(run["name"], run["state"]) for run in told(folder, "apply")] == [("customers", "done"), ("orders", "done")]
    assert [run["state"] for run in told(folder, "run", "ingest", "--table", "orders")] == ["unchanged"]
    again = CliRunner().invoke(main, ["init", str(tmp_path / "shop.sqlite"), str(folder)])
    assert again.exit_code == 2
    assert "is there already" in again.stderr


def test_status_and_runs(project):
    assert "orders" in said(project, "status")
    status = told(project, "status")
    assert status["healthy"]
    assert {table["name"]: table["state"] for table in status["tables"]}["totals"] == "done"
    assert "totals" in said(project, "runs", "--rows", "3")
    assert told(project, "runs", "--table", "orders")[0]["stage"] == "ingest"


def test_data_is_listed_shown_and_compared(project):
    assert {row["table"] for row in told(project, "data", "list")} >= {"customers", "orders", "totals"}
    assert told(project, "data", "versions", "orders")[0]["version"] >= 1
    assert "customer_id" in said(project, "data", "show", "orders", "--rows", "2")
    assert "_known" in said(project, "data", "show", "orders", "--log", "--rows", "1")
    assert len(told(project, "data", "show", "orders", "--version", "1", "--rows", "4")) == 4
    assert "nothing differs" in said(project, "data", "diff", "1", "1", "--table", "orders")
    assert told(project, "data", "tag", "orders", "good") == {"good": 1}
    assert "good" in said(project, "data", "versions", "orders")
    assert told(project, "data", "tag", "orders", "good", "--remove") == {}
    assert "every file is whole" in said(project, "data", "verify")
    assert "gone" in said(project, "data", "expire", "--keep-days", "1")
    said(project, "data", "compact", "orders")
    assert told(project, "data", "quarantine", "list") == []
    assert told(project, "data", "backfill", "orders", "--from", "2024-02-01", "--to", "2024-03-01")[0]["changed"] == 0


def test_snapshots_are_made_exported_compared_and_forgotten(project, tmp_path):
    first = told(project, "data", "snapshot", "first")
    assert set(first["tables"]) >= {"customers", "orders", "totals"}
    do(project, f"INSERT INTO orders VALUES (95000, 1, 5.0, '{instant(301)}')")
    said(project, "run")
    assert "orders (version" in said(project, "data", "diff", "first", "now")
    counts = {one["table"]: one["counts"] for one in told(project, "data", "diff", "first", "now")}
    assert counts["orders"] == {"added": 1, "removed": 0, "changed": 0}
    assert counts["totals"]["changed"] == 1
    assert [one["snapshot"] for one in told(project, "data", "snapshots")] == ["first"]
    said(project, "data", "export", "first", str(tmp_path / "out"))
    assert (tmp_path / "out" / "manifest.json").exists()
    said(project, "data", "forget", "first")
    assert told(project, "data", "snapshots") == []


def test_a_snapshot_that_is_not_there_is_told_with_those_that_are(project):
    said(project, "data", "snapshot", "spring")
    wrong = ran(project, "data", "diff", "sprnig", "now")
    said(project, "data", "forget", "spring")
    assert wrong.exit_code == 2
    assert "'sprnig' is neither a snapshot nor an instant" in wrong.stderr
    assert "Did you mean 'spring'?" in wrong.stderr


def test_rows_are_written_out_and_json_holds_all_of_them(project, tmp_path):
    count = opened(project).rows("orders").num_rows
    assert count > 20
    assert len(told(project, "data", "show", "orders")) == count
    assert len(told(project, "data", "show", "orders", "--rows", "30")) == 30
    assert f"{count - 20:,} more rows (--rows, --json or --out shows them)" in said(project, "data", "show", "orders")
    said(project, "data", "show", "orders", "--out", str(tmp_path / "orders.parquet"))
    assert pq.read_table(tmp_path / "orders.parquet").num_rows == count
    out = f"{tmp_path / 'out.sqlite'}#orders"
    for _ in range(2):  # rows of the same key are replaced
        said(project, "data", "show", "orders", "--out", out)
    with closing(sqlite3.connect(tmp_path / "out.sqlite")) as made_:
        assert made_.execute("SELECT count(*) FROM orders").fetchone() == (count,)
    asked = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
    labels = CliRunner().invoke(main, ["labels", str(project), asked])
    assert "more rows (--json or --out shows them)" in labels.stdout


def test_row_versions_are_called_so(project):
    assert told(project, "data", "list")[0]["row_versions"] == 60
    assert told(project, "data", "versions", "customers")[0]["row_versions"] == 60
    assert {table["name"]: table["row_versions"] for table in told(project, "status")["tables"]}["customers"] == 60
    for words in (("data", "list"), ("data", "versions", "orders"), ("status",)):
        assert re.search(r"row\s[\s\S]*versions", said(project, *words))


def test_a_name_that_is_none_of_the_queries_is_told_with_those_that_are(project):
    result = CliRunner().invoke(main, ["predict", str(project), "chrun"])
    assert (result.exit_code, "Did you mean 'churn'?" in result.stderr) == (2, True), result.stderr


def test_a_name_is_told_how_to_become_a_question_where_there_is_none(tmp_path):
    folder = made(tmp_path)
    file = folder / "penstock.toml"
    file.write_text(file.read_text().partition("[queries]")[0])
    said(folder, "run")
    for words in (("predict",), ("labels",), ("features",), ("evaluate",)):
        refused = CliRunner().invoke(main, [*words, str(folder), "churn"])
        assert refused.exit_code == 2
        assert "QUERY_UNKNOWN_NAME: there is no query 'churn'" in refused.stderr
        assert (
            'Ask in full: "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"' in refused.stderr
        )
        assert '[queries] churn = "…"' in refused.stderr
    cut = CliRunner().invoke(main, ["predict", str(folder), "PREDICT"])
    assert "expected a target" in cut.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("status",), "no table has been brought in yet: penstock run"),
        (("data", "list"), "no table has been brought in yet: penstock run"),
        (("checks", "suggest"), "no table has been brought in yet: penstock run"),
        (("runs",), "nothing has run yet: penstock run"),
        (("run", "derive"), "there is nothing to do"),
        (("data", "snapshots"), "make one: penstock data snapshot NAME"),
        (("data", "quarantine", "list"), "nothing was refused"),
        (("checks", "results"), "no check has run yet: penstock checks run"),
        (("labels", "list"), "give some: penstock labels apply NAME"),
    ],
)
def test_what_is_empty_says_so_and_how_to_fill_it(tmp_path, words, text):
    shown = said(made(tmp_path), *words)
    assert text in shown and "━" not in shown


def test_a_table_that_is_not_there_yet_is_told_how_to_come(tmp_path):
    result = ran(made(tmp_path), "checks", "suggest", "orders")
    assert (result.exit_code, "penstock run brings them in" in result.stderr) == (2, True)


def test_contracts_are_proposed_kept_and_run(project):
    assert "[[checks]]" in said(project, "checks", "suggest", "customers")
    assert "wrote" in said(project, "checks", "suggest", "customers", "--write")
    assert "customer_id" in said(project, "checks", "list")
    assert told(project, "checks", "run")[0]["passed"]
    assert "checks passed" in said(project, "checks", "run", "customers")
    assert "yes" in said(project, "checks", "results")
    assert told(project, "checks", "results", "customers")[0]["table"] == "customers"
    (project / "contracts" / "customers.toml").unlink()


def test_a_contract_of_a_table_that_is_not_there_is_said_not_to_be_checked(project):
    absent, there = (project / "contracts" / f"{name}.toml" for name in ("absent", "orders"))
    absent.parent.mkdir(exist_ok=True)
    absent.write_text('table = "absent"\n[[checks]]\ncheck = "not_null"\ncolumns = ["a"]\n')
    try:
        alone = ran(project, "checks", "run")
        assert (alone.exit_code, alone.stdout) == (1, "")
        assert "absent: not checked, as there is no such table yet" in alone.stderr
        there.write_text('table = "orders"\n[[checks]]\ncheck = "range"\ncolumns = ["amount"]\nmax = 0\n')
        both = ran(project, "checks", "run")
        assert "absent: not checked" in both.stderr
        assert (both.exit_code, "placed_at=2024-" in both.stdout, "datetime" in both.stdout) == (1, True, False)
        there.write_text('table = "orders"\n[[checks]]\ncheck = "not_null"\ncolumns = ["amount"]\n')
        assert ran(project, "checks", "run").exit_code == 0
        assert ran(project, "checks", "run", "absent").exit_code == 1
        assert told(project, "checks", "results", "absent") == []
    finally:
        absent.unlink()
        there.unlink(missing_ok=True)


def test_checks_of_other_tools_are_taken_over(project, tmp_path):
    (tmp_path / "schema.yml").write_text(
        "models:\n  - name: orders\n    columns:\n      - name: order_id\n        tests: [unique, not_null, strange]\n"
    )
    result = ran(project, "checks", "import", "dbt", str(tmp_path / "schema.yml"))
    assert result.exit_code == 0
    assert 'check = "unique"' in result.stdout
    assert "left out" in result.stderr
    assert "strange" in result.stderr


def test_labels_are_given_by_rules_and_files_and_asked_about(project, tmp_path):
    assert told(project, "labels", "apply", "vip")["new"] == 120
    (tmp_path / "said.csv").write_text("entity,value,labeller\n1,true,ada\n2,false,ada\n")
    assert told(project, "labels", "import", "vip", str(tmp_path / "said.csv"))["new"] == 2
    assert told(project, "labels", "import", "vip", str(tmp_path / "said.csv"))["unchanged"] == 2
    (found,) = told(project, "labels", "list")
    assert (found["labels"], found["about"], found["labellers"]) == ("vip", "customers", 3)
    assert len(told(project, "labels", "show", "vip")) == 122
    assert "coverage" in said(project, "labels", "agreement", "vip")
    said(project, "labels", "queue", "vip", "--count", "2", "--tasks", str(tmp_path / "tasks.json"))
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == 2
    assert told(project, "labels", "correct", "vip", "1", "false", "--labeller", "ada")["corrected"] == 1
    nobody = ran(project, "labels", "correct", "vip", "99999", "true", "--labeller", "ada")
    assert (nobody.exit_code, "customers has no such row" in nobody.stderr) == (2, True)
    (tmp_path / "said.csv").write_text("entity,value,labeller\n99999,true,ada\n3,true,ada\n")
    rejected = ran(project, "labels", "import", "vip", str(tmp_path / "said.csv"))
    assert (rejected.exit_code, "--keep-good" in rejected.stderr) == (2, True)
    assert len(told(project, "labels", "show", "vip", "--rows", "4")) == 4


def test_what_a_target_was_is_still_asked_of_a_source(project):
    asked = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
    of_source = CliRunner().invoke(
        main, ["labels", str(project / "shop.sqlite"), asked, "--at", "2024-05-01", "--json"]
    )
    of_project = CliRunner().invoke(main, ["labels", "--json", "--at", "2024-05-01", str(project), "churn"])
    assert json.loads(of_source.stdout) == json.loads(of_project.stdout)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["run", "ingset"], 2, "Did you mean 'ingest'?"),
        (["run", "steam"], 2, "exists: ingest, derive, features, stream"),
        (["run", "stream", "--table", "orders"], 2, "run stream takes no --table"),
        (["run", "stream", "--anew"], 2, "run stream takes no --anew"),
        (["runs", "--table", "ordrs"], 2, "Did you mean 'orders'?"),
        (["run", "--table", "ordrs"], 2, "Did you mean 'orders'?"),
        (["run", "stream"], 2, "names no streams"),
        (["data", "show", "ordrs"], 2, "Did you mean 'orders'?"),
        (["data", "show", "orders", "--version", "99"], 2, "has no version"),
        (["data", "diff", "first", "last"], 2, "neither a snapshot nor an instant"),
        (["data", "forget", "nothing"], 2, "there is no snapshot 'nothing'"),
        (["data", "snapshot", "now"], 2, "which means the newest versions"),
        (["data", "show", "orders", "--out", "rows.txt"], 2, "no place to write rows to"),
        (["data", "quarantine", "show", "orders", "x"], 2, "there is no batch 'x' in quarantine"),
        (["data", "quarantine", "discard", "orders", "x"], 2, "there is no batch 'x' in quarantine"),
        (["data", "quarantine", "release", "orders", "x"], 2, "there is no batch 'x' in quarantine"),
        (["data", "backfill", "totals"], 2, "no source gives a table 'totals'"),
        (["checks", "run", "ordrs"], 2, "there is no contract of a table 'ordrs'"),
        (["checks", "results", "ordrs"], 2, "Did you mean 'orders'?"),
        (["checks", "import", "dbt", "absent.yml"], 2, "absent.yml"),
        (["labels", "show", "vop"], 2, "there are no labels 'vop'"),
        (["labels", "apply", "vop"], 2, "Did you mean 'vip'?"),
        (["labels", "import", "new", "absent.csv"], 2, "there is no file absent.csv"),
    ],
)
def test_mistakes_are_told_with_what_exists(project, words, status, text):
    result = ran(project, *words)
    assert (result.exit_code, text in result.stderr) == (status, True), result.stderr


def test_a_folder_without_a_project_says_how_to_begin_one(tmp_path):
    result = ran(tmp_path, "status")
    assert result.exit_code == 2
    assert f"there is no penstock.toml in {tmp_path}" in result.stderr
    assert "Make one: penstock init SOURCE" in result.stderr


def test_whoever_is_in_the_wrong_folder_is_told_the_projects_inside_and_around(tmp_path):
    for name in ("shop", "bank"):
        (tmp_path / name / "tables").mkdir(parents=True)
        (tmp_path / name / "penstock.toml").write_text('name = "p"\n')
    above = ran(tmp_path, "status").stderr
    assert f"exists: {tmp_path / 'bank'}, {tmp_path / 'shop'}\n" in above
    assert "say --project PATH" in above
    assert f"exists: {tmp_path / 'shop'}\n" in ran(tmp_path / "shop" / "tables", "status").stderr
    assert f"Did you mean '{tmp_path / 'shop'}'?" in ran(tmp_path / "shpo", "status").stderr


def test_a_run_that_fails_ends_with_status_1(project):
    do(project, "ALTER TABLE customers RENAME COLUMN plan TO tariff")
    try:
        assert ran(project, "plan").exit_code == 1
        failed = ran(project, "run")
        assert failed.exit_code == 1
        assert 'renames = { plan = "tariff" }' in failed.stderr
        assert ran(project, "apply").exit_code == 1
        assert ran(project, "status").exit_code == 1
    finally:
        do(project, "ALTER TABLE customers RENAME COLUMN tariff TO plan")
    assert ran(project, "run").exit_code == 0


def test_what_is_in_quarantine_is_shown_and_discarded(tmp_path):
    (tmp_path / "in").mkdir()
    things = tmp_path / "in" / "things.csv"
    things.write_text("id,price\n1,1.5\n2,[x]\n3,3.5\n")
    (tmp_path / "penstock.toml").write_text(
        'name = "p"\n[sources.in]\nurl = "in"\n[tables.things]\nkey = "id"\ntypes = { price = "decimal(9,2)" }\n'
    )
    said(tmp_path, "run")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "things.toml").write_text(
        'table = "things"\n[[checks]]\ncheck = "range"\ncolumns = ["price"]\nmax = 9\n'
    )
    things.write_text("id,price\n1,1.5\n2,2.5\n3,99\n")
    assert ran(tmp_path, "run").exit_code == 1
    listed = {one["kind"]: one["batch"] for one in told(tmp_path, "data", "quarantine", "list")}
    (rejected,) = told(tmp_path, "data", "quarantine", "show", "things", listed["rows"])
    ((row,), kind) = (rejected["rows"], rejected["kind"])
    assert (kind, row["file"], row["row"], row["raw"]) == ("rows", "things.csv", 3, "2,[x]")
    assert "price" in row["reason"]
    assert "2,[x]" in said(tmp_path, "data", "quarantine", "show", "things", listed["rows"])
    (refused,) = told(tmp_path, "data", "quarantine", "show", "things", listed["batch"], "--rows", "9")
    assert (refused["kind"], {row["id"]: row["price"] for row in refused["rows"]}[3]) == ("batch", "99.00")
    assert "99.00" in said(tmp_path, "data", "quarantine", "show", "things", listed["batch"])
    for batch in listed.values():
        assert told(tmp_path, "data", "quarantine", "discard", "things", batch)["discarded"] == batch
    assert told(tmp_path, "data", "quarantine", "list") == []
    assert {row["id"] for row in told(tmp_path, "data", "show", "things")} == {1, 3}


# ---------------------------------------------------------------- tables on a terminal


def test_brackets_are_shown_as_they_are(tmp_path):
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "things.csv").write_text("id,[b]name\n1,[/b] x\n2,[red]hidden[/red]\n")
    (tmp_path / "penstock.toml").write_text('name = "[i]p"\n[sources.items]\nurl = "items"\n')
    said(tmp_path, "run")
    shown = said(tmp_path, "data", "show", "things")
    assert all(text in shown for text in ("[b]name", "[/b] x", "[red]hidden[/red]"))
    assert "[i]p" in said(tmp_path, "status")


def test_as_many_columns_are_shown_as_fit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    print_table(pa.table({f"column_{n}": [f"value number {n}"] for n in range(300)}), 5, "--rows shows them")
    *lines, last = capsys.readouterr().out.splitlines()
    assert "column_0" in lines[1]
    assert 3 <= lines[1].count("column_") < 12
    assert max(map(len, lines)) <= 100
    assert last == f"… {300 - lines[1].count('column_')} more columns (--json shows them)"


def test_what_a_row_is_about_is_not_folded_where_there_is_room(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [("support_interactions", "../penstock-demo.duckdb#support_interactions", 1, 65132, "26 minutes", "done")]
    shown_rows(("table", "from", "version", "row versions", "age", "newest run"), rows)
    out = capsys.readouterr().out
    assert "│ support_interactions │" in out
    assert max(map(len, out.splitlines())) <= 80


def test_narrow_terminals_fold_no_short_word(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    rows = [("usage_events", "penstock-demo.duckdb", 3, 123456, "20 minutes", "unchanged")]
    shown_rows(("table", "from", "version", "row versions", "age", "newest run"), rows)
    out = capsys.readouterr().out
    assert all(word in out for word in ("version", "versions", "123,456", "minutes", "newest", "unchanged"))
    assert max(map(len, out.splitlines())) <= 60
