"""Features worked out from others and from columns of the spine."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from penstock.errors import QueryError, RequestError
from penstock.features.views.declared import Entity, LatestView, OnDemandFunction, OnDemandView
from penstock.language import calculation
from penstock.schema import Column, Dtype, Kind
from tests.features.historical.held import D, Store, schema

READINGS = schema(
    "readings", {"id": Dtype.INT, "ts": Dtype.TIMESTAMP, "v": Dtype.INT, "w": Dtype.STRING}, happened="ts"
)
LATEST = LatestView("stats", "thing", "readings", {"v": "v", "w": "w"})
SPINE = {"id": [1, 2, 9], "cutoff": pa.array([D[2]] * 3, pa.timestamp("us")), "amount": [10, 20, 30]}


def store(*views: OnDemandView) -> Store:
    rows = [(1, D[1], 4, "a"), (2, D[1], 0, None)]
    return Store.of({READINGS: rows}, [Entity("thing", ("id",))], [LATEST, *views])


def by_function(function: OnDemandFunction, **features: str) -> Store:
    view = OnDemandView("made", features, {"v": "stats:v"}, {"amount": Dtype.FLOAT}, function, source="def f(t): ...")
    return store(view)


def test_arithmetic_over_features_and_the_spine() -> None:
    view = OnDemandView(
        "made", {"share": "v / amount", "inverse": "amount / v", "big": "amount > 15"}, {"v": "stats:v"},
        {"amount": Dtype.FLOAT},
    )  # fmt: skip
    found = store(view).ask(SPINE, ["made:*", "stats:v"])
    assert found.column_names == ["id", "cutoff", "amount", "share", "inverse", "big", "v"]
    assert found["share"].to_pylist() == [0.4, 0.0, None]
    assert found["inverse"].to_pylist() == [2.5, None, None]
    assert found["big"].to_pylist() == [False, True, True]
    assert found.schema.field("amount").type == pa.int64()


def test_values_are_compared_with_values() -> None:
    told = {"more": "v > amount", "same": "w = word", "other": "NOT w = word", "later": "asked < due"}
    dtypes = {"amount": Dtype.FLOAT, "word": Dtype.STRING, "asked": Dtype.TIMESTAMP, "due": Dtype.TIMESTAMP}
    made = store(OnDemandView("made", told, {"v": "stats:v", "w": "stats:w"}, dtypes))
    spine = SPINE | {"amount": [3.5, 0, 1], "word": ["a"] * 3, "asked": ["2026-01-01"] * 3, "due": ["2026-01-02"] * 3}
    found = made.ask(spine, "made:*")
    assert [found[name].to_pylist() for name in told] == [
        [True, False, False], [True, False, False], [False, True, True], [True] * 3,
    ]  # fmt: skip
    with pytest.raises(QueryError, match="Compare with amount, or put a text in quotes: 'word'"):
        calculation("amount = word", {"amount": Dtype.STRING})


@pytest.mark.parametrize("given", [[1, None], [1.5], [True], ["a"], [], [dt.datetime(2026, 1, 1)]])  # noqa: DTZ001
def test_lists_of_a_request_and_of_inputs_are_given_as_they_are(given: list[Any]) -> None:
    """Numbers stay numbers: the store gives them so, too."""
    kept = OnDemandView("kept", {"l": "asked", "v": "kept"}, {"kept": "listed:l"}, {"asked": Dtype.LIST})
    column = Column("l", Dtype.LIST, Kind.MULTICATEGORICAL, items=Dtype.FLOAT)
    lists = schema("lists", {"id": Dtype.INT, "ts": Dtype.TIMESTAMP}, happened="ts")
    lists = replace(lists, columns=(*lists.columns, column))
    views = [LatestView("listed", "thing", "lists", {"l": "l"}), kept]
    rows = pa.table({"id": [1], "ts": pa.array([D[1]], pa.timestamp("us")), "l": [[0.5, None]]})
    held = Store.of({lists: rows}, [Entity("thing", ("id",))], views)
    found = held.ask({"id": [1], "cutoff": pa.array([D[2]], pa.timestamp("us")), "asked": [given]}, "kept:*")
    assert found["l"].to_pylist() == [given]
    assert found["v"].to_pylist() == [[0.5, None]]


def test_one_that_rests_on_another() -> None:
    first = OnDemandView("first", {"double": "v * 2"}, {"v": "stats:v"})
    second = OnDemandView("second", {"more": "d + 1"}, {"d": "first:double"})
    found = store(second, first).ask(SPINE, "second:more")
    assert found.column_names == [*SPINE, "more"]
    assert found["more"].to_pylist() == [9.0, 1.0, None]


def test_a_function_is_called_once_with_all_rows() -> None:
    seen: list[pa.Table] = []

    def double(table: pa.Table) -> dict[str, Any]:
        seen.append(table)
        return {"twice": pc.multiply(table["v"], 2), "told": pa.array(["x"] * table.num_rows)}

    found = by_function(double, twice="int", told="string").ask(SPINE, ["made:twice", "made:told"])
    assert found["twice"].to_pylist() == [8, 0, None]
    assert [(one.column_names, one.num_rows) for one in seen] == [(["v", "amount"], 3)]
    assert seen[0].schema.field("amount").type == pa.float64()


def test_a_function_is_not_called_about_nothing() -> None:
    def fail(_table: pa.Table) -> dict[str, Any]:
        raise AssertionError

    empty = pa.table({"id": pa.array([], pa.int64()), "cutoff": pa.array([], pa.timestamp("us")),
                      "amount": pa.array([], pa.float64())})  # fmt: skip
    found = by_function(fail, twice="int").ask(empty, "made:twice")
    assert (found.num_rows, found.schema.field("twice").type) == (0, pa.int64())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda t: {"other": t["v"]}, "made:twice: its function gives no twice"),
        (lambda t: {"twice": t["v"].slice(1)}, "made:twice: its function gives 2 values of it for 3 rows"),
        (lambda t: {"twice": pa.array(["x", "y", "z"])}, "made:twice: its function gives string, which cannot be int"),
        (lambda t: {"twice": pa.array([0.5, 1, 2])}, "made:twice: its function gives double, which cannot be int"),
        (lambda t: t["nothing"], "made:twice: its function failed: KeyError"),
        (lambda t: None, "made:twice: its function failed: TypeError"),
        (lambda t: sys.exit(1), "made:twice: its function failed: SystemExit: 1"),
    ],
)
def test_a_function_that_does_not_do_as_it_should(given: OnDemandFunction, told: str) -> None:
    with pytest.raises(RequestError, match=told) as caught:
        by_function(given, twice="int").ask(SPINE, "made:twice")
    assert caught.value.code == "FEATURE_FUNCTION"


def test_a_column_that_the_spine_lacks() -> None:
    view = OnDemandView("made", {"half": "amount / 2"}, requested={"amount": Dtype.FLOAT})
    spine = {name: column for name, column in SPINE.items() if name != "amount"}
    with pytest.raises(RequestError, match="the spine has no column 'amount', which made needs") as caught:
        store(view).ask(spine, "made:half")
    assert caught.value.candidates == ("id", "cutoff")


def test_a_column_of_another_dtype() -> None:
    view = OnDemandView("made", {"half": "amount / 2"}, requested={"amount": Dtype.INT})
    with pytest.raises(RequestError, match="amount of the spine is double and cannot be int"):
        store(view).ask({**SPINE, "amount": [0.5, 1.0, 2.0]}, "made:half")
