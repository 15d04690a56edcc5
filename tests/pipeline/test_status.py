"""What a project is told to be like: failures that are mended or gone are not told for ever, and a killed run is."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from penstock.pipeline.status import Status
from tests.pipeline.shop import do, made, opened, write

TOTALS = "-- key: customer_id\nSELECT customer_id, sum(amount) AS total FROM orders GROUP BY ALL"
KILLED_AT_WORK = """
import os, signal, sys
from penstock.pipeline.runner import run
from penstock.pipeline.stages import Stage
from penstock.project import open_project

dying = Stage("ingest", "orders", "die", do=lambda progress: os.kill(os.getpid(), signal.SIGKILL))
run([dying], open_project(sys.argv[1]).site.journal, progress=lambda message, share: None, now=lambda: 1)
"""


@pytest.fixture
def folder(tmp_path):
    """A shop with one derived table, not run yet."""
    made(tmp_path, customers=3, days=20)
    write(tmp_path, "tables/totals.sql", TOTALS)
    return tmp_path


def states(status: Status) -> dict[str, str]:
    return {table.name: table.state for table in status.tables}


def told(folder, *run: str) -> dict[str, str]:
    """Run a project, or some tables of it, and say what its status is."""
    opened(folder).run(tables=run)
    return states(opened(folder).status())


def test_definitions_that_are_mended_are_failed_no_longer(folder):
    good = {"customers": "done", "orders": "done", "totals": "done"}
    assert told(folder) == good
    write(folder, "tables/totals.sql", "SELEC nonsense")
    found = told(folder)
    assert (found["tables"], found["totals"]) == ("failed", "done")
    assert not opened(folder).status().healthy
    write(folder, "tables/totals.sql", TOTALS)
    assert told(folder, "orders")["tables"] == "failed"  # nothing was derived, so nothing is known yet
    assert set(told(folder)) == set(good)
    assert opened(folder).status().healthy


def test_definitions_that_are_gone_fail_no_longer(folder):
    write(folder, "tables/totals.sql", "SELEC nonsense")
    assert told(folder)["tables"] == "failed"
    (folder / "tables" / "totals.sql").unlink()
    assert opened(folder).status().healthy


def test_a_derived_table_that_failed_and_is_gone_is_told_no_more(folder):
    write(folder, "tables/broken.sql", "-- key: customer_id\nSELECT 1 AS customer_id FROM range(2)")
    assert told(folder)["broken"] == "failed"
    write(folder, "tables/other.sql", TOTALS)
    (folder / "tables" / "broken.sql").unlink()
    assert told(folder).get("broken", "") == ""
    assert opened(folder).status().healthy


def test_a_run_of_another_table_hides_no_failure(folder):
    told(folder)
    do(folder, "ALTER TABLE customers RENAME COLUMN plan TO tariff")
    contract = 'table = "customers"\n[[checks]]\ncheck = "not_null"\ncolumns = ["plan"]\n'
    write(folder, "contracts/customers.toml", contract)
    assert told(folder)["customers"] == "failed"
    assert told(folder, "orders")["customers"] == "failed"
    assert told(folder, "orders", "totals")["customers"] == "failed"


def test_a_source_that_is_back_is_told_no_more(folder):
    text = (folder / "penstock.toml").read_text()
    (folder / "penstock.toml").write_text(text.split("[tables.customers]")[0])
    source = folder / "shop.sqlite"
    source.rename(folder / "away")
    assert told(folder)["shop"] == "failed"
    (folder / "away").rename(source)
    assert "shop" not in told(folder)
    assert opened(folder).status().healthy


def test_a_killed_run_is_told_as_killed_by_a_look_that_writes_nothing(folder):
    told(folder)
    child = subprocess.run([sys.executable, "-c", KILLED_AT_WORK, str(folder)], check=False)
    assert child.returncode == -signal.SIGKILL
    project = opened(folder)
    assert states(project.status())["orders"] == "killed"
    assert not project.status().healthy
    assert project.runs[0].state == "killed"
    assert project.site.journal.bury() == 1
