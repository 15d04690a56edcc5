"""Functions of several expressions equal their definitions: over windows one before the other, and over a row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.expression import FUNCTIONS, Arithmetic, Call, Compare, Constant, Expr, IsNull
from penstock.language import lower_features
from penstock.plan import Aggregate, Stream, Sweep
from penstock.schema import Dtype
from penstock.window import Lookback, Unit
from tests import strategies as make
from tests.engine.test_oracle import ask, bits, same
from tests.oracle import Oracle, called

STREAM = Stream("users", (make.ORDERS,))
NUMERIC = [name for name, function in FUNCTIONS.items() if function.numeric]


def earlier(aggregate: Aggregate, times: int) -> list[Aggregate]:
    """The aggregate over windows of three days, the nearest first."""
    windows = [Lookback(-3 * n - 3, -3 * n) for n in range(times)]
    return [Aggregate(aggregate.function, aggregate.stream, aggregate.value, w, aggregate.n) for w in windows]


@st.composite
def histories(draw: st.DrawFn) -> tuple[make.MemoryRows, list[tuple[Any, int]], list[Expr]]:
    """A database, rows to ask about, and functions of an expression over its own earlier windows."""
    rows = draw(make.databases())
    value = draw(st.sampled_from([f for f in make.fields(rows.graph, "orders") if f.dtype is Dtype.FLOAT]))
    text = draw(st.sampled_from([f for f in make.fields(rows.graph, "orders") if f.dtype is Dtype.STRING]))
    number = Aggregate(draw(st.sampled_from(["COUNT", "AVG", "LAST", "MAX"])), STREAM, value, None)
    lags: list[Expr] = [*earlier(number, draw(st.integers(2, 5)))]
    truths: list[Expr] = [Compare(">", lag, Constant(draw(st.integers(-1, 2)))) for lag in lags]
    words: list[Expr] = [*earlier(Aggregate("LAST", STREAM, text, None), 3)]
    pair = [Aggregate("LAST_N", STREAM, text, Lookback(-5, 0, Unit.ROWS), n) for n in (2, 1)]
    asked: list[Expr] = [Call(name, tuple(lags)) for name in [*NUMERIC, "STREAK_OF"]]
    asked += [Call(name, tuple(truths)) for name in [*NUMERIC, "STREAK_OF"]]
    asked += [Call("STREAK_OF", tuple(words)), Call("PAIR", tuple(pair)), Call("PAIR", (lags[0], words[0]))]
    asked += [Arithmetic("-", lags[0], Call("MEAN_OF", tuple(lags))), IsNull(Call("FIRST_OF", tuple(truths)))]
    asked += [Call("MEAN_OF", (Call("MEAN_OF", tuple(lags[:2])), Call("STREAK_OF", tuple(truths))))]
    spine = draw(st.lists(st.tuples(st.integers(0, 4), make.times()), min_size=1, max_size=5))
    return rows, spine, asked


@given(histories())
def test_functions_of_earlier_windows_equal_their_definitions(question: Any) -> None:
    rows, spine, asked = question
    features = {str(expression): expression for expression in asked}
    table, oracle = ask(rows, spine, lower_features(features, "users", "user_id")), Oracle(rows.graph, rows.rows)
    for name, expression in features.items():
        for ours, (entity, cutoff) in zip(table[name].to_pylist(), spine, strict=True):
            theirs = oracle.value(expression, None, entity, cutoff, cutoff)
            if isinstance(expression, Call) and expression.function == "PAIR" and theirs is not None:
                assert ours.split(" → ")[1] == theirs.split(" → ")[1]
                continue  # a number's text is the engine's own
            assert same(ours, theirs), f"{name} of {entity} at {cutoff}: engine {ours!r}, definition {theirs!r}"


@given(st.data())
def test_a_filter_may_call_a_function_of_a_rows_columns(data: st.DataObject) -> None:
    rows = data.draw(make.databases())
    numbers = [f for f in make.fields(rows.graph, "orders") if f.dtype in (Dtype.FLOAT, Dtype.INT, Dtype.BOOL)]
    operands = tuple(data.draw(st.lists(st.sampled_from(numbers), min_size=2, max_size=4)))
    called_of = Call(data.draw(st.sampled_from(NUMERIC)), operands)
    where = Compare(data.draw(st.sampled_from([">", "<=", "="])), called_of, Constant(data.draw(st.integers(-1, 2))))
    asked = Aggregate("COUNT", Stream("users", (make.ORDERS,), where), None, data.draw(make.LOOKBACKS))
    spine = data.draw(st.lists(st.tuples(st.integers(0, 3), make.times()), min_size=1, max_size=4))
    table, oracle = ask(rows, spine, lower_features({"x": asked}, "users", "user_id")), Oracle(rows.graph, rows.rows)
    assert table["x"].to_pylist() == [oracle.aggregate(asked, entity, cutoff) for entity, cutoff in spine]


def test_the_windows_of_a_function_are_swept_once_with_those_that_are_features_themselves() -> None:
    lags = earlier(Aggregate("COUNT", STREAM, None, None), 4)
    features = {str(e): e for e in [*lags, *(Call(name, tuple(lags)) for name in [*NUMERIC, "STREAK_OF"])]}
    sweeps = [step for step in lower_features(features, "users", "user_id").chain() if isinstance(step, Sweep)]
    assert [step.aggregates for step in sweeps] == [tuple(lags)]


@given(histories())
def test_other_rows_of_a_spine_change_no_bit_of_a_function(question: Any) -> None:
    rows, spine, asked = question
    plan = lower_features({str(expression): expression for expression in asked}, "users", "user_id")
    whole = ask(rows, spine, plan)
    assert bits(ask(rows, spine[:1], plan)) == bits(whole.slice(0, 1))


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        ("MEAN_OF", [3, None, 1], 2.0),
        ("MEAN_OF", [True, False, None], 0.5),
        ("MEAN_OF", [None, None], None),
        ("SPREAD_OF", [1, 3], 2**0.5),
        ("SPREAD_OF", [1, None], None),
        ("STREAK_OF", [True, None, True, False, True], 2),
        ("STREAK_OF", [False, False, True], -2),
        ("STREAK_OF", [None, 4, 4, 4], 3),
        ("STREAK_OF", ["a", "b"], 1),
        ("STREAK_OF", [None, None], None),
        ("FIRST_OF", [False, None, True, True], 3),
        ("FIRST_OF", [0, -1, 2], 3),
        ("FIRST_OF", [False, None], None),
        ("PAIR", ["complaint", "cancel"], "complaint → cancel"),
        ("PAIR", ["complaint", None], None),
    ],
)
def test_each_function_by_an_example(function: str, values: list[Any], expected: Any) -> None:
    assert called(function, values) == (pytest.approx(expected) if isinstance(expected, float) else expected)
    found = ask(NOTHING, [(0, make.START)], lower_features({"x": _of_constants(function, values)}, "users", "user_id"))
    assert found["x"].to_pylist() == [pytest.approx(expected) if isinstance(expected, float) else expected]


def _of_constants(function: str, values: list[Any]) -> Call:
    return Call(function, tuple(map(Constant, values)))


NOTHING = make.MemoryRows(make.Graph((make.table("users", "user_id", {}, user_id=Dtype.INT),), ()), {"users": []})
