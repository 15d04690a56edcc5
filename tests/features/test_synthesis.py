"""What is made: features about parents, peers, windows and the target's past; within a budget; none of them leaks."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import penstock as ps
from penstock import language
from penstock.features.definitions import FeatureSet
from penstock.features.lookbacks import windows
from penstock.features.survey import Survey
from penstock.features.synthesis import synthesise
from penstock.plan import Aggregate
from penstock.schema import Dtype, Graph, Kind, Link, Table
from tests import strategies as make
from tests.small import DAY, START, shop

ORDERS = "PREDICT COUNT(items.*, 0, 30, days) > 0 FOR EACH orders.order_id"


def matches(teams: int = 12, games: int = 600, seed: int = 0) -> dict[str, pa.Table]:
    """Games of two teams each, of which some are stronger; the goals of the newest are not known."""
    rng = np.random.default_rng(seed)
    home, away = rng.integers(0, teams, games), rng.integers(0, teams, games)
    goals = rng.poisson(0.5 + home / 4).astype(float)
    goals[-20:] = np.nan
    games_played: dict[str, Any] = {
        "game_id": np.arange(games), "home": home, "away": away, "crowd": rng.integers(100, 900, games),
        "cup": np.array(["league", "cup"])[rng.integers(0, 2, games)],
        "played_at": pa.array(START + np.arange(games) // 3 * DAY, pa.timestamp("us")),
        "goals": pa.array(goals, from_pandas=True),
    }  # fmt: skip
    return {"teams": pa.table({"team_id": np.arange(teams)}), "games": pa.table(games_played)}


def league() -> ps.Database:
    db = ps.connect(matches())
    for column in ("home", "away"):
        db.link(f"games.{column}", "teams")
    return db


def names(made: FeatureSet) -> set[str]:
    return {feature.name for feature in made.features}


def test_a_row_knows_what_other_rows_of_its_parents_did() -> None:
    made = names(league().synthesise("PREDICT games.goals FOR EACH games.game_id"))
    assert "AVG(games.goals VIA games.home, -INF, -1, seconds) OF games.home" in made
    assert "AVG(games.goals VIA games.away, -INF, -1, seconds) OF games.home" in made
    assert "AVG(games.goals VIA games.home, -INF, -1, seconds) OF games.away" in made
    assert "AVG(games.goals, -INF, -1, seconds) OF SAME games.cup" in made
    assert "games.crowd / AVG(games.crowd, -INF, -1, seconds) OF SAME games.cup" in made
    crowd = "AVG(games.crowd VIA games.home, -INF, -1, seconds) OF games"
    assert f"{crowd}.home - {crowd}.away" in made


def test_the_answer_of_a_row_is_in_none_of_its_features() -> None:
    """Whatever a game's goals were, its own features and those of games at the same instant or before stay the same."""
    tables = matches()
    other = tables["games"]["goals"].to_numpy(zero_copy_only=False).copy()
    other[300:] += 7.0
    changed = tables["games"].set_column(6, "goals", pa.array(other, from_pandas=True))
    query, rows = "PREDICT games.goals FOR EACH games.game_id", tables["games"].slice(300, 3)
    spine = pa.table({"entity": rows["game_id"], "cutoff": rows["played_at"]})
    first, second = (ps.connect({**tables, "games": games}) for games in (tables["games"], changed))
    made = first.synthesise(query)
    assert made.features and first.features(made, spine).equals(second.features(made, spine))


def test_a_question_about_children_asks_it_of_the_parents_too() -> None:
    tables = shop()
    lines = {"line_id": np.arange(400), "order_id": np.arange(400) % 300, "at": tables["orders"]["placed_at"][:400]}
    db = ps.connect({**tables, "items": tables["items"].rename_columns(["item_id", "cost", "sort"]), "lines": lines})
    made = names(db.synthesise("PREDICT COUNT(lines.*, 0, 30, days) > 0 FOR EACH orders.order_id"))
    moved = "COUNT(lines.*, -30, 0, days) OF orders.user_id / COUNT(orders.*, -INF, 0, days) OF orders.user_id"
    assert moved in made
    assert "COUNT(orders.*, -30, 0, days) OF orders.item_id" in made


def test_an_entity_is_set_against_its_peers_and_what_it_usually_meets_is_looked_at() -> None:
    made = names(ps.connect(shop()).synthesise("PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH users.user_id"))
    own, alike = "COUNT(orders.*, -30, 0, days)", "OF SAME users.city"
    assert f"{own} / ({own} {alike} / COUNT(users.*) {alike})" in made
    assert f"{own} / ({own} OF ALL / COUNT(users.*) OF ALL)" in made
    assert "COUNT(orders.*, -30, 0, days) OF MODE(orders.item_id, -INF, 0, days)" in made
    assert "AVG(orders.amount, -5, 0, rows) OF LAST(orders.item_id, -INF, 0, days)" in made
    assert "TIME_SINCE(orders.*, -INF, 0, days) / GAP(orders.*, -INF, 0, days)" in made
    assert {f"AVG(orders.amount, -{k}, 0, rows)" for k in (3, 5, 10, 30)} <= made
    assert any(name.startswith("STREAK_OF(COUNT(orders.*, -30, 0, days) = 0, ") for name in made)
    assert any(name.startswith("PAIR(LAST_N(orders.state, 2, ") for name in made)


def test_the_window_that_lies_a_week_or_a_year_back_is_among_the_targets_past() -> None:
    db = ps.connect(shop(days=800))
    daily = names(db.synthesise("PREDICT SUM(orders.amount, 0, 1, days) FOR EACH users.user_id"))
    assert {"SUM(orders.amount, -7, -6, days)", "SUM(orders.amount, -365, -364, days)"} <= daily
    monthly = db.synthesise("PREDICT SUM(orders.amount, 0, 30, days) FOR EACH users.user_id")
    assert "SUM(orders.amount, -360, -330, days)" in names(monthly)
    assert monthly.names(lambda feature: feature.past) == [
        f"SUM(orders.amount, -{30 * k}, {30 - 30 * k}, days)" for k in range(1, 11)
    ]
    weekly = db.synthesise("PREDICT SUM(orders.amount, 0, 7, days) FORECAST 8 TIMEFRAMES FOR EACH users.user_id")
    assert weekly.names(lambda feature: feature.past)[-1] == "SUM(orders.amount, -70, -63, days)"
    assert "SUM(orders.amount, -364, -357, days)" in names(weekly)


def test_texts_are_features_of_the_entity_and_of_its_latest_row() -> None:
    tables = shop()
    count = tables["orders"].num_rows
    notes = pa.array([f"the parcel number {n} came {'late' if n % 3 else 'broken'} again" for n in range(count)])
    about = pa.array([f"person {n} likes long walks and short queries" for n in range(80)])
    db = ps.connect({**tables, "orders": tables["orders"].append_column("note", notes),
                     "users": tables["users"].append_column("about", about)})  # fmt: skip
    for column in ("orders.note", "users.about"):
        db.set(column, kind="text")
    query = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH users.user_id"
    assert {"users.about", "LAST(orders.note, -INF, 0, days)"} <= names(db.synthesise(query))
    assert db.evaluate(query).metrics


def test_features_are_told_with_what_they_say_by_whose_rows_they_are_about() -> None:
    made = league().synthesise("PREDICT games.goals FOR EACH games.game_id")
    told = made.described()
    assert "\nteams <- games OF games.home (" in told
    assert "  AVG(games.goals, -INF, -1, seconds) OF SAME games.cup\n" in told
    assert "\n      average goals of games until just before, among those of the same cup\n" in told
    assert "\n      crowd relative to the mean among those of the same cup" in told
    assert [set(one) for one in made.to_dicts()[:1]] == [{"feature", "phrase", "about", "family"}]


# ---------------------------------------------------------------- budget


def wide(children: int, columns: int, rows: int = 300) -> make.MemoryRows:
    """An entity table with many children and parents, each of many columns; children point to the parents, too."""
    rng, i, f, s, t = np.random.default_rng(0), Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.TIMESTAMP
    tables, links = [], []
    kinds = {f"n{c}": f for c in range(columns // 2)} | {f"s{c}": s for c in range(columns - columns // 2)}
    parents = children // 3
    pointing = {f"p{p}_id": i for p in range(parents)}
    tables.append(make.table("hub", "hub_id", {"happened": "at"}, hub_id=i, at=t, **pointing, **kinds))
    for p in range(parents):
        tables.append(make.table(f"p{p}", f"p{p}_id", {}, **{f"p{p}_id": i}, **kinds))
        links.append(Link("hub", f"p{p}_id", f"p{p}"))
    for c in range(children):
        own = {f"c{c}_id": i, "hub_id": i, "at": t, f"p{c % parents}_id": i}
        tables.append(make.table(f"c{c}", f"c{c}_id", {"happened": "at"}, **own, **kinds))
        links += [Link(f"c{c}", "hub_id", "hub"), Link(f"c{c}", f"p{c % parents}_id", f"p{c % parents}")]
    graph = Graph(tuple(tables), tuple(links))

    def value(column: str, dtype: Dtype, place: int) -> Any:
        if dtype is t:
            return START + int(rng.integers(0, 700)) * DAY
        if dtype is i:
            return place if column.startswith("c") else int(rng.integers(0, rows))
        return float(rng.normal()) if dtype is f else "abc"[int(rng.integers(0, 3))]

    def row(table: Table, place: int) -> dict[str, Any]:
        return {c.name: place if c.name == table.key else value(c.name, c.dtype, place) for c in table.columns}

    return make.MemoryRows(graph, {table.name: [row(table, n) for n in range(rows)] for table in graph})


@pytest.fixture(scope="module")
def many() -> make.MemoryRows:
    return wide(15, 15)


def test_many_tables_of_many_columns_make_a_bounded_number_of_features_soon(many: make.MemoryRows) -> None:
    assert len(many.graph.tables) >= 20 and sum(len(table.columns) for table in many.graph) >= 300
    query = language.query("PREDICT COUNT(c0.*, 0, 30, days) > 0 FOR EACH hub.hub_id", many.graph)
    begun = time.process_time()
    made = synthesise(query, Survey(many, START + 600 * DAY))
    assert time.process_time() - begun < 10
    assert len(made) == 800
    (note,) = made.notes
    assert note.startswith("Of ") and "the likeliest 800 were; left out: " in note
    kept = {feature.family for feature in made.features}
    assert {"the target's own past", "the entity's columns", "counts of rows", "rhythm", "numbers"} <= kept
    for feature in made.features[::25]:
        assert language.feature(feature.name, many.graph, "hub") == feature.expression


def test_the_more_rows_the_fewer_features_and_the_likeliest_stay(many: make.MemoryRows) -> None:
    query = language.query("PREDICT COUNT(c0.*, 0, 30, days) > 0 FOR EACH hub.hub_id", many.graph)
    survey = Survey(many, START + 600 * DAY)
    few, more = synthesise(query, survey, rows=1_000_000), synthesise(query, survey, rows=150_000)
    assert (len(few), len(more)) == (300, 500)
    ranks = [max(feature.rank for feature in made.features) for made in (few, more)]
    assert ranks[0] <= ranks[1]
    assert names(few) <= names(more) | names(synthesise(query, survey))


def test_whatever_comes_later_chooses_no_feature() -> None:
    """The survey reads rows up to its instant only: features made then are those made when later rows are gone."""
    tables, until = shop(), START + 150 * DAY
    early = tables["orders"].filter(pc.less_equal(tables["orders"]["placed_at"].cast(pa.int64()), until))
    query = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH users.user_id"
    first = ps.connect(tables).synthesise(query, before=until)
    second = ps.connect({**tables, "orders": early}).synthesise(query, before=until)
    assert first == second


def test_windows_double_until_the_data_ends() -> None:
    lengths = [window.start for window in windows(30 * DAY, 3_000 * DAY).all]
    assert lengths == [-7, -15, -30, -60, -120, -240, -480, -960, -1920, None]


def test_every_anchor_reads_back_as_itself() -> None:
    db = league()
    played = "COUNT(games.* VIA games.home, 0, 30, days)"
    for text in ("games.goals FOR EACH games.game_id", f"{played} FOR EACH teams.team_id"):
        query = db.query(f"PREDICT {text}")
        for feature in db.synthesise(query).features:
            assert language.feature(feature.name, db.graph, query.entity) == feature.expression
            if isinstance(feature.expression, Aggregate) and feature.expression.value is not None:
                assert feature.expression.value.kind is not Kind.IGNORED


def test_rows_asked_about_after_their_own_time_do_not_read_their_own_answer() -> None:
    games = matches()["games"]
    games = games.filter(pc.is_valid(games["goals"]))
    parts = (games.slice(0, 400), games.slice(400))
    spines = [pa.table({"entity": part["game_id"], "cutoff": part["played_at"]}) for part in parts]
    later = [s.set_column(1, "cutoff", pc.add(s["cutoff"], pa.scalar(90 * DAY, pa.duration("us")))) for s in spines]
    db = league()
    query = "PREDICT games.goals FOR EACH games.game_id"
    own, late = (db.evaluate(query, train=train, test=test) for train, test in (spines, later))
    note = "features that read the answers of other rows were left out"
    assert note in " ".join(late.notes) and note not in " ".join(own.notes)
    assert any("AVG(games.goals" in name for name, _ in own.importance)
    assert not any("games.goals" in name for name, _ in late.importance)


def test_rows_without_a_time_are_looked_at_only_if_the_row_they_belong_to_had_happened() -> None:
    """Lines of later orders, and of orders that are not there, choose no feature."""
    lines = {"line_id": range(60), "order_id": [*range(50), *range(90, 100)], "amount": [1] * 40 + [7] * 20}
    orders = {"order_id": range(50), "at": pa.array(START + np.arange(50) * DAY, pa.timestamp("us"))}
    db = ps.connect({"orders": pa.table(orders), "lines": pa.table(lines)}, infer=False)
    db.set("orders", key="order_id", time="at").link("lines.order_id", "orders")
    seen = {days: Survey(db.rows, START + days * DAY).profile("lines", "amount").distinct for days in (39, 40)}
    assert seen == {39: 1, 40: 2}
