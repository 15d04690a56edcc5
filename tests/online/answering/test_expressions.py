"""Expressions over plain values equal DuckDB's answers to the same expressions, to the bit."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.execute import State, evaluate, quiet
from penstock.engine.relational import ARROW, Relational
from penstock.expression import Among, Arithmetic, Call, Compare, Constant, Expr, IsNull, Logic, Match, Not
from penstock.features.views.bound import Input
from penstock.online.expressions import evaluator
from penstock.schema import Dtype, Graph
from penstock.settings import Settings
from tests import strategies as make

LEAVES = [Input(f"{dtype}_{n}", dtype) for dtype in (Dtype.INT, Dtype.FLOAT, Dtype.BOOL, Dtype.STRING, Dtype.TIMESTAMP)
          for n in range(2)]  # fmt: skip
PLACES = {leaf: number for number, leaf in enumerate(LEAVES)}
TEXTS = st.text(alphabet="ab%_\\é'\n👍", max_size=4)
DAYS = st.integers(-40_000, 40_000).map(lambda n: n * 43_200_000_000 + n)
VALUES: dict[Dtype, st.SearchStrategy[Any]] = {
    Dtype.INT: st.integers(-3, 3) | st.integers(-(2**62), 2**62) | st.sampled_from([2**53, 2**53 + 1]),
    Dtype.FLOAT: st.integers(-3, 3).map(float)
    | st.floats(-1e100, 1e100)
    | st.sampled_from([-0.0, 0.5, math.nan, math.inf, -math.inf, float(2**53)]),
    Dtype.BOOL: st.booleans(),
    Dtype.STRING: TEXTS,
    Dtype.TIMESTAMP: DAYS,
}
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 2.5, 1e20, -1.25, 0.1, 1e-7, 2**53 + 1, 1234.5678])
COMPARISONS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


def of_dtype(*dtypes: Dtype) -> st.SearchStrategy[Expr]:
    """A leaf of one of these dtypes."""
    return st.sampled_from([leaf for leaf in LEAVES if leaf.dtype in dtypes])


def numbers(depth: int = 2) -> st.SearchStrategy[Expr]:
    """An expression that is a number."""
    if depth == 0:
        return of_dtype(Dtype.INT, Dtype.FLOAT) | NUMBERS.map(Constant)
    below = numbers(depth - 1)
    several = st.lists(below | of_dtype(Dtype.BOOL), min_size=2, max_size=4).map(tuple)
    calls = st.builds(Call, st.sampled_from(["MEAN_OF", "FIRST_OF"]), several)
    streaks = st.sampled_from([Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.TIMESTAMP, Dtype.BOOL]).flatmap(
        lambda dtype: st.lists(of_dtype(dtype), min_size=2, max_size=4).map(lambda o: Call("STREAK_OF", tuple(o)))
    )
    truths = st.lists(conditions(0), min_size=2, max_size=4).map(lambda o: Call("STREAK_OF", tuple(o)))
    return st.one_of(
        numbers(0), calls, streaks, truths, st.builds(Arithmetic, st.sampled_from(["+", "-", "*", "/"]), below, below)
    )


def compared() -> st.SearchStrategy[Expr]:
    """A comparison of texts, instants or truth values."""
    text = of_dtype(Dtype.STRING)
    instants = st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2060, 1, 1))  # noqa: DTZ001
    written = TEXTS.map(Constant)
    patterns = st.sampled_from(["CONTAINS", "LIKE", "STARTS WITH", "ENDS WITH"])
    return st.one_of(
        st.builds(Compare, COMPARISONS, text, text | written),
        st.builds(Compare, COMPARISONS, of_dtype(Dtype.TIMESTAMP), of_dtype(Dtype.TIMESTAMP) | instants.map(Constant)),
        st.builds(Compare, st.sampled_from(["=", "!="]), of_dtype(Dtype.BOOL), st.booleans().map(Constant)),
        st.builds(Among, text, st.lists(written, min_size=1, max_size=3).map(tuple)),
        st.builds(Match, patterns, text, written, st.booleans()),
    )


def conditions(depth: int = 2) -> st.SearchStrategy[Expr]:
    """An expression that is true or false."""
    below = numbers(depth - 1 if depth > 0 else 0)
    simple = st.one_of(
        of_dtype(Dtype.BOOL),
        st.builds(Compare, COMPARISONS, below, below),
        st.builds(IsNull, below | of_dtype(Dtype.STRING), st.booleans()),
        st.builds(Among, numbers(0), st.lists(NUMBERS.map(Constant), min_size=1, max_size=3).map(tuple)),
        compared(),
    )
    if depth == 0:
        return simple
    inner = conditions(depth - 1)
    return st.one_of(simple, st.builds(Not, inner), st.builds(Logic, st.sampled_from(["AND", "OR"]), inner, inner))


@st.composite
def tables(draw: st.DrawFn) -> list[list[Any]]:
    """A column of values for each leaf."""
    rows = draw(st.integers(1, 5))
    return [draw(st.lists(st.none() | VALUES[leaf.dtype], min_size=rows, max_size=rows)) for leaf in LEAVES]


def by_duckdb(expressions: list[Expr], columns: list[list[Any]]) -> list[list[Any]]:
    """The engine's own answers."""
    relational = Relational(make.MemoryRows(Graph(()), {}), Settings(memory=1 << 28, threads=1, cache=None))
    arrays = {str(leaf): pa.array(column, ARROW[leaf.dtype]) for leaf, column in zip(LEAVES, columns, strict=True)}
    found = evaluate(State(relational, pa.table(arrays), "", "", quiet, {}), expressions)
    return [column.to_pylist() for column in found]


def bits(values: list[Any]) -> list[Any]:
    """Values that are equal only if they are the same, decimals as the doubles they are."""
    return [v.hex() if isinstance(v, float) else v for v in values]


def ours(expression: Expr, columns: list[list[Any]]) -> list[Any]:
    """Our answer."""
    return evaluator(expression, PLACES.__getitem__)(columns, len(columns[0]))


CALCULATED = numbers().filter(lambda e: not isinstance(e, Constant))
PAIRS = st.lists(of_dtype(*VALUES), min_size=2, max_size=2).map(lambda o: Call("PAIR", tuple(o)))


@given(tables(), st.lists(CALCULATED.filter(lambda e: not isinstance(e, Input)) | conditions() | PAIRS, min_size=1,
                          max_size=6))  # fmt: skip
def test_expressions_equal_duckdb(columns: list[list[Any]], asked: list[Expr]) -> None:
    asked = [expression for expression in asked if not isinstance(expression, Input)]
    for expression, theirs in zip(asked, by_duckdb(asked, columns), strict=True):
        assert bits(ours(expression, columns)) == bits(theirs), str(expression)


@given(st.lists(st.none() | st.integers(-100, 100) | st.floats(-1e6, 1e6), min_size=2, max_size=6))
def test_the_spread_of_values_equals_duckdb(values: list[float | None]) -> None:
    expression = Call("SPREAD_OF", tuple(map(Constant, values)))
    nothing: list[list[Any]] = [[None] for _ in LEAVES]
    theirs = by_duckdb([expression], nothing)[0][0]
    assert ours(expression, nothing)[0] == (None if theirs is None else pytest.approx(theirs, rel=1e-12, abs=1e-12))


def test_lists_contain_what_they_hold() -> None:
    leaf = Input("tags", Dtype.LIST)
    contains = evaluator(Match("CONTAINS", leaf, Constant("a")), lambda _leaf: 0)
    assert contains([[["a", "b"], ["b"], None, []]], 4) == [True, False, False, False]
