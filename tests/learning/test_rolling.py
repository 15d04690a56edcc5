from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.errors import RefusedError, RequestError
from penstock.learning.ask import AS_USUAL, evaluate
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.judging.rolling import origins, rolling
from penstock.learning.rows.spines import Given
from penstock.learning.rows.timeline import Timeline
from tests.learning.test_ask import poisoned
from tests.small import DAY, QUIET, START, shop


def rolled(tables, text=QUIET, windows=3):
    db = ps.connect(tables)
    return rolling(db.query(text), db.relational, windows)


@pytest.fixture(scope="module")
def three():
    return rolled(shop())


def test_each_window_is_judged_and_the_newest_is_the_evaluation(three):
    db = ps.connect(shop())
    alone = evaluate(db.query(QUIET), db.relational, Given(), AS_USUAL)
    assert three.metrics == alone.metrics == three.windows[0]
    assert three.predictions.equals(alone.predictions)
    assert [(t - START) // DAY for t in three.cutoffs["windows"]] == [209, 179, 149]
    assert len(three.windows) == 3
    assert len({window["auroc"] for window in three.windows}) == 3


def test_the_spread_is_that_of_the_windows(three):
    areas = [window["auroc"] for window in three.windows]
    assert three.spread["auroc"] == pytest.approx((np.mean(areas), np.std(areas, ddof=1)))
    text = str(three)
    assert "Over 3 test windows (3 cutoffs, 2024-05-" in text
    assert f"auroc {np.mean(areas):.3f} ± {np.std(areas, ddof=1):.3f}" in text
    assert " of 3 test windows." in text
    back = Evaluation.from_dict(three.to_dict(), three.predictions)
    assert (back.windows, back.cutoffs) == (three.windows, three.cutoffs)


def test_an_older_window_knows_nothing_of_what_came_after_it(three):
    older = three.cutoffs["windows"][1]
    changed = rolled(poisoned(shop(), older + 30 * DAY))
    assert changed.windows[0] != three.windows[0]
    assert changed.windows[1:] == three.windows[1:]


def test_windows_of_a_forecast_do_not_overlap():
    text = "PREDICT SUM(orders.amount, 0, 10, days) FORECAST 3 TIMEFRAMES FOR EACH users.user_id"
    found = rolled(shop(users=15, days=160), text, windows=2)
    assert np.diff(found.cutoffs["windows"]).tolist() == [-30 * DAY]


def test_fewer_windows_than_asked_for_are_said():
    found = rolled(shop(days=160), windows=9)
    assert len(found.windows) == 3
    assert "The data holds 3 of the 9 test windows asked for, with enough before them." in found.notes


def test_a_window_that_cannot_be_learnt_for_is_left_out_and_said():
    tables = shop(days=200)
    placed = tables["orders"]["placed_at"].cast(pa.int64()).to_numpy()
    early = pa.array((placed > START + 80 * DAY) | (tables["orders"]["user_id"].to_numpy() < 2))
    found = rolled({**tables, "orders": tables["orders"].filter(early)}, windows=9)
    left_out = [note for note in found.notes if "was left out: " in note]
    assert left_out
    assert len(found.windows) + len(left_out) >= 3


def test_what_has_no_windows_is_refused():
    with pytest.raises(RequestError, match="REQUEST_WINDOWS: 0 test windows cannot be judged"):
        rolled(shop(), windows=0)
    with pytest.raises(RequestError, match="REQUEST_WINDOWS: a plain column is not asked about in windows of time"):
        rolled(shop(), "PREDICT users.city FOR EACH users.user_id")
    with pytest.raises(RefusedError):
        rolled(shop(days=20))


def test_origins_are_a_horizon_apart_and_have_something_before_them():
    line = Timeline(0, 100, 100, np.arange(100, 0, -10))
    found = origins(line, 20, 9)
    assert [int(part.cutoffs.max()) for part in found] == [100, 80, 60]
    assert found[0] is line
    assert [int(part.cutoffs.max()) for part in origins(Timeline(0, 10, 10, np.array([10])), 20, 3)] == [10]
