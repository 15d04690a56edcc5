"""A law on each test: what cannot be opened is said plainly, and never with a password."""

from __future__ import annotations

import sys
from decimal import Decimal

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.inference import infer
from penstock.lake import SourceRows, describe, open_source, to_arrow


def test_a_path_that_does_not_exist_names_its_neighbours(tmp_path):
    (tmp_path / "shop.csv").write_text("id\n1\n")
    with pytest.raises(SourceError, match="there is no") as raised:
        open_source(str(tmp_path / "shpo.csv"))
    assert raised.value.suggestion == "shop.csv"


@pytest.mark.parametrize("url", ["oracle://ada:secret@db/shop", "http://ada:secret@db/shop"])
def test_an_unknown_scheme_names_those_that_exist(url):
    with pytest.raises(SourceError, match="is not supported") as raised:
        open_source(url)
    assert "postgresql" in raised.value.candidates
    assert "secret" not in str(raised.value)


def test_a_broken_url_is_said():
    with pytest.raises(SourceError, match="is no URL"):
        open_source("mysql://ada:secret@db:port/shop")


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_does_not_answer_is_said_without_the_password(scheme):
    pytest.importorskip("adbc_driver_postgresql" if scheme == "postgresql" else "pymysql")
    with pytest.raises(SourceError, match="cannot be opened") as raised:
        open_source(f"{scheme}://ada:secret@127.0.0.1:1/shop").tables()
    assert "secret" not in str(raised.value)
    assert "ada@127.0.0.1:1/shop" in str(raised.value)


def test_a_file_of_no_known_kind_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SourceError, match=r"notes\.txt is no file that can be read as a table"):
        open_source(tmp_path / "notes.txt")


def test_what_is_no_source_at_all_is_said():
    with pytest.raises(SourceError, match="a int is no source"):
        open_source(7)


def test_an_empty_mapping_is_said():
    with pytest.raises(SourceError, match="the mapping is empty"):
        open_source({}).tables()


def test_a_mapping_of_what_is_no_table_is_said():
    with pytest.raises(SourceError, match="'orders' is no table: int"):
        open_source({"orders": 7}).tables()


def test_pandas_and_polars_tables_are_read_like_arrow():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"id": [1, 2, 3], "x": [1.5, None, 3.0], "s": ["a", None, "c"]}
    made = {"arrow": pa.table(columns), "pandas": pandas.DataFrame(columns), "polars": polars.DataFrame(columns)}
    rows = SourceRows.of({**made, "lazy": polars.LazyFrame(columns)})
    for table in ("arrow", "pandas", "polars", "lazy"):
        assert rows.read(table, ["id", "x", "s"]).to_pydict() == columns


def test_a_pandas_index_is_a_column_only_when_it_has_a_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1, 2]}, index=[7, 9])
    assert to_arrow(frame).column_names == ["x"]
    frame.index.name = "id"
    assert set(to_arrow(frame).column_names) == {"id", "x"}


def test_a_pandas_column_of_several_types_is_text_and_the_others_stay():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1, "a", None], "y": [Decimal("1.5"), None, Decimal(2)], 3: [1, 2, 3]}, dtype=object)
    rows = SourceRows.of({"t": frame})
    assert rows.read("t", ["x", "y", "3"]).to_pydict() == {"x": ["1", "a", None], "y": [1.5, None, 2.0], "3": [1, 2, 3]}


def test_polars_types_are_made_plain():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "c": polars.Series(["a", None], dtype=polars.Categorical),
            "e": polars.Series(["x", "y"], dtype=polars.Enum(["x", "y"])),
            "l": [["p"], None],
        }
    )
    assert SourceRows.of({"t": frame}).read("t", ["c", "e", "l"]).to_pydict() == {
        "c": ["a", None],
        "e": ["x", "y"],
        "l": [["p"], None],
    }


def test_categories_zones_and_unsigned_numbers_are_made_plain():
    rows = SourceRows.of(
        {
            "t": pa.table(
                {
                    "category": pa.array(["a", "b"]).dictionary_encode(),
                    "at": pa.array([0, 3_600_000_000], pa.timestamp("us", "America/New_York")),
                    "day": pa.array([0, 1], pa.date32()),
                    "small": pa.array([1, 2], pa.uint64()),
                    "large": pa.array([1, 2**64 - 1], pa.uint64()),
                    "money": pa.array([None, "1.25"]).cast(pa.decimal128(10, 2)),
                    "whole": pa.array(["7", "8"]).cast(pa.decimal128(20, 0)),
                    "bad": [float("nan"), float("inf")],
                    "view": pa.array(["a", "b"], pa.string_view()),
                }
            )
        }
    )
    dtypes = {c.name: str(c.dtype) for c in rows.graph.table("t").columns}
    assert dtypes == {
        "category": "string", "at": "timestamp", "day": "timestamp", "small": "int", "large": "string",
        "money": "float", "whole": "int", "bad": "float", "view": "string",
    }  # fmt: skip
    found = rows.read("t", ["at", "bad", "large"])
    assert found.schema.field("at").type == pa.timestamp("us")
    assert found["bad"].to_pylist() == [None, None]
    assert found["at"].cast(pa.int64()).to_pylist() == [0, 3_600_000_000]


def test_the_fingerprint_of_tables_in_memory_is_that_of_their_values():
    def fingerprint(values):
        return open_source({"t": pa.table({"x": values})}).fingerprint()

    assert fingerprint(pa.chunked_array([[1], [2]])) == fingerprint([1, 2])
    assert fingerprint([1, 3]) != fingerprint([1, 2])


def test_rows_have_a_fingerprint_that_changes_with_the_graph():
    source = open_source({"t": pa.table({"id": [1, 2], "at": ["2024-01-01", "2024-01-02"]})})
    facts = describe(source)
    graph = infer(facts)
    same, other = SourceRows(source, graph, facts), SourceRows.of({"t": pa.table({"id": [1, 2]})})
    assert same.fingerprint == SourceRows(source, infer(describe(source))).fingerprint
    assert same.fingerprint != other.fingerprint


def test_rows_hold_what_the_graph_says_and_nothing_else():
    rows = SourceRows.of({"t": pa.table({"id": [1, 2]})})
    assert rows.read("t", []).num_columns == 0
    with pytest.raises(Exception, match="t has no column 'idd'"):
        rows.read("t", ["idd"])


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [("postgresql", "adbc_driver_postgresql", "postgres"), ("mysql", "pymysql", "mysql")],
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(monkeypatch, scheme, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SourceError, match="needs the package") as raised:
        open_source(f"{scheme}://ada:secret@127.0.0.1:1/shop").tables()
    assert raised.value.hint == f"Install it: pip install 'penstock[{extra}]'"
