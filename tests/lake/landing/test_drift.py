"""Files of one folder that do not agree on their columns, and typed files that do not fit the table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.lake.landing import LandingSettings, land
from tests.lake.landing.reading import landed_rows

KNOWN = pa.schema([("id", pa.int64()), ("x", pa.float64())])


def csv_file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def parquet_file(folder: Path, name: str, **columns: object) -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def test_a_new_column_in_a_later_file_is_null_in_earlier_rows(tmp_path):
    csv_file(tmp_path, "1.csv", "id\n1\n")
    csv_file(tmp_path, "2.csv", "x,id\n5,2\n")
    kept, rejected, notes = landed_rows(tmp_path)
    assert (kept, rejected) == ({"id": [1, 2], "x": [None, 5]}, [])
    assert notes == ("1.csv has no column 'x': its values are NULL",)


def test_a_new_column_comes_behind_those_of_the_table(tmp_path):
    path = csv_file(tmp_path, "a.csv", "new,id\nb,1\n")
    assert land(path, expected=KNOWN).present == ("new", "id")
    kept, _, notes = landed_rows(path, KNOWN)
    assert kept == {"id": [1], "x": [None], "new": ["b"]}
    assert notes == ("'new' is a new column: NULL in earlier rows", "a.csv has no column 'x': its values are NULL")


def test_all_files_say_what_a_column_is(tmp_path):
    csv_file(tmp_path, "1.csv", "id\n1\n")
    csv_file(tmp_path, "2.csv", "id\n1.5\n")
    assert landed_rows(tmp_path)[0] == {"id": [1.0, 1.5]}
    csv_file(tmp_path, "3.csv", "id\nx\n")
    assert landed_rows(tmp_path)[0] == {"id": ["1", "1.5", "x"]}


def test_an_empty_file_among_others_is_noted(tmp_path):
    csv_file(tmp_path, "1.csv", "id\n1\n")
    csv_file(tmp_path, "2.csv", "")
    assert landed_rows(tmp_path)[::2] == ({"id": [1]}, ("2.csv is empty: it has no header",))


def test_rows_of_files_are_named_by_file_and_come_in_order(tmp_path):
    for n in range(3):
        csv_file(tmp_path, f"{n}.csv", f"id,x\n{n},1\nbad,2\n{n},3\n")
    kept, rejected, _ = landed_rows([tmp_path / "2.csv", tmp_path / "0.csv"], KNOWN)
    assert kept == {"id": [2, 2, 0, 0], "x": [1.0, 3.0, 1.0, 3.0]}
    assert [r[:2] for r in rejected] == [("2.csv", 3), ("0.csv", 3)]


def test_parts_in_folders_are_named_by_their_place(tmp_path):
    (tmp_path / "day=1").mkdir()
    (tmp_path / "_temporary").mkdir()
    csv_file(tmp_path / "day=1", "a.csv", "id\nx\n")
    csv_file(tmp_path / "_temporary", "a.csv", "id\n2\n")
    assert landed_rows(tmp_path, KNOWN)[1] == [("day=1/a.csv", 2, "id: 'x' is no whole number", "x")]


def test_parquet_keeps_its_types_as_the_lake_keeps_them(tmp_path):
    at = pa.array([dt.datetime(2024, 7, 1, tzinfo=dt.UTC), None], pa.timestamp("ns", "Europe/Berlin"))
    path = parquet_file(
        tmp_path,
        "a.parquet",
        small=pa.array([1, 2], pa.int8()),
        at=at,
        kind=pa.array(["a", "b"]).dictionary_encode(),
        big=pa.array([2**64 - 1, 1], pa.uint64()),
        nested=pa.array([{"a": 1}, None]),
    )
    assert [str(kind) for kind in land(path).schema.types] == [
        "int32",
        "timestamp[us]",
        "string",
        "decimal128(20, 0)",
        "string",
    ]
    kept = landed_rows(path)[0]
    assert kept["at"] == [dt.datetime(2024, 7, 1), None]  # noqa: DTZ001
    assert kept["nested"] == ['{"a": 1}', None]
    assert [int(value) for value in kept["big"]] == [2**64 - 1, 1]


def test_a_whole_number_that_becomes_a_number_is_widened(tmp_path):
    parquet_file(tmp_path, "1.parquet", x=[1, 2])
    parquet_file(tmp_path, "2.parquet", x=[1.5])
    kept, _, notes = landed_rows(tmp_path)
    assert kept == {"x": [1.0, 2.0, 1.5]}
    assert notes == ("x: its files hold int64 and double: kept as double",)


def test_a_part_whose_values_do_not_fit_has_its_rows_told(tmp_path):
    parquet_file(tmp_path, "1.parquet", x=[1, 2])
    parquet_file(tmp_path, "2.parquet", x=["3", "four"])
    kept, rejected, _ = landed_rows(tmp_path)
    assert kept == {"x": [1, 2, 3]}
    assert rejected == [("2.parquet", 2, "x: 'four' is no whole number", '{"x": "four"}')]


def test_a_part_of_which_too_much_does_not_fit_is_refused(tmp_path):
    parquet_file(tmp_path, "1.parquet", x=[1] * 10)
    parquet_file(tmp_path, "2.parquet", x=["four"] * 200 + ["5"] * 800)
    with pytest.raises(SourceError, match=r"2\.parquet: 200 of 1000 rows do not fit, such as row 1: x: 'four'"):
        landed_rows(tmp_path)
    kept = landed_rows(tmp_path, settings=LandingSettings(most_rejected=0.3))[0]
    assert len(kept["x"]) == 810


@pytest.mark.parametrize(
    ("values", "kind", "kept", "rejected"),
    [
        ([1, 2], pa.timestamp("us"), [], 2),
        ([True], pa.int64(), [], 1),
        ([1.0, 2.5, float("nan")], pa.int64(), [1, None], 1),
        ([1, 2**40], pa.int32(), [1], 1),
        ([1, 2], pa.string(), ["1", "2"], 0),
        ([2**53 + 1, 1], pa.float64(), [1.0], 1),
        ([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 5)], pa.date32(), [dt.date(2024, 1, 1)], 1),  # noqa: DTZ001
    ],
)
def test_a_typed_value_fits_only_where_it_keeps_its_meaning(tmp_path, values, kind, kept, rejected):
    path = parquet_file(tmp_path, "a.parquet", x=values)
    found = landed_rows(path, pa.schema([("x", kind)]))
    assert (found[0]["x"], len(found[1])) == (kept, rejected)


def test_json_lines_fit_the_table_and_add_to_it(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "x": "2.5"}\n{"id": "a"}\n{"id": 3, "y": "2024-01-01"}\n', encoding="utf-8")
    kept, rejected, _ = landed_rows(path, KNOWN)
    assert kept == {"id": [1, 3], "x": [2.5, None], "y": [None, dt.datetime(2024, 1, 1)]}  # noqa: DTZ001
    assert [r[:3] for r in rejected] == [("a.jsonl", 2, "id: 'a' is no whole number")]


def test_reading_a_landing_again_gives_the_same(tmp_path):
    path = csv_file(tmp_path, "a.csv", "id,x\n1,1\nb,1\n")
    landing = land(path, expected=KNOWN)
    first = (list(landing.batches()), landing.rejected(), landing.notes)
    assert (list(landing.batches()), landing.rejected(), landing.notes) == first


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path):
    path = csv_file(tmp_path, "a.csv", "id,x\n1,1\n")
    landing = land(path, expected=KNOWN)
    with path.open("a", encoding="utf-8") as file:
        file.write("2,2\n")
    with pytest.raises(SourceError, match="the files changed while they were being read") as raised:
        list(landing.batches())
    assert raised.value.code == "SOURCE_CHANGED"
