"""What was decided when: a vote at every instant with what was known then, and later labels change nothing before."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.learning.labelling.decided import decisions
from penstock.learning.labelling.label import INSTANT

VALUES = {pa.bool_(): [True, False], pa.float64(): [1.0, 2.0, 9.5], pa.string(): ["low", "middle", "high", "top"]}


def schema(kind: pa.DataType) -> pa.Schema:
    return pa.schema([
        ("entity", pa.string()), ("happened", INSTANT), ("value", kind), ("labeller", pa.string()),
        ("source", pa.string()), ("confidence", pa.float64()), ("known", INSTANT), ("deleted", pa.bool_()),
    ])  # fmt: skip


@st.composite
def histories(draw, most: int = 40, kinds: tuple[pa.DataType, ...] = (pa.bool_(),)) -> pa.Table:
    """Versions of labels, as a set's history holds them: one label's are known one after the other."""
    kind = draw(st.sampled_from(kinds))
    row = st.tuples(
        st.sampled_from("xyz"), st.sampled_from([None, 5, 9]), st.sampled_from(VALUES[kind]), st.sampled_from("abcde"),
        st.sampled_from(["people", "people", "gold"]), st.booleans(), st.integers(1, 30),
    )  # fmt: skip
    versions: dict[tuple[object, ...], int] = {}
    rows = []
    for entity, happened, value, who, source, gone, known in draw(st.lists(row, max_size=most)):
        key = entity, happened, who
        versions[key] = max(known, versions.get(key, 0) + 1)
        sure = None if kind == pa.bool_() or len(rows) % 2 else 0.8
        gone = gone and len(rows) % 3 == 0
        rows.append((entity, happened, value, who, source, sure, versions[key], gone))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in schema(kind)]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema(kind), strict=True)], schema=schema(kind))


def until(history: pa.Table, instant: int) -> pa.Table:
    return history.filter(pc.less_equal(history["known"].cast(pa.int64()), instant))


@settings(deadline=None)
@given(histories(most=120, kinds=tuple(VALUES)), st.integers(0, 40), st.sampled_from([None, {"a": 0.9, "b": 0.6}]))
def test_what_is_known_later_changes_no_decision_before(history, instant, weights):
    early = [decision for decision in decisions(history, weights) if decision.known <= instant]
    assert early == list(decisions(until(history, instant), weights))


@settings(deadline=None)
@given(histories(), st.integers(0, 40))
def test_a_decision_is_the_majority_of_the_labels_that_hold(history, instant):
    decided = {d.item: d.value for d in decisions(history, {}) if d.known <= instant}
    assert {item: value for item, value in decided.items() if value is not None} == naive(history, instant)


def naive(history: pa.Table, instant: int) -> dict[tuple[str, int | None], bool]:
    """Gold, if it is of one mind; else what most say, if more than say the contrary."""
    newest = {}
    for row in sorted(history.to_pylist(), key=lambda r: r["known"]):
        if row["known"] is not None and _micros(row["known"]) <= instant:
            newest[row["entity"], row["happened"], row["labeller"]] = row
    found = {}
    for item in {(entity, happened) for entity, happened, _ in newest}:
        rows = [row for key, row in newest.items() if key[:2] == item and not row["deleted"]]
        gold = {row["value"] for row in rows if row["source"] == "gold"}
        said = Counter(row["value"] for row in rows if row["source"] != "gold")
        value = gold.pop() if len(gold) == 1 else said[True] > said[False] if said[True] != said[False] else None
        if value is not None:
            found[item[0], None if item[1] is None else _micros(item[1])] = value
    return found


def _micros(moment) -> int:
    return pa.scalar(moment, INSTANT).cast(pa.int64()).as_py()


@settings(deadline=None)
@given(histories(kinds=tuple(VALUES)), st.randoms(use_true_random=False))
def test_decisions_do_not_depend_on_the_order_of_rows(history, random):
    places = list(range(history.num_rows))
    random.shuffle(places)
    assert list(decisions(history)) == list(decisions(history.take(pa.array(places, pa.int64()))))
