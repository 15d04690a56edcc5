"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import click
import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from tests.small import QUIET, shop

AVERAGE = "PREDICT AVG(orders.amount, 0, 30, days) FOR EACH users.user_id"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shop")
    for name, table in shop().items():
        pq.write_table(table, folder / f"{name}.parquet")
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(autouse=True)
def _shared_cache(_one_cache: Path, _own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers of this file's questions are kept for one another: most tests ask the same."""
    monkeypatch.setenv("PENSTOCK_CACHE", str(_one_cache))


def run(*words: str) -> Result:
    """The command's result, with stdout and stderr apart; no exception may get out but an exit."""
    result = CliRunner().invoke(main, list(words), terminal_width=80)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def told(*words: str) -> Any:
    """What the command says in JSON, which is all there is on stdout."""
    return json.loads(run(*words, "--json").stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_help_lists_every_command():
    text = run("--help").stdout
    for name in ("demo", "graph", "predict", "evaluate", "compare", "labels", "features"):
        assert name in text
        assert run(name, "--help").exit_code == 0


def groups(group: click.Group, *words: str) -> Iterator[tuple[str, ...]]:
    """The words that name each group of commands."""
    yield words
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from groups(one, *words, name)


@pytest.mark.parametrize("words", tuple(groups(main)))
def test_help_says_what_each_command_does_in_whole_sentences(words: tuple[str, ...]):
    listed = run(*words, "--help").stdout.partition("Commands:")[2].partition("\n\n")[0]
    assert listed.strip()
    assert [line for line in listed.splitlines() if line.strip() and not line.endswith(".")] == []


def test_every_option_says_what_it_is_for():
    dumb = [
        f"{' '.join(words)} {name} {option.opts[0]}"
        for words in groups(main)
        for name, command in group_of(words).commands.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert dumb == []


def group_of(words: tuple[str, ...]) -> click.Group:
    """The group of commands that these words name."""
    found: click.Group = main
    for word in words:
        found = cast("click.Group", found.commands[word])
    return found


def test_predict_prints_the_backtest_the_predictions_and_the_reasons(source: str):
    result = run("predict", source, QUIET, "--rows", "3", "--explain")
    assert result.exit_code == 0
    assert "binary at 2024-07-" in result.stdout
    assert "majority" in result.stdout
    assert "77 more rows" in result.stdout
    assert "↑" in result.stdout
    assert "Traceback" not in result.stderr


def test_predict_in_json_is_json_alone(source: str):
    answer = told("predict", source, QUIET, "--explain", "--entities", "3, 5")
    assert [row["entity"] for row in answer["predictions"]] == [3, 5]
    assert answer["predictions"][0]["reasons"]
    assert set(answer["evaluation"]) >= {"metrics", "baselines", "rows", "cutoffs", "notes"}


def test_numbers_that_are_none_are_null_in_json(source: str):
    one_class = "PREDICT MAX(orders.amount, 0, 30, days) > COUNT(orders.*, -30, 0, days) - 5 FOR EACH users.user_id"
    result = run("evaluate", source, one_class, "--json")
    assert "NaN" not in result.stdout
    assert json.loads(result.stdout)


def test_each_command_speaks_json(source: str, tmp_path: Path):
    spine = tmp_path / "spine.csv"
    spine.write_text("entity,cutoff,mark\n2,2024-05-01,x\n1,2024-06-01,y\n", "utf-8")
    assert {table["name"] for table in told("graph", source)["tables"]} == {"users", "orders", "items"}
    assert len(told("labels", source, QUIET, "--at", "2024-05-01", "--at", "2024-06-01")) == 160
    described = told("features", source, QUIET, "--describe")
    assert "COUNT(orders.*, -30, 0, days)" in [one["feature"] for one in described]
    assert {"feature", "phrase", "about", "family"} == set(described[0])
    rows = told("features", source, QUIET, "--spine", str(spine))
    assert [(row["entity"], row["mark"]) for row in rows] == [(2, "x"), (1, "y")]
    assert told("evaluate", source, QUIET)["task"] == "binary"
    assert told("predict", source, QUIET, "--plan")[-1].strip("└─ ").startswith("Spine: ")


WRONG = {
    "a query": (["predict", QUIET.replace("orders.*", "order.*")], 2, "PQL_SCHEMA_UNKNOWN_TABLE"),
    "an entity": (["predict", QUIET, "--entities", "4711"], 2, "REQUEST_ENTITY"),
    "a type": (["predict", QUIET, "--entities", "bob"], 2, "REQUEST_ENTITY"),
    "a time": (["predict", QUIET, "--at", "soon"], 2, "REQUEST_TIME"),
    "a place": (["predict", QUIET, "--out", "rows.xlsx"], 2, "WRITE_DESTINATION"),
    "a setting": (["graph", "--set", "orders.time"], 2, "OPTION_NO_VALUE"),
    "a role": (["graph", "--set", "orders.colour=amount"], 2, "SCHEMA_UNKNOWN_ROLE"),
    "a column": (["graph", "--set", "orders.time=nothing"], 2, "SCHEMA_UNKNOWN_COLUMN"),
    "an option": (["predict", QUIET, "--rosw", "3"], 2, "USAGE"),
    "a word too few": (["predict"], 2, "USAGE"),
    "spines": (["evaluate", QUIET, "--test", "nowhere.csv"], 2, "SOURCE_ABSENT"),
    "one class": (["predict", QUIET.replace("= 0", ">= 0")], 1, "DATA_ONE_CLASS"),
    "too long": (["predict", QUIET.replace("30", "900")], 1, "DATA_TOO_SHORT"),
    "nobody": (["predict", "PREDICT items.price FOR EACH items.item_id"], 1, "DATA_NOBODY"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_has_a_status_and_a_code_in_words_and_in_json(
    source: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (command, *rest), status, code = WRONG[what]
    plain, machine = run(command, source, *rest), run(command, source, *rest, "--json")
    assert (plain.exit_code, machine.exit_code) == (status, status)
    assert plain.stdout == ""
    assert plain.stderr
    assert json.loads(machine.stdout)["error"]["code"] == code
    assert list(tmp_path.iterdir()) == [p for p in tmp_path.iterdir() if p.name == "penstock-cache"]


def test_a_source_that_is_not_there_is_a_wrong_request():
    result = run("graph", "nowhere/at/all", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "SOURCE_ABSENT"


@pytest.mark.parametrize("place", ["out.parquet", "out.csv", "out.duckdb#told", "out.sqlite#told"])
def test_writing_twice_is_writing_once(source: str, tmp_path: Path, place: str):
    where = str(tmp_path / place)
    assert run("predict", source, QUIET, "--out", where).exit_code == 0
    first = rows_of(where)
    assert run("predict", source, QUIET, "--out", where).exit_code == 0
    assert rows_of(where) == first
    assert len(first) == 80


def rows_of(where: str) -> list[Any]:
    path, _, table = where.partition("#")
    if path.endswith(".sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            return sorted(connection.execute(f"SELECT * FROM {table}").fetchall())
    if path.endswith(".duckdb"):
        with duckdb.connect(path, read_only=True) as connection:
            return sorted(connection.execute(f"SELECT * FROM {table}").fetchall())
    if path.endswith(".parquet"):
        return sorted(map(tuple, (row.values() for row in pq.read_table(path).to_pylist())))
    return Path(path).read_text("utf-8").splitlines()[1:]


def test_writing_to_postgresql_twice_is_writing_once(source: str, postgres_url: str):
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    counts = []
    for _ in range(2):
        assert run("predict", source, QUIET, "--out", f"{postgres_url}#told").exit_code == 0
        with dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(probability) FROM told")
            counts.append(cursor.fetchone())
    assert counts[0] == counts[1]
    assert counts[0][0] == 80


def test_labels_of_a_forecast_are_written_step_by_step(source: str, tmp_path: Path):
    text = "PREDICT COUNT(orders.*, 0, 14, days) FORECAST 3 TIMEFRAMES FOR EACH users.user_id"
    where = str(tmp_path / "labels.duckdb#told")
    assert run("labels", source, text, "--at", "2024-05-01", "--out", where).exit_code == 0
    assert len(rows_of(where)) == 240


def test_schema_options_change_what_is_asked(source: str):
    result = run("predict", source, QUIET, "--unlink", "orders.user_id")
    assert result.exit_code == 2
    linked = run("graph", source, "--unlink", "orders.user_id", "--link", "orders.user_id=users")
    assert "orders.user_id -> users" in linked.stdout


def test_an_interrupt_leaves_nothing_half_written(source: str, tmp_path: Path):
    environment = {**os.environ, "PENSTOCK_CACHE": str(tmp_path / "cache")}
    where = tmp_path / "out.parquet"
    words = [sys.executable, "-m", "penstock", "predict", source, QUIET, "--out", str(where)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        output, complaint = process.communicate(timeout=60)
    assert b"Traceback" not in complaint
    # The signal may also come while the interpreter leaves, with all done: then the signal itself ends the process.
    assert process.returncode in (0, 130, -signal.SIGINT)
    if process.returncode == 130:
        assert not where.exists()
        assert not list(tmp_path.rglob("answer.json"))
        assert output == b""
    if where.exists():
        assert rows_of(str(where))
    assert not list(tmp_path.rglob(".draft-*"))


# ---------------------------------------------------------------- how to learn, several windows, and comparison


def test_two_evaluations_are_kept_and_compared(source: str, tmp_path: Path):
    first, second = str(tmp_path / "new folder" / "first.parquet"), str(tmp_path / "second.parquet")
    assert run("evaluate", source, QUIET, "--save", first).exit_code == 0
    assert run("evaluate", source, QUIET, "--model", "linear", "--seed", "3", "--save", second).exit_code == 0
    text = run("compare", first, second).stdout
    assert "binary: the same 80 rows of 80 entities" in text
    assert "auroc ↑" in text
    compared = told("compare", first, first)
    assert compared["verdict"] == "Neither is better by more than noise."
    assert {one["value"] for one in compared["differences"]} == {0.0}


def test_several_windows_and_a_frozen_one_are_said_to_be_so(source: str):
    found = told("evaluate", source, QUIET, "--windows", "2")
    assert len(found["windows"]) == 2
    assert found["windows"][0] == found["metrics"]
    assert "(frozen)" in run("evaluate", source, QUIET, "--frozen").stdout


def test_what_would_change_a_prediction_is_told_beside_it(source: str):
    rows = told("predict", source, QUIET, "--what-if", "--entities", "3,5")["predictions"]
    assert all(isinstance(row["changes"], list) for row in rows)
    text = run("predict", source, QUIET, "--what-if", "--act-on", "orders", "--rows", "80").stdout
    assert "⇄ with " in text
    assert "It is no promise" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--save", "kept.csv"), "REQUEST_EVALUATION: an evaluation is kept in a .parquet file, not 'kept.csv'"),
        (("--model", "forest"), "LEARNING_MODEL: there is no model named 'forest'"),
        (("--model", "json:dumps"), "LEARNING_MODEL: json:dumps lacks fit, predict, to_dict, from_dict"),
    ],
)
def test_ways_of_learning_that_are_none_are_refused(source: str, words: tuple[str, str], message: str):
    result = run("evaluate", source, QUIET, *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_files_that_hold_no_evaluation_are_refused(source: str, tmp_path: Path):
    pq.write_table(shop()["users"], tmp_path / "users.parquet")
    for name, said in (("users.parquet", "holds no evaluation"), ("absent.parquet", "does not exist")):
        result = run("compare", str(tmp_path / name), str(tmp_path / name))
        assert result.exit_code == 2
        assert f"{name} {said}" in result.stderr
