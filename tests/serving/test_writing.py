"""Answers as JSON: what is written fast says what one says who writes value by value."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.features.views.bound import BoundEntity, BoundFeature, BoundView
from penstock.online.answer import Online, Status
from penstock.plan import Input
from penstock.schema import Dtype
from penstock.serving import bodies
from penstock.serving.metrics import SIZE, Metrics
from penstock.serving.tables import table
from penstock.serving.writing import written

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TIMES = st.one_of(st.none(), st.integers(-(10**15), 4 * 10**15), st.sampled_from([0, 10**6, -1]))
VALUES: dict[Dtype, st.SearchStrategy[Any]] = {
    Dtype.INT: st.integers(-(2**63), 2**63 - 1),
    Dtype.FLOAT: st.floats(),
    Dtype.BOOL: st.booleans(),
    Dtype.STRING: st.one_of(st.text(), st.sampled_from(["null", 'a"],"b', "NaN", "\\", "\u2028"])),
    Dtype.TIMESTAMP: st.datetimes(*(dt.datetime(year, 1, 1) for year in (1900, 2200))),  # noqa: DTZ001  # as served
    Dtype.LIST: st.lists(st.one_of(st.floats(), st.text(), st.none())),
}


@st.composite
def answers(draw: st.DrawFn) -> tuple[Online, list[Dtype], list[Any]]:
    """Columns of any dtypes, for few entities and for more, often with what other columns have."""
    rows = draw(st.sampled_from([0, 1, 2, 8, 9, 12]))
    dtypes = draw(st.lists(st.sampled_from(list(VALUES)), max_size=5))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    statuses, times = [column(st.sampled_from(Status))], [column(TIMES)]
    for _ in dtypes:
        new = draw(st.booleans())
        statuses.append(column(st.sampled_from(Status)) if new else list(statuses[-1]))
        times.append(column(TIMES) if draw(st.booleans()) else list(times[-1]))
    values = [column(st.one_of(st.none(), VALUES[dtype])) for dtype in dtypes]
    names = tuple(f"f{number}" for number in range(len(dtypes)))
    return Online(names, values, statuses[1:], times[1:], 0, 0), dtypes, column(st.one_of(st.integers(), st.text()))


def spelt(value: Any) -> Any:
    """A value as the protocol says it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=dt.UTC) - EPOCH) / dt.timedelta(seconds=1)
    return [spelt(one) for one in value] if isinstance(value, list) else value


def instant(text: str) -> int:
    """An RFC 3339 text as microseconds."""
    assert text.endswith("Z")
    return (dt.datetime.fromisoformat(text) - EPOCH) // dt.timedelta(microseconds=1)


@given(answers())
def test_an_answer_says_what_is_in_it(made: tuple[Online, list[Dtype], list[Any]]) -> None:
    online, dtypes, keys = made
    text, tallies = written(online, {"id": keys}, dtypes, ("a", "b"))
    told = json.loads(text)
    assert told["metadata"] == {
        "feature_names": ["id", *online.names],
        "feature_view_metadata": [{"name": "a"}, {"name": "b"}],
    }
    key, *features = told["results"]
    assert key["values"] == keys
    assert key["statuses"] == ["PRESENT"] * len(keys)
    assert {*key["event_timestamps"]} <= {"1970-01-01T00:00:00Z"}
    found = zip(features, online.values, online.statuses, online.times, strict=True)
    for column, values, statuses, times in found:
        assert column["values"] == [spelt(value) for value in values]
        assert column["statuses"] == [status.name for status in statuses]
        assert [instant(time) for time in column["event_timestamps"]] == [time or 0 for time in times]
    assert tallies == [sum(column.count(status) for column in online.statuses) for status in Status]


@pytest.mark.parametrize("values", [["a,b", "c"], ["a", "b"], [[1, 2], [3]], ["x],[y", []], [1, "2,3"], [[], None]])
@pytest.mark.parametrize("rows", [1, 3])
def test_values_of_another_kind_than_was_thought_are_said_all_the_same(values: list[Any], rows: int) -> None:
    """Definitions may change between the moment at which a request is understood and that at which it is read."""
    columns: list[list[Any]] = [[value] * rows for value in values]
    there, times = [Status.PRESENT] * rows, [0] * rows
    online = Online(("f", "g"), columns, [there, there], [times, times], 0, 0)  # type: ignore[list-item]
    text, _ = written(online, {"id": list(range(rows))}, [Dtype.INT, Dtype.FLOAT])
    assert [column["values"] for column in json.loads(text)["results"][1:]] == columns


@given(st.binary(max_size=200) | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["entities", "features", "df", "to", "x"]), inner, max_size=3),
    max_leaves=8,
).map(lambda one: json.dumps(one).encode()))  # fmt: skip
def test_bodies_are_read_or_refused(body: bytes) -> None:
    for kind in (bodies.Ask, bodies.Push, bodies.Write, bodies.Materialize, bodies.MaterializeIncremental):
        try:
            found = bodies.read(body, kind)
        except bodies.AnswerError as error:
            assert (error.status, error.code) == (422, "SERVE_BODY")
        else:
            told = json.loads(body)
            assert {name: value for name, value in msgspec.to_builtins(found).items() if name in told}.items() <= (
                told | msgspec.to_builtins(found)
            ).items()


def _view() -> BoundView:
    kinds = {"n": Dtype.INT, "x": Dtype.FLOAT, "at": Dtype.TIMESTAMP, "on": Dtype.BOOL, "word": Dtype.STRING}
    features = tuple(BoundFeature(name, Input(name, dtype), dtype) for name, dtype in kinds.items())
    return BoundView("v", BoundEntity("one", ("id",), (Dtype.INT,), "t", "id"), features, "v")


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.text()), max_size=4))
def test_rows_of_json_are_rows_of_arrow(rows: list[tuple[int, float, bool, str]]) -> None:
    columns = {name: [row[at] for row in rows] for at, name in enumerate(["n", "x", "on", "word"])}
    sent = {**columns, "x": [spelt(value) for value in columns["x"]], "id": list(range(len(rows)))}
    found = table(_view(), sent).to_pydict()
    assert [float(value).hex() for value in found.pop("x")] == [float(value).hex() for value in columns["x"]]
    assert found == {"id": sent["id"], "n": columns["n"], "on": columns["on"], "word": columns["word"]}


def test_instants_of_rows_are_seconds_or_texts() -> None:
    sent = {"id": [1, 2, 3, 4], "at": [1, 0.5, "1970-01-01T00:00:02+00:00", None]}
    found = table(_view(), sent)["at"].to_pylist()
    assert [one and (one - EPOCH) / dt.timedelta(seconds=1) for one in found] == [1, 0.5, 2, None]


@pytest.mark.parametrize("value", [float("1e300"), "soon", True, [1]])
def test_what_is_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"at\[0\] is .*, which is no instant"):
        table(_view(), {"id": [1], "at": [value]})


def test_metrics_of_several_processes_are_told_together() -> None:
    counters = [[0.0] * SIZE for _ in range(2)]
    Metrics(counters, 0).request("/push", 200, 0.002)
    Metrics(counters, 1).request("/push", 418, 20.0)
    Metrics(counters, 1).pushed(7)
    told = Metrics(counters, 0).text().decode().splitlines()
    assert 'penstock_http_requests_total{endpoint="/push",status="200"} 1' in told
    assert 'penstock_http_requests_total{endpoint="/push",status="500"} 1' in told
    assert 'penstock_http_request_seconds_bucket{endpoint="/push",le="10.0"} 1' in told
    assert 'penstock_http_request_seconds_bucket{endpoint="/push",le="+Inf"} 2' in told
    assert "penstock_pushed_rows_total 7" in told


def _listing(items: Dtype) -> BoundView:
    feature = BoundFeature("l", Input("l", Dtype.LIST), Dtype.LIST, list_of=items)
    return BoundView("v", BoundEntity("e", ("id",), (Dtype.INT,), "e", "id", None), (feature,), "v", None)


@pytest.mark.parametrize(
    ("items", "sent", "told"),
    [
        (Dtype.TIMESTAMP, [0, 1.5, "1970-01-01T00:00:02Z"], [0, 1_500_000, 2_000_000]),
        (Dtype.INT, [2**53 + 1, "7", None], [2**53 + 1, 7, None]),
        (Dtype.FLOAT, [1, "Infinity", 0.5], [1.0, math.inf, 0.5]),
        (Dtype.BOOL, [True, None], [True, None]),
        (Dtype.STRING, ["", "a"], ["", "a"]),
    ],
)
def test_items_of_lists_are_read_as_values_are(items: Dtype, sent: list[Any], told: list[Any]) -> None:
    found = table(_listing(items), {"id": [1, 2, 3, 4], "l": [sent, [], None, sent[:1]]})["l"].combine_chunks()
    whole = found.cast(pa.list_(pa.int64())) if items is Dtype.TIMESTAMP else found
    assert whole.to_pylist() == [told, [], None, told[:1]]


@pytest.mark.parametrize("sent", ["abc", 5, {}, [["x"]], ["soon"]])
def test_what_is_no_list_of_that_is_refused(sent: object) -> None:
    with pytest.raises(RequestError, match="PUSH_VALUE: l\\["):
        table(_listing(Dtype.INT), {"id": [1], "l": [sent]})
