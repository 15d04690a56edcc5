"""Files that are refused whole: with which code, naming what."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.lake.landing import LandingSettings
from tests.lake.landing.reading import landed_rows


def parquet_bytes(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


PARQUET = parquet_bytes(pa.table({"id": [1, 2, 3]}))
SMALL = LandingSettings(longest_row=100, chunk=64)
REFUSED = [
    ("an empty file", "a.csv", b"", "SOURCE_EMPTY", r"a\.csv is empty: it has no header", None),
    ("nothing but empty lines", "a.csv", b"\n\r\n \n", "SOURCE_EMPTY", r"a\.csv is empty", None),
    ("an empty file of lines", "a.jsonl", b"\n", "SOURCE_EMPTY", r"a\.jsonl is empty: it has no rows", None),
    ("a file of zero bytes", "a.csv", bytes(5000), "SOURCE_UNREADABLE", "holds zero bytes where its header", None),
    (
        "an encoding nobody knows",
        "a.csv",
        b"a\n",
        "LANDING_ENCODING",
        "'nonsense'",
        LandingSettings(encoding="nonsense"),
    ),
    ("a JSON array", "a.jsonl", b'[{"a": 1}]', "SOURCE_UNREADABLE", "its first line is no object but list", None),
    ("JSON over several lines", "a.jsonl", b'{"a":\n1}', "SOURCE_UNREADABLE", "its first line is no JSON", None),
    ("one name twice", "a.csv", b"x,x\n1,2\n", "SOURCE_REPEATED_COLUMN", "several columns named 'x'", None),
    ("names but for case", "a.csv", b"Id,id\n1,2\n", "SOURCE_REPEATED_COLUMN", "named 'Id' and 'id'", None),
    ("names but for spaces", "a.csv", b"a b,ab\n1,2\n", "SOURCE_REPEATED_COLUMN", "named 'a b' and 'ab'", None),
    ("the lake's own names", "a.csv", b"id,_Known\n1,2\n", "LANDING_RESERVED_COLUMN", "a column '_Known'", None),
    ("the lake's other name", "a.csv", b"id,_deleted\n1,2\n", "LANDING_RESERVED_COLUMN", "'_deleted'", None),
    ("nested names that meet", "a.jsonl", b'{"a_b": 1, "a": {"b": 2}}\n', "SOURCE_REPEATED_COLUMN", "'a_b'", None),
    ("a torn gzip", "a.csv.gz", gzip.compress(b"id\n" + b"1\n" * 9)[:-4], "SOURCE_UNREADABLE", "Truncated", None),
    ("no gzip at all", "a.csv.gz", b"id\n1\n", "SOURCE_UNREADABLE", r"a\.csv\.gz cannot be read", None),
    (
        "a bomb",
        "a.csv.gz",
        gzip.compress(b"id\n" + b"1\n" * 500_000),
        "LANDING_TOO_LARGE",
        r"a\.csv\.gz grows past 400000 bytes when unpacked",
        LandingSettings(most_unpacked=400_000),
    ),
    (
        "growing too much",
        "a.csv.gz",
        gzip.compress(b"id\n" + b"1\n" * 500_000),
        "LANDING_TOO_LARGE",
        "most_growth",
        LandingSettings(most_growth=10, free_growth=1000),
    ),
    ("another name", "a.txt", b"id\n1\n", "SOURCE_FORMAT", r"a\.txt is no file that can be read as a table", None),
    ("no Parquet", "a.parquet", b"PAR1 no", "SOURCE_UNREADABLE", r"a\.parquet cannot be read as Parquet", None),
    ("an empty Parquet", "a.parquet", b"", "SOURCE_UNREADABLE", r"a\.parquet cannot be read as Parquet", None),
    ("another magic", "a.parquet", PARQUET[:-1] + b"2", "SOURCE_UNREADABLE", r"a\.parquet cannot be read", None),
    ("a torn footer", "a.parquet", PARQUET[:-20], "SOURCE_UNREADABLE", r"a\.parquet cannot be read", None),
    (
        "a quote open for too long",
        "a.csv",
        b'id,x\n1,a\n2,"' + b"b\n3,c" * 100 + b'"z\n',
        "SOURCE_UNREADABLE",
        r"a\.csv: row 3: a quote is open for more than 100 bytes",
        SMALL,
    ),
    (
        "too many rows that do not fit",
        "a.csv",
        b"id,x\n" + b"1,a\n" * 500 + b"2\n" * 200,
        "LANDING_TOO_MANY_REJECTED",
        r"a\.csv: 200 of 700 rows do not fit, such as row 502: has 1 values where the header has 2",
        None,
    ),
]


@pytest.mark.parametrize(
    ("name", "data", "code", "message", "settings"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_file_is_refused_by_name(name, data, code, message, settings, tmp_path: Path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=message) as raised:
        landed_rows(tmp_path / name, settings=settings)
    assert raised.value.code == code


def test_a_footer_that_promises_more_rows_is_found_out(tmp_path: Path):
    """The count of rows stands in the footer as a number of its own: it is overwritten by another as long."""
    data = parquet_bytes(pa.table({"id": list(range(100))}), use_dictionary=False, compression="none")
    found = [at for at in range(len(data)) if data[at] == 200 and data[at + 1] == 1]  # 100, as the footer writes it
    told = []
    for at in found:
        path = tmp_path / f"a{at}.parquet"
        path.write_bytes(data[:at] + bytes([202]) + data[at + 1 :])
        try:
            kept = landed_rows(path)[0]
        except SourceError as error:
            told.append(error.message)
        else:
            assert kept == {"id": list(range(100))}
    assert any("rows where its footer says" in message for message in told)


def test_a_path_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(SourceError, match="there is no file"):
        landed_rows(tmp_path / "a.csv")


def test_a_folder_without_files_is_said(tmp_path: Path):
    with pytest.raises(SourceError, match="there are no files to read"):
        landed_rows(tmp_path)


def test_a_folder_of_several_formats_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"id\n1\n")
    (tmp_path / "b.jsonl").write_bytes(b'{"id": 1}\n')
    with pytest.raises(SourceError, match=r"a\.csv and b\.jsonl are of different formats"):
        landed_rows(tmp_path)


def test_files_that_call_a_column_by_almost_the_same_name_are_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"id,Amount\n1,2\n")
    (tmp_path / "b.csv").write_bytes(b"id,amount\n1,2\n")
    with pytest.raises(SourceError, match=r"b\.csv calls a column 'amount' that a\.csv calls 'Amount'"):
        landed_rows(tmp_path)
    with pytest.raises(SourceError, match=r"a\.csv calls a column 'Amount' that the table calls 'amount'"):
        landed_rows(tmp_path / "a.csv", expected=pa.schema([("id", pa.int64()), ("amount", pa.int64())]))
