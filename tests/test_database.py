"""The front door: every kind of question, spines from everywhere, and entities named in every way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.errors import QueryError, RefusedError, RequestError, SchemaError, SourceError
from penstock.settings import Settings
from tests.small import QUIET, shop

TASKS = {
    "binary": ("COUNT(orders.*, 0, 30, days) = 0", ["probability", "low", "high", "confidence", "prediction"]),
    "regression": ("AVG(orders.amount, 0, 30, days)", ["prediction", "low", "high", "confidence"]),
    "multiclass": ("LAST(orders.state, 0, 30, days)", ["class", "probability"]),
    "multilabel": ("LIST_DISTINCT(orders.state, 0, 30, days) CLASSIFY", ["class", "probability"]),
    "ranking": ("LIST_DISTINCT(orders.item_id, 0, 30, days) RANK TOP 4", ["item", "score", "rank"]),
    "forecasting": (
        "COUNT(orders.*, 0, 14, days) FORECAST 3 TIMEFRAMES",
        ["step", "prediction", "low", "high", "confidence"],
    ),
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> ps.Database:
    settings = replace(Settings.from_environment(), cache=tmp_path_factory.mktemp("cache"))
    return ps.connect(shop(), settings=settings)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def asking(target: str) -> str:
    return f"PREDICT {target} FOR EACH users.user_id"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gives_its_columns_beside_a_backtest(db: ps.Database, task: str):
    target, columns = TASKS[task]
    answer = db.predict(asking(target))
    table = answer.to_arrow()
    assert answer.task == answer.evaluation.task == task
    assert table.column_names == ["entity", "cutoff", *columns]
    assert set(table["entity"].to_pylist()) == set(range(1, 81))
    assert len(answer.evaluation.baselines) >= 2
    assert answer.evaluation.metrics
    assert db.predict(asking(target)).to_arrow().equals(table)


def test_rows_with_an_undefined_target_are_dropped_and_said(db: ps.Database):
    notes = db.evaluate(asking(TASKS["regression"][0])).notes
    assert any("rows were left out: Drop the rows whose target is undefined" in note for note in notes)


@pytest.mark.parametrize(("column", "task"), [("city", "multiclass"), ("height", "regression")])
def test_what_is_null_in_a_column_is_filled_in(db: ps.Database, column: str, task: str):
    answer = db.predict(asking(f"users.{column}"))
    users = shop()["users"]
    missing = users.filter(pc.is_null(users[column]))["user_id"].to_pylist()
    assert answer.task == task
    assert list(dict.fromkeys(answer.to_arrow()["entity"].to_pylist())) == missing
    assert db.predict(asking(f"users.{column}"), entities=[2, 3]).to_arrow()["entity"].unique().to_pylist() == [2, 3]


def test_an_assumption_holds_for_the_examples(db: ps.Database):
    answer = db.predict(QUIET.replace("30, days) = 0", "30, days) > 2") + " ASSUMING COUNT(orders.*, 0, 10, days) > 0")
    assert any("(ASSUMING)" in note for note in answer.evaluation.notes)
    assert answer.to_arrow().num_rows == 80


def test_a_ranking_without_a_number_ranks_ten(db: ps.Database):
    table = db.predict(asking("LIST_DISTINCT(orders.item_id, 0, 30, days)")).to_arrow()
    assert pc.max(table["rank"]).as_py() == 10


def test_targets_have_names(db: ps.Database):
    quiet = {"quiet": "COUNT(orders.*, 0, 30, days) = 0"}
    assert db.query("PREDICT quiet FOR EACH users.user_id", named=quiet).canonical == QUIET
    with pytest.raises(QueryError, match="PQL_TARGET_UNKNOWN_NAME: there is no target named loud"):
        db.query("PREDICT loud FOR EACH users.user_id", named=quiet)


@pytest.mark.parametrize("made", [pa.Table.to_pandas, pl.from_arrow])
def test_frames_of_other_libraries_answer_as_arrow_does(db: ps.Database, made: Callable[[pa.Table], Any]):
    frames = {name: made(table) for name, table in shop().items()}
    assert ps.connect(frames).predict(QUIET).to_arrow().equals(db.predict(QUIET).to_arrow())


def test_reasons_are_given_for_as_many_rows_as_asked(db: ps.Database):
    answer = db.predict(QUIET, explain=3)
    assert answer.to_arrow()["reasons"].null_count == 77
    assert len(answer.reasons_text(3).splitlines()) > 6


def test_the_likeliest_class_is_shown_first(db: ps.Database):
    shown = db.predict(asking(TASKS["multiclass"][0])).ordered()
    first = shown.slice(0, 3)
    assert first["entity"].to_pylist() == [1, 1, 1]
    assert first["probability"].to_pylist() == sorted(first["probability"].to_pylist(), reverse=True)


# ---------------------------------------------------------------- who and when


def test_named_entities_are_answered_for_each_once(db: ps.Database):
    assert db.predict(QUIET, entities=np.array([5, 5, 6])).to_arrow()["entity"].to_pylist() == [5, 6]
    assert db.predict(QUIET, entities=["7"]).to_arrow()["entity"].to_pylist() == [7]
    one = db.predict(QUIET.replace("FOR EACH users.user_id", "FOR users.user_id = 1")).to_arrow()
    assert one["entity"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([1, 4711], "users has no row whose user_id is 4711"),
        (["bob"], "users.user_id holds no such value: "),
        ([], "no entity is named"),
        ([None], "users.user_id holds no such value: "),
    ],
)
def test_entities_that_are_not_there_are_refused_before_anything_is_learnt(
    entities: list[Any], message: str, tmp_path: Path
):
    with pytest.raises(RequestError, match=f"REQUEST_ENTITY: {message}") as caught:
        ps.connect(shop()).predict(QUIET, entities=entities)
    assert caught.value.candidates == ("1", "2", "3", "4", "5", "…")
    assert not (tmp_path / "penstock-cache").exists()


def test_those_who_do_not_pass_where_are_said(db: ps.Database):
    busy = QUIET + " WHERE COUNT(orders.*, -60, 0, days) > 2"
    answer = db.predict(busy, entities=range(1, 30))
    left = 29 - answer.to_arrow().num_rows
    assert 0 < left < 29
    assert answer.notes[0].startswith(f"{left} of the 29 entities named do not pass WHERE or do not exist at 2024-08-")
    never = next(u for u in range(1, 30) if u not in answer.to_arrow()["entity"].to_pylist())
    with pytest.raises(RefusedError, match=r"DATA_NOBODY: .* none of the 1 named exists and passes WHERE"):
        db.predict(busy, entities=[never])


def test_who_is_not_born_yet_is_not_predicted_for():
    tables = shop()
    born = pa.array([at("2023-01-01")] * 79 + [at("2024-08-01")])
    users = tables["users"].append_column("joined_at", born)
    db = ps.connect({**tables, "users": users}).set("users", time="joined_at")
    answer = db.predict(QUIET, at="2024-07-01", entities=[79, 80])
    assert answer.to_arrow()["entity"].to_pylist() == [79]
    assert "1 of the 2 entities named do not exist at 2024-07-01: 80." in answer.notes
    with pytest.raises(RefusedError, match=r"DATA_NOBODY: .* none of the 1 named exists at 2024-07-01"):
        db.predict(QUIET, at="2024-07-01", entities=[80])


def test_an_instant_beyond_the_data_is_answered_and_said(db: ps.Database):
    answer = db.predict(QUIET, at="2030-01-01")
    assert answer.to_arrow()["cutoff"][0].as_py() == at("2030-01-01")
    assert answer.notes[-1].endswith("of the time from there to 2030-01-01 nothing is known.")


def test_as_of_in_the_query_and_an_instant_beside_it_mean_the_same(db: ps.Database):
    said, told = db.predict(f"{QUIET} AS OF 2024-06-15"), db.predict(QUIET, at="2024-06-15")
    assert said.to_arrow().equals(told.to_arrow())
    with pytest.raises(RequestError, match="'soon' is no time"):
        db.predict(QUIET, at="soon")


def test_a_table_without_any_time_can_still_be_filled_in():
    table = pa.table(
        {
            "flat_id": range(200),
            "rooms": [float(n % 7) for n in range(200)],
            "rent": [None if n % 9 == 0 else 100.0 * (n % 7) + n % 3 for n in range(200)],
        }
    )
    answer = ps.connect({"flats": table}).predict("PREDICT flats.rent FOR EACH flats.flat_id")
    assert answer.to_arrow().num_rows == 23
    assert answer.evaluation.metrics["r2"] > 0.9
    assert answer.notes[0].startswith("No table of the target has a time: everything is as of ")


# ---------------------------------------------------------------- labels


def test_labels_come_for_each_instant_in_the_order_asked(db: ps.Database):
    labels = db.labels(QUIET, at=["2024-06-01", dt.date(2024, 3, 1)])
    assert labels.column_names == ["entity", "cutoff", "target"]
    assert labels["cutoff"].unique().to_pylist() == [at("2024-06-01"), at("2024-03-01")]
    assert labels.num_rows == 160
    assert db.labels(QUIET, at=pd.Timestamp("2024-06-01")).equals(labels.slice(0, 80).combine_chunks())
    assert db.labels(QUIET, at=np.array(["2024-06-01"], "datetime64[D]")).num_rows == 80
    with pytest.raises(RequestError, match="REQUEST_TIME: 'soon' is no time"):
        db.labels(QUIET, at="soon")


# ---------------------------------------------------------------- features


FEATURES = ["COUNT(orders.*, -30, 0, days)", "users.city", "LAST(orders.state, -INF, 0, days)"]


def test_a_spine_keeps_rows_order_duplicates_and_columns(db: ps.Database):
    spine = {
        "entity": [3, 1, 1, 9999],
        "cutoff": ["2024-05-01", "2024-05-01 12:00:00", "2024-05-01T12:00:00Z", "2024-07-01"],
        "note": ["a", "b", "c", "d"],
    }
    found = db.features(FEATURES, spine, entity="users")
    assert found.column_names == ["entity", "cutoff", "note", *FEATURES]
    assert found["entity"].to_pylist() == [3, 1, 1, 9999]
    assert found["note"].to_pylist() == ["a", "b", "c", "d"]
    rows = found.to_pylist()
    assert rows[1][FEATURES[0]] == rows[2][FEATURES[0]]
    assert [rows[3][name] for name in FEATURES] == [0, None, None]


def test_spines_are_taken_from_everything_that_is_a_table(db: ps.Database, tmp_path: Path):
    plain = {"entity": [2, 1], "cutoff": [at("2024-05-01"), at("2024-06-01")]}
    table = pa.table(plain)
    wanted = db.features(FEATURES, table, entity="users")[FEATURES[0]].to_pylist()
    pq.write_table(table, tmp_path / "spine.parquet")
    pacsv.write_csv(table, tmp_path / "spine.csv")
    rows = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    zoned = pd.DataFrame({"entity": [2, 1], "cutoff": pd.to_datetime(plain["cutoff"]).tz_localize("UTC")})
    everything = [plain, rows, zoned, pl.from_arrow(table), tmp_path / "spine.parquet", str(tmp_path / "spine.csv")]
    for spine in everything:
        assert db.features(FEATURES, spine, entity="users")[FEATURES[0]].to_pylist() == wanted
    assert db.features(QUIET, table.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize(
    ("spine", "message"),
    [
        ({"entity": [1]}, "SPINE_COLUMN: the spine has no column 'cutoff'"),
        ({"entity": [1, None], "cutoff": ["2024-05-01"] * 2}, "SPINE_NULL: 1 rows of the spine have no entity"),
        ({"entity": [1], "cutoff": [None]}, "SPINE_NULL: 1 rows of the spine have no cutoff"),
        ({"entity": [1], "cutoff": ["soon"]}, "SPINE_CUTOFF: cutoff of the spine is no time: 'soon' is no time"),
        ({"entity": ["a"], "cutoff": ["2024-05-01"]}, "SPINE_ENTITY: .* cannot be a users.user_id, which is int"),
        (
            {"entity": [1], "cutoff": ["2024-05-01"], "users.city": ["Oslo"]},
            "SPINE_COLUMN: the spine has columns named as features are: users.city",
        ),
    ],
)
def test_a_spine_that_is_none_is_refused(db: ps.Database, spine: dict[str, Any], message: str):
    with pytest.raises(RequestError, match=message):
        db.features(FEATURES, spine, entity="users")


@pytest.mark.parametrize(
    ("spine", "message"),
    [
        ([], "SOURCE_EMPTY: the table 'spine' has no columns"),
        ([1, 2], "SOURCE_NOT_A_TABLE: the spine is a list of what are no rows"),
        (7, "SOURCE_NOT_A_TABLE: 'spine' is no table: int"),
        ({"entity": [1, 2], "cutoff": ["2024-05-01"]}, "SOURCE_UNREADABLE: the table 'spine' cannot be read: "),
        ({"entity": ["a", 1]}, "SOURCE_UNREADABLE: the table 'spine' cannot be read: "),
    ],
)
def test_what_cannot_be_read_as_a_spine_is_refused(db: ps.Database, spine: object, message: str):
    with pytest.raises(SourceError, match=message):
        db.features(FEATURES, spine, entity="users")


def test_a_column_that_the_first_row_of_a_spine_leaves_out_is_read(db: ps.Database):
    with pytest.raises(RequestError, match="SPINE_NULL: 1 rows of the spine have no cutoff"):
        db.features(FEATURES, [{"entity": 1}, {"entity": 2, "cutoff": "2024-05-01"}], entity="users")


def test_features_need_a_table_and_look_back(db: ps.Database):
    spine = {"entity": [1], "cutoff": ["2024-05-01"]}
    with pytest.raises(RequestError, match="REQUEST_NO_ENTITY: whose features are these"):
        db.features(FEATURES, spine)
    with pytest.raises(SchemaError, match="SCHEMA_UNKNOWN_TABLE: there is no table 'userz'"):
        db.features(FEATURES, spine, entity="userz")
    with pytest.raises(QueryError, match="PQL_TIME_FUTURE_NOT_ALLOWED: a feature looks back"):
        db.features("COUNT(orders.*, 0, 30, days)", spine, entity="users")


# ---------------------------------------------------------------- evaluation with spines from outside


def spines(db: ps.Database, text: str) -> tuple[pa.Table, pa.Table]:
    """Rows to train on, and later ones to be judged on: in no order, some twice."""
    labels = db.labels(text)
    newest = pc.max(labels["cutoff"])
    test = labels.filter(pc.equal(labels["cutoff"], newest))
    places = np.random.default_rng(0).permutation(test.num_rows)
    train = labels.filter(pc.less_equal(labels["cutoff"], pc.subtract(newest, pa.scalar(dt.timedelta(days=60)))))
    return train, test.take(pa.array(np.concatenate([places, places[:7]])))


def test_predictions_come_back_for_the_test_rows_in_their_order(db: ps.Database, tmp_path: Path):
    train, test = spines(db, QUIET)
    pq.write_table(train, tmp_path / "train.parquet")
    pacsv.write_csv(test, tmp_path / "test.csv")
    first = db.evaluate(QUIET, train=train, test=test)
    assert first.predictions["entity"].to_pylist() == test["entity"].to_pylist()
    assert first.predictions["target"].to_pylist() == test["target"].to_pylist()
    others = [
        (train.drop_columns(["target"]), test.drop_columns(["target"])),
        (train.to_pandas().assign(target=lambda f: f.target.astype(int)), pl.from_arrow(test)),
        (tmp_path / "train.parquet", str(tmp_path / "test.csv")),
    ]
    for one, other in others:
        again = db.evaluate(QUIET, train=one, test=other)
        assert again.metrics == first.metrics
        assert again.predictions.equals(first.predictions)


@pytest.mark.parametrize("task", ["regression", "multiclass", "multilabel", "ranking", "forecasting"])
def test_test_rows_without_an_answer_get_a_prediction_all_the_same(db: ps.Database, task: str):
    text = asking(TASKS[task][0])
    train, _ = spines(db, text)
    test = {"entity": [80, 9999, 1, 1, *range(2, 60)], "cutoff": ["2024-07-01"] * 62}
    found = db.evaluate(text, train=train, test=test).predictions
    kept = [i for i, e in enumerate(found["entity"].to_pylist()) if i == 0 or e != found["entity"][i - 1].as_py()]
    assert [found["entity"][i].as_py() for i in kept] == [80, 9999, *range(1, 60)]
    unknown = found.filter(pc.equal(found["entity"], 9999))
    assert unknown["target"].null_count == unknown.num_rows > 0


def test_spines_that_do_not_fit_are_refused(db: ps.Database):
    train, test = spines(db, QUIET)
    with pytest.raises(RequestError, match="REQUEST_SPINES: a spine to be judged on is needed"):
        db.evaluate(QUIET, train=train)
    with pytest.raises(RequestError, match="SPINE_EMPTY: the test spine has no rows"):
        db.evaluate(QUIET, train=train, test=test.slice(0, 0))
    words = train.set_column(2, "target", pa.array(["x"] * train.num_rows))
    with pytest.raises(RequestError, match="SPINE_TARGET: a target of the spine does not fit the query"):
        db.evaluate(QUIET, train=words, test=test)
    with pytest.raises(RequestError, match="SPINE_COLUMN: the spine has targets, but no column 'step'"):
        db.evaluate(asking(TASKS["forecasting"][0]), train=train, test=test)


def test_what_a_test_spine_needs_is_learnt_from_what_was_known_before_it(db: ps.Database):
    """With a test spine alone nothing is learnt from a row whose answer came after the first test cutoff."""
    _, test = spines(db, QUIET)
    found = db.evaluate(QUIET, test=test)
    assert found.predictions["entity"].to_pylist() == test["entity"].to_pylist()
    first, horizon = min(found.cutoffs["test"]), db.query(QUIET).horizon_microseconds or 0
    assert max(found.cutoffs["train"]) < max(found.cutoffs["validation"]) <= first - horizon
    assert not [note for note in found.notes if "known only after" in note]


def test_answers_that_came_after_the_first_test_cutoff_are_noted(db: ps.Database):
    labels = db.labels(QUIET)
    test = labels.filter(pc.equal(labels["cutoff"], pc.max(labels["cutoff"])))
    found = db.evaluate(QUIET, train=labels, test=test)
    assert [note for note in found.notes if "a model in use could not have had them" in note]


def test_the_columns_of_a_public_benchmark_are_known_by_what_they_hold(db: ps.Database):
    """Tables with an entity's key or a foreign key, a time and a label are taken as they are, and that is said."""
    train, test = spines(db, QUIET)
    plain = db.evaluate(QUIET, train=train, test=test)
    named = [part.rename_columns(["user_id", "timestamp", "quiet"]) for part in (train, test)]
    found = db.evaluate(QUIET, train=named[0], test=named[1])
    assert found.metrics == plain.metrics
    assert "user_id as entity, timestamp as cutoff, quiet as target" in found.notes[0]


@pytest.mark.parametrize("task", ["binary", "forecasting"])
def test_a_window_that_the_data_does_not_reach_is_not_one_in_which_nothing_happened(db: ps.Database, task: str):
    text = QUIET if task == "binary" else asking(TASKS["forecasting"][0])
    train, _ = spines(db, text)
    newest = db.labels(text)["cutoff"]
    known, open_ = pc.max(newest).as_py(), pc.max(newest).as_py() + dt.timedelta(days=3650)
    test = {"entity": [*range(1, 41)] * 2, "cutoff": [known] * 40 + [open_] * 40}
    found = db.evaluate(text, train=train, test=test).predictions
    late = found.filter(pc.equal(found["cutoff"], pa.scalar(open_, found["cutoff"].type)))
    assert late["target"].null_count == late.num_rows > 0
    assert found["target"].null_count < found.num_rows
