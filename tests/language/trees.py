"""Hypothesis strategies: syntax trees as the parser makes them."""

from __future__ import annotations

import datetime as dt
from typing import get_args

from hypothesis import strategies as st

from penstock.aggregates import AGGREGATES
from penstock.expression import (
    FUNCTIONS,
    Among,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Expr,
    IsNull,
    Logic,
    Match,
    Not,
    Operator,
)
from penstock.language.tree import Aggregation, Column, Ids, Name, Predict, Same, Spec
from penstock.plan import Calendar
from penstock.window import Unit, Window

words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
names = words | st.text(st.characters(exclude_characters="`\r\n", exclude_categories=("Cs",)), min_size=1, max_size=8)
columns = st.builds(Column, names, names.filter(lambda name: name != "*"))
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
days = st.dates(dt.date(1000, 1, 1))
moments = st.datetimes(dt.datetime(1000, 1, 1)).map(lambda moment: moment.replace(microsecond=0))  # noqa: DTZ001
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
constants = st.builds(Constant, st.booleans() | numbers | texts | days | moments)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A window of either direction, or of both; of rows one that looks back."""
    if draw(st.integers(0, 3)) == 0:
        end = draw(st.integers(-1000, 0))
        return Window(draw(st.integers(end - 1000, end - 1)), end, Unit.ROWS)
    end = draw(st.integers(-1000, 1000))
    start = draw(st.none() | st.integers(end - 1000, end - 1))
    return Window(start, end, draw(st.sampled_from([unit for unit in Unit if unit is not Unit.ROWS])))


@st.composite
def aggregations(draw: st.DrawFn, inside: st.SearchStrategy[Expr]) -> Aggregation:
    """An aggregate, with all that may stand in it."""
    function = draw(st.sampled_from(list(AGGREGATES)))
    column = draw(columns | names.map(lambda table: Column(table, "*")))
    n = draw(st.integers(1, 9)) if function == "LAST_N" else None
    via = tuple(draw(st.lists(columns, max_size=2)))
    pointing = st.builds(Aggregation, st.sampled_from(["LAST", "MODE"]), columns)
    of = draw(st.none() | pointing | columns | st.builds(Same, st.none() | columns))
    return Aggregation(function, column, draw(st.none() | inside), draw(st.none() | windows()), n, via, of)


def _values(inside: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    leaves = columns | aggregations(inside) | st.sampled_from([Calendar("MONTH"), Calendar("HOUR")])
    operands = leaves | numbers.map(Constant)
    return leaves | st.builds(Arithmetic, st.sampled_from("+-*/"), operands, leaves) | _calls(operands | inside)


@st.composite
def _calls(draw: st.DrawFn, operands: st.SearchStrategy[Expr]) -> Call:
    function = draw(st.sampled_from(list(FUNCTIONS.values())))
    most = 2 if function.pair else 4
    return Call(function.name, tuple(draw(st.lists(operands, min_size=2, max_size=most))))


def _conditions(inside: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    values = _values(inside)
    lists = st.lists(constants | st.just(Constant(None)), min_size=1, max_size=3).map(tuple)
    patterns = st.sampled_from(["CONTAINS", "STARTS WITH", "ENDS WITH"])
    return st.one_of(
        st.builds(Compare, st.sampled_from(get_args(Operator)), values, constants | values),
        st.builds(IsNull, values, st.booleans()),
        st.builds(Among, values, lists),
        st.builds(Match, patterns, values, constants),
        st.builds(Match, st.just("CONTAINS"), values, constants, st.just(True)),
        st.builds(Match, st.just("LIKE"), values, st.builds(Constant, texts.map(lambda t: f"a%{t}b%")), st.just(False)),
    )


base = _conditions(st.builds(IsNull, columns, st.booleans()))
conditions = st.recursive(
    base,
    lambda inner: st.one_of(
        inner.map(Not), st.builds(Logic, st.sampled_from(["AND", "OR"]), inner, inner), _conditions(inner)
    ),
    max_leaves=4,
)
specs = st.one_of(
    st.just(Spec()),
    st.builds(Spec, st.just("RANK"), st.integers(-5, 50)),
    st.just(Spec("CLASSIFY")),
    st.builds(Spec, st.none(), st.integers(-5, 50)),
    st.builds(lambda steps: Spec("FORECAST", steps=steps), st.integers(-5, 500)),
)
ids = st.builds(lambda value: Ids("=", (value,)), constants) | st.lists(constants, min_size=1, max_size=3).map(
    lambda values: Ids("IN", tuple(values))
)
targets = conditions | _values(base) | names.map(Name)
queries = st.builds(
    Predict,
    targets,
    columns,
    st.booleans(),
    specs,
    st.none() | ids,
    st.none() | conditions,
    st.none() | conditions,
    st.none() | st.builds(Constant, days | moments),
    st.sampled_from([None, "EXPLAIN", "EVALUATE"]),
)
