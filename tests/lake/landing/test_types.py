"""The types that landed columns get, how texts are read as them, and what becomes of values that do not fit."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.lake.landing import LandingSettings, land
from tests.lake.landing.reading import landed_rows

DAY = 86_400_000_000


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def column(tmp_path: Path, texts: list[str], **settings: object) -> tuple[str, list[object], list[str]]:
    """The type, values and notes of a column ``x`` of these texts beside a number, in blocks of a few rows."""
    path = tmp_path / "a.csv"
    lines = [f'{n},"{text}"' for n, text in enumerate(texts)]
    path.write_text("\n".join(["n,x", *lines]), encoding="utf-8")
    chosen = LandingSettings(chunk=64, **settings)
    kept, rejected, notes = landed_rows(path, settings=chosen)
    assert rejected == []
    return str(land(path, settings=chosen).schema.field("x").type), kept["x"], [n.removeprefix("x: ") for n in notes]


@pytest.mark.parametrize(
    ("texts", "kind", "values", "notes"),
    [
        (["1", "-20", "0"], "int64", [1, -20, 0], []),
        (["007", "8"], "string", ["007", "8"], []),
        (["0x1f", "8"], "string", ["0x1f", "8"], []),
        (["+5", "8"], "string", ["+5", "8"], []),
        (["1", "2.5"], "double", [1.0, 2.5], []),
        (["00.5", "1"], "string", ["00.5", "1"], []),
        (["1e3", "-.5"], "double", [1000.0, -0.5], []),
        (["1", "NA", "NaN"], "int64", [1, None, None], ["2 values of a.csv such as NA or NaN read as NULL"]),
        (["1.5", "inf"], "double", [1.5, None], ["1 values of a.csv such as NA or NaN read as NULL"]),
        (["NA", "DE"], "string", ["NA", "DE"], []),
        (["true", "False"], "bool", [True, False], []),
        (
            ["9223372036854775808", "1"],
            "string",
            ["9223372036854775808", "1"],
            ["numbers such as 9223372036854775808 do not fit 64 bits: kept as text"],
        ),
        (["1e400", "1.5"], "string", ["1e400", "1.5"], ["numbers such as 1e400 do not fit a double: kept as text"]),
        (["1,5", "2,25", "3"], "double", [1.5, 2.25, 3.0], ["commas read as decimal points"]),
        (["1.234,50", "3,5"], "double", [1234.5, 3.5], ["commas read as decimal points"]),
        (["1,234.50", "3", "1,000"], "double", [1234.5, 3.0, 1000.0], ["commas read as grouping thousands"]),
        (["1,500", "2,250"], "string", ["1,500", "2,250"], ["a comma may mean thousands or decimals: kept as text"]),
        ([" 1", "2 "], "int64", [1, 2], []),
        (["1", "x"], "string", ["1", "x"], []),
    ],
)
def test_all_values_say_what_a_column_is(tmp_path, texts, kind, values, notes):
    filler = [texts[0]] * 40  # so that the telling value lies in a later block
    found = column(tmp_path, [*filler, *texts])
    assert (found[0], found[1][40:]) == (kind, values)
    assert found[2] == notes


def test_a_comma_far_down_changes_how_all_numbers_are_read(tmp_path):
    """Three digits behind a point are thousands where another number of the column has a decimal comma."""
    kind, values, _ = column(tmp_path, ["1.234"] * 50 + ["2,5"])
    assert (kind, values[0], values[-1]) == ("double", 1234.0, 2.5)


def test_dates_in_five_forms_are_each_read_by_their_form(tmp_path):
    texts = ["2024-12-31", "31.12.2024", "31 Dec 2024", "December 31, 2024", "2024/12/31 10:20", "31/12/2024"]
    kind, values, notes = column(tmp_path, texts)
    assert kind == "timestamp[us]"
    assert values == [moment("2024-12-31 10:20" if "10:20" in text else "2024-12-31") for text in texts]
    assert notes == ["dates read with the day first (31.12.2024)"]


def test_dates_that_may_mean_two_days_stay_text_unless_it_is_said(tmp_path):
    texts = ["2024-12-31", "01/02/2024", "03/04/2024"]
    kind, _, notes = column(tmp_path, texts)
    assert kind == "string"
    assert notes == ["holds dates such as '01/02/2024' that may mean day/month or month/day: kept as text"]
    assert column(tmp_path, texts, day_first=True)[1][1] == moment("2024-02-01")
    assert column(tmp_path, texts, day_first=False)[1][1] == moment("2024-01-02")


def test_dates_in_both_orders_stay_text(tmp_path):
    assert "in both orders" in column(tmp_path, ["25/12/2024", "12/25/2024"])[2][0]


def test_a_comma_is_settled_by_the_settings(tmp_path):
    assert column(tmp_path, ["1,500"], decimal_comma=True)[1] == [1.5]
    assert column(tmp_path, ["1,500"], decimal_comma=False)[1] == [1500.0]


def test_zones_become_instants_in_utc_however_they_are_mixed(tmp_path):
    texts = ["2024-07-01T12:00:00+02:00", "2024-07-01T12:00:00", "2024-07-01 12:00:00Z", "2024-07-01 12:00-0330"]
    hours = [value.strftime("%H:%M") for value in column(tmp_path, texts)[1]]
    assert hours == ["10:00", "12:00", "12:00", "15:30"]


def test_an_offset_that_no_clock_has_is_no_date(tmp_path):
    assert column(tmp_path, ["2024-07-01T12:00:00+99:00", "2024-07-01"])[0] == "string"


EXPECTED = [
    (pa.int64(), "12", 12),
    (pa.int64(), "12.0", 12),
    (pa.int64(), "1.5", "'1.5' is no whole number"),
    (pa.int64(), "007", "'007' is no whole number"),
    (pa.int64(), "99999999999999999999", "'99999999999999999999' is no whole number"),
    (pa.int64(), "0x10", "'0x10' is no whole number"),
    (pa.int64(), "NA", None),
    (pa.int32(), "3000000000", "'3000000000' is no whole number"),
    (pa.float64(), "1e3", 1000.0),
    (pa.float64(), "1,5", 1.5),
    (pa.float64(), "1,500", "'1,500' is no number"),
    (pa.float64(), "1e999", "'1e999' is no number"),
    (pa.float32(), "1e39", "'1e39' is no number"),
    (pa.float64(), "abc", "'abc' is no number"),
    (pa.decimal128(9, 2), "12.50", Decimal("12.50")),
    (pa.decimal128(9, 2), "12.505", "'12.505' is no number"),
    (pa.decimal128(9, 2), "12345678901", "'12345678901' is no number"),
    (pa.bool_(), "Yes", True),
    (pa.bool_(), "0", False),
    (pa.bool_(), "maybe", "'maybe' is no truth value"),
    (pa.timestamp("us"), "31.12.2024 10:00", moment("2024-12-31 10:00")),
    (pa.timestamp("us"), "2024-02-30", "'2024-02-30' is no instant"),
    (
        pa.timestamp("us"),
        "01/02/2024",
        "'01/02/2024' is no instant (holds dates such as '01/02/2024' that may mean day/month or month/day)",
    ),
    (pa.timestamp("us"), "soon", "'soon' is no instant"),
    (pa.date32(), "2024-12-31", dt.date.fromisoformat("2024-12-31")),
    (pa.date32(), "2024-12-31 10:00", "'2024-12-31 10:00' is no date"),
    (pa.time64("us"), "10:20:30", dt.time.fromisoformat("10:20:30")),
    (pa.time64("us"), "25:00:00", "'25:00:00' is no time of day"),
    (pa.list_(pa.string()), '["a", "b"]', ["a", "b"]),
    (pa.list_(pa.string()), "a", "'a' is no list"),
    (pa.string(), "007", "007"),
]


@pytest.mark.parametrize(("kind", "text", "answer"), EXPECTED, ids=[f"{kind} {text}" for kind, text, _ in EXPECTED])
def test_a_value_fits_the_type_of_the_table_or_its_row_is_told(tmp_path, kind, text, answer):
    path = tmp_path / "a.csv"
    path.write_text('id,x\n1,"{}"\n2,\n'.format(text.replace('"', '""')), encoding="utf-8")
    known = pa.schema([("id", pa.int64()), ("x", kind), ("_known", pa.timestamp("us")), ("_deleted", pa.bool_())])
    kept, rejected, _ = landed_rows(path, expected=known)
    if isinstance(answer, str) and kind != pa.string():
        assert (kept, [r[:3] for r in rejected]) == ({"id": [2], "x": [None]}, [("a.csv", 2, f"x: {answer}")])
    else:
        assert (kept, rejected) == ({"id": [1, 2], "x": [answer, None]}, [])


def test_dates_that_only_later_rows_leave_in_doubt_are_told(tmp_path):
    """A file that begins with plain dates is not searched first; what may mean two days is still never guessed."""
    path = tmp_path / "a.csv"
    texts = ["2024-12-31"] * 50 + ["25/12/2024", "03/04/2024", "1,5"]
    path.write_text("\n".join(["n,x", *(f'{n},"{text}"' for n, text in enumerate(texts))]), encoding="utf-8")
    known = pa.schema([("n", pa.int64()), ("x", pa.timestamp("us"))])
    kept, rejected, _ = landed_rows(path, known, LandingSettings(chunk=64))
    assert (kept["n"], kept["x"][-1]) == (list(range(51)), moment("2024-12-25"))
    assert [r[1] for r in rejected] == [53, 54]


def test_a_named_type_rejects_what_would_make_the_column_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,x\n1,5\n2,n/k\n3,7\n", encoding="utf-8")
    assert landed_rows(path)[0]["x"] == ["5", "n/k", "7"]
    kept, rejected, _ = landed_rows(path, settings=LandingSettings(types={"x": pa.int16()}))
    assert kept == {"id": [1, 3], "x": [5, 7]}
    assert rejected == [("a.csv", 3, "x: 'n/k' is no whole number", "2,n/k")]


def test_all_that_is_wrong_with_a_row_is_said_at_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,x\na,b\n", encoding="utf-8")
    known = pa.schema([("id", pa.int64()), ("x", pa.float64())])
    assert landed_rows(path, known)[1] == [("a.csv", 2, "id: 'a' is no whole number; x: 'b' is no number", "a,b")]


def test_clocks_in_the_future_are_counted_and_rejected_where_asked(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("at,due\n2024-01-01,2030-01-01\n2024-01-03,2030-01-01\n2024-02-01,2030-01-01\n", encoding="utf-8")
    noon = 1_704_110_400_000_000  # 2024-01-01 12:00
    watch = LandingSettings(now=lambda: noon, clocks=("at",))
    kept, rejected, notes = landed_rows(path, settings=watch)
    assert (len(kept["at"]), rejected) == (3, [])
    assert notes == ("at: 2 values of a.csv lie in the future",)
    kept, rejected, _ = landed_rows(path, settings=LandingSettings(now=lambda: noon, clocks=("at",), ahead=2 * DAY))
    assert len(kept["at"]) == 2
    assert [r[:3] for r in rejected] == [("a.csv", 4, "at: 2024-02-01 00:00:00 lies in the future")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp037", "shift_jis", "utf-16-be"])
def test_an_encoding_may_be_named(tmp_path, encoding):
    text = "id,x\n1,¶\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert landed_rows(tmp_path / "a.csv", settings=LandingSettings(encoding=encoding))[0] == {"id": [1], "x": ["¶"]}


def test_names_that_sql_reserves_and_quotes_in_names_are_names(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('select,"a""b","x\ny",order by\n1,2,3,4\n', encoding="utf-8")
    assert landed_rows(path)[0] == {"select": [1], 'a"b': [2], "x\ny": [3], "order by": [4]}
