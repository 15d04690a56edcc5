"""The stage that keeps the online store: part of every run of a project that asks for it, skipped when in step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from penstock.errors import RequestError
from penstock.project import Project, open_project
from tests.pipeline.shop import asked, made, write

VIEW = """FOR EACH customers.customer_id
orders_ever = COUNT(orders.*, -INF, 0, days)
dearest = MAX(orders.amount, -INF, 0, days)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path, customers=8)
    write(tmp_path, "features/orders.pql", VIEW)
    (tmp_path / "penstock.toml").write_text((tmp_path / "penstock.toml").read_text() + '\n[online]\nstore = "kept"\n')
    return tmp_path


def stage(project: Project) -> tuple[str, str]:
    run = next(one for one in project.run() if one.stage == "features")
    return run.state, run.failure or ""


def ever(project: Project, customer: int) -> object:
    return project.online.read("orders:orders_ever", {"customer_id": [customer]}).values[0][0]


def test_a_run_keeps_the_store_in_step_and_skips_what_is_done(folder: Path) -> None:
    project = open_project(folder)
    assert [step.prospect for step in project.plan().steps if step.stage.kind == "features"] == ["runs"]
    assert stage(project) == ("done", "")
    before = ever(open_project(folder), 3)
    assert stage(project) == ("unchanged", "")
    assert {step.prospect for step in project.plan().steps} == {"unchanged"}
    with asked(folder) as shop:
        shop.execute("INSERT INTO orders VALUES (90001, 3, 7.5, '2024-05-01 00:00:00')")
    assert stage(project) == ("done", "")
    assert ever(open_project(folder), 3) == before + 1  # type: ignore[operator]


def test_a_store_that_is_lost_is_made_again(folder: Path) -> None:
    project = open_project(folder)
    assert stage(project) == ("done", "")
    shutil.rmtree(folder / "kept")
    assert stage(open_project(folder)) == ("done", "")
    assert ever(open_project(folder), 3) is not None


def test_what_cannot_be_kept_is_refused_by_the_plan_and_stops_no_other_stage(folder: Path) -> None:
    write(folder, "features/orders.pql", VIEW.replace("orders.amount", "orders.price"))
    project = open_project(folder)
    runs = {(one.stage, one.name): one for one in project.run()}
    assert runs["ingest", "orders"].state == "done"
    assert "price" in (runs["features", "online store"].failure or "")
    (step,) = project.plan().refused
    assert (step.stage.kind, "price" in step.why) == ("features", True)


def test_a_dropped_column_names_the_view_that_reads_it(folder: Path) -> None:
    open_project(folder).run()
    with asked(folder) as shop:
        shop.execute("ALTER TABLE orders DROP COLUMN amount")
    told = str(open_project(folder).plan())
    assert "view orders" in told
    assert "refused" in told


def test_only_projects_that_ask_for_it_have_the_stage(folder: Path) -> None:
    write(folder, "penstock.toml", (folder / "penstock.toml").read_text().replace('[online]\nstore = "kept"', ""))
    project = open_project(folder)
    assert {one.stage for one in project.run()} == {"ingest"}
    with pytest.raises(RequestError, match="ONLINE_NOT_SYNCED"):
        ever(project, 3)
