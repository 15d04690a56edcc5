"""A law on each test: results are written whole, and writing them again changes nothing."""

from __future__ import annotations

import datetime as dt
import zlib

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake import SourceRows, write

KEY = ("entity", "cutoff")
DAY = dt.datetime.fromisoformat("2024-01-01")


def predictions(entities, probability):
    return pa.table(
        {
            "entity": entities,
            "cutoff": pa.array([DAY] * len(entities), pa.timestamp("us")),
            "probability": pa.array(probability, pa.float64()),
            "prediction": [p is not None and p > 0.5 for p in probability],
            "reasons": [["few orders", "long ago"]] * len(entities),
        }
    )


FIRST = predictions(["a", "A", "b'\"`;"], [0.25, 0.5, 0.75])


FILES = ["out.parquet", "out.csv"]
TABLES = ["out.duckdb#res", "out.sqlite#res", "postgres", "mysql"]


@pytest.fixture(params=FILES + TABLES)
def place(request, tmp_path):
    """A destination, and how to read it back: the source and the table there."""
    if request.param in {"postgres", "mysql"}:
        url = request.getfixturevalue(f"{request.param}_url")
        table = f"res_{zlib.crc32(request.node.name.encode())}"
        return f"{url}#{table}", url, table
    destination = str(tmp_path / request.param)
    return destination, destination.partition("#")[0], "res" if "#" in request.param else "out"


def rows_at(place, *columns):
    rows = SourceRows.of(place[1])
    return sorted(zip(*(rows.read(place[2], [c])[c].to_pylist() for c in columns), strict=True))


def test_what_is_written_is_read_back(place):
    write(FIRST, place[0], KEY)
    expected = sorted(zip(FIRST["entity"].to_pylist(), [DAY] * 3, FIRST["probability"].to_pylist(), strict=True))
    assert rows_at(place, "entity", "cutoff", "probability") == expected
    assert rows_at(place, "prediction") == [(False,), (False,), (True,)]


def test_lists_are_kept_or_become_text(place):
    write(FIRST, place[0], KEY)
    assert rows_at(place, "reasons")[0][0] in (["few orders", "long ago"], "few orders; long ago")


def test_writing_again_changes_nothing(place):
    write(FIRST, place[0], KEY)
    before = rows_at(place, "entity", "probability")
    write(FIRST, place[0], KEY)
    assert rows_at(place, "entity", "probability") == before


def test_rows_with_the_same_key_are_replaced_and_in_a_table_others_stay(place):
    write(FIRST, place[0], KEY)
    write(predictions(["a", "new"], [1.0, None]), place[0], KEY)
    found = dict(rows_at(place, "entity", "probability"))
    others = {"A": 0.5, "b'\"`;": 0.75} if "#" in place[0] else {}
    assert found == {**others, "a": 1.0, "new": None}


def test_without_a_key_all_rows_are_replaced(place):
    write(FIRST, place[0])
    write(predictions(["z"], [0.5]), place[0])
    assert rows_at(place, "entity") == [("z",)]


@pytest.mark.parametrize("place", TABLES, indirect=True)
def test_a_table_that_lacks_a_column_is_refused_and_left_alone(place):
    write(FIRST, place[0], KEY)
    with pytest.raises(SourceError, match="has no column 'extra'"):
        write(FIRST.append_column("extra", pa.array([1, 2, 3])), place[0], KEY)
    assert len(rows_at(place, "entity")) == 3


def test_rows_with_one_key_twice_are_refused(place):
    with pytest.raises(SourceError, match="several rows have the same entity, cutoff"):
        write(predictions(["a", "a"], [0.1, 0.2]), place[0], KEY)


def test_a_key_that_is_null_or_no_column_is_refused(place):
    with pytest.raises(SourceError, match="the key column 'entity' holds NULL"):
        write(predictions([None, "a"], [0.1, 0.2]), place[0], KEY)
    with pytest.raises(SourceError, match="the rows have no column 'entitty'"):
        write(FIRST, place[0], ("entitty",))


@pytest.mark.parametrize(
    "destination",
    ["out.txt", "out.duckdb", "postgresql://ada:secret@db/shop", "oracle://ada:secret@db/shop#t", "#t", ""],
)
def test_what_is_no_destination_is_said(destination):
    with pytest.raises(SourceError, match="is no place to write rows to") as raised:
        write(FIRST, destination, KEY)
    assert "file.parquet" in raised.value.candidates
    assert "secret" not in str(raised.value)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot write"):
        write(FIRST, str(tmp_path / "file" / "out.parquet"), KEY)


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_draft(tmp_path):
    path = tmp_path / "out.csv"
    write(FIRST, str(path), KEY)
    before = path.read_bytes()
    with pytest.raises(SourceError, match="several rows"):
        write(predictions(["a", "a"], [0.1, 0.2]), str(path), KEY)
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".out*")) == []


def test_lists_of_numbers_stay_lists_or_become_json(place):
    """A Parquet file, DuckDB and PostgreSQL (but for truth values) keep what lists hold; others get JSON."""
    kinds = {"whole": pa.int64(), "part": pa.float32(), "truth": pa.bool_(), "when": pa.timestamp("us")}
    given = {"whole": [2**53 + 1, None], "part": [0.5], "truth": [True, False], "when": [DAY]}
    lists = {name: pa.array([given[name], [], None], pa.list_(kind)) for name, kind in kinds.items()}
    write(pa.table({"entity": ["a", "b", "c"], **lists}), place[0], ["entity"])
    told = {"whole": "[9007199254740993, null]", "part": "[0.5]", "truth": "[true, false]", "when": f'["{DAY}"]'}
    for name in kinds:
        found = dict(rows_at(place, "entity", name))
        kept = {"a": [str(v).lower() if isinstance(v, bool) else v for v in given[name]], "b": [], "c": None}
        as_read = {key: value if value is None else _alike(value) for key, value in found.items()}
        assert as_read in ({key: value if value is None else _alike(value) for key, value in kept.items()},
                           {"a": told[name], "b": "[]", "c": None}), (name, found)  # fmt: skip


def _alike(value):
    """Lists as this house reads them from databases: as texts, but for fractions."""
    if not isinstance(value, list):
        return value
    return [None if one is None else str(one).lower() if isinstance(one, bool) else str(one) for one in value]
