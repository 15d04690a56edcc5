"""A project end to end: brought in, derived, checked, pinned, asked, and left whole by every fault."""

from __future__ import annotations

import json
import re
import shutil

import pyarrow.parquet as pq
import pytest

from penstock.errors import RefusedError, RequestError, SchemaError, SourceError
from penstock.pipeline.datasets.export import MANIFEST
from tests.pipeline.shop import do, instant, made, opened, states, write

SPEND = """
-- key: order_id
-- time: placed_at
-- links: customer_id -> customers
SELECT order_id, customer_id, amount * 2 AS twice, placed_at FROM orders
"""
BY_PLAN = """
import pyarrow as pa

import penstock


@penstock.table(key="plan")
def by_plan(customers: pa.Table) -> pa.Table:
    return customers.group_by("plan").aggregate([("customer_id", "count")])
"""
CONTRACT = """
table = "orders"
version = 1

[[checks]]
check = "range"
column = "amount"
min = 0
"""


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path)


def test_tables_are_brought_in_once_and_then_left_alone(folder):
    project = opened(folder)
    assert states(project) == {"customers": "done", "orders": "done"}
    assert states(project) == {"customers": "unchanged", "orders": "unchanged"}
    do(folder, f"INSERT INTO orders VALUES (99999, 1, 5.0, '{instant(301)}')")
    assert states(project)["orders"] == "done"
    assert project.rows("orders").num_rows == project.rows("orders", "1").num_rows + 1


def test_updates_and_deletions_are_noticed_and_the_past_stays(folder):
    project = opened(folder)
    project.run()
    do(
        folder,
        "UPDATE customers SET plan = 'gold' WHERE customer_id = 3",
        "DELETE FROM customers WHERE customer_id = 4",
    )
    project.run()
    now = {row["customer_id"]: row["plan"] for row in project.rows("customers").to_pylist()}
    before = {row["customer_id"]: row["plan"] for row in project.rows("customers", "1").to_pylist()}
    assert (now[3], 4 in now, before[3] in "ab", 4 in before) == ("gold", False, True, True)
    (difference,) = project.differences("1", "2", "customers")
    assert (difference.added.num_rows, difference.removed.num_rows, difference.changed.num_rows) == (0, 1, 1)
    assert len(project.rows("customers", log=True)) == 62


def test_derived_tables_follow_their_inputs(folder):
    write(folder, "tables/spend.sql", SPEND)
    write(folder, "tables/by_plan.py", BY_PLAN)
    project = opened(folder)
    assert states(project) == {"customers": "done", "orders": "done", "by_plan": "done", "spend": "done"}
    rows = project.rows("spend").to_pylist()
    amounts = {row["order_id"]: row["amount"] for row in project.rows("orders").to_pylist()}
    assert {row["order_id"]: row["twice"] for row in rows} == {n: 2 * amount for n, amount in amounts.items()}
    assert sum(row["customer_id_count"] for row in project.rows("by_plan").to_pylist()) == 60
    do(folder, f"INSERT INTO orders VALUES (99999, 1, 5.0, '{instant(301)}')")
    assert states(project) == {"customers": "unchanged", "orders": "done", "by_plan": "unchanged", "spend": "done"}
    assert project.rows("spend").num_rows == len(rows) + 1


def test_a_definition_that_is_wrong_stops_no_ingest(folder):
    write(folder, "tables/spend.sql", "SELECT nothing FROM nowhere")
    project = opened(folder)
    assert states(project) == {"customers": "done", "orders": "done", "tables": "failed"}
    assert "nowhere" in (project.runs[0].failure or "")
    assert [step.stage.name for step in project.plan().refused] == ["tables"]


def test_a_batch_that_breaks_its_contract_stays_out(folder):
    write(folder, "contracts/orders.toml", CONTRACT)
    project = opened(folder)
    assert states(project) == {"customers": "done", "orders": "done"}
    good = project.rows("orders").num_rows
    do(folder, f"INSERT INTO orders VALUES (99999, 1, -5.0, '{instant(301)}')")
    assert states(project) == {"customers": "unchanged", "orders": "failed"}
    assert project.rows("orders").num_rows == good
    (refused,) = project.refused()
    assert (refused["table"], refused["rows"]) == ("orders", 1)
    assert "amount" in str(refused["why"])
    assert not project.status().healthy
    project.release("orders", str(refused["batch"]))
    assert project.rows("orders").num_rows == good + 1
    assert project.refused() == []


def test_a_proposed_contract_is_passed_by_its_rows(folder):
    project = opened(folder)
    project.run()
    from penstock.pipeline.checking import keep

    keep(project.site, project.suggest("orders"))
    (report,) = project.check()
    assert report.passed
    assert len(report.results) > 3
    assert next(project.site.results.newest("orders"))["passed"]


def test_checks_of_a_table_without_a_contract_say_how_to_make_one(folder):
    with pytest.raises(RequestError, match="penstock checks suggest orders --write"):
        opened(folder).check(["orders"])


def test_questions_are_asked_by_name_and_see_the_lake(folder):
    project = opened(folder)
    project.run()
    db = project.database()
    by_name = db.labels("churn", at="2024-06-01")
    direct = db.labels(project.site.file.queries["churn"], at="2024-06-01")
    assert by_name.equals(direct)
    assert by_name.num_rows == 60


def test_what_is_learnt_names_its_data(folder):
    project = opened(folder)
    project.run()
    pinned = project.snapshot("first")
    assert "Data: customers version 1, orders version 1." in project.predict("churn").evaluation.notes
    told = project.database("first").evaluate("churn").notes[-1]
    assert told == f"Data: snapshot first ({pinned.hash}): customers version 1, orders version 1."


def test_what_became_known_later_changes_no_earlier_cutoff(folder):
    project = opened(folder)
    project.run()
    asked = "COUNT(orders.*, -30, 0, days)"
    spine = {"entity": [1, 1], "cutoff": ["2024-06-01", "2030-01-01"]}
    before = project.database().features([asked], spine, entity="customers")
    do(folder, *(f"INSERT INTO orders VALUES ({90000 + n}, 1, 5.0, '2024-05-20 00:00:00')" for n in range(7)))
    project.run()
    late = project.database().features([asked], spine, entity="customers")
    assert late[asked][0].as_py() == before[asked][0].as_py()


# ---------------------------------------------------------------- snapshots


def test_a_snapshot_gives_the_same_rows_whatever_comes_later(folder):
    project = opened(folder)
    project.run()
    pinned = project.snapshot("first")
    do(folder, "DELETE FROM orders WHERE customer_id = 1", "UPDATE customers SET plan = 'z'")
    project.run()
    project.compact()
    assert project.snapshot("second").hash != pinned.hash
    old, new = project.database("first"), project.database()
    assert old.labels("churn", at="2024-05-01").num_rows == 60
    assert old.rows.fingerprint != new.rows.fingerprint
    told = {one.table: (one.removed.num_rows, one.changed.num_rows) for one in project.differences("first", "second")}
    assert told["customers"] == (0, 60)
    assert told["orders"][0] > 0
    assert project.differences("second", "now") == ()


def test_the_same_snapshot_again_is_the_same(folder):
    project = opened(folder)
    project.run()
    assert project.snapshot("one") == project.data.named("one") == project.snapshot("one")
    assert project.snapshot("two").hash == project.data.named("one").hash
    do(folder, "DELETE FROM orders WHERE customer_id = 1")
    project.run()
    with pytest.raises(RequestError, match="there is a snapshot 'one' of other data"):
        project.snapshot("one")


def test_a_snapshot_outlives_expiry_until_it_is_forgotten(folder):
    project = opened(folder)
    project.run()
    project.snapshot("first")
    for n in range(3):
        do(folder, f"INSERT INTO orders VALUES ({90000 + n}, 1, 5.0, '{instant(301)}')")
        project.run()
    rows = project.rows("orders", "1").num_rows
    project.site.lake.expire(1)
    assert project.rows("orders", "1").num_rows == rows
    project.data.drop("first")
    project.site.lake.expire(1)
    with pytest.raises(SourceError, match="has no version '1'"):
        project.rows("orders", "1")


@pytest.mark.parametrize("name", ["../first", "", "a/b", ".hidden", "x" * 80])
def test_a_snapshots_name_is_a_plain_word(folder, name):
    project = opened(folder)
    project.run()
    with pytest.raises(RequestError, match="cannot name a snapshot"):
        project.snapshot(name)


def test_a_snapshots_file_that_was_changed_is_not_believed(folder):
    project = opened(folder)
    project.run()
    project.snapshot("first")
    path = folder / "snapshots" / "first.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2').replace('"name": "first"', '"nam": 1'))
    with pytest.raises(RequestError, match=r"first\.json is damaged"):
        project.data.named("first")
    with pytest.raises(RequestError, match=r"there is no snapshot 'frist'.*\n.*exists: first"):
        project.data.named("frist")


def test_an_export_stands_alone(folder):
    project = opened(folder)
    project.run()
    pinned = project.snapshot("first")
    out = project.export("first", folder / "out")
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["hash"] == pinned.hash
    assert pq.read_table(out / "orders.parquet").num_rows == pinned.tables["orders"].rows
    pointer = (folder / "out.dvc").read_text()
    assert pointer.startswith("outs:\n- md5: ")
    assert "  nfiles: 3\n  hash: md5\n  path: out\n" in pointer
    with pytest.raises(RequestError, match="is there already"):
        project.export("first", out)


# ---------------------------------------------------------------- faults


def test_a_source_that_is_gone_leaves_the_last_good_versions(folder):
    project = opened(folder)
    project.run()
    rows = project.rows("orders").num_rows
    (folder / "shop.sqlite").rename(folder / "away.sqlite")
    project = opened(folder)
    assert set(states(project).values()) == {"failed"}
    assert "there is no" in (project.runs[0].failure or "")
    assert project.database().labels("churn", at="2024-05-01").num_rows == 60
    assert project.rows("orders").num_rows == rows
    with pytest.raises(RefusedError, match="nothing was done: customers, orders would fail"):
        project.apply()


def test_one_source_that_is_gone_keeps_no_other_from_coming(folder):
    (folder / "penstock.toml").write_text(
        '[sources.shop]\nurl = "shop.sqlite"\n[sources.other]\nurl = "absent.sqlite"\ntables = ["stock"]\n'
    )
    assert states(opened(folder)) == {"customers": "done", "orders": "done", "stock": "failed"}


def test_a_table_that_two_sources_have_must_be_told_apart(folder):
    (folder / "penstock.toml").write_text(
        '[sources.shop]\nurl = "shop.sqlite"\n[sources.twin]\nurl = "shop.sqlite"\ntables = ["orders"]\n'
    )
    with pytest.raises(RequestError, match="the table orders would come from shop and twin"):
        opened(folder).run()
    (folder / "penstock.toml").write_text(
        '[sources.shop]\nurl = "shop.sqlite"\n[sources.twin]\nurl = "shop.sqlite"\ntables = ["orders"]\n'
        '[tables.orders]\nsource = "shop"\n[tables.orders_2]\nsource = "twin"\nfrom = "orders"\n'
    )
    assert set(states(opened(folder))) == {"customers", "orders", "orders_2"}


def test_a_table_that_no_source_has_is_told_with_what_there_is(folder):
    (folder / "penstock.toml").write_text('[sources.shop]\nurl = "shop.sqlite"\n[tables.ordrs]\nkey = "id"\n')
    (step,) = opened(folder).plan().refused
    assert step.stage.name == "ordrs"
    assert "Did you mean 'orders'?" in step.why


def test_what_does_not_exist_is_told_with_what_does(folder):
    project = opened(folder)
    project.run()
    with pytest.raises(RequestError, match=r"there is no stage 'ingset'.*\n.*\n.*Did you mean 'ingest'"):
        project.run("ingset")
    with pytest.raises(RequestError, match=r"no stage makes a table 'order'.*\n.*\n.*Did you mean 'orders'"):
        project.run(tables=["order"])
    with pytest.raises(SourceError, match="the lake has no table 'order'"):
        project.rows("order")
    with pytest.raises(SourceError, match="neither a snapshot nor an instant"):
        project.database("yesterday")
    with pytest.raises(RequestError, match="names no streams"):
        project.stream(stop=None)


def test_a_project_without_rows_says_so(folder):
    with pytest.raises(SourceError, match=r"holds no tables.*\n.*penstock run"):
        opened(folder).database()
    with pytest.raises(RequestError, match="no tables to pin"):
        opened(folder).snapshot("first")


def test_a_contract_that_cannot_be_read_is_told_before_anything_is_done(folder):
    write(folder, "contracts/orders.toml", 'table = "orders"\nversion = 1\n[[checks]]\ncheck = "rnage"\ncolumn = "a"\n')
    with pytest.raises(SchemaError, match="rnage"):
        opened(folder).run()


def test_a_contract_that_fits_no_column_is_noted_in_the_plan(folder):
    write(folder, "contracts/orders.toml", CONTRACT.replace('"amount"', '"amuont"'))
    write(folder, "contracts/stock.toml", CONTRACT.replace('"orders"', '"stock"'))
    project = opened(folder)
    project.run("ingest", tables=["customers"])
    assert project.plan().notes == ("contract of stock: nothing makes a table of that name",)
    (folder / "contracts" / "orders.toml").unlink()
    project.run()
    write(folder, "contracts/orders.toml", CONTRACT.replace('"amount"', '"amuont"'))
    assert any("amuont" in note for note in project.plan().notes)


def test_files_are_read_as_the_project_says(tmp_path):
    write(tmp_path, "data/sales.csv", "id;paid;day\n1;1,500;03/04/2024\n2;2,250;04/04/2024\n3;much;05/04/2024\n")
    says = 'types = { paid = "number" }\nday_first = true\ndecimal_comma = true\nkey = "id"\n'
    (tmp_path / "penstock.toml").write_text(f'[sources.files]\nurl = "data"\n[tables.sales]\n{says}')
    project = opened(tmp_path)
    assert states(project) == {"sales": "done"}
    rows = project.rows("sales").to_pylist()
    assert [(row["paid"], str(row["day"])[:10]) for row in rows] == [(1.5, "2024-04-03"), (2.25, "2024-04-04")]
    (refused,) = project.refused()
    assert (refused["rows"], refused["kind"]) == (1, "rows")
    (tmp_path / "penstock.toml").write_text(
        '[sources.files]\nurl = "data"\n[tables.sales]\ntypes = { paid = "mony" }\n'
    )
    with pytest.raises(RequestError, match="paid cannot be 'mony'"):
        opened(tmp_path).plan()


def test_backfill_reads_a_past_range_again(folder):
    project = opened(folder)
    project.run()
    do(folder, "UPDATE orders SET amount = amount + 1 WHERE placed_at < '2024-03-01'")
    found = project.backfill("orders", "2024-01-01", "2024-02-01")
    before = {row["order_id"]: row["amount"] for row in project.rows("orders", "1").to_pylist()}
    now = {row["order_id"]: row for row in project.rows("orders").to_pylist()}
    moved = {n for n, row in now.items() if row["amount"] != before[n]}
    assert moved == {n for n, row in now.items() if str(row["placed_at"]) < "2024-02-01"}
    assert found.changed == len(moved) > 0


# ---------------------------------------------------------------- mistakes in the project's file and folder


def test_a_derived_table_never_takes_a_sources_name(folder):
    write(folder, "tables/customers.sql", "SELECT order_id FROM orders")
    project = opened(folder)
    assert states(project) == {"customers": "done", "orders": "done", "tables": "failed"}
    assert "DERIVE_NAME_TAKEN" in (project.runs[0].failure or "")
    assert states(project)["tables"] == "failed"
    assert project.rows("customers").column_names == ["customer_id", "plan", "since"]


def test_nothing_is_unchanged_where_the_lake_has_lost_it(folder):
    project = opened(folder)
    project.run()
    shutil.rmtree(folder / "lake")
    project = opened(folder)
    assert {step.prospect for step in project.plan().steps} == {"runs"}
    assert states(project) == {"customers": "done", "orders": "done"}
    assert project.rows("customers").num_rows == 60


def test_a_plan_right_after_a_run_has_nothing_to_do(folder):
    file = folder / "penstock.toml"
    view = '[features.plans]\nentity = "customers.customer_id"\ntable = "customers"\ncolumns = ["plan"]\n'
    file.write_text(f'{file.read_text()}\n{view}[online]\nstore = ".penstock/online"\n')
    write(folder, "tables/ids.sql", "SELECT order_id, customer_id FROM orders")
    for _ in range(2):
        assert {run.state for run in opened(folder).run()} <= {"done", "unchanged"}
        assert {step.prospect for step in opened(folder).plan().steps} == {"unchanged"}
    shutil.rmtree(folder / ".penstock" / "online")
    assert [str(step.stage.kind) for step in opened(folder).plan().steps if step.prospect == "runs"] == ["features"]


def test_a_derived_table_without_a_key_breaks_no_question(folder):
    write(folder, "tables/ids.sql", "SELECT order_id, customer_id FROM orders")
    project = opened(folder)
    project.run()
    names = [feature.name for feature in project.database().synthesise("churn").features]
    assert any("orders" in name for name in names)
    assert project.evaluate("churn").metrics["auroc"] > 0.5


def test_a_table_asked_for_by_name_fails_with_the_definitions_that_cannot_be_read(folder):
    write(folder, "tables/bad.sql", "SELEC")
    write(folder, "tables/good.sql", "SELECT customer_id FROM customers")
    project = opened(folder)
    project.run("ingest")
    assert [run.state for run in project.run(tables=["good"])] == ["failed"]
    assert not any("good" in note for note in project.plan().notes)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ('time = "plcd"', r"time: there is no column 'plcd'.*\n.*\n.*Did you mean 'placed_at'"),
        ('key = "id"', "key: there is no column 'id'"),
        ('links = { customr_id = "customers" }', "links: there is no column 'customr_id'"),
        ('mode = "incremental"\nwatermark = "updated"', "watermark: there is no column 'updated'"),
        ('time = "placed_at"\ncolumns = ["order_id", "amount"]', "columns leaves out 'placed_at', which is its time"),
    ],
)
def test_a_column_that_is_not_there_is_refused_in_the_plan(folder, says, words):
    (folder / "penstock.toml").write_text(f'[sources.shop]\nurl = "shop.sqlite"\n[tables.orders]\n{says}\n')
    (step,) = opened(folder).plan().refused
    assert step.stage.name == "orders"
    assert re.search(words, step.why)


def test_columns_that_are_left_out_are_no_change(folder):
    says = 'key = "order_id"\ntime = "placed_at"\ncolumns = ["order_id", "placed_at"]\n'
    (folder / "penstock.toml").write_text(f'[sources.shop]\nurl = "shop.sqlite"\n[tables.orders]\n{says}')
    project = opened(folder)
    project.run()
    assert project.rows("orders").column_names == ["order_id", "placed_at"]
    assert project.plan().verdicts == ()


def test_what_is_named_and_made_by_nothing_is_noted(folder):
    with (folder / "penstock.toml").open("a") as file:
        file.write('lost = "PREDICT COUNT(visits.*, 0, 7, days) > 0 FOR EACH customers.customer_id"\n')
        file.write('[labels.vip]\nentity = "people"\n')
    project = opened(folder)
    project.run()
    notes = "\n".join(project.plan().notes)
    assert "[labels.vip] entity: nothing makes a table people" in notes
    assert "query lost: there is no table 'visits'" in notes
    assert "query churn" not in notes


@pytest.mark.parametrize("name", ["labels_old", "clicks__dead", ".hidden"])
def test_names_that_are_kept_for_other_things_are_refused(folder, name):
    do(folder, f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY)')
    (step,) = opened(folder).plan().refused
    assert f"{name!r} cannot name a table of the lake" in step.why


def test_days_below_zero_are_refused(folder):
    (folder / "penstock.toml").write_text("[lake]\nkeep_days = -3\n")
    with pytest.raises(RequestError, match=r"\[lake\] keep_days is -3, below zero"):
        opened(folder)


def test_a_project_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "penstock.toml").mkdir()
    with pytest.raises(RequestError, match=r"penstock\.toml cannot be read: Is a directory"):
        opened(tmp_path)
