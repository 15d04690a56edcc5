"""A law on each test: what a folder of files, or one file, is read as."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.inference import infer
from penstock.lake import SourceRows, describe, open_source


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows_of(path: Path, table: str, *columns: str) -> dict[str, list[object]]:
    source = open_source(path)
    facts = describe(source)
    rows = SourceRows(source, infer(facts), facts)
    return rows.read(table, columns or [c.name for c in rows.graph.table(table).columns]).to_pydict()


def dtypes_of(path: Path, table: str) -> dict[str, str]:
    return {c.name: str(c.dtype) for c in infer(describe(open_source(path))).table(table).columns}


CSV = 'id,zip,joined,note,score\n1,01234,2024-01-05,"two\nlines, quoted",1.5\n2,99999,2024-02-06,"",\n'


def test_csv_columns_are_what_all_their_values_say(tmp_path):
    path = written(tmp_path, "users.csv", CSV)
    assert dtypes_of(path, "users") == {
        "id": "int",
        "zip": "string",
        "joined": "timestamp",
        "note": "string",
        "score": "float",
    }
    assert rows_of(path, "users") == {
        "id": [1, 2],
        "zip": ["01234", "99999"],
        "joined": [dt.datetime.fromisoformat("2024-01-05"), dt.datetime.fromisoformat("2024-02-06")],
        "note": ["two\nlines, quoted", None],
        "score": [1.5, None],
    }


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t"), ("a.csv", "|")])
def test_the_separator_is_found(tmp_path, name, separator):
    path = written(tmp_path, name, f"id{separator}x\n1{separator}a,b\n")
    assert rows_of(path, "a") == {"id": [1], "x": ["a,b"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_read_however_it_is_encoded(tmp_path, encoding):
    path = written(tmp_path, "a.csv", "id,name\n1,Bjørn\n".encode(encoding))
    assert rows_of(path, "a") == {"id": [1], "name": ["Bjørn"]}


def test_what_is_not_unicode_is_read_as_windows_text_and_that_is_said(tmp_path):
    path = written(tmp_path, "a.csv", "id,name\n1,Köln\n".encode("cp1252"))
    assert rows_of(path, "a")["name"] == ["Köln"]
    assert "a.csv is not UTF-8: read as Windows-1252" in infer(describe(open_source(path))).notes


def test_a_quote_left_open_is_said(tmp_path):
    path = written(tmp_path, "a.csv", 'id,name\n1,"abc\n2,d\n')
    assert (
        "a.csv has an odd number of quotes: one may be open, and hide rows" in infer(describe(open_source(path))).notes
    )


def test_names_without_a_letter_break_nothing(tmp_path):
    assert rows_of(written(tmp_path, "a.csv", "#,$\n1,2\n"), "a") == {"#": [1], "$": [2]}


def test_packed_files_are_read(tmp_path):
    path = written(tmp_path, "a.csv.gz", gzip.compress(b"id\n1\n"))
    assert rows_of(path, "a") == {"id": [1]}


def test_a_row_that_does_not_fit_is_named(tmp_path):
    path = written(tmp_path, "a.csv", "id,x\n1,a\n2,b,c\n")
    with pytest.raises(SourceError, match=r"a\.csv: row 3 has 3 values where the header has 2"):
        describe(open_source(path))


def test_an_empty_file_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"a\.csv is empty: it has no header"):
        open_source(written(tmp_path, "a.csv", ""))


def test_a_header_alone_is_a_table_without_rows(tmp_path):
    path = written(tmp_path, "a.csv", "id,x\n")
    assert rows_of(path, "a") == {"id": [], "x": []}


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(SourceError, match="several columns named 'x'"):
        open_source(written(tmp_path, "a.csv", "x,x\n1,2\n"))


def test_a_column_without_a_name_is_called_by_its_place(tmp_path):
    assert rows_of(written(tmp_path, "a.csv", ",x\n0,a\n"), "a") == {"column_1": [0], "x": ["a"]}


def test_json_lines_are_rows_and_nested_objects_columns(tmp_path):
    lines = '{"id": 1, "at": "2024-01-01T10:00:00+01:00", "who": {"name": "Ada"}, "tags": ["x", "y"]}\n{"id": 2}\n'
    assert rows_of(written(tmp_path, "a.jsonl", lines), "a") == {
        "id": [1, 2],
        "at": [dt.datetime.fromisoformat("2024-01-01 09:00"), None],
        "who_name": ["Ada", None],
        "tags": [["x", "y"], None],
    }


def test_json_values_of_several_types_are_text(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"id": 1, "x": 1}\n{"id": 2, "x": "b"}\n')
    assert rows_of(path, "a") == {"id": [1, 2], "x": ["1", "b"]}


def test_leading_zeros_stay_in_json_lines(tmp_path):
    assert rows_of(written(tmp_path, "a.jsonl", '{"id": 1, "zip": "007"}\n'), "a")["zip"] == ["007"]


@pytest.mark.parametrize(("line", "reason"), [("{oops}", "row 2 is no JSON"), ("[1]", "row 2 is no object but list")])
def test_a_line_that_is_no_object_is_named(tmp_path, line, reason):
    path = written(tmp_path, "a.jsonl", '{"id": 1}\n' + line + "\n")
    with pytest.raises(SourceError, match=rf"a\.jsonl: {reason}"):
        describe(open_source(path))


def test_parquet_is_read_column_by_column(tmp_path):
    table = pa.table(
        {"id": [1, 2], "at": pa.array([0, None], pa.timestamp("ns", "Europe/Berlin")), "bad": [b"a", b"b"]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    source = open_source(tmp_path)
    assert source.read("a", ["id"]).column_names == ["id"]
    assert rows_of(tmp_path, "a", "id", "at") == {"id": [1, 2], "at": [dt.datetime.fromisoformat("1970-01-01"), None]}


def test_a_folder_in_the_folder_is_one_table_of_parts(tmp_path):
    (tmp_path / "orders").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "orders" / "part-0.parquet")
    pq.write_table(pa.table({"id": [2]}), tmp_path / "orders" / "part-1.parquet")
    assert rows_of(tmp_path, "orders") == {"id": [1, 2]}


def test_what_is_no_table_is_passed_over(tmp_path):
    written(tmp_path, "a.csv", "id\n1\n")
    written(tmp_path, "manifest.json", "{}")
    written(tmp_path, ".hidden.csv", "id\n1\n")
    assert list(open_source(tmp_path).tables()) == ["a"]


def test_a_folder_without_tables_is_said(tmp_path):
    with pytest.raises(SourceError, match="holds no tables") as raised:
        open_source(tmp_path)
    assert "*.parquet" in (raised.value.hint or "")


def test_two_files_of_one_name_are_refused(tmp_path):
    written(tmp_path, "a.csv", "id\n1\n")
    written(tmp_path, "a.jsonl", '{"id": 1}\n')
    with pytest.raises(SourceError, match="would both be the table 'a'"):
        open_source(tmp_path)


def test_a_broken_parquet_file_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"a\.parquet cannot be read as Parquet"):
        open_source(written(tmp_path, "a.parquet", "PAR1 no"))


def test_the_fingerprint_changes_with_the_file(tmp_path):
    path = written(tmp_path, "a.csv", "id\n1\n")
    first = open_source(path).fingerprint()
    assert open_source(path).fingerprint() == first
    written(tmp_path, "a.csv", "id\n1\n2\n")
    assert open_source(path).fingerprint() != first


def test_a_file_that_changes_while_it_is_read_is_said(tmp_path):
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    source = open_source(tmp_path)
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="changed while it was being read"):
        source.read("a", ["id"])


@pytest.mark.parametrize(("name", "data"), [("a.csv", b"Id,id\n1,2\n"), ("a.jsonl", b'{"Id": 1, "i d": 2}\n')])
def test_names_that_differ_in_case_or_spaces_alone_are_refused(tmp_path, name, data):
    with pytest.raises(SourceError, match=r"several columns named 'Id' and 'i ?d'"):
        describe(open_source(written(tmp_path, name, data)))


def test_parquet_names_that_differ_in_case_alone_are_refused(tmp_path):
    pq.write_table(pa.table({"Id": [1], "id": [2]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="several columns named 'Id' and 'id'"):
        describe(open_source(tmp_path))


def test_a_bad_byte_among_utf8_does_not_garble_the_rest(tmp_path):
    path = written(tmp_path, "a.csv", "id,x\n1,é\n".encode() + b"2,\xff\n")
    with pytest.raises(SourceError, match=r"a\.csv: line 3 holds the byte 0xff, which is no UTF-8"):
        open_source(path).tables()
        describe(open_source(path))


def test_long_numbers_in_json_lines_keep_their_digits(tmp_path):
    assert rows_of(written(tmp_path, "a.jsonl", '{"x": 12345678901234567890}\n'), "a") == {
        "x": ["12345678901234567890"]
    }


def test_deep_nesting_in_json_lines_is_refused(tmp_path):
    data = '{"a": 1}\n{"a": ' + "[" * 50_000 + "]" * 50_000 + "}\n"
    with pytest.raises(SourceError, match=r"a\.jsonl: row 2 is nested deeper than 64"):
        describe(open_source(written(tmp_path, "a.jsonl", data)))


def test_a_folder_of_several_formats_is_passed_over_and_that_is_said(tmp_path):
    written(tmp_path, "a.csv", "id\n1\n")
    (tmp_path / "orders").mkdir()
    written(tmp_path / "orders", "1.csv", "id\n1\n")
    written(tmp_path / "orders", "2.jsonl", '{"id": 1}\n')
    source = open_source(tmp_path)
    assert list(source.tables()) == ["a"]
    assert source.notes == ("the folder orders holds files of several formats: passed over",)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.csv", bytes(100), "holds zero bytes where its header should be"),
        ("a.csv.gz", gzip.compress(b"id\n1\n", mtime=0)[:-4], "cannot be read"),
        ("a.csv", b"\xff\xfea", "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path, name, data, reason):
    with pytest.raises(SourceError, match=rf"{name}.*{reason}"):
        describe(open_source(written(tmp_path, name, data)))


@pytest.mark.parametrize("text", ["null", "null\n{}", ' null\n{"a": 1}\n', '\n\tnull\n{"a": 1}\n', '{"a": 1}\nnull\n'])
def test_a_line_that_is_null_is_told_and_crashes_nothing(tmp_path, text):
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(SourceError, match="SOURCE_"):
        open_source(tmp_path / "rows.jsonl").tables()
