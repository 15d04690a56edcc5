"""Stages are walked in order, skipped when done, and written to a journal that survives anything."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from penstock.errors import RefusedError, RequestError, SourceError
from penstock.pipeline.journal import Journal, Outcome
from penstock.pipeline.runner import alone, run
from penstock.pipeline.stages import Stage


def quiet(_message: str, _share: float) -> None:
    return None


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / ".penstock" / "journal.db")


def stage(name, do, *, fingerprint="", kind="ingest") -> Stage:
    return Stage(kind, name, f"bring in {name}", fingerprint=fingerprint, do=do)


def test_stages_run_in_order_and_are_written_down(journal):
    order: list[str] = []

    def noted(name: str, rows: int):
        return lambda progress: order.append(name) or Outcome(version=3, rows=rows, facts={"read": rows})

    runs = run([stage("b", noted("b", 5)), stage("a", noted("a", 7))], journal, progress=quiet, now=lambda: 42)
    assert order == ["b", "a"]
    assert [(r.name, r.state, r.rows, r.version, r.started, r.facts) for r in runs] == [
        ("b", "done", 5, 3, 42, {"read": 5}),
        ("a", "done", 7, 3, 42, {"read": 7}),
    ]
    assert len({r.batch for r in runs}) == 1
    assert all(r.seconds >= 0 and r.memory > 0 for r in runs)


def test_a_stage_that_fails_stops_no_other(journal):
    def failing(progress):
        raise SourceError("SOURCE_GONE", "the shop is shut")

    runs = run([stage("a", failing), stage("b", lambda p: Outcome(rows=1))], journal, progress=quiet, now=lambda: 1)
    assert [r.state for r in runs] == ["failed", "done"]
    assert "SOURCE_GONE: the shop is shut" in (runs[0].failure or "")


def test_a_stage_whose_fingerprint_is_that_of_its_last_good_run_is_skipped(journal):
    done: list[int] = []
    made = stage("a", lambda p: done.append(1) or Outcome(version=8), fingerprint="x")
    run([made], journal, progress=quiet, now=lambda: 1)
    again = run([made], journal, progress=quiet, now=lambda: 2)
    assert (len(done), again[0].state, again[0].version) == (1, "unchanged", 8)
    run([made], journal, progress=quiet, now=lambda: 3, anew=True)
    run([stage("a", made.do, fingerprint="y")], journal, progress=quiet, now=lambda: 4)
    assert len(done) == 3


def test_a_stage_that_failed_is_not_skipped(journal):
    def failing(progress):
        raise SourceError("SOURCE_GONE", "the shop is shut")

    run([stage("a", failing, fingerprint="x")], journal, progress=quiet, now=lambda: 1)
    runs = run([stage("a", lambda p: Outcome(), fingerprint="x")], journal, progress=quiet, now=lambda: 2)
    assert runs[0].state == "done"


def test_an_error_of_our_own_is_written_down_before_it_is_raised(journal):
    def broken(progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([stage("a", broken)], journal, progress=quiet, now=lambda: 1)
    assert [(r.state, r.failure) for r in journal.runs()] == [("failed", "stopped before its end")]


def test_an_interrupt_is_written_down(journal):
    def interrupted(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([stage("a", interrupted)], journal, progress=quiet, now=lambda: 1)
    assert [(r.state, r.failure) for r in journal.runs()] == [("killed", "interrupted")]


KILLED_AT_WORK = """
import os, pathlib, signal, sys
from penstock.pipeline.journal import Journal
from penstock.pipeline.runner import run
from penstock.pipeline.stages import Stage

dying = Stage("ingest", "a", "die", do=lambda progress: os.kill(os.getpid(), signal.SIGKILL))
run([dying], Journal(pathlib.Path(sys.argv[1])), progress=lambda message, share: None, now=lambda: 1)
"""


def test_a_run_that_was_killed_is_found_and_the_next_one_goes_on(journal):
    child = subprocess.run([sys.executable, "-c", KILLED_AT_WORK, str(journal.path)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert [r.state for r in journal.runs()] == ["killed"]
    with closing(sqlite3.connect(journal.path)) as connection:  # looking has written nothing
        assert connection.execute("SELECT state FROM runs").fetchall() == [("running",)]
    runs = run([stage("a", lambda p: Outcome())], journal, progress=quiet, now=lambda: 2)
    assert [r.state for r in runs] == ["done"]
    assert [r.state for r in journal.runs()] == ["done", "killed"]


def test_two_runs_of_one_project_do_not_meet(journal):
    busy = pytest.raises(RefusedError, match=rf"another run of this project is at work \(process {os.getpid()}\)")
    with alone(journal.path.with_suffix(".lock")), busy:
        run([], journal, progress=quiet, now=lambda: 1)
    assert run([], journal, progress=quiet, now=lambda: 1) == ()


def test_a_journal_that_is_no_database_says_what_to_do(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"garbage" * 400)
    with pytest.raises(RequestError, match=r"cannot be used: .*\n.*Move it away"):
        Journal(tmp_path / "journal.db").runs()


def test_runs_are_listed_newest_first_and_by_stage(journal):
    run([stage("a", lambda p: Outcome()), stage("b", lambda p: Outcome(), kind="derive")], journal,
        progress=quiet, now=lambda: 1)  # fmt: skip
    assert [r.name for r in journal.runs()] == ["b", "a"]
    assert [r.name for r in journal.runs(stage="derive")] == ["b"]
    assert set(journal.newest()) == {("ingest", "a"), ("derive", "b")}
    with sqlite3.connect(journal.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
