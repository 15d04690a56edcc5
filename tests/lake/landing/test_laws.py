"""Laws of landing on random files: nothing is lost, nothing is invented, and no bytes break the reading."""

from __future__ import annotations

import codecs
import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, note
from hypothesis import strategies as st

from penstock.errors import PenstockError, SourceError
from penstock.lake.landing import LandingSettings
from tests.lake.landing.reading import landed_rows

TINY = LandingSettings(chunk=64, few_rejected=10_000)
"""Blocks so small that every row and quote comes to lie across the end of one."""
SETTINGS = [LandingSettings(few_rejected=10_000), TINY, LandingSettings(chunk=17, threads=1, few_rejected=10_000)]

letters = st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=("Cs",))
words = st.text(letters, max_size=12) | st.sampled_from(
    ['"', '""', 'a"b', "a,b", "x;y", "\n", "\r\n", "\r", " a ", "'", "\t"]
)
names = st.lists(st.text("abcdefghij", min_size=1, max_size=3), min_size=2, max_size=5, unique=True)


@contextmanager
def written(data: bytes, name: str = "a.csv") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header and rows of texts that are no numbers: the first column sees to that."""
    header = draw(names)
    rows = st.lists(st.lists(words, min_size=len(header), max_size=len(header)), max_size=12)
    return header, draw(rows)


def as_read(text: str) -> str | None:
    return text or None


@given(
    tables(),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    st.sampled_from(SETTINGS),
)
def test_a_table_comes_back_in_every_dialect_and_encoding(table, separator, line_end, quoting, encoding, settings):
    header, rows = table
    sink = io.StringIO(newline="")
    csv.writer(sink, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows([header, *rows])
    text = sink.getvalue()
    assume("\r" not in text.replace(line_end, "") or quoting or line_end == "\r\n")  # csv leaves it bare
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    assume(encoding != "cp1252" or not is_utf8(data) or text.isascii())
    types = dict.fromkeys(header, pa.string())
    with written(data) as path:
        kept, rejected, _ = landed_rows(path, settings=with_types(settings, types))
    assert rejected == []
    assert kept == {name: [as_read(row[at]) for row in rows] for at, name in enumerate(header)}


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def with_types(settings: LandingSettings, types: dict[str, pa.DataType]) -> LandingSettings:
    return LandingSettings(types=types, chunk=settings.chunk, threads=settings.threads, few_rejected=10_000)


GARBLED = {
    "too few": lambda row: row.partition(",")[0],
    "too many": lambda row: row + ",9,9",
    "no number": lambda row: "x" + row,
    "zero byte": lambda row: row.replace(",", ",\0", 1),
    "bad byte": lambda row: row.replace(",", ",\udcff", 1),
    "unclosed": lambda row: row.replace(",", ',"', 1),
    "stray": lambda row: row.replace(",", ',"a"', 1),
}
"""Ways to spoil the row ``n,text,1.5``; none makes it a good one."""


@given(
    st.lists(st.tuples(st.none() | st.sampled_from(sorted(GARBLED)), st.text("abc é", max_size=5)), max_size=30),
    st.sampled_from(SETTINGS),
)
def test_kept_and_rejected_rows_are_all_rows_in_order(rows, settings):
    """Each row is spoilt or not; a good row with an é makes the file UTF-8 beyond doubt."""
    lines = ["id,t,x", "0,é,1.5"]
    for at, (how, text) in enumerate(rows, 1):
        line = f"{at},{text or 'a'},1.5"
        lines.append(GARBLED[how](line) if how else line)
    data = "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n"
    known = pa.schema([("id", pa.int64()), ("t", pa.string()), ("x", pa.float64())])
    with written(data) as path:
        kept, rejected, _ = landed_rows(path, expected=known, settings=settings)
    good = [0, *(at for at, (how, _) in enumerate(rows, 1) if how is None)]
    bad = [at for at, (how, _) in enumerate(rows, 1) if how is not None]
    assert kept["id"] == good
    assert kept["t"] == [("é" if not at else rows[at - 1][1] or "a") for at in good]
    assert [row - 2 for _, row, _, _ in rejected] == bad


@given(
    st.binary(max_size=300),
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"]),
    st.sampled_from(SETTINGS),
)
@example(b'\n null\n{"a": 1}\n', "a.jsonl", TINY)
@example(b"null", "a.jsonl", LandingSettings())
@example(b'\xff\xfe"', "a.csv", TINY)
@example(b'{"a":' + b"[" * 3000, "a.jsonl", TINY)
@example(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "a.jsonl", LandingSettings())
def test_random_bytes_are_a_table_or_a_clear_error(data, name, settings):
    with written(data, name) as path:
        refused_or_read(path, settings)


pieces = st.sampled_from(
    [
        b'"',
        b'""',
        b",",
        b";",
        b"\n",
        b"\r",
        b"\r\n",
        b"a",
        b"1",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b" ",
        b"-1.5",
        b"2024-01-02",
    ]
)


@given(st.lists(pieces, max_size=60).map(b"".join), st.sampled_from(SETTINGS))
def test_random_text_like_bytes_are_a_table_or_a_clear_error(data, settings):
    with written(b"a,b\n" + data) as path:
        refused_or_read(path, settings)


@given(st.lists(pieces, max_size=80).map(b"".join))
@example(b'a"\n""\r\r"')
def test_how_a_file_is_cut_into_blocks_changes_nothing(data):
    """The same rows and rejects whether a file is read whole or in pieces of a few bytes."""
    with written(b"a,b\n" + data) as path:
        found = [refused_or_read(path, settings) for settings in SETTINGS]
    note(str(found))
    assert found[1:] == found[:-1]


def refused_or_read(path: Path, settings: LandingSettings) -> object:
    try:
        kept, rejected, _ = landed_rows(path, settings=settings)
    except SourceError as error:
        assert path.name in str(error)
        return error.code, error.message
    return kept, rejected


SPOILT_LINES = [
    "{",
    "[1]",
    "7",
    '{"id": 1} x',
    '{"id": 1, "id": 2}',
    '{"x": "\udcff"}',
    '{"x": "\x00"}',
    '{"x": "\\ud800"}',
]
objects = st.fixed_dictionaries(
    {"t": words}, optional={"n": st.none() | st.floats(allow_nan=False, allow_infinity=False)}
)


@given(st.lists(objects | st.sampled_from(SPOILT_LINES) | st.just(""), max_size=20), st.sampled_from(SETTINGS))
def test_lines_of_json_are_kept_or_told_in_order(lines, settings):
    told = [json.dumps({"id": at, **line}) if isinstance(line, dict) else line for at, line in enumerate(lines, 1)]
    data = "\n".join(['{"id": 0, "t": "", "n": 0.5}', *told]).encode("utf-8", "surrogateescape")
    known = pa.schema([("id", pa.int64()), ("t", pa.string()), ("n", pa.float64())])
    with written(data, "a.jsonl") as path:
        kept, rejected, _ = landed_rows(path, known, settings)
    good = [(at, line) for at, line in enumerate(lines, 1) if isinstance(line, dict)]
    assert kept["id"] == [0, *(at for at, _ in good)]
    assert kept["t"] == ["", *(line["t"] for _, line in good)]
    assert kept["n"] == [0.5, *(line.get("n") for _, line in good)]
    assert [row - 1 for _, row, _, _ in rejected] == [at for at, line in enumerate(lines, 1) if line in SPOILT_LINES]


whole = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1)
decimal = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1)
moments = st.lists(st.none() | st.datetimes().map(lambda moment: moment.replace(microsecond=0)), min_size=1)
truths = st.lists(st.none() | st.booleans(), min_size=1)


@given(st.one_of(whole, decimal, truths, moments), st.sampled_from(SETTINGS))
def test_values_come_back_in_their_type(values, settings):
    assume(any(value is not None for value in values))
    lines = [f"{at},{'' if v is None else repr(v) if isinstance(v, float) else v}" for at, v in enumerate(values)]
    with written("\n".join(["n,v", *lines]).encode()) as path:
        kept, rejected, _ = landed_rows(path, settings=settings)
    assert (kept["v"], rejected) == (values, [])


TABLE = pa.table(
    {
        "id": list(range(50)),
        "x": [f"text {n % 7}" for n in range(50)],
        "y": [n / 3 if n % 5 else None for n in range(50)],
    }
)


def parquet_file() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, write_page_checksum=True, compression="zstd")
    return sink.getvalue()


PARQUET = parquet_file()
FOOTER = len(PARQUET) - 8 - int.from_bytes(PARQUET[-8:-4], "little")


@given(st.integers(0, len(PARQUET) - 1))
def test_truncated_parquet_is_refused_by_name(size):
    with written(PARQUET[:size], "a.parquet") as path, pytest.raises(SourceError, match=r"a\.parquet"):
        landed_rows(path)


@given(st.integers(4, FOOTER - 1), st.integers(1, 255))
def test_parquet_with_a_changed_byte_of_data_is_refused_or_equal(at, change):
    data = bytearray(PARQUET)
    data[at] ^= change
    with written(bytes(data), "a.parquet") as path:
        try:
            kept = landed_rows(path)[0]
        except SourceError as error:
            assert "a.parquet" in str(error)
        else:
            assert kept == TABLE.to_pydict()


@given(st.integers(FOOTER, len(PARQUET) - 1), st.integers(1, 255))
def test_parquet_with_a_changed_footer_never_breaks_the_reading(at, change):
    data = bytearray(PARQUET)
    data[at] ^= change
    with written(bytes(data), "a.parquet") as path:
        try:
            kept = landed_rows(path)[0]
        except PenstockError as error:
            assert "a.parquet" in str(error)
        else:
            assert {len(values) for values in kept.values()} == {TABLE.num_rows}


def test_the_marks_of_encodings_are_known():
    assert codecs.BOM_UTF16_LE == b"\xff\xfe"
