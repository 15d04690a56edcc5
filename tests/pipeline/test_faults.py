"""A machine that fails: a full disk, missing rights, folders that only can be read, each told and none a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import PenstockError, SchemaError, SourceError, system_error
from penstock.pipeline.journal import Journal, Outcome
from penstock.pipeline.runner import run
from penstock.pipeline.stages import Stage

PENSTOCK = [sys.executable, "-c", "from penstock.cli import main; main()"]
LIMITED = ["sh", "-c", 'ulimit -f 400; exec "$@"', "sh"]
ROWS = 200_000


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project of two tables, a large one and one with rows that are rejected."""
    (tmp_path / "src").mkdir()
    lines = (f"{n},{n * 7919 % 1000003}.25\n" for n in range(ROWS))
    (tmp_path / "src" / "orders.csv").write_text("order_id,amount\n" + "".join(lines))
    (tmp_path / "src" / "small.csv").write_text("id,amount\n1,2.5\n2,3.5\n2,4.5\n")
    made = tmp_path / "shop"
    (made / "tables").mkdir(parents=True)
    keys = '[tables.orders]\nkey = "order_id"\n[tables.small]\nkey = "id"\n'
    (made / "penstock.toml").write_text(f'[sources.src]\nurl = "../src"\n{keys}')
    return made


@pytest.fixture
def bound() -> list[str]:
    """What takes from a child the right to pass over the rights of files; nothing where there is none such."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root passes over the rights of files, and there is no setpriv to take that away")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def asked(folder: Path, *words: str, under: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(under or []), *PENSTOCK, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def states(text: str) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["state"], one["failure"] or "") for one in json.loads(text)}


def closed(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.fixture
def opened_again(tmp_path: Path) -> Iterator[None]:
    yield
    for folder, _, files in os.walk(tmp_path, topdown=True):
        Path(folder).chmod(0o755)
        for name in files:
            (Path(folder) / name).chmod(0o644)


def test_a_full_disk_fails_the_stage_that_meets_it_and_no_other(shop: Path):
    done = asked(shop, "run", "--json", under=LIMITED)
    found = states(done.stdout)
    assert (done.returncode, found["small"][0], found["orders"][0]) == (1, "done", "failed")
    assert "file too large" in found["orders"][1].casefold()
    again = asked(shop, "run", "--json")
    assert (again.returncode, states(again.stdout)["orders"]) == (0, ("done", ""))


def test_rejected_rows_are_told_of(shop: Path):
    done = asked(shop, "run")
    assert done.returncode == 0
    assert "note: small: 1 row was rejected: penstock data quarantine list" in done.stdout


@pytest.mark.usefixtures("opened_again")
def test_a_state_that_cannot_be_written_is_told_and_still_read(shop: Path, bound: list[str]):
    asked(shop, "run")
    closed(shop / ".penstock")
    for words in (("status",), ("plan",), ("runs",), ("data", "show", "orders")):
        done = asked(shop, *words, under=bound)
        assert (done.returncode, done.stderr) == (0, ""), words
    done = asked(shop, "run", "--json", under=bound)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "SYSTEM_ERROR"
    assert f"permission denied: {shop / '.penstock' / 'journal.lock'}" in done.stderr


@pytest.mark.usefixtures("opened_again")
def test_files_and_folders_without_rights_are_named(shop: Path, bound: list[str], tmp_path: Path):
    (shop / "tables" / "z.sql").write_text("SELECT order_id FROM orders")
    (shop / "tables" / "z.sql").chmod(0)
    done = asked(shop, "plan", under=bound)
    assert (done.returncode, "permission denied" in done.stdout, "z.sql" in done.stdout) == (1, True, True)
    done = asked(shop, "run", "--json", under=bound)
    states = {run["name"]: run["state"] for run in json.loads(done.stdout)}
    assert (states["orders"], states["tables"]) == ("done", "failed")
    closed(tmp_path / "src")
    done = asked(tmp_path, "init", "src", "src/new", under=bound)
    assert (done.returncode, done.stderr) == (1, "SYSTEM_ERROR: permission denied: src/new\n")


def test_a_lake_in_no_place_is_told(shop: Path):
    file = shop / "penstock.toml"
    file.write_text(file.read_text() + '[lake]\nplace = "/proc/nope"\n')
    done = asked(shop, "run", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["message"] == "no such file or directory: /proc/nope"


def test_what_the_system_refuses_in_one_stage_stops_no_other(tmp_path: Path):
    def full(_progress: object) -> Outcome:
        raise OSError(28, "No space left on device", "/lake/rows.parquet")

    journal = Journal(tmp_path / "journal.db")
    stages = [Stage("ingest", "a", "bring in a", do=full), Stage("ingest", "b", "bring in b")]
    runs = run(stages, journal, progress=lambda message, share: None, now=lambda: 1)
    assert [(r.state, r.failure) for r in runs] == [
        ("failed", "SYSTEM_ERROR: no space left on device: /lake/rows.parquet"),
        ("done", None),
    ]


def test_a_journal_that_is_not_there_is_read_as_empty_and_not_made(tmp_path: Path):
    journal = Journal(tmp_path / "state" / "journal.db")
    assert (journal.runs(), journal.newest()) == ((), {})
    assert not (tmp_path / "state").exists()


def test_a_journal_that_cannot_be_made_says_why_and_not_to_move_it_away(tmp_path: Path):
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(PenstockError, match=r"JOURNAL_UNREADABLE: .*journal\.db cannot be used: ") as caught:
        Journal(tmp_path / "state" / "journal.db").begin("b", "ingest", "a", 1, "")
    assert (caught.value.exit_status, "Move it away" in str(caught.value)) == (1, False)


def test_what_failed_ends_otherwise_than_what_was_asked_wrongly():
    assert SourceError("LAKE_DAMAGED", "a file is gone").exit_status == 1
    assert SourceError("SOURCE_ABSENT", "there is no such file").exit_status == 2
    assert SchemaError("DERIVE_SYNTAX", "this is no SELECT").exit_status == 2
    assert str(system_error(OSError("[Errno 27] Error writing. Detail: [errno 27] File too large"))) == (
        "SYSTEM_ERROR: file too large"
    )


@pytest.mark.usefixtures("opened_again")
def test_a_project_that_can_only_be_read_is_looked_at(shop: Path, bound: list[str]):
    asked(shop, "run")
    for folder in (shop / ".penstock", shop / "lake", shop):
        closed(folder)
    for words in (("status",), ("plan",), ("runs",), ("data", "list"), ("data", "show", "orders")):
        done = asked(shop, *words, under=bound)
        assert (done.returncode, done.stderr) == (0, ""), words
