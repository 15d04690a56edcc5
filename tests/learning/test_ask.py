"""Questions end to end on a small shop: what may be seen, what is refused, what is kept, what is warned of."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import penstock as ps
from penstock import language
from penstock.errors import PenstockError, RefusedError
from penstock.features.definitions import FeatureSet
from penstock.language import Query
from penstock.learning.predictions import Predictions
from penstock.settings import Settings
from tests.small import DAY, QUIET, START, changed, shop


def poisoned(tables: dict[str, pa.Table], cutoff: int) -> dict[str, pa.Table]:
    """All orders after the cutoff become other people's, of other items, sums and states, at the same times."""
    rng = np.random.default_rng(99)
    orders = tables["orders"]
    late = orders["placed_at"].cast(pa.int64()).to_numpy() > cutoff
    count = len(late)
    return changed(
        tables,
        "orders",
        user_id=pa.array(np.where(late, rng.integers(1, 60, count), orders["user_id"].to_numpy())),
        item_id=pa.array(np.where(late, 20, orders["item_id"].to_numpy())),
        amount=pa.array(np.where(late, 1e6 * rng.random(count), orders["amount"].to_numpy())),
        state=pa.array(np.where(late, "open", orders["state"].to_numpy(zero_copy_only=False))),
    )


@pytest.mark.parametrize(
    "text",
    [
        QUIET,
        "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH users.user_id",
        "PREDICT LIST_DISTINCT(orders.item_id, 0, 30, days) RANK TOP 3 FOR EACH users.user_id",
    ],
)
def test_rewriting_all_that_comes_after_the_test_cutoff_changes_no_test_prediction(text: str):
    tables = shop()
    first = ps.connect(tables).evaluate(text)
    (cutoff,) = first.cutoffs["test"]
    second = ps.connect(poisoned(tables, cutoff)).evaluate(text)
    assert second.cutoffs == first.cutoffs
    assert not second.predictions["target"].equals(first.predictions["target"])
    everybody = set(second.predictions["entity"].to_pylist()) & set(first.predictions["entity"].to_pylist())
    answers = [_answers(e.predictions, everybody) for e in (first, second)]
    assert answers[0].num_rows > 20
    assert answers[0].equals(answers[1])


def _answers(table: pa.Table, everybody: set[int]) -> pa.Table:
    what_came = [name for name in ("target", "relevant") if name in table.column_names]
    return table.filter(pc.is_in(table["entity"], pa.array(sorted(everybody)))).drop_columns(what_came)


def test_from_an_instant_in_the_past_nothing_later_is_learnt_from():
    tables, at = shop(), "2024-06-15"
    cutoff = START + 166 * DAY
    first = ps.connect(tables).predict(QUIET, at=at)
    second = ps.connect(poisoned(tables, cutoff)).predict(QUIET, at=at)
    assert first.to_arrow().equals(second.to_arrow())
    assert first.notes == ("Nothing after 2024-06-15 was learnt from, though there is more.",)
    assert max(first.evaluation.cutoffs["test"]) <= cutoff - 30 * DAY


def test_no_feature_of_a_spine_changes_with_what_comes_later():
    tables, cutoff = shop(), START + 150 * DAY
    spine = {"entity": list(range(1, 81)), "cutoff": ["2024-05-30"] * 80}
    first, second = (ps.connect(t).features(QUIET, spine) for t in (tables, poisoned(tables, cutoff)))
    assert first.num_columns > 50
    assert first.equals(second)


# ---------------------------------------------------------------- features are said in the language


def questions(db: ps.Database) -> Iterator[Query]:
    """For each table with a key of one column, a question about its rows: on what happens to them, or on a column."""
    for table in db.graph:
        if len(table.keys) == 1:
            rows = [f"COUNT({link.table}.*, 0, 30, days) > 0" for link in db.graph.links_to(table.name)]
            columns = [f"{table.name}.{column.name}" for column in table.columns]
            for target in [*rows, *columns]:
                try:
                    yield db.query(f"PREDICT {target} FOR EACH {table.name}.{table.keys[0]}")
                    break
                except PenstockError:
                    continue


def assert_said(db: ps.Database, query: Query, rows: int = 3) -> None:
    """Every feature reads back as itself, and the text gives the values of the expression."""
    made = db.synthesise(query)
    for feature in made.features:
        assert language.feature(feature.name, db.graph, query.entity) == feature.expression, feature.name
    some = FeatureSet(made.table, made.key, made.features[:: max(1, len(made) // 60)])
    keys = db.relational.keys(query.entity, query.key)[:rows]
    spine = pa.table({"entity": keys, "cutoff": pa.array(["2011-06-01"] * len(keys))})
    bound, told = db.features(some, spine), db.features([f.name for f in some.features], spine, entity=query.entity)
    assert bound.equals(told)


@pytest.mark.parametrize("name", ["retail", "stats_se", "journey", "football", "chinook"])
def test_every_feature_of_the_real_databases_reads_back_as_itself(shared: Path, name: str):
    db = ps.connect(shared / "data" / name)
    asked = list(questions(db))
    assert len(asked) >= 4
    for query in asked:
        assert_said(db, query)


def test_every_feature_of_the_demo_reads_back_as_itself(tmp_path: Path):
    from penstock import demo

    made = demo.generate(3, 60)
    db = ps.connect(made.tables)
    asked = [db.query(demo.QUESTION), *questions(db)]
    for query in asked:
        assert_said(db, query)


def test_names_and_values_that_need_quoting_are_quoted():
    tables = shop()
    odd = np.array(["O'Brien", 'say "hi"', "a,b; -- c", "öä\n`"])
    orders = tables["orders"].append_column("select", pa.array(odd[np.arange(tables["orders"].num_rows) % 4]))
    names = ["order id", "user_id", "item_id", "placed at", "the amount", "state", "select"]
    own = pa.table({name: range(80) for name in ("entity", "cutoff", "target", "step")})
    users = tables["users"]
    for name in own.column_names:
        users = users.append_column(name, own[name])
    db = ps.connect({"users": users, "Order Lines": orders.rename_columns(names), "items": tables["items"]})
    query = db.query("PREDICT COUNT(`Order Lines`.*, 0, 30, days) = 0 FOR EACH users.user_id")
    assert_said(db, query)
    assert db.predict(query, explain=2).to_arrow().num_rows == 80


def test_lines_without_a_date_are_not_counted_for_what_they_name_when_only_their_order_has_one():
    tables = shop()
    lines = pa.table({"line_id": range(200), "order_id": np.arange(200) % 150, "item_id": np.arange(200) % 20 + 1})
    db = ps.connect({**tables, "orders": tables["orders"].drop_columns(["item_id"]), "lines": lines})
    made = db.synthesise(db.query("PREDICT items.sort FOR EACH items.item_id"))
    assert not [feature.name for feature in made.features if "lines" in feature.name]


# ---------------------------------------------------------------- refusals


def few(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    orders = tables["orders"].filter(pc.equal(tables["orders"]["user_id"], 1))
    return {**tables, "users": tables["users"].slice(0, 1), "orders": orders}


def at_once(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    same = pa.array([START] * tables["orders"].num_rows, pa.timestamp("us"))
    return changed(tables, "orders", placed_at=same)


REFUSED = {
    "one class": (lambda t: t, "COUNT(orders.*, 0, 30, days) >= 0", "DATA_ONE_CLASS: the answer is True for all"),
    "constant": (lambda t: t, "SUM(orders.amount WHERE orders.state = 'no', 0, 30, days)", "DATA_CONSTANT: the target"),
    "too few": (few, "COUNT(orders.*, 0, 30, days) > 0", "DATA_TOO_FEW: there are"),
    "no window": (lambda t: t, "COUNT(orders.*, 0, 900, days) > 0", "DATA_TOO_SHORT: the data spans 2024-01-01"),
    "one instant": (at_once, "COUNT(orders.*, 0, 30, days) > 0", "DATA_TOO_SHORT: the data spans"),
    "no rows": (
        lambda t: {**t, "orders": t["orders"].slice(0, 0)},
        "COUNT(orders.*, 0, 30, days) > 0",
        "DATA_EMPTY: no row of orders has a time",
    ),
    "nothing to fill in": (
        lambda t: changed(t, "users", height=pa.array(np.arange(80) / 7)),
        "users.height",
        "DATA_NOBODY: there is nothing to fill in",
    ),
    "nothing in any list": (
        lambda t: t,
        "LIST_DISTINCT(orders.state WHERE orders.state = 'no', 0, 30, days) CLASSIFY",
        "DATA_TOO_FEW: there are 0 training examples",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_cannot_answer_is_refused_with_what_was_found_and_what_to_try(name: str):
    change, target, message = REFUSED[name]
    with pytest.raises(RefusedError, match=message) as caught:
        ps.connect(change(shop())).predict(f"PREDICT {target} FOR EACH users.user_id")
    assert caught.value.hint
    assert caught.value.exit_status == 1


def test_before_the_first_row_there_is_nothing_to_learn_from():
    with pytest.raises(RefusedError, match="DATA_EMPTY: no row of orders happened by 2023-01-01: the first is of 2024"):
        ps.connect(shop()).predict(QUIET, at="2023-01-01")


def test_few_cutoffs_are_parted_by_entity_and_it_is_said():
    notes = ps.connect(shop()).evaluate(QUIET.replace("30, days) = 0", "125, days) > 8")).notes
    assert "There is one usable cutoff: its entities were parted by a seeded hash, 60 : 20 : 20, not by time." in notes


# ---------------------------------------------------------------- what is kept


def answers(folder: Path) -> list[Path]:
    return sorted((folder / "penstock-cache" / "answers").glob("*"))


def test_one_kept_answer_serves_everybody_and_no_other_question(tmp_path: Path):
    tables = shop()
    db = ps.connect(tables)
    whole = db.predict(QUIET)
    assert db.predict(QUIET.replace("FOR EACH users.user_id", "FOR users.user_id IN (3, 5)")).to_arrow().num_rows == 2
    assert len(answers(tmp_path)) == 1
    other = ps.connect(poisoned(tables, START + 200 * DAY)).predict(QUIET)
    assert not other.to_arrow().equals(whole.to_arrow())
    db.predict(QUIET.replace("= 0", "= 1"))
    db.predict(QUIET, seed=1)
    db.predict(QUIET, at="2024-06-15")
    assert len(answers(tmp_path)) == 5


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Predictions]:
    """A cache in which one answer is kept, and that answer."""
    settings = replace(Settings.from_environment(), cache=tmp_path_factory.mktemp("once"))
    return settings.cache, ps.connect(shop(), settings=settings).predict(QUIET)


@pytest.mark.parametrize("harm", ["cut", "changed", "unspeakable", "no predictions"])
def test_a_damaged_or_outdated_answer_is_trained_anew(once: tuple[Path, Predictions], tmp_path: Path, harm: str):
    place, whole = once
    shutil.copytree(place, tmp_path / "penstock-cache")
    db = ps.connect(shop())
    (folder,) = answers(tmp_path)
    kept = folder / "answer.json"
    text = kept.read_text("utf-8")
    if harm == "cut":
        kept.write_text(text[: len(text) // 2], "utf-8")
    elif harm == "changed":
        kept.write_text(text.replace("tree", "eert"), "utf-8")
    elif harm == "unspeakable":
        rewritten(kept, "orders", "srorders")
    else:
        for path in (found := list(folder.glob("predictions-*"))):
            path.write_bytes(path.read_bytes()[:-20] + b"0" * 20)
        assert found
    again = db.predict(QUIET)
    assert again.to_arrow().equals(whole.to_arrow())
    assert again.evaluation.metrics == whole.evaluation.metrics
    assert answers(tmp_path) == [folder], "what was kept was of this question"


def rewritten(kept: Path, old: str, new: str) -> None:
    """The kept answer with other words and a digest that fits them, as an older version would have left it."""
    text = json.dumps(json.loads(kept.read_text("utf-8").partition("\n")[2])).replace(old, new)
    kept.write_text(f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}\n{text}", "utf-8")


def test_a_kept_answer_says_what_the_first_one_said():
    db = ps.connect(shop())
    first, second = db.predict(QUIET, explain=2), db.predict(QUIET, explain=2)
    assert first.to_arrow().equals(second.to_arrow())
    assert first.evaluation.cutoffs == second.evaluation.cutoffs
    assert str(first) == str(second)


def test_without_a_cache_nothing_is_kept(tmp_path: Path):
    ps.connect(shop()).predict(QUIET, cache=False)
    assert answers(tmp_path) == []


# ---------------------------------------------------------------- warnings


def test_a_column_that_is_overwritten_and_one_that_tells_the_answer_are_warned_of():
    tables = shop()
    total = np.bincount(tables["orders"]["user_id"].to_numpy(), minlength=81)[1:]
    newest = pc.max(tables["orders"]["placed_at"].cast(pa.int64())).as_py()
    late = tables["orders"].filter(pc.greater(tables["orders"]["placed_at"].cast(pa.int64()), newest - 30 * DAY))
    active = np.isin(np.arange(1, 81), late["user_id"].to_numpy()).astype(float)
    told = changed(tables, "users", reputation=pa.array(total), flag=pa.array(active))
    notes = "\n".join(ps.connect(told).evaluate(QUIET).notes)
    assert "users.reputation (named as what changes, with too few rows to test it)" in notes
    assert "users.flag (alone it reaches AUROC 1.000, which is too good to be true, of the test rows; " in notes


def test_a_table_that_says_when_its_values_were_known_is_not_warned_of():
    tables = shop()
    total = np.bincount(tables["orders"]["user_id"].to_numpy(), minlength=81)[1:]
    then = pa.array([START - DAY] * 80, pa.timestamp("us"))
    db = ps.connect(changed(tables, "users", reputation=pa.array(total), loaded_at=then))
    db.set("users", known="loaded_at")
    notes = "\n".join(db.evaluate(QUIET).notes)
    assert "Left out" not in notes
    assert "reputation" not in notes
