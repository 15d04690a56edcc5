"""Tables and CSV files as labels: read right, or refused with place and reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from penstock.errors import RequestError, SourceError
from penstock.learning.labelling import from_csv, from_table
from tests.learning.labelling.places import ENDS, Clock, moment

NOW = Clock()


def reasons(labels) -> list[str]:
    return [f"{row['place']}: {row['reason']}" for row in labels.rejected.to_pylist()]


def test_a_table_gives_labels_with_all_their_parts():
    when = dt.datetime(2024, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    told = {"who": [7.0], "fraud": [True], "at": [when], "learnt": ["2024-03-01"], "by": ["ada"], "sure": [0.5]}
    parts = {"entity": "who", "value": "fraud", "happened": "at", "known": "learnt", "labeller": "by",
             "confidence": "sure"}  # fmt: skip
    assert from_table(told, parts, now=NOW).rows.to_pylist() == [
        {
            "entity": "7", "happened": moment("2024-02-03T03:05:00"), "known": moment("2024-03-01T00:00:00"),
            "written": "true", "labeller": "ada", "source": "table", "confidence": 0.5, "note": None,
        }
    ]  # fmt: skip


def test_frames_arrow_tables_and_mappings_give_the_same_labels():
    told = {"entity": [1, 2], "value": ["a", "b"], "happened": pd.to_datetime(["2024-01-01", "2024-01-02"])}
    frame = pd.DataFrame(told)
    one, other = from_table(frame, now=NOW).rows, from_table(pa.Table.from_pandas(frame), now=NOW).rows
    assert one == other == from_table({k: list(v) for k, v in told.items()}, now=NOW).rows


def test_nanoseconds_are_cut_to_microseconds():
    moment = pa.array([1_700_000_000_000_000_123], pa.timestamp("ns", "Europe/Paris"))
    rows = from_table(pa.table({"entity": [1], "value": [2.5], "happened": moment}), now=NOW).rows
    assert rows["happened"].cast(pa.int64()).to_pylist() == [1_700_000_000_000_000]


def test_a_csv_file_is_read_by_its_columns_names(tmp_path: Path):
    file = tmp_path / "checked.csv"
    file.write_text("customer;verdict;day\n007;yes;2024-01-05\n8;no;\n")
    labels = from_csv(file, {"entity": "customer", "value": "verdict", "happened": "day"}, labeller="ada", now=NOW)
    assert labels.rows.select(["entity", "written", "labeller", "source"]).to_pylist() == [
        {"entity": "007", "written": "yes", "labeller": "ada", "source": "checked.csv"},
        {"entity": "8", "written": "no", "labeller": "ada", "source": "checked.csv"},
    ]
    assert labels.rows["happened"].to_pylist() == [moment("2024-01-05T00:00:00"), None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"entity": None}, "it names no entity"),
        ({"entity": "  "}, "it names no entity"),
        ({"value": None}, "it has no value"),
        ({"value": ""}, "it has no value"),
        ({"confidence": "1.5"}, "the confidence 1.5 does not lie between 0 and 1"),
        ({"confidence": "-0.1"}, "the confidence -0.1 does not lie between 0 and 1"),
        ({"confidence": "inf"}, "the confidence inf does not lie between 0 and 1"),
        ({"confidence": "sure"}, "the confidence 'sure' is no number"),
        ({"happened": "last week"}, "happened is no time: 'last week'"),
        ({"happened": "2024-02-30"}, "happened is no time: '2024-02-30'"),
        ({"happened": "2999-01-01"}, "happened lies in the future: 2999-01-01 00:00:00"),
        ({"known": "2999-01-01"}, "known lies in the future: 2999-01-01 00:00:00"),
        (
            {"happened": "2024-02-02", "known": "2024-02-01"},
            "it was known (2024-02-01 00:00:00) before it happened (2024-02-02 00:00:00)",
        ),
    ],
)
def test_garbage_is_rejected_with_its_place(row, reason):
    good = {"entity": "1", "value": "yes", "confidence": "1", "happened": "2024-01-01", "known": "2024-01-01"}
    told = pa.Table.from_pylist([{**good, "entity": "2"}, {**good, **row}])
    labels = from_table(told, now=NOW)
    assert reasons(labels) == [f"row 2: {reason}"]
    assert labels.rows["entity"].to_pylist() == ["2"]


def test_numbers_that_are_no_instants_are_rejected():
    labels = from_table({"entity": [1, 2], "value": ["a", "b"], "happened": [9 * 10**18, 5]}, now=NOW)
    assert reasons(labels) == [f"row 1: happened is no time: {9 * 10**18}"]


def test_places_of_a_file_are_counted_as_people_count_them(tmp_path: Path):
    file = tmp_path / "checked.csv"
    file.write_text("entity,value\n1,yes\n,no\n")
    assert reasons(from_csv(file, now=NOW)) == ["checked.csv row 3: it names no entity"]


def test_one_labeller_cannot_say_two_things_at_once():
    labels = from_table({"entity": [1, 1, 1], "value": ["yes", "yes", "no"]}, labeller="ada", now=NOW)
    assert reasons(labels) == ["row 3: ada says 'yes' and 'no' of 1 at one time"]
    assert labels.skipped == {"they say what another row says": 1}
    assert str(labels) == ("1 labels; 1 skipped: they say what another row says; 1 rejected, the first row 3: ada says "
                           "'yes' and 'no' of 1 at one time")  # fmt: skip


def test_missing_columns_are_named_with_those_that_exist(tmp_path: Path):
    with pytest.raises(SourceError, match="LABELS_COLUMN: the table has no column 'value'\n  exists: entity, verdict"):
        from_table({"entity": [1], "verdict": ["yes"]}, now=NOW)
    with pytest.raises(SourceError, match="has no column 'verdikt', which was to be the value") as caught:
        from_table({"entity": [1], "verdict": ["yes"]}, {"value": "verdikt"}, now=NOW)
    assert caught.value.suggestion == "verdict"
    with pytest.raises(RequestError, match="LABELS_PART: a label has no 'certainty'"):
        from_table({"entity": [1], "value": ["yes"]}, {"certainty": "value"}, now=NOW)
    with pytest.raises(SourceError, match=r"SOURCE_ABSENT: there is no file nothing\.csv"):
        from_csv(tmp_path / "nothing.csv", now=NOW)


def test_files_that_are_no_tables_are_refused(tmp_path: Path):
    empty, ragged = tmp_path / "empty.csv", tmp_path / "ragged.csv"
    empty.write_text("")
    ragged.write_text("entity,value\n1,yes,perhaps\n")
    with pytest.raises(SourceError, match=r"empty\.csv is empty"):
        from_csv(empty, now=NOW)
    with pytest.raises(SourceError, match="row 2 has 3 values where the header has 2"):
        from_csv(ragged, now=NOW)
    with pytest.raises(SourceError, match="SOURCE_NOT_A_TABLE"):
        from_table(7, now=NOW)


def test_values_of_several_types_are_refused():
    with pytest.raises(
        SourceError, match="LABELS_MIXED_VALUES: the column 'value' holds values of several types: bool, str"
    ):
        from_table({"entity": [1, 2], "value": [True, "no"]}, now=NOW)


def test_no_label_is_known_after_now():
    labels = from_table({"entity": [1, 2], "value": [1, 2], "happened": [ENDS, ENDS + 10**12]}, now=NOW)
    assert labels.rows["entity"].to_pylist() == ["1"]
