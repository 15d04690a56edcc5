from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RefusedError
from penstock.pipeline.change import (
    Added,
    Changes,
    Dependant,
    Doubtful,
    Dropped,
    Renamed,
    Retyped,
    Use,
    advice,
    impact,
    judged,
)

GONE = Dropped("amount", "double")
RENAMED = Renamed("amount", "payment_amount", 0.98, "like names, same type")
DECLARED = Renamed("amount", "payment_amount", 1.0, "declared", declared=True)
MODEL = Dependant("model", "churn@3", frozenset({("orders", "amount"), ("orders", "placed_at")}))
QUERY = Dependant("query", "churn", frozenset({("orders", "placed_at")}))
COPY = Dependant("derived table", "everything", frozenset({("orders", None)}))
DAILY = Dependant("endpoint", "/predict/revenue", frozenset({("daily", "revenue")}))
ROWS = Dependant("check", "big_orders rows", frozenset({("big_orders", "order_id")}))
EVERYONE = (MODEL, QUERY, COPY, DAILY, ROWS)


def downstream(column: tuple[str, str]) -> tuple[Use, ...]:
    return {("orders", "amount"): (("big_orders", None), ("daily", "revenue"))}.get(column, ())


def test_what_reads_a_column_breaks_through_derived_tables_too():
    found = impact(Changes(dropped=(GONE,)), "orders", EVERYONE, downstream)
    assert [str(one) for one in found] == [
        "model churn@3: reads orders.amount",
        "derived table everything: reads orders.amount",
        "endpoint /predict/revenue: reads daily.revenue, which comes from orders.amount",
        "check big_orders rows: reads the rows of big_orders, which orders.amount decides",
    ]
    assert [one.dependant for one in impact(Changes(dropped=(GONE,)), "orders", EVERYONE)] == [MODEL, COPY]
    assert impact(Changes(dropped=(GONE,)), "items", EVERYONE) == ()


@pytest.mark.parametrize(
    "changes",
    [
        Changes(),
        Changes(added=(Added("amount", "double"),)),
        Changes(retyped=(Retyped("amount", "int32", "int64", "widening"),)),
        Changes(renamed=(DECLARED,)),
    ],
    ids=["nothing", "added", "wider", "declared"],
)
def test_what_breaks_nothing_passes_without_a_word(changes: Changes):
    found = judged(changes, "orders", EVERYONE, downstream)
    assert found.passes
    assert (found.error(), found.notes, found.advice) == (None, (), ())
    found.must_pass()


@pytest.mark.parametrize(
    "changes",
    [
        Changes(dropped=(GONE,)),
        Changes(retyped=(Retyped("amount", "double", "int64", "narrowing"),)),
        Changes(retyped=(Retyped("amount", "double", "string", "other"),)),
        Changes(renamed=(RENAMED,)),
    ],
    ids=["dropped", "narrower", "another kind", "renamed"],
)
def test_what_breaks_something_is_refused_and_noted_where_nothing_uses_it(changes: Changes):
    found = judged(changes, "orders", EVERYONE, downstream)
    assert not found.passes
    assert found.dependants == (
        "model churn@3", "derived table everything", "endpoint /predict/revenue", "check big_orders rows",
    )  # fmt: skip
    with pytest.raises(RefusedError, match=r"CHANGE_BREAKS: orders: amount .* that breaks model churn@3, "):
        found.must_pass()
    unused = judged(changes, "orders", [QUERY])
    assert unused.passes
    assert unused.notes == (f"{changes.all[0]}; nothing uses it",)


def test_the_refusal_says_who_stands_in_the_way_and_which_lines_settle_it():
    error = judged(Changes(renamed=(RENAMED,)), "orders", [MODEL, QUERY]).error()
    assert str(error) == (
        "CHANGE_BREAKS: orders: amount is now called payment_amount (98% likely: like names, same type); "
        "that breaks model churn@3\n"
        "  The last good version stays in use. Write into penstock.toml:\n"
        "  # penstock.toml\n"
        "  [tables.orders]\n"
        '  renames = { amount = "payment_amount" }'
    )


def test_a_loss_that_is_accepted_passes_with_a_note():
    found = judged(Changes(dropped=(GONE,)), "orders", [MODEL], drops=["amount"])
    assert found.passes
    assert found.notes == ("amount (double) is gone; its loss is accepted",)


def test_columns_that_changed_places_are_told_with_their_users_and_never_refused():
    found = judged(Changes(doubtful=(Doubtful("amount", (("weight", 0.9),), swapped=True),)), "orders", [MODEL])
    assert found.passes
    assert found.notes == (
        "amount and weight may have changed places: each has the other's values; look before you trust model churn@3",
    )


def test_advice_keeps_the_renames_that_are_declared_and_quotes_what_is_no_plain_word():
    changes = Changes(
        renamed=(DECLARED, Renamed("Unit Price", 'pri"ce', 0.9, "")),
        dropped=(Dropped("code", "string"),),
        doubtful=(Doubtful("code", (("a", 0.9), ("b", 0.88))),),
    )
    code = Dependant("feature", "F", frozenset({("Order Lines", "code")}))
    broken = impact(changes, "Order Lines", [code])
    either = ('renames = { code = "a" }', 'renames = { code = "b" }')
    lines = advice(changes, "Order Lines", broken, file="shop.toml")
    assert lines == (
        "# shop.toml",
        '[tables."Order Lines"]',
        'renames = { amount = "payment_amount", "Unit Price" = "pri\\"ce" }',
        f"# {changes.doubtful[0]}. One of: {'  or  '.join(either)}",
        '# if they are not needed any more: drops = ["code"]',
    )


NAMES = st.text(min_size=1, max_size=8)


@given(NAMES, st.dictionaries(NAMES, NAMES, min_size=1, max_size=3))
def test_the_lines_are_toml_that_says_the_renames(table: str, renames: dict[str, str]):
    import tomllib

    changes = Changes(
        renamed=tuple(Renamed(mine, other, 0.9, "") for mine, other in renames.items()),
        doubtful=tuple(Doubtful(mine, ((other, 0.9),)) for mine, other in renames.items()),
    )
    told = tomllib.loads("\n".join(advice(changes, table)))
    assert told == {"tables": {table: {"renames": renames}}}


def test_verdicts_print_themselves_and_go_to_json():
    found = judged(Changes(renamed=(RENAMED,)), "orders", EVERYONE, downstream)
    assert str(found).splitlines()[:3] == [
        "orders is refused:",
        f"  {RENAMED}",
        "    breaks model churn@3: reads orders.amount",
    ]
    assert str(judged(Changes(), "orders")) == "orders: nothing changed"
    told = json.loads(json.dumps(found.to_dict()))
    assert (told["passes"], told["broken"][0]["name"]) == (False, "churn@3")


COLUMNS = st.sampled_from("abc")
USES = st.frozensets(st.tuples(st.sampled_from(["t", "u", "v"]), st.none() | COLUMNS), min_size=1, max_size=3)


@given(st.lists(USES, max_size=4), st.dictionaries(st.tuples(st.just("t"), COLUMNS), USES, max_size=3), COLUMNS)
def test_impact_is_what_a_naive_look_finds(uses: list[frozenset[Use]], flows: dict[Use, frozenset[Use]], column: str):
    dependants = [Dependant("feature", str(at), one) for at, one in enumerate(uses)]
    found = impact(
        Changes(dropped=(Dropped(column, "int64"),)), "t", dependants, lambda at: sorted(flows.get(at, ()), key=str)
    )
    touched = {("t", column), *flows.get(("t", column), ())}
    expected = [
        one for one in dependants
        if any(u == t and (d is None or c is None or c == d) for u, c in one.uses for t, d in touched)
    ]  # fmt: skip
    assert [one.dependant for one in found] == expected
