"""A derived table's SQL is part of what features on it mean: told before a run, switched to by it, refused where it
breaks a view.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.lake.recipes import recipes_of
from penstock.lake.versioned import Roles
from penstock.online.verifying import Entry
from penstock.pipeline.derive import Derivation
from penstock.pipeline.derive.recipes import recipes_to_be
from penstock.pipeline.planning import Plan, Step
from tests.pipeline.shop import made, opened, states, write

LARGE = """-- key: order_id
-- time: placed_at
-- links: customer_id -> customers
SELECT order_id, customer_id, placed_at, amount FROM orders WHERE amount > 5
"""
TWICE = """-- key: order_id
-- time: placed_at
-- links: customer_id -> customers
SELECT order_id, customer_id, placed_at, amount * 2 AS twice FROM large
"""
OF_TWICE = """FOR EACH customers.customer_id
n = COUNT(twice.*, -INF, 0, days)
spent = SUM(twice.twice, -INF, 0, days)
"""
PLAIN = """FOR EACH customers.customer_id
ever = COUNT(orders.*, -INF, 0, days)
"""
MORE = """
[features.rich]
inputs = { n = "of_twice:n" }
expressions = { yes = "n > 3" }

[services.all]
features = ["of_twice:*", "plain:*"]

[online]
store = "kept"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one view on a table derived from a derived one, and one on a source's table, run once."""
    made(tmp_path, customers=6, days=60)
    write(tmp_path, "tables/large.sql", LARGE)
    write(tmp_path, "tables/twice.sql", TWICE)
    write(tmp_path, "features/of_twice.pql", OF_TWICE)
    write(tmp_path, "features/plain.pql", PLAIN)
    write(tmp_path, "penstock.toml", (tmp_path / "penstock.toml").read_text() + MORE)
    assert {one.state for one in opened(tmp_path).run()} == {"done"}
    return tmp_path


def versions(folder: Path) -> dict[str, str]:
    bound = opened(folder).features.bound
    bound.must_be_sound()
    return {name: one.fingerprint for name, one in {**bound.views, **bound.on_demand}.items()}


def step(plan: Plan, name: str) -> Step:
    return next(one for one in plan.steps if one.stage.name == name)


def spent(folder: Path) -> object:
    return opened(folder).online.read("of_twice:spent", {"customer_id": [2]}).values[0][0]


def test_comments_spaces_and_the_case_of_keywords_mean_nothing(folder: Path) -> None:
    before = versions(folder)
    write(folder, "tables/large.sql", LARGE.replace("SELECT order_id", "select   /* why */ order_id -- what\n") + ";")
    assert not any("changed: tables/" in one.why for one in opened(folder).plan().steps)
    assert set(states(opened(folder)).values()) == {"unchanged"}
    assert versions(folder) == before


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("large", LARGE.replace("> 5", "> 6")),
        ("large", LARGE.replace("-- time: placed_at\n", "")),
        ("twice", TWICE.replace("* 2", "* 3")),
    ],
)
def test_sql_anywhere_below_is_part_of_a_features_version(folder: Path, table: str, text: str) -> None:
    before = versions(folder)
    write(folder, f"tables/{table}.sql", text)
    assert versions(folder) == before  # its rows are made as before, until the next run
    plan = opened(folder).plan()
    assert f"changed: tables/{table}.sql; new version of view of_twice" in step(plan, "twice").why
    assert not plan.refused
    opened(folder).run()
    after = versions(folder)
    assert {name for name in before if before[name] != after[name]} == {"of_twice", "rich"}
    write(folder, f"tables/{table}.sql", LARGE if table == "large" else TWICE)
    opened(folder).run()
    assert versions(folder) == before


def test_a_change_of_sql_switches_the_store_and_tells_old_answers_from_wrong_ones(folder: Path) -> None:
    before = opened(folder)
    old = before.online.read("all", {"customer_id": [2]})
    write(folder, "tables/twice.sql", TWICE.replace("* 2", "* 3"))
    assert states(opened(folder), "derive") == {"large": "unchanged", "twice": "done"}
    assert before.online.read("all", {"customer_id": [2]}).values == old.values  # served until all of the new is there
    assert {one.view: one.how for one in opened(folder).online.sync()} == {"of_twice": "switched", "plain": "nothing"}
    now = opened(folder)
    assert spent(folder) == pytest.approx(1.5 * old.values[1][0])  # type: ignore[operator]
    found = now.online.verify(sample=6)
    assert (found.passed, found.superseded) == (True, 0)  # old answers, too, from the rows that they rested on
    entries = [one for one in now.online.log.entries() if one.view == "of_twice"]
    told = {name: getattr(entries[0], name) for name in Entry.__struct_fields__}
    now.online.log.add([Entry(**{**told, "at": entries[-1].at + 2_000_000})])  # by then everybody has noticed
    late = now.online.verify(sample=0)
    assert {one.feature: dict(one.causes) for one in late.features if one.differing} == {
        "of_twice:spent": {"definition version": 1}
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TWICE.replace("amount * 2 AS twice", "amount * 2 AS double"), "twice has no column 'twice'"),
        (TWICE.replace("amount * 2", "CAST(amount AS VARCHAR)"), "SUM works on numbers, and twice.twice is a text"),
    ],
)
def test_sql_that_breaks_a_view_is_refused_by_plan_and_run_with_its_name(folder: Path, text: str, why: str) -> None:
    before, was = versions(folder), spent(folder)
    write(folder, "tables/twice.sql", text)
    plan = opened(folder).plan()
    assert [one.stage.name for one in plan.refused] == ["twice"]
    told = step(plan, "twice").why
    assert "tables/twice.sql: what was changed there breaks view of_twice" in told
    assert f"features/of_twice.pql, line 3: of_twice:spent: {why}" in told
    runs = {one.name: one for one in opened(folder).run()}
    assert (runs["twice"].state, "DERIVE_BREAKS" in (runs["twice"].failure or "")) == ("failed", True)
    assert (versions(folder), spent(folder)) == (before, was)


def test_a_column_that_changes_its_type_and_still_fits_is_announced(folder: Path) -> None:
    write(folder, "tables/twice.sql", TWICE.replace("amount * 2", "CAST(amount AS BIGINT)"))
    told = step(opened(folder).plan(), "twice").why
    assert "new version of view of_twice" in told
    assert "twice.twice becomes int64 (was double)" in told


def test_a_view_may_change_together_with_the_sql_below_it(folder: Path) -> None:
    write(folder, "tables/twice.sql", TWICE.replace("AS twice", "AS double"))
    write(folder, "features/of_twice.pql", OF_TWICE.replace("twice.twice", "twice.double"))
    plan = opened(folder).plan()
    assert not plan.refused
    assert "failed" not in {one.state for one in opened(folder).run()}
    assert opened(folder).online.verify(sample=3).passed


def test_a_table_above_the_one_that_breaks_a_view_is_made_all_the_same(folder: Path) -> None:
    write(folder, "tables/large.sql", LARGE.replace("> 5", "> 6"))
    write(folder, "tables/twice.sql", TWICE.replace("AS twice", "AS double"))
    assert [one.stage.name for one in opened(folder).plan().refused] == ["twice"]
    done = {one.name: one.state for one in opened(folder).run(tables=["large"])}
    assert done["large"] == "done"
    assert "twice" not in done


def test_the_first_plan_of_a_project_with_derived_tables_refuses_nothing(tmp_path: Path) -> None:
    made(tmp_path, customers=3, days=20)
    write(tmp_path, "tables/large.sql", LARGE)
    write(tmp_path, "tables/twice.sql", TWICE)
    write(tmp_path, "features/of_twice.pql", OF_TWICE)
    assert [(one.stage.name, one.prospect) for one in opened(tmp_path).plan().steps] == [
        ("customers", "runs"), ("orders", "runs"), ("large", "runs"), ("twice", "runs"),
    ]  # fmt: skip
    assert {one.state for one in opened(tmp_path).apply()} == {"done"}


def test_broken_definitions_are_notes_of_the_plan_where_no_store_is_kept(folder: Path) -> None:
    text = (folder / "penstock.toml").read_text()
    write(folder, "penstock.toml", text.replace('[online]\nstore = "kept"\n', ""))
    write(folder, "features/plain.pql", PLAIN.replace("orders", "order"))
    plan = opened(folder).plan()
    assert not plan.refused
    assert any("view plain: features/plain.pql, line 2" in note for note in plan.notes)


# ------------------------------------------------------------ recipes


def derivation(name: str, reads: tuple[str, ...], fingerprint: str) -> Derivation:
    roles, none = Roles(), frozenset[tuple[str, str]]()
    return Derivation(
        name, "sql", f"{name}.sql", "", roles, None, reads, fingerprint, pa.schema([]), {}, none, {}, none
    )  # fmt: skip


graphs = st.integers(1, 7).flatmap(
    lambda count: st.tuples(*(st.sets(st.integers(0, max(at - 1, 0)), max_size=3) for at in range(count)))
)


@given(graphs, st.sets(st.integers(0, 6)))
def test_a_recipe_changes_with_its_own_definition_and_those_below_it_alone(
    reads: tuple[set[int], ...], changed: set[int]
) -> None:
    def recipes(other: set[int]) -> Mapping[str, str]:
        told = [
            derivation(f"t{at}", ("source", *(f"t{one}" for one in sorted(below - {at}))), f"{at}{at in other}")
            for at, below in enumerate(reads)
        ]
        return recipes_to_be(told)

    moved: set[int] = set()
    for at, below in enumerate(reads):
        if at in changed or moved & (below - {at}):
            moved.add(at)
    before, after = recipes(set()), recipes(changed)
    assert {at for at in range(len(reads)) if before[f"t{at}"] != after[f"t{at}"]} == moved
    assert len(set(before.values())) == len(reads)


def test_a_lakes_recipes_are_those_of_the_files_once_all_is_run(folder: Path) -> None:
    """They say what a table was made from, and outlive compaction and the expiry of the versions that noted them."""

    def kept() -> Mapping[str, str]:
        return recipes_of(opened(folder).site.lake.tables())

    before = kept()
    assert before == recipes_to_be(_derivations(folder))
    write(folder, "tables/large.sql", LARGE.replace("> 5", "> 6"))
    opened(folder).run(tables=["large"])
    assert kept()["large"] != before["large"]
    assert kept()["twice"] == before["twice"]  # its rows were made from those of the old definition
    opened(folder).run()
    after = kept()
    assert after == recipes_to_be(_derivations(folder))
    project = opened(folder)
    assert {"large", "twice"} <= project.compact().keys()
    assert project.site.lake.expire(1).versions
    assert all(not table.versions()[0].facts for name, table in project.site.lake.tables().items() if name in after)
    assert kept() == after


def _derivations(folder: Path) -> list[Derivation]:
    from penstock.pipeline.walk import Walk

    walk = Walk(opened(folder).site)
    found = walk.derivations(walk.kept())
    assert isinstance(found, tuple)
    return list(found)
