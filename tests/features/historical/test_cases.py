"""What a feature store must do, case by case: rows of a source, a spine, and the values expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from penstock.errors import RequestError
from penstock.features.views.declared import Entity, LatestView, RoleView
from penstock.schema import Dtype
from tests.features.historical.held import DAY, D, Store, schema, spine_of

COLUMNS = {"id": Dtype.INT, "ts": Dtype.TIMESTAMP, "created": Dtype.TIMESTAMP, "v": Dtype.FLOAT}
YEAR_2001 = 978_307_200_000_000


def store(
    rows: Sequence[Sequence[Any]], ttl: int | None = None, dtype: Dtype = Dtype.FLOAT, known: bool = True
) -> Store:
    """One view of the latest ``v`` over rows of (id, event time, created, v)."""
    table = schema("readings", COLUMNS | {"v": dtype}, happened="ts", known="created" if known else None)
    view = LatestView("readings_latest", "thing", "readings", {"v": "v"}, ttl=ttl)
    return Store.of({table: rows}, [Entity("thing", ("id",))], [view])


CASES: dict[str, tuple[list[Sequence[Any]], int | None, list[tuple[tuple[int, Any], Any]]]] = {
    "h01 the latest before": (
        [(1, D[1], None, 10), (1, D[2], None, 20), (1, D[4], None, 40)],
        None,
        [((1, D[3]), 20), ((1, D[5]), 40), ((1, D[1]), 10)],
    ),
    "h02 equal is included": ([(1, D[2], None, 20)], None, [((1, D[2]), 20)]),
    "h03 a microsecond later is not": ([(1, D[1], None, 10), (1, D[2] + 1, None, 20)], None, [((1, D[2]), 10)]),
    "h04 no row is lost": ([(1, D[3], None, 30), (2, D[1], None, 5)], None, [((1, D[2]), None), ((2, D[2]), 5)]),
    "h05 an age of exactly ttl": ([(1, D[1], None, 10)], DAY, [((1, D[2]), 10)]),
    "h06 a microsecond older": ([(1, D[1], None, 10)], DAY, [((1, D[2] + 1), None), ((1, D[3]), None)]),
    "h07 no ttl": ([(1, YEAR_2001, None, 10)], None, [((1, D[5]), 10)]),
    "h08 a ttl of 0 is none": ([(1, YEAR_2001, None, 10)], 0, [((1, D[5]), 10)]),
    "h09 an unknown entity": ([(1, D[1], None, 10)], None, [((99, D[2]), None), ((1, D[2]), 10)]),
    "h10 of one event time the one created last": (
        [(1, D[1], D[3], 2), (1, D[1], D[2], 1)],
        None,
        [((1, D[4]), 2), ((1, D[2]), 1), ((1, D[1]), None)],
    ),
    "h11 the event's time beats created": ([(1, D[1], D[4], 30), (1, D[2], D[1], 40)], None, [((1, D[5]), 40)]),
    "h13 what was not created yet is not seen": (
        [(1, D[1], D[1], 10), (1, D[1], D[4], 20)],
        None,
        [((1, D[2]), 10), ((1, D[5]), 20)],
    ),
    "h15 two identical rows": ([(1, D[1], None, 10), (1, D[1], None, 10)], None, [((1, D[2]), 10)]),
    "h17 null stays null": ([(1, D[1], None, 10.0), (1, D[2], None, None)], None, [((1, D[3]), None)]),
    "no rows at all": ([], None, [((1, D[3]), None)]),
    "a ttl hides no older row's turn": (
        [(1, D[1], None, 10), (1, D[3], None, 30)],
        DAY,
        [((1, D[2]), 10), ((1, D[3]), 30), ((1, D[4]), 30), ((1, D[5]), None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backwards", [False, True], ids=["as given", "backwards"])
def test_latest_values(case: str, backwards: bool) -> None:
    rows, ttl, expected = CASES[case]
    spine = [pair for pair, _ in expected]
    found = store(rows[::-1] if backwards else rows, ttl).ask(spine_of(spine), "readings_latest:v")
    assert found["v"].to_pylist() == [value for _, value in expected]
    assert found.num_rows == len(spine)


@pytest.mark.parametrize("case", [name for name, (rows, _, _) in CASES.items() if all(r[2] is None for r in rows)])
def test_latest_values_without_a_second_clock(case: str) -> None:
    rows, ttl, expected = CASES[case]
    found = store(rows, ttl, known=False).ask(spine_of([pair for pair, _ in expected]), "v")
    assert found["v"].to_pylist() == [value for _, value in expected]


def test_h19_times_without_a_zone_are_utc() -> None:
    spine = pa.table({"id": [1, 1], "cutoff": pa.array([D[2], D[2] - 1], pa.timestamp("us"))})
    assert store([(1, D[2], None, 20)]).ask(spine, "v")["v"].to_pylist() == [20, None]


def test_h20_instants_are_compared_not_wall_clocks() -> None:
    new_york = ZoneInfo("America/New_York")
    at = [dt.datetime(2026, 1, 1, 19, tzinfo=new_york), dt.datetime(2026, 1, 1, 18, 59, tzinfo=new_york)]
    spine = pa.table({"id": [1, 1], "event_timestamp": pa.array(at, pa.timestamp("us", "America/New_York"))})
    found = store([(1, D[2], None, 20)]).ask(spine, "v")
    assert found["v"].to_pylist() == [20, None]
    assert found.schema.field("event_timestamp").type == pa.timestamp("us", "America/New_York")


def test_h21_a_pandas_frame_in_new_york() -> None:
    pandas = pytest.importorskip("pandas")
    at = pandas.to_datetime(["2026-01-01 19:00", "2026-01-01 18:59"]).tz_localize("America/New_York")
    found = store([(1, D[2], None, 20)]).ask(pandas.DataFrame({"id": [1, 1], "event_timestamp": at}), "v")
    assert found["v"].to_pylist() == [20, None]


def test_h23_the_only_column_of_times_is_taken() -> None:
    spine = pa.table({"id": [1], "e_ts": pa.array([D[3] * 1000 + 1], pa.timestamp("ns")), "w": [1.5]})
    assert store([(1, D[2], None, 20)]).ask(spine, "v")["v"].to_pylist() == [20]


def test_h25_lists_and_empty_lists() -> None:
    rows = [(1, D[1], None, ["a", "b"]), (2, D[1], None, []), (3, D[1], None, None)]
    found = store(rows, dtype=Dtype.LIST).ask(spine_of([(1, D[2]), (2, D[2]), (3, D[2]), (4, D[2])]), "v")
    assert found["v"].to_pylist() == [["a", "b"], [], None, None]
    assert found.schema.field("v").type == pa.list_(pa.string())


def test_h26_truth_values_with_a_miss() -> None:
    found = store([(1, D[1], None, True)], dtype=Dtype.BOOL).ask(spine_of([(1, D[2]), (2, D[2])]), "v")
    assert found["v"].to_pylist() == [True, None]
    assert found.schema.field("v").type == pa.bool_()


@pytest.mark.parametrize(
    ("dtype", "value", "kind"),
    [(Dtype.INT, 2**62, pa.int64()), (Dtype.STRING, "ß", pa.string()), (Dtype.TIMESTAMP, D[4], pa.timestamp("us"))],
)
def test_values_of_every_dtype(dtype: Dtype, value: Any, kind: pa.DataType) -> None:
    found = store([(1, D[1], None, value)], dtype=dtype).ask(spine_of([(1, D[2]), (2, D[2])]), "v")
    assert found["v"].cast(pa.int64() if dtype is Dtype.TIMESTAMP else kind).to_pylist() == [value, None]
    assert found.schema.field("v").type == kind


def test_h30_one_view_in_two_roles() -> None:
    table = schema("places", {"loc": Dtype.INT, "ts": Dtype.TIMESTAMP, "t": Dtype.INT}, happened="ts")
    view = LatestView("weather", "location", "places", {"t": "t"})
    roles = [RoleView("origin", "weather", {"loc": "origin_id"}), RoleView("dest", "weather", {"loc": "dest_id"})]
    made = Store.of({table: [(1, D[1], 10), (2, D[1], 20)]}, [Entity("location", ("loc",))], [view, *roles])
    spine = pa.table({"origin_id": [1, 2], "dest_id": [2, 1], "cutoff": pa.array([D[2]] * 2, pa.timestamp("us"))})
    found = made.ask(spine, ["origin:t", "dest:t"])
    assert found.column_names == ["origin_id", "dest_id", "cutoff", "origin__t", "dest__t"]
    assert found["origin__t"].to_pylist() == [10, 20]
    assert found["dest__t"].to_pylist() == [20, 10]


def test_h31_keys_and_columns_called_otherwise_in_the_source() -> None:
    table = schema("raw", {"drv": Dtype.INT, "ts": Dtype.TIMESTAMP, "val": Dtype.INT}, happened="ts")
    view = LatestView("stats", "driver", "raw", {"value": "val"})
    made = Store.of({table: [(1, D[1], 10)]}, [Entity("driver", ("driver_id",), joins={"raw": ("drv",)})], [view])
    assert made.ask(spine_of([(1, D[2])], "driver_id"), "stats:value")["value"].to_pylist() == [10]


def test_h34_an_unknown_feature() -> None:
    with pytest.raises(RequestError, match="has no feature 'w'") as caught:
        store([]).ask(spine_of([(1, D[1])]), "readings_latest:w")
    assert (caught.value.code, caught.value.candidates) == ("FEATURE_UNKNOWN", ("v",))


def test_h35_the_spine_stays_as_it_is() -> None:
    spine = pa.table(
        {
            "label": pa.array(["x", "y", None, "x"], pa.large_string()),
            "id": pa.array([1, 1, 2, 1], pa.int32()),
            "cutoff": pa.array([t * 1000 for t in (D[3], D[2], D[3], D[3])], pa.timestamp("ns", "UTC")),
            "w": pa.array([1.5, None, 2.5, 1.5], pa.float32()),
        }
    )
    found = store([(1, D[1], None, 10), (1, D[3], None, 30)]).ask(spine, "v")
    assert found.select(spine.column_names).equals(spine)
    assert found["v"].to_pylist() == [30, 10, None, 30]
