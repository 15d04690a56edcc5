from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RefusedError, RequestError
from penstock.pipeline.change import Added, Changes, Dropped, Retyped, by_our_names, compare, prints
from penstock.pipeline.change.retyped import retyping
from tests.pipeline.change.made import NAMES, of, table

BEFORE = prints(table())
SUBSETS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)


def called(names: dict[str, str], rows: pa.Table) -> pa.Table:
    return rows.rename_columns([names.get(name, name) for name in rows.column_names])


# ---------------------------------------------------------------- laws


@given(st.integers(0, 3), st.sampled_from([0, 1, 3, 4, 5, 400]))
def test_nothing_changes_from_itself(seed: int, rows: int):
    same = prints(table(rows, seed))
    assert compare(same, same) == Changes()
    assert not compare(same, same)
    assert str(compare(same, same)) == "nothing changed"


@given(st.permutations(NAMES))
def test_another_order_of_columns_is_no_more_than_a_note(order: list[str]):
    found = compare(BEFORE, prints(table().select(order)))
    assert found.all == ()
    assert found.notes == (() if tuple(order) == NAMES else ("the columns are in another order",))


@given(SUBSETS, st.integers(0, 3))
def test_columns_with_the_same_values_are_found_under_any_names(names: list[str], seed: int):
    rows = table(300, seed)
    new = {name: f"field_{at}" for at, name in enumerate(names)}
    found = compare(prints(rows), prints(called(new, rows)))
    assert {one.ours: one.theirs for one in found.renamed} == new
    assert found == Changes(renamed=found.renamed)


@given(SUBSETS, SUBSETS, st.randoms())
def test_the_order_of_prints_does_not_matter_and_no_column_is_two_things(gone: list[str], new: list[str], random):
    after = prints(called({name: f"new_{name}" for name in new}, table(300, 1, start=9).drop_columns(gone[:2])))
    before, shuffled = list(BEFORE), list(after)
    random.shuffle(before)
    random.shuffle(shuffled)
    found = compare(BEFORE, after)
    assert compare(before, shuffled) == found
    renamed, theirs = {one.ours for one in found.renamed}, {one.theirs for one in found.renamed}
    assert not renamed & {one.column for one in found.dropped}
    assert not theirs & {one.column for one in found.added}
    assert renamed | {one.column for one in found.dropped} == set(NAMES) - {one.name for one in after}
    assert theirs | {one.column for one in found.added} == {one.name for one in after} - set(NAMES)


# ---------------------------------------------------------------- each kind of change


def test_fresh_rows_under_new_names_are_found():
    new = {"amount": "payment_amount", "shop_code": "shopCd", "paid_at": "payment_time", "visits": "no_of_visits"}
    found = compare(BEFORE, prints(called(new, table(500, 7, start=300))), table="payments")
    assert {one.ours: one.theirs for one in found.renamed} == new
    assert found.dropped == found.added == found.doubtful == ()
    (amount,) = [one for one in found.renamed if one.ours == "amount"]
    assert amount.likeness > 0.9
    assert "like names, same type, same place, values" in amount.evidence
    assert str(amount).startswith("amount is now called payment_amount (")


def test_a_column_that_went_and_an_unlike_one_that_came_stay_two():
    after = table().drop_columns(["amount"]).append_column("nickname", pa.array([f"n{n % 90}" for n in range(400)]))
    found = compare(BEFORE, prints(after))
    assert (found.dropped, found.added) == ((Dropped("amount", "double"),), (Added("nickname", "string"),))
    assert found.renamed == found.doubtful == ()


def test_words_that_tell_columns_apart_stop_a_rename():
    score = pa.array([n % 7 for n in range(300)])
    found = compare(of(id=range(300), home_score=score), of(id=range(300), away_score=score))
    assert found.renamed == ()
    assert [one.column for one in found.dropped] == ["home_score"]


def test_two_that_it_may_be_are_both_named_and_none_is_chosen():
    values = pa.array([f"v{n % 200}" for n in range(400)])
    before, after = of(id=range(400), code=values), of(id=range(400), code_a=values, code_b=values)
    (doubt,) = compare(before, after).doubtful
    assert (doubt.column, sorted(name for name, _ in doubt.candidates)) == ("code", ["code_a", "code_b"])
    assert str(doubt) == f"code may now be called {' or '.join(n for n, _ in doubt.candidates)}: too close to call"
    found = compare(before, after)
    assert found.renamed == ()
    assert found.dropped == (Dropped("code", "string"),)
    assert [one.column for one in found.added] == ["code_a", "code_b"]


def test_columns_that_changed_places_are_told():
    rows = table()
    swapped = called({"amount": "weight", "weight": "amount"}, rows)
    found = compare(BEFORE, prints(swapped))
    (doubt,) = found.doubtful
    assert doubt.swapped
    assert {doubt.column, doubt.candidates[0][0]} == {"amount", "weight"}
    assert "may have changed places: each has the other's values" in str(doubt)
    assert (found.renamed, found.dropped, found.added) == ((), (), ())


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("int32", "int64", "widening"), ("float", "double", "widening"), ("int64", "int32", "narrowing"),
        ("double", "float", "narrowing"), ("double", "int64", "narrowing"), ("int64", "double", "other"),
        ("int64", "string", "other"), ("string", "int64", "other"), ("timestamp[us]", "date32[day]", "narrowing"),
        ("decimal128(9, 2)", "decimal128(20, 2)", "widening"), ("decimal128(20, 2)", "decimal128(9, 2)", "narrowing"),
        ("decimal128(9, 2)", "decimal128(9, 3)", "other"), ("decimal128(9, 2)", "int64", "narrowing"),
        ("bool", "int64", "other"), ("date32[day]", "timestamp[us]", "other"),
    ],
)  # fmt: skip
def test_a_change_of_type_is_wider_narrower_or_another_kind(before: str, after: str, kind: str):
    assert retyping(before, after) == kind


def test_a_widening_is_one_that_the_lake_can_make_in_place(tmp_path):
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    from penstock.errors import SchemaError
    from penstock.lake.versioned.evolution import evolved, iceberg_type

    kinds = [pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.bool_(), pa.date32(),
             pa.timestamp("us"), pa.decimal128(9, 2), pa.decimal128(20, 2), pa.decimal128(20, 4)]  # fmt: skip
    for one in kinds:
        schema = Schema(NestedField(1, "x", iceberg_type(one, 1)[0], required=False))
        for other in kinds:
            if retyping(str(one), str(other)) == "widening" and one != other:
                assert str(evolved(schema, 1, {}, {"x": other}, [], {})[0].fields[0].field_type)
    with pytest.raises(SchemaError, match="LAKE_NARROWING"):
        evolved(Schema(NestedField(1, "x", iceberg_type(pa.int64(), 1)[0])), 1, {}, {"x": pa.int32()}, [], {})


def test_a_type_that_changes_is_told_by_our_name():
    found = compare(of(n=pa.array([1, 2], pa.int32())), of(n=pa.array([1, 2], pa.int64())))
    assert found.retyped == (Retyped("n", "int32", "int64", "widening"),)
    assert str(found) == "n is wider: int32 became int64"


def test_types_that_are_guessed_from_values_may_be_narrower():
    before = of(n=[1.5, 2.0], s=["a", "7"], w=[1, 2])
    after = of(n=[1, 2], s=[7, 8], w=[1.5, 2.5])
    assert [one.column for one in compare(before, after).retyped] == ["n", "s", "w"]
    (found,) = compare(before, after, guessed=True).all
    assert str(found) == "w is of another kind: int64 became double"


def test_a_column_without_values_fits_every_type():
    assert not compare(of(n=pa.array([1, 2])), of(n=pa.array([None, None], pa.string())))
    assert not compare(of(n=pa.array([1, 2])), of(n=pa.array([], pa.string())))


# ---------------------------------------------------------------- declared renames


def test_a_declared_rename_makes_two_names_one_column():
    after = prints(called({"amount": "payment_amount"}, table(300, 3)))
    found = compare(BEFORE, after, {"amount": "payment_amount"})
    (one,) = found.all
    assert (one.ours, one.theirs, one.declared, str(one)) == (
        "amount", "payment_amount", True, "amount is now called payment_amount (as declared)",
    )  # fmt: skip


def test_a_declared_rename_is_applied_however_unlike_the_columns_are():
    after = prints(called({"amount": "weight_2", "weight": "sum"}, table()))
    found = compare(BEFORE, after, {"weight": "weight_2", "amount": "sum"})
    assert {one.ours: one.theirs for one in found.renamed} == {"weight": "weight_2", "amount": "sum"}


def test_what_is_kept_under_our_names_has_changed_no_more_the_next_time():
    renames = {"amount": "payment_amount"}
    after = prints(called(renames, table(300, 3)))
    kept = by_our_names(after, renames)
    assert [one.name for one in kept] == list(NAMES)
    assert compare(kept, by_our_names(prints(called(renames, table(300, 4))), renames)) == Changes()


def test_a_declared_rename_waits_while_the_source_has_our_name():
    assert not compare(BEFORE, BEFORE, {"amount": "payment_amount"})


def test_a_declared_rename_and_a_wider_type_are_both_told():
    before, after = of(n=pa.array([1, 2], pa.int32())), of(m=pa.array([1, 2], pa.int64()))
    found = compare(before, after, {"n": "m"})
    assert [type(one).__name__ for one in found.all] == ["Retyped", "Renamed"]
    assert found.retyped[0].column == "n"


def test_a_declared_rename_of_a_column_not_known_before_is_its_first_name():
    found = compare(of(id=[1]), of(id=[1], payment_amount=[2.5]), {"amount": "payment_amount"})
    assert found.added == (Added("amount", "double"),)


def test_a_declared_rename_to_nothing_is_refused():
    with pytest.raises(RequestError) as caught:
        compare(BEFORE, prints(table().drop_columns(["amount"])), {"amount": "paymet"})
    assert caught.value.code == "CHANGE_RENAME"
    assert caught.value.message == "renames = { amount = \"paymet\" }: the source has neither 'amount' nor 'paymet'"


def test_a_declared_rename_where_both_are_there_is_refused():
    with pytest.raises(RequestError, match=r"CHANGE_RENAME: .* the source has both 'amount' and 'weight'"):
        compare(BEFORE, BEFORE, {"amount": "weight"})


def test_a_declared_rename_to_another_kind_of_value_is_refused():
    after = prints(table().drop_columns(["amount"]))
    with pytest.raises(RefusedError, match=r"CHANGE_RENAME_MISFIT: .* 'amount' is double, but 'blurb' is string"):
        compare(BEFORE, after, {"amount": "blurb"})


def test_a_retyped_rename_is_proposed_with_its_type():
    before = of(id=range(300), amount=pa.array([n % 97 for n in range(300)], pa.int32()))
    after = of(id=range(300), payment_amount=pa.array([n % 97 for n in range(300)], pa.int64()))
    found = compare(before, after)
    assert [one.theirs for one in found.renamed] == ["payment_amount"]
    assert [one.kind for one in found.retyped] == ["widening"]


def test_changes_go_to_json():
    found = compare(BEFORE, prints(called({"amount": "payment_amount"}, table(300, 3).drop_columns(["colour"]))))
    told = json.loads(json.dumps(found.to_dict()))
    assert [one["kind"] for one in told["changes"]] == ["dropped", "renamed"]
    assert told["changes"][1]["theirs"] == "payment_amount"


def test_a_print_without_values_is_compared_by_name_type_and_place():
    empty = [replace(one, rows=0, nulls=0.0, distinct=0, quantiles=(), common=()) for one in prints(table(0))]
    found = compare(empty, [replace(one, name="amount_usd") if one.name == "amount" else one for one in empty])
    assert [(one.ours, one.theirs) for one in found.renamed] == [("amount", "amount_usd")]
    assert found.renamed[0].evidence.endswith("too few values to compare")
