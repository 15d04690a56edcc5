"""The online store on the command line: in step, read, proved; mistakes are told; live asks the source itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from penstock.cli.online import printable_store
from penstock.errors import SourceError
from penstock.project import open_project
from tests.pipeline.shop import asked, made, write

VIEW = """FOR EACH customers.customer_id
orders_ever = COUNT(orders.*, -INF, 0, days)
plan = customers.plan
"""
MORE = """
[features.last]
entity = "customers"
table = "orders"
columns = ["amount"]

[features.beside]
inputs = { last = "last:amount" }
requested = { amount = "float" }
expressions = { share = "amount / last" }

[online]
store = "kept"
"""
NUMBERS = ("a_big", "b_small")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made(tmp_path, customers=6)
    write(tmp_path, "features/orders.pql", VIEW)
    write(tmp_path, "penstock.toml", (tmp_path / "penstock.toml").read_text() + MORE)
    monkeypatch.chdir(tmp_path)
    assert run("run").exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def told(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_all_builds_are_made_before_the_first_is_switched_to(folder: Path) -> None:
    write(folder, "features/orders.pql", VIEW.replace("COUNT(orders.*", "SUM(orders.amount"))
    write(folder, "penstock.toml", (folder / "penstock.toml").read_text().replace('["amount"]', '["placed_at"]'))
    online = open_project(folder).online
    before, seen = {name: one.version for name, one in online.status().items()}, dict[str, dict[str, str]]()

    def progress(message: str, _share: float) -> None:
        if message.endswith("first load"):
            seen.setdefault(message, {name: one.version for name, one in online.status().items()})

    assert {one.how for one in online.sync(progress=progress)} == {"switched"}
    assert seen == {f"{name}: first load": before for name in before}
    assert not before.items() & {name: one.version for name, one in online.status().items()}.items()


def test_a_view_whose_rows_cannot_be_read_keeps_no_other_from_its_place(tmp_path: Path) -> None:
    when = pa.array([0, 1], pa.timestamp("us"))
    for name, highest in (("a_big", 2**64 - 1), ("b_small", 7)):
        rows = {"id": pa.array([1, 2]), name: pa.array([1, highest], pa.uint64()), "at": when}
        pq.write_table(pa.table(rows), tmp_path / f"{name}.parquet")
    places = [f'[sources.{name}]\nurl = "{name}.parquet"\n[tables.{name}]\nkey = "id"\ntime = "at"' for name in NUMBERS]
    entities = [f'[entities.of_{name}]\nkey = "{name}"\n' for name in NUMBERS]
    views = [f'[features.v_{name}]\nentity = "of_{name}"\ntable = "{name}"\ncolumns = ["at"]' for name in NUMBERS]
    write(
        tmp_path,
        "penstock.toml",
        "\n".join(['name = "numbers"', *places, *entities, *views, '[online]\nstore = "kept"']),
    )
    project = open_project(tmp_path)
    project.run("ingest")
    with pytest.raises(SourceError, match=r"SOURCE_VALUES_MISFIT: a_big.a_big holds .* cannot be read as int"):
        project.online.sync()
    assert project.online.read(["v_b_small:at"], {"b_small": [7]}).values != [[None]]


def test_every_command_tells_people_and_machines(folder: Path) -> None:
    assert {one["how"] for one in told("online", "sync")} == {"nothing"}
    assert [one["how"] for one in told("online", "sync", "last", "--anew")] == ["switched"]
    assert {one["state"] for one in told("online", "status")["views"]} == {"in step"}
    found = told("online", "get", "orders:*", "last:amount", "--key", "customer_id=1,99")
    assert [(row["feature"], row["status"]) for row in found["rows"]] == [
        ("orders_ever", "PRESENT"), ("plan", "PRESENT"), ("amount", "PRESENT"),
        ("orders_ever", "NOT_FOUND"), ("plan", "NOT_FOUND"), ("amount", "NOT_FOUND"),
    ]  # fmt: skip
    share = told("online", "get", "beside:share", "--key", "customer_id=1", "--request", "amount=10")["rows"][0]
    last = next(row for row in found["rows"] if row["feature"] == "amount")
    assert share["value"] == 10 / last["value"]
    verified = told("online", "verify", "--sample", "4")
    assert (verified["passed"], verified["differing"]) == (True, 0)
    for words in (("sync",), ("status",), ("verify",), ("get", "orders:plan", "--key", "customer_id=1")):
        assert run("online", *words).exit_code == 0


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("postgresql://ada:secret@db.example/shop?schema=x", "postgresql://ada@db.example/shop"),
        ("redis://${STORE}", "redis://${STORE}"),
        ("kept", "kept"),
    ],
)
def test_a_store_is_shown_without_its_password(folder: Path, store: str, shown: str) -> None:
    file = folder / "penstock.toml"
    file.write_text(file.read_text().replace('"kept"', f'"{store}"'))
    assert printable_store(open_project(folder)) == shown


def test_mistakes_are_told_with_what_exists(folder: Path) -> None:
    for words, code in (
        (("sync", "absent"), "FEATURE_UNKNOWN_VIEW"),
        (("get", "orders:absent", "--key", "customer_id=1"), "FEATURE_UNKNOWN"),
        (("get", "orders:plan", "--key", "customer_id"), "REQUEST_KEY"),
        (("get", "orders:plan", "--key", "customer_id=x"), "ENTITY_VALUE"),
        (("get", "orders:plan", "--key", "customer=1"), "ENTITY"),
        (("get", "beside:share", "--key", "customer_id=1"), "FEATURE_REQUEST_MISSING"),
        (("get", "orders:plan", "--key", "customer_id=1", "--at", "soon"), "REQUEST_TIME"),
    ):
        result = run("online", *words)
        assert (result.exit_code, code in result.stderr) == (2, True), f"{words}: {result.output}"
        assert "Traceback" not in result.output
    lacking = run("online", "get", "beside:share", "--key", "customer_id=1")
    assert "--request amount=VALUE" in lacking.stderr


def test_what_differs_is_told_and_ends_with_1(folder: Path) -> None:
    with asked(folder) as shop:
        shop.execute("INSERT INTO orders VALUES (90001, 3, 7.5, '2024-05-01 00:00:00')")
    assert run("run", "ingest").exit_code == 0
    assert told("online", "get", "orders:orders_ever", "--key", "customer_id=3")
    result = run("online", "verify", "orders", "--sample", "0")
    assert (result.exit_code, "ONLINE_DIFFERS" in result.stderr, "late row" in result.stdout) == (1, True, True)
    result = run("online", "verify", "orders", "--sample", "0", "--json")
    assert (result.exit_code, json.loads(result.stdout)["passed"]) == (1, False)


def test_live_reads_the_source_itself(folder: Path) -> None:
    words = ("online", "get", "orders:*", "last:amount", "--key", "customer_id=0,3,99")
    kept = told(*words)["rows"]
    write(folder, "penstock.toml", (folder / "penstock.toml").read_text().replace('"kept"', '"live"'))
    assert told(*words)["rows"] == kept
    with asked(folder) as shop:
        shop.execute("INSERT INTO orders VALUES (90001, 3, 7.5, '2024-05-01 00:00:00')")
    at = [row["feature"] == "orders_ever" and row["customer_id"] == "3" for row in kept].index(True)
    assert told(*words)["rows"][at]["value"] == kept[at]["value"] + 1  # nothing was ingested or synced
    result = run("online", "sync")
    assert (result.exit_code, "ONLINE_LIVE" in result.stderr) == (2, True)


@pytest.mark.parametrize("torn", [False, True])
def test_a_broken_view_is_left_alone_and_the_others_are_brought_into_step(folder: Path, torn: bool) -> None:
    """What the store holds of it stays, also where nobody can tell what a file declares; the exit status is 1."""
    before = told("online", "status")["views"]
    if torn:
        write(folder, "features/orders.py", "raise ValueError('torn')")
        (folder / "features" / "orders.pql").unlink()
    else:
        write(folder, "features/orders.pql", VIEW.replace("customers.plan", "customers.paln"))
    with asked(folder) as shop:
        shop.execute("INSERT INTO orders VALUES (90001, 3, 7.5, '2024-12-01 00:00:00')")
    ran = run("run")
    assert (ran.exit_code, "left as the store holds it" in ran.stderr) == (1, True)
    assert told("online", "get", "last:amount", "--key", "customer_id=3")["rows"][0]["value"] == 7.5
    synced = run("online", "sync", "--json")
    how = {one["view"]: one["how"] for one in json.loads(synced.stdout)}
    name = "features/orders.py" if torn else "orders"
    assert (synced.exit_code, how) == (1, {"last": "nothing", name: "left alone"})
    assert "left alone" in run("online", "sync").stdout
    state = run("online", "status", "--json")
    assert state.exit_code == 1
    held = open_project(folder).online.status()["orders"].version
    assert held == next(one["version"] for one in before if one["view"] == "orders")
    if not torn:
        assert {one["view"]: one["state"] for one in json.loads(state.stdout)["views"]}["orders"] == "broken"
        refused = run("online", "sync", "orders")
        assert (refused.exit_code, "customers has no column 'paln'" in refused.stderr) == (2, True)
    verified = run("online", "verify", "--sample", "2", "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["differing"]) == (1, 0)


def test_a_view_that_is_mended_goes_on_where_it_was(folder: Path) -> None:
    write(folder, "features/orders.pql", VIEW.replace("customers.plan", "customers.paln"))
    assert run("online", "sync").exit_code == 1
    write(folder, "features/orders.pql", VIEW)
    assert {one["how"] for one in told("online", "sync")} == {"nothing"}


@pytest.mark.parametrize(
    ("store", "why"), [("penstock.toml", "is a file"), ("lmdb:shop.sqlite/x", "is a file"), ("", "empty")]
)
def test_a_store_that_can_be_no_folder_is_told_so(folder: Path, store: str, why: str) -> None:
    file = folder / "penstock.toml"
    file.write_text(file.read_text().replace('"kept"', f'"{store}"'))
    for words in (("online", "status"), ("plan",)):
        result = run(*words)
        assert result.exit_code in (1, 2)
        assert "[online] store: a store" in result.output + result.stderr
        assert why in result.output + result.stderr


def test_commands_about_nothing_say_how_to_begin(folder: Path) -> None:
    (folder / "features" / "orders.pql").unlink()
    text = (folder / "penstock.toml").read_text()
    (folder / "penstock.toml").write_text(text[: text.index("[features.last]")] + '[online]\nstore = "anew"\n')
    for words in (("online", "status"), ("online", "sync"), ("online", "verify"), ("features", "list")):
        result = run(*words)
        assert (result.exit_code, "begin with a file features/NAME.pql" in result.stdout) == (0, True), words
    assert "--save NAME" in run("features", "datasets").stdout
    assert "None are declared yet" in run("features", "show", "x").stderr
