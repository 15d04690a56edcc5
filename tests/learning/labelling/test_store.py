"""Label sets in the lake: adding twice adds once, corrections and withdrawals are versions, and nothing is lost."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError, SourceError
from penstock.learning.labelling import Labels, LabelStore, from_table
from penstock.learning.labelling.label import LABELS, in_microseconds
from penstock.learning.labelling.store import _news
from tests.learning.labelling.places import Place, moment


def stated(place: Place, values: dict[int, object], labeller: str = "ada", **more) -> Labels:
    told = {"entity": list(values), "value": list(values.values()), **more}
    return from_table(told, labeller=labeller, now=place.clock)


def held(place: Place, instant: int | None = None) -> dict[str, object]:
    rows = place.store.set("fraud").at(instant)
    return dict(zip(rows["entity"].to_pylist(), rows["value"].to_pylist(), strict=True))


def test_adding_twice_adds_once(place: Place):
    labels = stated(place, {1: "yes", 2: "no"})
    assert str(place.store.add("fraud", labels, entity="users")) == "2 new"
    before = place.store.set("fraud").history()
    place.later()
    assert str(place.store.add("fraud", labels)) == "2 unchanged"
    assert place.store.set("fraud").history() == before
    assert len(place.store.set("fraud").table.versions()) == 1


def test_an_old_file_added_again_does_not_undo_a_correction(place: Place):
    labels = stated(place, {1: "yes"})
    place.store.add("fraud", labels, entity="users")
    first = place.clock.at
    corrected = place.later()
    place.store.set("fraud").correct(1, False, labeller="ada", note="a typing error")
    place.later()
    assert str(place.store.add("fraud", labels)) == "1 unchanged"
    assert held(place) == {"1": False}
    assert held(place, first) == held(place, corrected - 1) == {"1": True}
    assert place.store.set("fraud").history()["note"].to_pylist() == [None, "a typing error"]


def test_a_correction_back_to_what_was_said_before_counts(place: Place):
    place.store.add("fraud", stated(place, {1: "yes"}), entity="users")
    for value in (False, True, False):
        place.later()
        place.store.set("fraud").correct(1, value, labeller="ada")
        assert held(place) == {"1": value}
    place.later()
    assert str(place.store.set("fraud").correct(1, False, labeller="ada")) == "1 unchanged"


def test_a_newer_file_corrects_an_older_one(place: Place):
    place.store.add("fraud", stated(place, {1: "yes", 2: "no"}), entity="users")
    place.later()
    assert (
        str(place.store.add("fraud", stated(place, {1: "no", 2: "no", 3: "no"}))) == "1 new, 1 corrected, 1 unchanged"
    )
    assert held(place) == {"1": False, "2": False, "3": False}


def test_a_withdrawn_label_holds_until_then(place: Place):
    labels = stated(place, {1: "yes", 2: "no"})
    place.store.add("fraud", labels, entity="users")
    withdrawn = place.later()
    assert str(place.store.set("fraud").withdraw(1, "ada")) == "1 withdrawn"
    assert held(place) == {"2": False}
    assert held(place, withdrawn - 1) == {"1": True, "2": False}
    assert str(place.store.add("fraud", labels)) == "2 unchanged"
    with pytest.raises(RequestError, match="LABELS_NOT_THERE: bob has no such label of users 2\n  exists: ada"):
        place.store.set("fraud").withdraw(2, "bob")


def test_versions_of_one_label_are_known_one_after_the_other_even_within_one_instant(place: Place):
    place.store.add("fraud", stated(place, {1: "yes"}), entity="users")
    place.store.set("fraud").correct(1, "no", labeller="ada")
    place.store.set("fraud").correct(1, "yes", labeller="ada")
    known = place.store.set("fraud").history()["known"].cast(pa.int64()).to_pylist()
    assert known == [place.clock.at, place.clock.at + 1, place.clock.at + 2]


def test_a_label_says_itself_when_it_was_known(place: Place):
    known = [moment("2024-03-01T00:00:00"), moment("2024-04-01T00:00:00"), None]
    place.store.add("fraud", stated(place, {1: "yes", 2: "no", 3: "no"}, known=known), entity="users")
    assert place.store.set("fraud").history()["known"].cast(pa.int64()).to_pylist()[2] == place.clock.at
    assert held(place, 1_710_000_000_000_000) == {"1": True}
    late = stated(place, {2: "yes"}, known=[moment("2024-03-20T00:00:00")])
    assert str(place.store.add("fraud", late)) == "1 late"
    assert held(place)["2"] is False


def test_labels_about_several_times_are_several(place: Place):
    when = ["2024-03-01", "2024-04-01", None]
    told = {"entity": [1, 1, 1], "value": ["yes", "no", "yes"], "happened": when}
    place.store.add("fraud", from_table(told, now=place.clock), entity="users")
    rows = place.store.set("fraud").at()
    assert rows["happened"].to_pylist() == [moment("2024-03-01T00:00:00"), moment("2024-04-01T00:00:00"), None]


def test_the_kind_of_a_set_follows_from_its_first_values(place: Place):
    for name, values in {"a": ["yes", "no"], "b": ["1", "2.5"], "c": ["1", "low"]}.items():
        place.store.add(name, stated(place, dict(enumerate(values))), entity="users")
    kinds = {name: (place.store.set(name).kind, place.store.set(name).at()["value"].to_pylist()) for name in "abc"}
    assert kinds == {"a": ("truth", [True, False]), "b": ("number", [1.0, 2.5]), "c": ("category", ["1", "low"])}
    assert place.store.names() == ("a", "b", "c")


def test_values_that_are_not_of_the_sets_kind_are_rejected_and_nothing_is_added(place: Place):
    made = place.store.create("fraud", "users", "truth")
    labels = stated(place, {1: "yes", 2: "perhaps"})
    with pytest.raises(SourceError, match="entity 2: 'perhaps' is no truth value, as the labels fraud are"):
        made.add(labels)
    assert made.at().num_rows == 0
    done = made.add(labels, rejected="keep")
    assert str(done) == "1 new, 1 rejected"
    with pytest.raises(RequestError, match="'perhaps' is no truth value"):
        made.correct(1, "perhaps", labeller="ada")


def test_entities_that_do_not_exist_are_rejected(place: Place):
    labels = stated(place, {1: "yes", 99: "no"})
    with pytest.raises(SourceError, match="entity 99: users has no such row"):
        place.store.add("fraud", labels, entity="users", among=pa.array([1, 2]))
    done = place.store.add("fraud", labels, entity="users", among=pa.array([1, 2]), rejected="keep")
    assert done.rejected.to_pylist() == [{"place": "entity 99", "reason": "users has no such row"}]
    assert held(place) == {"1": True}


def test_sets_have_plain_names_one_table_and_one_kind(place: Place):
    with pytest.raises(RequestError, match="LABELS_NAME: a label set cannot be called 'no way'"):
        place.store.create("no way", "users", "truth")
    with pytest.raises(RequestError, match="LABELS_UNKNOWN_KIND: labels cannot be 'colour'"):
        place.store.create("fraud", "users", "colour")
    with pytest.raises(RequestError, match="LABELS_NO_ENTITY: the set 'fraud' is new"):
        place.store.add("fraud", stated(place, {1: "yes"}))
    place.store.create("fraud", "users", "truth")
    with pytest.raises(RequestError, match="LABELS_OTHER_SET: there is a set 'fraud' already: truth labels of users"):
        place.store.create("fraud", "orders", "truth")
    with pytest.raises(SourceError, match="LABELS_UNKNOWN_SET: there are no labels 'frauds'") as caught:
        place.store.set("frauds")
    assert caught.value.suggestion == "fraud"
    with pytest.raises(RequestError, match="LABELS_REJECTED_HOW"):
        place.store.set("fraud").add(stated(place, {1: "yes"}), rejected="drop")


def test_what_was_added_is_there_for_whoever_opens_the_lake(place: Place):
    place.store.add("fraud", stated(place, {1: "yes"}), entity="users")
    again = LabelStore(Place(place.folder).store.lake, place.clock).set("fraud")
    assert (again.entity, again.kind, again.at()["value"].to_pylist()) == ("users", "truth", [True])


def test_writers_at_once_lose_nothing_and_double_nothing(place: Place):
    place.store.create("fraud", "users", "truth")
    failed: list[BaseException] = []

    def write(who: int) -> None:
        try:
            mine = Place(place.folder, place.clock).store.set("fraud")
            for entity in range(4):
                mine.add(stated(place, {entity: "yes"}, labeller=f"person {who % 2}"))
        except BaseException as error:  # noqa: BLE001 — told to the test
            failed.append(error)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    history = place.store.set("fraud").history()
    said = sorted(zip(history["entity"].to_pylist(), history["labeller"].to_pylist(), strict=True))
    assert said == sorted((str(entity), f"person {who}") for entity in range(4) for who in range(2))


# ---------------------------------------------------------------- laws, without a lake


@st.composite
def batches(draw) -> list[pa.Table]:
    """Files of labels, some of which say themselves when they were known."""
    key = st.sampled_from("xy"), st.sampled_from([None, 3]), st.sampled_from("ab")
    row = st.tuples(*key, st.sampled_from(["yes", "no"]), st.sampled_from([None, None, 5, 6, 7]))
    found = []
    for rows in draw(st.lists(st.lists(row, max_size=5), max_size=5)):
        told = [dict(zip(("entity", "happened", "labeller", "written", "known"), r, strict=True)) for r in rows]
        found.append(pa.Table.from_pylist([{**one, "source": "s"} for one in told], LABELS))
    return found


def written(history: pa.Table, batch: pa.Table, now: int) -> tuple[pa.Table, int]:
    """The history with what a batch brings, and how many rows that was."""
    coming, done = _news(history, batch, now, again=False, deleted=False)
    assert len(coming) == done.new + done.corrected + done.confirmed
    assert len(coming) + done.unchanged + done.late == batch.num_rows
    names = {"_known": "known", "_deleted": "deleted"}
    rows = [{names.get(name, name): value for name, value in row.items()} for row in coming]
    return pa.concat_tables([history, pa.Table.from_pylist(rows, history.schema)]), len(coming)


@given(batches())
def test_files_in_any_number_are_added_once_and_versions_are_known_in_order(files: list[pa.Table]):
    history = LABELS.append(pa.field("deleted", pa.bool_())).empty_table()
    for now, batch in enumerate(files, 10):
        history, _ = written(history, batch, now)
        assert written(history, batch, now + 5)[1] == 0
    for batch in files:
        assert written(history, batch, 99)[1] == 0
    known: dict[object, int] = {}
    for row in in_microseconds(history).to_pylist():
        key = row["entity"], row["happened"], row["labeller"]
        assert row["known"] > known.get(key, 0)
        known[key] = row["known"]
