"""Labels in a database: `labels.name` works like any column, and late labels change later cutoffs only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.errors import RefusedError, RequestError, SchemaError
from penstock.learning.labelling import (
    PqlFunction,
    SqlFunction,
    agreement,
    apply_pql,
    apply_sql,
    from_csv,
    from_table,
    spine,
    votes_of,
    with_labels,
)  # fmt: skip
from penstock.learning.leaks.audit import audited
from penstock.learning.rows.examples import labels_of_rows
from tests.learning.labelling.places import ENDS, Place, busy
from tests.small import DAY, START, shop

FRAUD = "PREDICT labels.fraud FOR EACH users.user_id"
SOON = "PREDICT LAST(labels.fraud, 0, 30, days) FOR EACH users.user_id"
FEATURES = [
    "COUNT(labels.*, -INF, 0)",
    "LAST(labels.fraud, -INF, 0)",
    "COUNT(labels.* WHERE labels.fraud = TRUE, -60, 0)",
    "AVG(labels.worth, -INF, 0)",
]


def labelled(place: Place, *, seed: int = 0, until: int | None = None, users: int = 12) -> None:
    """Labels of two sets, that happened and were known at random times; those known until an instant alone."""
    rng = np.random.default_rng(seed)
    for name in ("fraud", "worth"):
        for _batch in range(3):
            count = 35
            happened = START + rng.integers(0, 200 * DAY, count)
            known = np.minimum(happened + rng.integers(0, 60 * DAY, count), ENDS)
            value = rng.random(count) < 0.5 if name == "fraud" else np.round(rng.random(count), 2)
            told = pa.table({
                "entity": rng.integers(1, users + 1, count), "value": pa.array(value.tolist()),
                "happened": pa.array(happened, pa.timestamp("us")), "known": pa.array(known, pa.timestamp("us")),
                "labeller": [f"person {n}" for n in rng.integers(0, 3, count)],
            })  # fmt: skip
            kept = told if until is None else told.filter(pa.array(known <= until))
            if kept.num_rows:
                place.store.add(name, from_table(kept, now=place.clock), entity="users", rejected="keep")


@pytest.mark.parametrize("shape", ["columns", "events"])
@pytest.mark.parametrize("days", [90, 150])
def test_late_labels_change_later_cutoffs_only(tmp_path, shape, days):
    cutoff, everything, early = START + days * DAY, Place(tmp_path / "all"), Place(tmp_path / "early")
    labelled(everything)
    labelled(early, until=cutoff)
    asked = pa.table({"entity": list(range(1, 13)), "cutoff": pa.array([cutoff] * 12, pa.timestamp("us"))})
    seen = []
    for place in (everything, early):
        db = with_labels(ps.connect(shop(users=12)), place.store, shape=shape)
        told = [db.features(FEATURES, asked, entity="users")]
        told += [db.labels(f"PREDICT labels.{name} FOR EACH users.user_id", at=cutoff) for name in ("fraud", "worth")
                 if shape == "columns"]  # fmt: skip
        seen.append(told)
    assert seen[0] == seen[1]
    assert everything.store.set("fraud").history().num_rows > early.store.set("fraud").history().num_rows


@pytest.mark.parametrize("days", [60, 120, 239])
def test_a_column_says_what_most_said_by_then(place: Place, days: int):
    labelled(place)
    cutoff = START + days * DAY
    db = with_labels(ps.connect(shop(users=12)), place.store, weights={})
    held = place.store.set("fraud").at(cutoff)
    times: dict[str, dict[object, list[bool]]] = {}
    for row in held.to_pylist():
        times.setdefault(row["entity"], {}).setdefault(row["happened"], []).append(row["value"])
    expected = {}
    for entity, said in times.items():
        clear = {when: sum(v) * 2 > len(v) for when, v in said.items() if sum(v) * 2 != len(v)}
        if clear:
            expected[int(entity)] = clear[max(clear)]
    labels = db.labels(FRAUD, at=cutoff)
    assert dict(zip(labels["entity"].to_pylist(), labels["target"].to_pylist(), strict=True)) == expected


def test_a_window_finds_the_labels_that_happened_in_it(place: Place):
    labelled(place)
    db = with_labels(ps.connect(shop(users=12)), place.store, shape="events", weights={})
    cutoff = START + 100 * DAY
    found: dict[int, tuple[object, bool]] = {}
    votes: dict[tuple[int, object], list[bool]] = {}
    for row in place.store.set("fraud").at().to_pylist():
        votes.setdefault((int(row["entity"]), row["happened"]), []).append(row["value"])
    for (entity, when), said in votes.items():
        inside = cutoff < pa.scalar(when, pa.timestamp("us")).cast(pa.int64()).as_py() <= cutoff + 30 * DAY
        if inside and sum(said) * 2 != len(said) and (entity not in found or found[entity][0] < when):
            found[entity] = when, sum(said) * 2 > len(said)
    labels = db.labels(SOON, at=cutoff)
    held = dict(zip(labels["entity"].to_pylist(), labels["target"].to_pylist(), strict=True))
    assert held == {entity: value for entity, (_, value) in found.items()}
    assert len(held) > 2


def test_labels_are_columns_of_their_kinds(place: Place):
    told = {"entity": [1, 2, 3], "value": ["low", "high", "low"]}
    place.store.add("risk", from_table(told, now=place.clock), entity="users")
    labelled(place)
    db = with_labels(ps.connect(shop(users=12)), place.store)
    tasks = {name: db.query(f"PREDICT labels.{name} FOR EACH users.user_id").task for name in place.store.names()}
    assert tasks == {"fraud": "binary", "risk": "multiclass", "worth": "regression"}
    assert db.query("PREDICT labels.risk = 'low' FOR EACH users.user_id").task == "binary"
    assert str(next(link for link in db.graph.links if link.table == "labels")) == "labels.user_id"
    assert "labels (" in str(db.graph)


def test_the_database_that_was_given_stays_as_it_is(place: Place):
    labelled(place)
    plain = ps.connect(shop(users=12))
    graph, fingerprint = plain.graph, plain.rows.fingerprint
    db = with_labels(plain, place.store)
    assert (plain.graph, plain.rows.fingerprint) == (graph, fingerprint)
    assert "labels" not in plain.graph
    before = db.rows.fingerprint
    place.later()
    place.store.set("fraud").correct(1, True, labeller="judge")
    assert with_labels(plain, place.store).rows.fingerprint != before
    assert set(db.source.tables()) == {"users", "orders", "items", "labels"}


def test_labels_of_nobody_are_left_out_and_said(place: Place):
    place.store.add("fraud", from_table({"entity": [1, 999], "value": [True, False]}, now=place.clock), entity="users")
    db = with_labels(ps.connect(shop(users=12)), place.store)
    assert db.rows.read("labels", ["user_id"])["user_id"].to_pylist() == [1]
    assert "labels: 1 labelled entities are not in users and were left out (999)" in db.graph.notes


@pytest.mark.parametrize("shape", ["columns", "events"])
def test_a_set_without_labels_is_a_column_of_nothing(place: Place, shape):
    place.store.create("fraud", "users", "truth")
    db = with_labels(ps.connect(shop(users=12)), place.store, shape=shape)
    if shape == "columns":
        assert db.labels(FRAUD, at=ENDS).num_rows == 0
        with pytest.raises(RefusedError, match="DATA_EMPTY: no row of labels has a time"):
            db.evaluate(FRAUD)
    else:
        assert db.labels(SOON, at=ENDS).num_rows == 0


def test_labels_stand_beside_whatever_is_connected(place: Place, tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "users.csv").write_text("user_id,city\n007,Oslo\n008,Rome\n")
    told = {"entity": ["007", "008"], "value": ["2024-01-01", "1,5"]}
    place.store.create("odd", "users", "category").add(from_table(told, now=place.clock))
    db = with_labels(ps.connect(str(folder)).set("users", key="user_id"), place.store)
    assert db.rows.read("labels", ["user_id", "odd"]).to_pylist() == [
        {"user_id": "007", "odd": "2024-01-01"}, {"user_id": "008", "odd": "1,5"},
    ]  # fmt: skip


def test_keys_of_text_are_texts(place: Place):
    users = pa.table({"user_id": ["007", "8"], "city": ["Oslo", "Rome"]})
    place.store.add(
        "fraud", from_table({"entity": ["007", "7"], "value": [True, False]}, now=place.clock), entity="users"
    )
    db = with_labels(ps.connect({"users": users}).set("users", key="user_id"), place.store)
    assert db.rows.read("labels", ["user_id", "fraud"]).to_pylist() == [{"user_id": "007", "fraud": True}]


def test_what_cannot_be_a_table_of_labels_is_refused(place: Place):
    db = ps.connect(shop(users=12))
    with pytest.raises(RequestError, match="LABELS_NONE: there are no labels"):
        with_labels(db, place.store)
    place.store.create("fraud", "users", "truth")
    place.store.create("late", "orders", "truth")
    with pytest.raises(
        RequestError, match="LABELS_SEVERAL_TABLES: these labels are about several tables: orders, users"
    ):
        with_labels(db, place.store)
    with pytest.raises(RequestError, match="LABELS_SHAPE: labels cannot be 'rows'"):
        with_labels(db, place.store, shape="rows")
    with pytest.raises(SchemaError, match="LABELS_TABLE_TAKEN: there is a table 'items' already"):
        with_labels(db, place.store, ["fraud"], table="items")
    both = with_labels(with_labels(db, place.store, ["fraud"]), place.store, ["late"], table="late_labels")
    assert both.query("PREDICT late_labels.late FOR EACH orders.order_id").task == "binary"
    place.store.create("since", "users", "truth")
    with pytest.raises(RequestError, match="a set cannot be called 'since' here"):
        with_labels(db, place.store, ["since"])
    place.store.create("odd", "nowhere", "truth")
    with pytest.raises(SchemaError, match="SCHEMA_UNKNOWN_TABLE"):
        with_labels(db, place.store, ["odd"])
    with pytest.raises(SchemaError, match="LABELS_NO_KEY: users has no key, so no label can name a row"):
        with_labels(ps.connect(shop(users=12)).unlink("orders.user_id").set("users", key=None), place.store, ["fraud"])


# ---------------------------------------------------------------- from collecting to predicting


def collected(place: Place, tmp_path) -> tuple[ps.database.Database, np.ndarray]:
    """Frauds labelled by rules in PQL and SQL and by two people's files, of half of the users."""
    db, truth = busy()
    rng = np.random.default_rng(1)
    half = rng.permutation(np.arange(1, len(truth) + 1))[: len(truth) // 2]
    asked = pa.table({"entity": half, "cutoff": pa.array(np.full(len(half), ENDS), pa.timestamp("us"))})
    rules = [PqlFunction("many orders", "COUNT(orders.*, -INF, 0) > 14", True, confidence=0.9),
             PqlFunction("few orders", "COUNT(orders.*, -INF, 0) < 5", False)]  # fmt: skip
    place.store.add("fraud", apply_pql(rules, db, "users", asked, now=place.clock), entity="users")
    query = f"SELECT user_id AS entity, make_timestamp({ENDS}) AS happened, sum(amount) > 230 AS value FROM orders "
    query += f"WHERE user_id IN ({', '.join(map(str, half))}) GROUP BY user_id"
    place.store.add("fraud", apply_sql([SqlFunction("spends", query)], shop(users=300), now=place.clock))
    for who, right in (("ada", 0.95), ("bob", 0.7)):
        said = np.where(rng.random(len(half)) < right, truth[half - 1], ~truth[half - 1])
        when = "2024-08-28T00:00:00Z"
        lines = [f"{user},{'yes' if yes else 'no'},{when}" for user, yes in zip(half, said, strict=True)]
        file = tmp_path / f"{who}.csv"
        file.write_text("customer,fraud,checked\n" + "\n".join(lines))
        place.later()
        parts = {"entity": "customer", "value": "fraud", "happened": "checked"}
        place.store.add("fraud", from_csv(file, parts, labeller=who, now=place.clock), among=pa.array(range(1, 301)))
    return db, truth


def test_collected_labels_are_voted_on(place: Place, tmp_path):
    db, truth = collected(place, tmp_path)
    told = agreement(votes_of(place.store.set("fraud").at()))
    rates = {report.labeller: report.estimated for report in told.labellers}
    assert rates["ada"] > 0.88 > rates["bob"]
    with_them = with_labels(db, place.store)
    labels = with_them.labels(FRAUD)
    decided = np.array(labels["target"].to_pylist()) == truth[np.array(labels["entity"].to_pylist()) - 1]
    assert len(decided) >= 145
    assert decided.mean() > 0.93


def test_collected_labels_predict_the_rest(place: Place, tmp_path):
    db, truth = collected(place, tmp_path)
    with_them = with_labels(db, place.store)
    labels = with_them.labels(FRAUD)
    assert 0.85 < with_them.evaluate(FRAUD).metrics["auroc"] < 1
    predicted = with_them.predict(FRAUD, cache=False).to_arrow()
    theirs = truth[np.array(predicted["entity"].to_pylist()) - 1]
    assert set(predicted["entity"].to_pylist()).isdisjoint(labels["entity"].to_pylist())
    assert len(predicted) == len(truth) - len(labels)
    assert np.mean(np.array(predicted["prediction"].to_pylist()) == theirs) > 0.8


def test_what_happened_is_predicted_before_it_does(place: Place):
    """Events: who orders much is told to be a fraud sooner or later; the model learns that from earlier windows."""
    db, truth = busy()
    rng = np.random.default_rng(2)
    user = rng.integers(1, len(truth) + 1, 1200)
    happened = START + rng.integers(40 * DAY, 239 * DAY, len(user))
    told = pa.table({"entity": user, "value": truth[user - 1], "happened": pa.array(happened, pa.timestamp("us"))})
    place.store.add("fraud", from_table(told, now=place.clock), entity="users")
    events = with_labels(db, place.store, shape="events")
    evaluation = events.evaluate(SOON)
    assert evaluation.metrics["auroc"] > 0.8
    assert evaluation.rows["test"] > 30


def test_labels_are_learnt_from_at_their_own_time(place: Place):
    db, truth = busy()
    rng = np.random.default_rng(3)
    user = rng.permutation(np.arange(1, len(truth) + 1))
    happened = START + np.linspace(60 * DAY, 239 * DAY, len(user)).astype(np.int64)
    told = pa.table({"entity": user, "value": truth[user - 1], "happened": pa.array(happened, pa.timestamp("us"))})
    place.store.add("fraud", from_table(told, now=place.clock), entity="users")
    rows = spine(place.store.set("fraud"), db.graph.table("users").column("user_id"))
    assert rows["cutoff"].cast(pa.int64()).to_pylist() == happened.tolist()
    assert dict(zip(rows["entity"].to_pylist(), rows["target"].to_pylist(), strict=True)) == dict(
        enumerate(truth.tolist(), 1)
    )
    with_them = with_labels(db, place.store)
    evaluation = with_them.evaluate(FRAUD, train=rows.slice(0, 200), test=rows.slice(200))
    assert evaluation.metrics["auroc"] > 0.8
    assert not any("labels." in name for name, _ in evaluation.importance[:3])


def test_no_feature_reads_what_is_asked(place: Place):
    labelled(place)
    db = with_labels(ps.connect(shop(users=12)), place.store)
    features, _ = audited(db.query(FRAUD), db.relational, ENDS)
    assert [feature.name for feature in features.features if "labels" in feature.name] == []


def test_labels_of_rows_with_a_clock_and_a_parent_are_asked_as_of_now(place: Place):
    """Rows that look like events are else asked at their own time, when nobody had labelled them yet."""
    tables = shop(users=12)
    tables["users"] = tables["users"].append_column("region_id", pa.array([1, 2, 3] * 4))
    tables["regions"] = pa.table({"region_id": [1, 2, 3], "name": ["a", "b", "c"]})
    labelled(place)
    plain = with_labels(ps.connect(shop(users=12)), place.store)
    linked = with_labels(ps.connect(tables).link("users.region_id", "regions"), place.store)
    assert linked.graph.links_from("users")
    assert linked.labels(FRAUD).num_rows == plain.labels(FRAUD).num_rows > 5
    query = linked.query(FRAUD)
    rows = labels_of_rows(query, linked.relational, ENDS).table
    assert rows.num_rows == plain.labels(FRAUD).num_rows
