"""Label Studio: exports of both formats are read, and what is exported, annotated and read again is the same."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import RequestError, SourceError
from penstock.learning.labelling import (
    Interface,
    Task,
    ValueKind,
    from_label_studio,
    from_table,
    interface,
    to_label_studio,
    write_tasks,
)  # fmt: skip
from tests.learning.labelling.places import ENDS, Clock, Place, moment

NOW = Clock()
WHEN = "2024-03-01T12:00:00.123456Z"


def result(value: dict[str, Any], name: str = "fraud", kind: str = "choices") -> dict[str, Any]:
    return {"id": "Xz7_q", "from_name": name, "to_name": "shown", "type": kind, "origin": "manual", "value": value}


def annotation(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 11, "completed_by": 1, "result": list(results), "was_cancelled": False, "ground_truth": False,
        "created_at": "2024-03-01T11:00:00.000000Z", "updated_at": WHEN, "draft_created_at": None, "lead_time": 4.71,
        "prediction": {}, "result_count": len(results), "unique_id": "4f2b", "task": 1, "project": 3, **more,
    }  # fmt: skip


def task(*annotations: dict[str, Any], entity: object = 7, predictions: Any = (), **data: Any) -> dict[str, Any]:
    return {
        "id": 1, "annotations": list(annotations), "file_upload": "tasks.json", "drafts": [],
        "predictions": list(predictions), "data": {"entity": entity, "city": "Oslo", **data}, "meta": {},
        "created_at": WHEN, "updated_at": WHEN, "inner_id": 1, "total_annotations": len(annotations),
        "cancelled_annotations": 0, "total_predictions": 0, "comment_count": 0, "project": 3, "updated_by": 1,
    }  # fmt: skip


def said(labels) -> list[tuple[Any, ...]]:
    return [(r["entity"], r["written"], r["labeller"], r["source"]) for r in labels.rows.to_pylist()]


def test_an_export_is_read_with_who_and_when():
    labels = from_label_studio([task(annotation(result({"choices": ["yes"]})), cutoff="2024-02-01T00:00:00Z")], now=NOW)
    assert labels.rows.to_pylist() == [
        {
            "entity": "7", "happened": moment("2024-02-01T00:00:00"), "known": moment("2024-03-01T12:00:00.123456"),
            "written": "yes", "labeller": "user 1", "source": "label studio", "confidence": None, "note": None,
        }
    ]  # fmt: skip
    imported = from_label_studio([task(annotation(result({"choices": ["yes"]})))], Task(known="imported"), now=NOW)
    assert imported.rows["known"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        ({"choices": ["yes"]}, "choices", "yes"),
        ({"choices": ["spam", "fraud"]}, "choices", "fraud | spam"),
        ({"number": 2.5}, "number", "2.5"),
        ({"number": 0}, "number", "0"),
        ({"rating": 4}, "rating", "4"),
        ({"text": ["looks odd"]}, "textarea", "looks odd"),
        ({"taxonomy": [["goods", "toys"]]}, "taxonomy", "goods / toys"),
        ({"taxonomy": [["b"], ["a", "c"]]}, "taxonomy", "a / c | b"),
    ],
)
def test_every_sort_of_answer_is_read(value, kind, read):
    labels = from_label_studio([task(annotation(result(value, kind=kind)))], now=NOW)
    assert labels.rows["written"].to_pylist() == [read]


@pytest.mark.parametrize(
    ("by", "name"),
    [
        (4, "user 4"),
        ({"id": 4, "email": "ada@example.org", "first_name": "Ada"}, "ada@example.org"),
        ({"id": 4, "email": "", "username": "ada"}, "ada"),
        ("ada", "ada"),
        (None, "unnamed"),
    ],
)
def test_annotators_are_named_as_well_as_the_export_does(by, name):
    labels = from_label_studio([task(annotation(result({"choices": ["yes"]}), completed_by=by))], now=NOW)
    assert labels.rows["labeller"].to_pylist() == [name]


def test_cancelled_silent_and_other_annotations_are_counted_not_read():
    yes = result({"choices": ["yes"]})
    tasks = [
        task(annotation(yes), annotation(yes, was_cancelled=True, completed_by=2)),
        task(annotation(completed_by=2), entity=8),
        task(annotation(result({"text": ["hm"]}, "remark", "textarea")), entity=9),
        task(entity=10),
    ]
    labels = from_label_studio(tasks, Task(control="fraud"), now=NOW)
    assert said(labels) == [("7", "yes", "user 1", "label studio")]
    assert labels.skipped == {
        "cancelled annotations": 1, "annotations without an answer": 1, "annotations without this control": 1,
    }  # fmt: skip
    with pytest.raises(SourceError, match="LABELS_CONTROL: several controls were answered\n  exists: fraud, remark"):
        from_label_studio(tasks, now=NOW)


def test_ground_truth_is_gold_and_predictions_are_a_models_if_asked_for():
    guess = {"id": 3, "model_version": "v2", "score": 0.9, "result": [result({"choices": ["no"]})], "created_at": WHEN}
    unsure = {**guess, "model_version": None, "score": 7}
    tasks = [task(annotation(result({"choices": ["yes"]}), ground_truth=True), predictions=[guess, unsure])]
    assert said(from_label_studio(tasks, now=NOW)) == [("7", "yes", "user 1", "gold")]
    both = from_label_studio(tasks, predictions=True, now=NOW)
    assert said(both)[1:] == [("7", "no", "v2", "model")]
    assert both.rows["confidence"].to_pylist() == [None, 0.9]
    assert both.first_rejected == "task 1, prediction 2: the confidence 7 does not lie between 0 and 1"


def test_the_small_format_is_read_too(tmp_path: Path):
    flat = {"id": 1, "entity": 7, "city": "Oslo", "annotator": 2, "annotation_id": 5, "created_at": WHEN,
            "updated_at": WHEN, "lead_time": 3.5}  # fmt: skip
    rows = [
        {**flat, "fraud": "yes"},
        {**flat, "entity": 8, "fraud": {"choices": ["a", "b"]}},
        {**flat, "entity": 9, "fraud": [{"number": 4}]},
        {**flat, "entity": 10, "fraud": [{"taxonomy": [["x", "y"]]}]},
        {**flat, "entity": 11},
    ]
    file = tmp_path / "min.json"
    file.write_text(json.dumps(rows), encoding="utf-8-sig")
    labels = from_label_studio(file, Task(control="fraud"), now=NOW)
    assert [row[:2] for row in said(labels)] == [("7", "yes"), ("8", "a | b"), ("9", "4"), ("10", "x / y")]
    assert labels.rows["labeller"].to_pylist() == ["user 2"] * 4
    assert labels.skipped == {"annotations without an answer": 1}
    with pytest.raises(SourceError, match="does not tell which field is the label\n  exists: city, fraud"):
        from_label_studio(file, now=NOW)
    small = [{"id": 1, "entity": 7, "annotation_id": 5, "fraud": "yes", "annotator": "ada"}]
    assert said(from_label_studio(small, now=NOW)) == [("7", "yes", "ada", "label studio")]


def test_garbage_is_refused_or_rejected_with_its_place(tmp_path: Path):
    broken, other = tmp_path / "broken.json", tmp_path / "other.json"
    broken.write_text('[{"id": 1, ')
    other.write_text('{"tasks": []}')
    with pytest.raises(SourceError, match=r"SOURCE_UNREADABLE: broken\.json is no JSON"):
        from_label_studio(broken, now=NOW)
    with pytest.raises(SourceError, match=r"LABELS_NO_EXPORT: other\.json is no export of Label Studio"):
        from_label_studio(other, now=NOW)
    with pytest.raises(SourceError, match=r"SOURCE_ABSENT: absent\.json cannot be read"):
        from_label_studio(tmp_path / "absent.json", now=NOW)
    yes = annotation(result({"choices": ["yes"]}))
    odd = [3, task(yes, entity=None), task(yes, cutoff="soon"), task({**yes, "updated_at": "2999-01-01T00:00:00Z"})]
    odd += [{"data": 5, "annotations": "many"}, {"data": {}, "annotations": [4, {"result": "no list"}]}]
    labels = from_label_studio(odd, now=NOW)
    assert [(row["place"], row["reason"]) for row in labels.rejected.to_pylist()] == [
        ("task 1", "it names no entity"),
        ("task 2, annotation 1", "it names no entity"),
        ("task 3, annotation 1", "happened is no time: 'soon'"),
        ("task 4, annotation 1", "known lies in the future: 2999-01-01 00:00:00"),
    ]
    assert len(labels) == 0
    assert from_label_studio([], now=NOW).rows.num_rows == 0


# ---------------------------------------------------------------- both ways


def annotated(tasks: list[dict[str, Any]], answers: dict[str, object], face: Interface) -> list[dict[str, Any]]:
    """What Label Studio exports after somebody answered these tasks."""
    done = json.loads(json.dumps(tasks))
    for number, one in enumerate(done, 1):
        answer = answers[str(one["data"]["entity"])]
        by = {"completed_by": {"email": "ada@x.org"}, "updated_at": "2024-08-28T12:00:00.000000Z"}
        one |= {"id": number, "annotations": [annotation(face.result(answer), **by)]}
    return done


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (ValueKind.TRUTH, {"1": True, "2": False}),
        (ValueKind.NUMBER, {"1": 2.5, "2": -4.0}),
        (ValueKind.CATEGORY, {"1": "spam", "2": "a & <b>"}),
    ],
)
def test_what_is_exported_and_annotated_comes_back(place: Place, tmp_path: Path, kind: ValueKind, answers):
    face = Interface("fraud", kind)
    when = pa.array([ENDS - 1, ENDS], pa.timestamp("us"))
    asked = pa.table({"entity": ["1", "2"], "cutoff": when, "reason": ["unsure", "unsure"], "score": [1.0, 0.5]})
    rows = pa.table({"user_id": [1, 2, 3], "city": ["Oslo", None, "Rome"], "height": [1.5, float("nan"), 2.0]})
    file = write_tasks(to_label_studio(asked, face, rows=rows, key="user_id"), tmp_path / "tasks.json")
    tasks = json.loads(file.read_text())
    assert tasks[1]["data"] | {"cutoff": None} == {
        "entity": "2", "cutoff": None, "reason": "unsure", "score": 0.5, "user_id": 2, "city": None, "height": None,
    }  # fmt: skip
    labels = from_label_studio(annotated(tasks, answers, face), now=place.clock)
    place.store.create("fraud", "users", kind)
    place.store.add("fraud", labels)
    held = place.store.set("fraud").at()
    assert dict(zip(held["entity"].to_pylist(), held["value"].to_pylist(), strict=True)) == answers
    assert held["happened"].cast(pa.int64()).to_pylist() == [ENDS - 1, ENDS]


def test_labels_exported_as_annotations_are_the_same_when_read_back(place: Place):
    told = {"entity": [1, 1, 2, 3], "value": ["yes", "no", "yes", "no"], "labeller": ["a", "b", "a", "judge"],
            "source": ["x", "x", "x", "gold"], "happened": ["2024-05-01T10:00:00.000001"] * 2 + [None] * 2}  # fmt: skip
    place.store.add("fraud", from_table(told, now=place.clock), entity="users")
    mine = place.store.set("fraud")
    items = mine.at().group_by(["entity", "happened"]).aggregate([]).rename_columns(["entity", "cutoff"])
    tasks = to_label_studio(items, interface(mine), labels=mine.at())
    again = from_label_studio(json.loads(json.dumps(tasks)), now=place.clock)
    assert str(place.store.create("copy", "users", "truth").add(again)) == "4 new"
    compared = ["entity", "happened", "value", "labeller", "known"]
    assert place.store.set("copy").at().select(compared) == mine.at().select(compared)
    assert place.store.set("copy").at()["source"].to_pylist().count("gold") == 1
    assert str(place.store.set("copy").add(again)) == "4 unchanged"


def test_predictions_become_guesses_to_start_from():
    asked = pa.table({"entity": [1, 2], "probability": [0.9, 0.2], "prediction": [True, False]})
    tasks = to_label_studio(asked, Interface("fraud", ValueKind.TRUTH))
    guesses = [one["predictions"][0] for one in tasks]
    assert [(g["score"], g["result"][0]["value"]["choices"]) for g in guesses] == [(0.9, ["true"]), (0.8, ["false"])]
    read = from_label_studio(tasks, predictions=True, now=NOW)
    assert said(read) == [("1", "true", "penstock", "model"), ("2", "false", "penstock", "model")]
    assert to_label_studio(pa.table({"entity": [1]}), Interface("fraud", ValueKind.TRUTH))[0]["predictions"] == []


def test_the_interface_is_xml_whatever_the_names(place: Place):
    face = Interface('is it "odd" & <new>?', ValueKind.CATEGORY, ('a"b', "<c>"))
    view = ET.fromstring(face.config(["city", "x & y"]))
    assert [node.get("value") for node in view.iter("Choice")] == ['a"b', "<c>"]
    assert view.find("Choices").get("name") == 'is it "odd" & <new>?'
    assert [node.get("value") for node in view.iter("Text")] == ["$city", "$x & y"]
    assert ET.fromstring(Interface("n", ValueKind.NUMBER).config()).find("Number").get("toName") == "shown"
    told = {"entity": [1, 2], "value": ["spam", "ham"]}
    place.store.add("mail", from_table(told, now=place.clock), entity="users")
    assert interface(place.store.set("mail")).classes == ("ham", "spam")


def test_exports_need_their_columns(tmp_path: Path):
    face = Interface("fraud", ValueKind.TRUTH)
    with pytest.raises(RequestError, match="what is asked about has no column 'entity'"):
        to_label_studio(pa.table({"user": [1]}), face)
    with pytest.raises(RequestError, match="the entities' rows have no column None to find them by"):
        to_label_studio(pa.table({"entity": [1]}), face, rows=pa.table({"user": [1]}))
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="CANNOT_WRITE"):
        write_tasks([], tmp_path / "file" / "tasks.json")
