from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RefusedError
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.trained import Trained
from penstock.learning.judging.evaluate import evaluate
from penstock.learning.ranking import rank
from penstock.learning.ranking.candidates import FEATURES, MUTUAL, Log, candidates, places, spread
from penstock.learning.ranking.factors import factors
from penstock.learning.rows.dataset import joined
from tests.learning.worlds import DAY, basket, shop, shuffled

HORIZON = 15 * DAY
OPTIONS = Options(seed=1, threads=2)


def parts(log, visible=None):
    days = (45, 60, 75, 90)
    made = [basket(log, day * DAY, HORIZON, visible) for day in days]
    return joined(made[0], made[1]), made[2], made[3]


@pytest.fixture(scope="module")
def world():
    log = shop()
    train, validation, test = parts(log)
    return log, fit("ranking", train, validation, options=OPTIONS), (train, validation, test)


def test_it_beats_popularity_and_own_history(world):
    _, trained, (train, validation, test) = world
    evaluation = evaluate(trained, test, train=train, validation=validation, top_k=5, threads=2)
    own, others = evaluation.metrics["map@5"], evaluation.baselines
    assert own > 1.5 * others["popularity"]["map@5"]
    assert own > 0.97 * others["own history"]["map@5"]
    assert evaluation.predictions.column_names == ["entity", "cutoff", "target", "relevant", "item", "score", "rank"]


def test_a_row_gets_different_items_ranked_by_score(world):
    _, trained, (_, _, test) = world
    answer = trained.predict(test, top_k=7)
    assert answer.column_names == ["entity", "cutoff", "item", "score", "rank"]
    grouped = answer.group_by("entity").aggregate([("rank", "list"), ("item", "list"), ("score", "list")])
    for row in grouped.to_pylist():
        assert row["rank_list"] == list(range(1, 8))
        assert len(set(row["item_list"])) == 7
        assert row["score_list"] == sorted(row["score_list"], reverse=True)


def test_nothing_after_the_cutoff_changes_an_answer(world):
    log, trained, (_, _, test) = world
    answer = trained.predict(test, top_k=5)
    past = log.filter(pa.array(log["happened"].to_numpy() <= 90 * DAY))
    poison = pa.table({"entity": [0] * 500, "item": ["poison"] * 500, "happened": [90 * DAY + 1] * 500})
    for changed in (past, pa.concat_tables([past, poison]).combine_chunks()):
        assert trained.predict(replace(test, log=changed), top_k=5).equals(answer)


def test_a_row_that_was_learnt_of_later_is_not_seen():
    log = shop(entities=40)
    late = log.append_column("known", pa.array(np.where(np.arange(log.num_rows) % 3 == 0, 10**18, 0)))
    kept = log.filter(pa.array(np.arange(log.num_rows) % 3 != 0))
    seen, expected = (Log.of(table).until(60 * DAY, HORIZON) for table in (late, kept))
    assert len(seen.item) == len(expected.item)
    np.testing.assert_array_equal(seen.happened, expected.happened)


def test_the_order_of_rows_in_log_and_samples_changes_nothing(world):
    log, trained, (train, validation, test) = world
    order = pa.array(np.random.default_rng(0).permutation(log.num_rows))
    mixed = log.take(order)
    again = fit("ranking", shuffled(replace(train, log=mixed)), validation, options=OPTIONS)
    assert again.model == trained.model
    assert again.predict(replace(test, log=mixed), top_k=5).equals(trained.predict(test, top_k=5))


def test_a_ranking_goes_to_json_and_back(world):
    _, trained, (_, _, test) = world
    back = Trained.from_json(trained.to_json())
    assert back == trained
    assert back.predict(test, top_k=5).equals(trained.predict(test, top_k=5))


def test_an_entity_that_nobody_has_seen_gets_what_is_popular(world):
    log, trained, (_, _, test) = world
    stranger = replace(test.take(np.array([0])), entity=pa.array([10**6]), target=None)
    items = trained.predict(stranger, top_k=5)["item"].to_pylist()
    past = log.filter(pa.array(log["happened"].to_numpy() <= 90 * DAY))
    counted = past.group_by("item").aggregate([("entity", "count_distinct")])
    popular = counted.sort_by([("entity_count_distinct", "descending")])["item"].to_pylist()[:15]
    assert set(items) <= set(popular)


def by_hand(log, who, item, cutoff):
    rows = [r for r in log.to_pylist() if r["happened"] <= cutoff]
    own = sorted(r["happened"] for r in rows if r["entity"] == who and r["item"] == item)
    near = {r["entity"] for r in rows if r["item"] == item and r["happened"] > cutoff - HORIZON}
    ever = {r["entity"] for r in rows if r["item"] == item}
    return {
        "own count": len(own),
        "own count, 1 horizon": sum(h > cutoff - HORIZON for h in own),
        "days since own last": (cutoff - own[-1]) / DAY if own else np.nan,
        "own share": len(own) / sum(r["entity"] == who for r in rows),
        "entities, 1 horizon": len(near),
        "entities ever": len(ever),
        "entity's rows": sum(r["entity"] == who for r in rows),
        "entity's items": len({r["item"] for r in rows if r["entity"] == who}),
    }


@pytest.mark.parametrize("cutoff", [20 * DAY, 60 * DAY])
def test_candidates_features_are_what_one_counts_by_hand(cutoff):
    log = shop(entities=12, items=15)
    held = Log.of(log)
    found = candidates(held.until(cutoff, HORIZON), np.arange(12))
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(found.row), 25):
        item = held.items[int(found.item[place])].as_py()
        for name, value in by_hand(log, int(found.row[place]), item, cutoff).items():
            got = found.values[place, FEATURES.index(name)]
            np.testing.assert_allclose(got, value, rtol=1e-5, err_msg=f"{name} of {item}")


def test_candidates_come_from_company_too():
    """Everyone who meets a meets b; someone who has met only a is offered b, which is far from popular."""
    crowd = [(who, item) for who in range(30) for item in ("a", "b")]
    noise = [(who, f"hit {n:02d}") for who in range(100, 160) for n in range(60)]
    rows = [*crowd, *noise, (999, "a")]
    log = pa.table({"entity": [w for w, _ in rows], "item": [i for _, i in rows], "happened": [DAY] * len(rows)})
    held = Log.of(log)
    found = candidates(held.until(2 * DAY, HORIZON), places(pa.array([999]), held.entities))
    offered = held.items.take(pa.array(found.item)).to_pylist()
    assert {"a", "b"} <= set(offered)
    together = dict(zip(offered, found.values[:, FEATURES.index("met together")], strict=True))
    assert together["b"] == max(together.values()) > 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=8))
def test_spread_lists_the_places_of_each_range(ranges):
    starts, sizes = (
        (np.array(part, np.int64) for part in zip(*ranges, strict=True)) if ranges else (np.zeros(0, int),) * 2
    )
    assert spread(starts, sizes).tolist() == [start + i for start, size in ranges for i in range(size)]


def test_a_cutoff_before_everything_offers_nothing():
    held = Log.of(shop(entities=5))
    found = candidates(held.until(-1, HORIZON), np.arange(5))
    assert found.values.shape == (0, len(FEATURES))


def test_a_future_that_shares_no_item_with_the_past_is_refused():
    log = shop(entities=60)
    train, validation, _ = parts(log)
    strange = pa.array([["never seen"]] * len(train), pa.list_(pa.string()))
    with pytest.raises(RefusedError, match="no training row meets any item that could have been foreseen"):
        fit("ranking", replace(train, target=strange), validation, options=OPTIONS)


def test_cutoffs_tell_the_horizon_and_a_single_one_the_tenth_of_the_log():
    log = shop(entities=30)
    train, validation, _ = parts(log)
    assert rank.spacing(train, validation) == 15 * DAY
    one = basket(log, 60 * DAY, HORIZON)
    assert rank.spacing(one, one) == pytest.approx(12 * DAY, rel=0.01)


def test_where_items_are_entities_the_other_way_round_counts(world):
    """Whoever was only ever met is told by whom, and gets them as candidates."""
    log = pa.table({"entity": [1, 1, 2], "item": [7, 8, 1], "happened": [0, DAY, 2 * DAY]})
    for table, expected in ((log.replace_schema_metadata(MUTUAL), [1]), (log, [])):
        known = Log.of(table)
        seen = known.until(5 * DAY, HORIZON)
        chosen = candidates(seen, places(pa.array([7]), known.entities))
        back = chosen.values[:, FEATURES.index("count the other way round")]
        assert known.items.take(pa.array(chosen.item[back > 0])).to_pylist() == expected


@pytest.mark.parametrize("seed", range(3))
def test_factors_draw_an_entity_to_what_its_like_have_met(seed):
    """Two circles of entities and items, half of the meetings inside seen: the other half scores above any across."""
    circle = np.arange(60) % 2
    inside = circle[:, None] == circle[None, :]
    met = inside & (np.random.default_rng(seed).random((60, 60)) < 0.5)
    entity, item = np.nonzero(met)
    found = factors(entity, item, np.ones(len(entity)), 60, 60)
    drawn = np.column_stack([found.drawn(np.arange(60), np.full(60, place)) for place in range(60)])
    assert drawn[inside & ~met].mean() > drawn[~inside].mean() + 0.1
    assert found.drawn(np.array([-1]), np.array([3])).tolist() == [0.0]


@given(st.integers(0, 5), st.integers(0, 5))
def test_factors_of_next_to_nothing_are_zero(entities, items):
    found = factors(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), entities, items)
    assert (found.entity.shape, found.item.shape) == ((entities, 1), (items, 1))


def test_a_rule_takes_over_only_where_it_is_surely_better(world):
    _, trained, (_, _, test) = world
    ruled = replace(trained.model, rule="popularity")
    told = ruled.rank(test, 5)
    plain = rank.baselines(test, trained.model.horizon, 5)["popularity"]
    assert told["item"].equals(plain["item"])
    assert type(ruled).from_dict(ruled.to_dict()) == ruled


def test_entities_and_items_that_nobody_met_yet_change_no_bit_of_the_factors():
    """They are known to a log that holds later rows; at the cutoff they are not there."""
    rng = np.random.default_rng(5)
    entity, item = np.nonzero(rng.random((40, 30)) < 0.3)
    weight = rng.random(len(entity))
    plain = factors(entity, item, weight, 40, 30)
    spread_out = factors(2 * entity + 1, 3 * item, weight, 90, 100)
    assert np.array_equal(spread_out.entity[2 * np.arange(40) + 1], plain.entity)
    assert np.array_equal(spread_out.item[3 * np.arange(30)], plain.item)
    assert not spread_out.entity[::2].any()
