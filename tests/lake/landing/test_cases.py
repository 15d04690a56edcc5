"""What files of garbled rows are read as: the bytes, the rows that are kept and those that are not, case by case."""

from __future__ import annotations

import bz2
import gzip
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lake.landing.reading import Kept, landed_rows


@dataclass(frozen=True)
class Case:
    """A file, and what it is read as: column by column, then the rejected rows as (row, reason)."""

    law: str
    data: bytes
    kept: Kept
    rejected: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    name: str = "a.csv"


CASES = [
    Case("plain", b"id,x\n1,a\n2,b\n", {"id": [1, 2], "x": ["a", "b"]}),
    Case("no line end at the end", b"id,x\n1,a", {"id": [1], "x": ["a"]}),
    Case("Windows line ends", b"id,x\r\n1,a\r\n2,b\r\n", {"id": [1, 2], "x": ["a", "b"]}),
    Case("old Mac line ends", b"id,x\r1,a\r2,b\r", {"id": [1, 2], "x": ["a", "b"]}),
    Case("header only", b"id,x\n", {"id": [], "x": []}),
    # ---- quotes
    Case("a line end inside quotes", b'id,x\n1,"a\nb"\n2,c\n', {"id": [1, 2], "x": ["a\nb", "c"]}),
    Case("doubled quotes", b'id,x\n1,"a ""b"" c"\n', {"id": [1], "x": ['a "b" c']}),
    Case("a separator inside quotes", b'id,x\n1,"a,b"\n', {"id": [1], "x": ["a,b"]}),
    Case("a quote inside a bare value", b'id,x\n1,5" pipe\n2,b\n', {"id": [1, 2], "x": ['5" pipe', "b"]}),
    Case(
        "text behind a closing quote",
        b'id,x\n1,"a"b\n2,c\n',
        {"id": [2], "x": ["c"]},
        [(2, "text follows a closing quote")],
    ),
    Case(
        "an unclosed quote hides no row",
        b'id,x\n1,"a\n2,b\n3,c\n',
        {"id": [2, 3], "x": ["b", "c"]},
        [(2, "a quote is not closed")],
    ),
    Case(
        "an unclosed quote before a quoted value",
        b'id,x\n1,"a\n2,"b"\n3,"c"\n',
        {"id": [2, 3], "x": ["b", "c"]},
        [(2, "a quote is not closed")],
    ),
    # ---- rows
    Case(
        "too few and too many values",
        b"id,x\n1\n2,b\n3,c,d\n",
        {"id": [2], "x": ["b"]},
        [(2, "has 1 values where the header has 2"), (4, "has 3 values where the header has 2")],
    ),
    Case("an empty line is no row", b"\nid,x\n1,a\n\n2,b\n\n\n", {"id": [1, 2], "x": ["a", "b"]}),
    Case(
        "rows are counted as people count, empty lines too",
        b"\nid,x\n1,a\n\n2\n",
        {"id": [1], "x": ["a"]},
        [(5, "has 1 values where the header has 2")],
    ),
    Case("a row of nothing but separators is a row", b"id,x\n,\n1,a\n", {"id": [None, 1], "x": [None, "a"]}),
    Case("a quoted nothing in a lone column is a row", b'x\na\n""\nb\n', {"x": ["a", None, "b"]}),
    # ---- encodings
    Case("UTF-8 with a mark", "\ufeffid,x\n1,é\n".encode(), {"id": [1], "x": ["é"]}),
    Case("UTF-16", "id,x\n1,é€😀\n".encode("utf-16"), {"id": [1], "x": ["é€😀"]}),
    Case("UTF-16 without a mark", "id,x\n1,abc\n".encode("utf-16-be"), {"id": [1], "x": ["abc"]}),
    Case(
        "Windows-1252",
        "id,x\n1,Köln\n2,€\n".encode("cp1252"),
        {"id": [1, 2], "x": ["Köln", "€"]},
        notes=["a.csv is not UTF-8: read as Windows-1252"],
    ),
    Case(
        "a bad byte among UTF-8",
        b"id,x\n1,\xc3\xa9\n2,\xff\n3,c\n",
        {"id": [1, 3], "x": ["é", "c"]},
        [(3, "the byte 0xff is no UTF-8")],
    ),
    Case(
        "a byte that Windows-1252 does not have",
        b"id,x\n1,\xe9\n2,\x81\n",
        {"id": [1], "x": ["é"]},
        [(3, "the byte 0x81 is no cp1252")],
        ["a.csv is not UTF-8: read as Windows-1252"],
    ),
    Case("zero bytes", b"id,x\n1,a\n2,\0\n3,c\n", {"id": [1, 3], "x": ["a", "c"]}, [(3, "holds zero bytes")]),
    Case(
        "half a character of UTF-16",
        "id,x\n1,a\n".encode("utf-16").replace(b"a\0", b"\0\xd8"),
        {"id": [], "x": []},
        [(2, "the byte 0xed is no UTF-8")],
    ),
    Case(
        "a line that says the separator",
        b"sep=;\r\na,b;c\r\n1;2\r\n3\r\n",
        {"a,b": [1], "c": [2]},
        [(4, "has 1 values where the header has 2")],
    ),
    # ---- packed
    Case("gzip", gzip.compress(b"id\n1\n"), {"id": [1]}, name="a.csv.gz"),
    Case("gzip in two members", gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"), {"id": [1, 2]}, name="a.csv.gz"),
    Case("bzip2", bz2.compress(b"id\n1\n"), {"id": [1]}, name="a.csv.bz2"),
    Case("tabs", b"id\tx\n1\ta,b\n", {"id": [1], "x": ["a,b"]}, name="a.tsv"),
    # ---- JSON lines
    Case("JSON lines", b'{"id": 1, "x": {"y": "a"}}\n{"id": 2}\n', {"id": [1, 2], "x_y": ["a", None]}, name="a.jsonl"),
    Case(
        "lines that are no object",
        b'{"id": 1}\n{oops\n[1]\n\n{"id": 2}\n{"id": 3, "id": 4}\n',
        {"id": [1, 2]},
        [
            (2, "is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            (3, "is no object but list"),
            (6, "has the key 'id' twice"),
        ],
        name="a.jsonl",
    ),
    Case(
        "objects in lists are text",
        b'{"a": {"b": [{"c": 1}]}}\n{"a": {"b": null}}\n',
        {"a_b": [['{"c": 1}'], None]},
        name="a.jsonl",
    ),
    Case("a mark before JSON", b'\xef\xbb\xbf{"a": 1}\r\n', {"a": [1]}, name="a.jsonl"),
    Case(
        "times in JSON keep how they were written",
        b'{"a": "2024-01-05"}\n{"a": "x"}\n',
        {"a": ["2024-01-05", "x"]},
        name="a.jsonl",
    ),
    Case("a whole number becomes a number", b'{"x": 1}\n{"x": 1.5}\n', {"x": [1.0, 1.5]}, name="a.jsonl"),
    Case("values of several types are text", b'{"x": 1}\n{"x": "b"}\n', {"x": ["1", "b"]}, name="a.jsonl"),
    Case(
        "whole numbers beyond 64 bits keep their digits",
        b'{"x": 12345678901234567890}\n',
        {"x": ["12345678901234567890"]},
        name="a.jsonl",
    ),
    Case(
        "a bad byte in a line",
        b'{"x": 1}\n{"y": "\xff"}\n',
        {"x": [1]},
        [(2, "the byte 0xff is no UTF-8")],
        name="a.jsonl",
    ),
    Case(
        "an object without keys is a row",
        b'{"x": 1}\n{}\n',
        {"x": [1, None]},
        name="a.jsonl",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.law)
def test_a_file_is_read_right_or_its_rows_are_told(case: Case, tmp_path: Path):
    path = tmp_path / case.name
    path.write_bytes(case.data)
    kept, rejected, notes = landed_rows(path)
    assert kept == case.kept
    assert [(row, reason) for _, row, reason, _ in rejected] == case.rejected
    assert [note for note in notes if note not in case.notes] == []
    assert set(case.notes) <= set(notes)
