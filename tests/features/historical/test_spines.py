"""Spines: what may be one, which column says when, and keys that are the same value or an error."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from penstock.errors import PenstockError, RequestError
from penstock.features.views.declared import Entity, ExpressionView, LatestView, Service
from penstock.schema import Dtype, Link
from tests.features.historical.held import D, Store, schema, spine_of

LONG = "k" * 100_000
KEYS: dict[Dtype, list[Any]] = {
    Dtype.INT: [1, -(2**63), 2**63 - 1],
    Dtype.STRING: ["é", "e\u0301", "a|b", "a\\|b", "", "1", LONG, str(uuid.UUID(int=7))],
    Dtype.FLOAT: [0.5, 1e300],
    Dtype.TIMESTAMP: [D[1]],
    Dtype.BOOL: [True, False],
}


def store(dtype: Dtype, keys: list[Any]) -> Store:
    """The latest ``v`` by key: the place of the key in the list."""
    table = schema("readings", {"id": dtype, "ts": Dtype.TIMESTAMP, "v": Dtype.INT}, happened="ts")
    rows = [(key, D[1], number) for number, key in enumerate(keys)]
    return Store.of({table: rows}, [Entity("thing", ("id",))], [LatestView("stats", "thing", "readings", {"v": "v"})])


def ask(made: Store, keys: pa.Array) -> list[Any]:
    spine = pa.table({"id": keys, "cutoff": pa.array([D[2]] * len(keys), pa.timestamp("us"))})
    found: list[Any] = made.ask(spine, "stats:v")["v"].to_pylist()
    return found


@pytest.mark.parametrize("dtype", KEYS)
def test_keys_of_every_type_find_their_own_rows_and_no_others(dtype: Dtype) -> None:
    from penstock.engine.relational import ARROW

    keys = pa.array([*KEYS[dtype], None], ARROW[dtype])
    assert ask(store(dtype, KEYS[dtype]), keys) == [*range(len(KEYS[dtype])), None]


SAME: list[tuple[Dtype, pa.Array]] = [
    (Dtype.INT, pa.array([7, None], pa.int8())),
    (Dtype.INT, pa.array([7, None], pa.uint64())),
    (Dtype.INT, pa.array([7.0, float("nan")])),
    (Dtype.INT, pa.array(["7", None])),
    (Dtype.INT, pa.array(["7", None], pa.large_string())),
    (Dtype.INT, pa.array(["7", None]).dictionary_encode()),
    (Dtype.INT, pa.array([decimal.Decimal(7), None], pa.decimal128(5, 0))),
    (Dtype.FLOAT, pa.array([7, None], pa.int32())),
    (Dtype.STRING, pa.array(["7", None], pa.string_view())),
    (Dtype.STRING, pa.array(["7", None]).dictionary_encode()),
    (Dtype.TIMESTAMP, pa.array([7, None], pa.timestamp("us", "Asia/Tokyo"))),
]


@pytest.mark.parametrize(("dtype", "given"), SAME, ids=lambda one: str(getattr(one, "type", one)))
def test_a_key_written_otherwise_is_the_same_key(dtype: Dtype, given: pa.Array) -> None:
    key = {Dtype.STRING: "7", Dtype.FLOAT: 7.0}.get(dtype, 7)
    assert ask(store(dtype, [key]), given) == [0, None]


OTHER: list[tuple[Dtype, pa.Array]] = [
    *((Dtype.INT, pa.array([text])) for text in ("1.0", " 1", "+1", "01", "x", "", "9223372036854775808", "١")),
    (Dtype.INT, pa.array([1.5])),
    (Dtype.INT, pa.array([True])),
    (Dtype.INT, pa.array([1], pa.timestamp("us"))),
    (Dtype.STRING, pa.array([1])),
    (Dtype.STRING, pa.array([b"1"])),
    (Dtype.BOOL, pa.array([1])),
    (Dtype.FLOAT, pa.array([2**53 + 1])),
    (Dtype.TIMESTAMP, pa.array(["soon"])),
    (Dtype.INT, pa.array([2**64 - 1], pa.uint64())),
]


@pytest.mark.parametrize(("dtype", "given"), OTHER, ids=lambda one: str(getattr(one, "type", one)))
def test_what_is_no_such_key_is_refused(dtype: Dtype, given: pa.Array) -> None:
    with pytest.raises(RequestError, match=f"id of the spine is .* and cannot be {dtype}") as caught:
        ask(store(dtype, KEYS[dtype][:1]), given)
    assert caught.value.code == "SPINE_VALUE"


def test_a_composite_key_tells_parts_apart() -> None:
    columns = {"a": Dtype.STRING, "b": Dtype.INT, "ts": Dtype.TIMESTAMP, "v": Dtype.INT}
    table = schema("readings", columns, happened="ts")
    rows = [("x|1", 2, D[1], 1), ("x", 12, D[1], 2), ("x\\", 1, D[1], 3), ("x", None, D[1], 4)]
    views = [
        LatestView("stats", "pair", "readings", {"v": "v"}),
        ExpressionView("counts", "pair", {"n": "COUNT(readings.*, -9, 0, days)"}),
    ]
    made = Store.of({table: rows}, [Entity("pair", ("b", "a"))], views)
    keys = [("x|1", 2), ("x", 12), ("x\\", 1), ("x", None), ("x|12", 2), (None, 2), ("x", 1)]
    spine = pa.table(
        {
            "a": [a for a, _ in keys],
            "cutoff": pa.array([D[2]] * len(keys), pa.timestamp("us")),
            "b": [None if b is None else str(b) for _, b in keys],
        }
    )
    found = made.ask(spine, ["stats:v", "counts:n"])
    assert found["v"].to_pylist() == [1, 2, 3, None, None, None, None]
    assert found["n"].to_pylist() == [1, 1, 1, None, None, None, None]


def test_counts_of_those_nobody_heard_of_are_null() -> None:
    people = schema("people", {"id": Dtype.INT, "since": Dtype.TIMESTAMP}, key="id", happened="since")
    orders = schema("orders", {"id": Dtype.INT, "who": Dtype.INT, "ts": Dtype.TIMESTAMP, "v": Dtype.INT}, key="id",
                    happened="ts")  # fmt: skip
    views = [
        ExpressionView("counts", "person", {"n": "COUNT(orders.*, -9, 0, days)"}),
        LatestView("newest", "person", "orders", {"v": "v"}),
    ]
    made = Store.of(
        {people: [(1, D[1]), (2, D[3])], orders: [(1, 1, D[2], 5), (2, 2, D[1], 6), (3, 9, D[1], 7)]},
        [Entity("person", ("id",), "people")],
        views,
        [Link("orders", "who", "people")],
    )
    found = made.ask(spine_of([(1, D[1]), (1, D[2]), (2, D[2]), (2, D[3]), (9, D[3])]), ["counts:n", "newest:v"])
    assert found["n"].to_pylist() == [0, 1, None, 1, None]
    assert found["v"].to_pylist() == [None, 5, None, 6, None]


# ---------------------------------------------------------------- tables of every sort, and their columns


def _parquet(table: pa.Table, folder: Path) -> object:
    parquet.write_table(table, folder / "spine.parquet")
    return folder / "spine.parquet"


def _csv(table: pa.Table, folder: Path) -> object:
    csv.write_csv(table, folder / "spine.csv")
    return str(folder / "spine.csv")


def _polars(table: pa.Table, _folder: Path) -> object:
    return pytest.importorskip("polars").from_arrow(table)


def _pandas(table: pa.Table, _folder: Path) -> object:
    pytest.importorskip("pandas")
    return table.to_pandas()


SORTS: list[Callable[[pa.Table, Path], object]] = [
    lambda table, _: table, lambda table, _: table.to_pylist(), lambda table, _: table.to_pydict(), _parquet, _csv,
    _polars, _pandas,
]  # fmt: skip


@pytest.mark.parametrize("sort", SORTS, ids=["arrow", "dicts", "columns", "parquet", "csv", "polars", "pandas"])
def test_a_spine_may_be_any_table(sort: Callable[[pa.Table, Path], object], tmp_path: Path) -> None:
    table = spine_of([(7, D[2]), (8, D[2]), (7, D[2])])
    found = store(Dtype.INT, [7]).ask(sort(table, tmp_path), "stats:v")
    assert found.column_names == ["id", "cutoff", "v"]
    assert found["v"].to_pylist() == [0, None, 0]


def test_a_file_that_says_its_types_stays_as_it_is(tmp_path: Path) -> None:
    given = pa.table(
        {
            "id": pa.array([7, 8], pa.int16()),
            "cutoff": pa.array([D[2] * 1000 + 1] * 2, pa.timestamp("ns", "America/New_York")),
            "weight": pa.array([float("nan"), float("inf")], pa.float32()),
            "word": pa.array(["a", None]).dictionary_encode(),
            "large": pa.array([2**64 - 1, 0], pa.uint64()),
        }
    )
    found = store(Dtype.INT, [7]).ask(_parquet(given, tmp_path), "stats:v")
    assert found.schema.types[:-1] == given.schema.types
    assert found.drop_columns("v").drop_columns("weight").equals(given.drop_columns("weight"))
    assert repr(found["weight"].to_pylist()) == "[nan, inf]"
    assert found["v"].to_pylist() == [0, None]


@pytest.mark.parametrize("spine", [7, [], {}, [1, 2], np.arange(3), pa.table({}), "nowhere.csv"], ids=str)
def test_what_is_no_spine_is_said_to_be_none(spine: object) -> None:
    with pytest.raises(PenstockError):
        store(Dtype.INT, [7]).ask(spine, "stats:v")


def test_a_frame_with_two_columns_of_a_name_is_refused() -> None:
    for columns in (["id", "id", "cutoff"], ["id", "cutoff", "id"]):
        with pytest.raises(PenstockError, match="several columns named 'id'"):
            store(Dtype.INT, [7]).ask(pd.DataFrame([[7, 7, 7]], columns=columns), "stats:v")


def test_rows_need_not_say_the_same() -> None:
    day = dt.datetime(2026, 1, 3, tzinfo=dt.UTC)
    found = store(Dtype.INT, [7]).ask([{"id": 7, "cutoff": day}, {"cutoff": day, "label": "x"}], "stats:v")
    assert found.column_names == ["id", "cutoff", "label", "v"]
    assert (found["label"].to_pylist(), found["v"].to_pylist()) == ([None, "x"], [0, None])


@pytest.mark.parametrize("spine", [spine_of([]), {"id": [], "cutoff": []}, pd.DataFrame({"id": [], "cutoff": []})])
def test_a_spine_without_rows(spine: object) -> None:
    found = store(Dtype.INT, [7]).ask(spine, "stats:v")
    assert (found.num_rows, found.schema.field("v").type) == (0, pa.int64())


def test_rows_without_an_instant_have_no_values() -> None:
    assert store(Dtype.INT, [7]).ask(spine_of([(7, None), (7, D[2])]), "stats:v")["v"].to_pylist() == [None, 0]


TIMES: list[tuple[dict[str, int], str | None, str]] = [
    ({"e": 1}, None, "e"), ({"e": 1, "cutoff": 2}, None, "cutoff"), ({"e": 1, "event_timestamp": 2}, None,
    "event_timestamp"), ({"cutoff": 1, "event_timestamp": 2}, None, "cutoff"), ({"a": 1, "b": 2}, "b", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("days", "time", "expected"), TIMES)
def test_which_column_says_when(days: dict[str, int], time: str | None, expected: str) -> None:
    table = schema("readings", {"id": Dtype.INT, "ts": Dtype.TIMESTAMP, "v": Dtype.INT}, happened="ts")
    rows = [(7, D[1], 1), (7, D[2], 2)]
    made = Store.of({table: rows}, [Entity("thing", ("id",))], [LatestView("s", "thing", "readings", {"v": "v"})])
    spine = {"id": [7]} | {name: pa.array([D[day]], pa.timestamp("us")) for name, day in days.items()}
    assert made.ask(spine, "s:v", time=time)["v"].to_pylist() == [days[expected]]


INDEXES = {
    "filtered": [5, 2],
    "of texts": ["b", "a"],
    "twice the same": [1, 1],
    "named": pd.Index([7, 8], name="row"),
    "of several levels": pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
    "of instants": pd.DatetimeIndex(["2020-01-01", "2021-01-01"]),
}


@pytest.mark.parametrize("index", INDEXES)
def test_a_frame_keeps_its_index(index: str) -> None:
    """Rows are assigned by it: without it, values would go to other rows in silence."""
    moments = pd.to_datetime(["2026-01-01", "2026-01-02"])
    frame = pd.DataFrame({"id": [7, 9], "e_ts": moments, "w": [0.5, 1.5]}, index=INDEXES[index])
    found = store(Dtype.INT, [7]).ask(frame, "stats:v").to_pandas()
    pd.testing.assert_frame_equal(found[["id", "e_ts", "w"]], frame)
    assert found["v"].isna().tolist() == [False, True]


def test_a_number_called_like_an_instant_is_none_where_there_is_a_column_of_times() -> None:
    spine = {"id": [7], "cutoff": [0.5], "e_ts": pa.array([D[2]], pa.timestamp("us"))}
    found = store(Dtype.INT, [7]).ask(spine, "stats:v")
    assert (found["cutoff"].to_pylist(), found["v"].to_pylist()) == ([0.5], [0])


def test_a_spine_that_does_not_say_when() -> None:
    made, two = store(Dtype.INT, [7]), {name: pa.array([0], pa.timestamp("us")) for name in ("a", "b")}
    for spine, time, code, candidates in (
        ({"id": [7]}, None, "SPINE_TIME", ("id",)),
        ({"id": [7], **two}, None, "SPINE_TIME", ("a", "b")),
        ({"id": [7], **two}, "c", "SPINE_COLUMN", ("id", "a", "b")),
        ({"id": [7], "cutoff": [1.5]}, None, "SPINE_CUTOFF", ()),
        ({"id": [7], "cutoff": ["soon"]}, None, "SPINE_CUTOFF", ()),
        ({"who": [7], "a": two["a"]}, None, "SPINE_COLUMN", ("who", "a")),
    ):
        with pytest.raises(RequestError) as caught:
            made.ask(spine, "stats:v", time=time)
        assert (caught.value.code, caught.value.candidates) == (code, candidates)


def test_dates_are_their_first_instant() -> None:
    made = store(Dtype.INT, [7])
    spine = {"id": [7, 7], "day": [dt.date(2026, 1, 1), dt.date(2025, 12, 31)]}
    assert made.ask(spine, "stats:v")["v"].to_pylist() == [0, None]


def test_names_of_features_and_columns_do_not_meet() -> None:
    made = store(Dtype.INT, [7])
    spine = spine_of([(7, D[2])]).append_column("v", pa.array(["label"]))
    with pytest.raises(RequestError, match="the spine has columns named as features are: v"):
        made.ask(spine, "stats:v")
    assert made.ask(spine, "stats:v", full_names=True)["stats__v"].to_pylist() == [0]


def test_a_service_is_a_list_of_features() -> None:
    table = schema("readings", {"id": Dtype.INT, "ts": Dtype.TIMESTAMP, "v": Dtype.INT}, happened="ts")
    views = [LatestView(name, "thing", "readings", {"v": "v"}) for name in ("one", "two")]
    service = Service("both", ("two:v", "one:v"))
    made = Store.of({table: [(7, D[1], 5)]}, [Entity("thing", ("id",))], views, services=[service])
    assert made.ask(spine_of([(7, D[2])]), "both").column_names == ["id", "cutoff", "two__v", "one__v"]


def test_as_many_features_as_may_be_asked_for_are_no_deeper_than_one() -> None:
    table = schema("readings", {"id": Dtype.INT, "ts": Dtype.TIMESTAMP}, happened="ts")
    counts = {f"n{days}": f"COUNT(readings.*, -{days}, 0, days)" for days in range(1, 1201)}
    made = Store.of({table: [(7, D[1])]}, [Entity("thing", ("id",))], [ExpressionView("seen", "thing", counts)])
    found = made.ask(spine_of([(7, D[4])]), "seen:*")
    assert [found[f"n{days}"][0].as_py() for days in (1, 3, 4, 1200)] == [0, 0, 1, 1]
