"""A law on each test: what text says is decided on all values, and doubt leaves it text."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from penstock.lake.reading import read_number, read_text


def read(values, name="x", numbers=True):
    found = read_text(name, pa.chunked_array([pa.array(values, pa.string())]), numbers=numbers)
    return str(found.dtype), found.values.to_pylist(), found.note


def moment(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("texts", "dtype", "values"),
    [
        (["1", "-20", "0"], "int", [1, -20, 0]),
        (["007", "8"], "string", ["007", "8"]),
        (["1.50", "2", "-.5", "1e3"], "float", [1.5, 2.0, -0.5, 1000.0]),
        (["1", None, ""], "int", [1, None, None]),
        (["1", "NA", "2.5", "inf", "NaN"], "float", [1.0, None, 2.5, None, None]),
        (["NA", "DE", "FR"], "string", ["NA", "DE", "FR"]),
        (["true", "False", None], "bool", [True, False, None]),
        (["t", "f"], "string", ["t", "f"]),
        (["1", "x"], "string", ["1", "x"]),
        (["+49 89", "1"], "string", ["+49 89", "1"]),
        ([None, None], "string", [None, None]),
        (["1,5", "2,25", "3"], "float", [1.5, 2.25, 3.0]),
        ([" 1", "2 "], "int", [1, 2]),
        ([" a", "b"], "string", [" a", "b"]),
        (["1.234,50", "3,5"], "float", [1234.5, 3.5]),
        (["1,234.50", "3"], "float", [1234.5, 3.0]),
        (["1,234,567", "3"], "float", [1234567.0, 3.0]),
        (["1e400", "1"], "float", [None, 1.0]),
        (["9223372036854775807", "1"], "int", [9223372036854775807, 1]),
    ],
)
def test_numbers_and_truth_values(texts, dtype, values):
    assert read(texts)[:2] == (dtype, values)


def test_one_value_out_of_many_makes_a_column_text():
    assert read([str(n) for n in range(5000)] + ["n/k"])[0] == "string"


def test_numbers_too_large_stay_text_and_that_is_said():
    assert read(["9223372036854775808", "1"])[0] == "string"
    assert "do not fit 64 bits" in read(["9223372036854775808", "1"])[2]


def test_a_comma_that_may_mean_thousands_is_said():
    assert read(["1,500", "2,250"])[2] == "a comma may mean thousands or decimals: kept as text"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-12-31", moment(2024, 12, 31)),
        ("2024-12-31 10:20", moment(2024, 12, 31, 10, 20)),
        ("2024-12-31T10:20:30.123456", moment(2024, 12, 31, 10, 20, 30, 123456)),
        ("2024-12-31T10:20:30.123456789", moment(2024, 12, 31, 10, 20, 30, 123456)),
        ("2024-12-31T10:20:30Z", moment(2024, 12, 31, 10, 20, 30)),
        ("2024-12-31 10:20:30 UTC", moment(2024, 12, 31, 10, 20, 30)),
        ("2024-12-31T10:20:30+02:00", moment(2024, 12, 31, 8, 20, 30)),
        ("2024-12-31 10:20:30-0530", moment(2024, 12, 31, 15, 50, 30)),
        ("2024/12/31", moment(2024, 12, 31)),
        ("31.12.2024", moment(2024, 12, 31)),
        ("31/12/2024 23:59", moment(2024, 12, 31, 23, 59)),
        ("12/31/2024 11:59 PM", moment(2024, 12, 31, 23, 59)),
        ("12/31/24", moment(2024, 12, 31)),
        ("31 Dec 2024", moment(2024, 12, 31)),
        ("31-Dec-24", moment(2024, 12, 31)),
        ("December 31, 2024", moment(2024, 12, 31)),
        ("Tue, 31 Dec 2024 10:20:30 GMT", moment(2024, 12, 31, 10, 20, 30)),
        ("1872-11-30", moment(1872, 11, 30)),
    ],
)
def test_dates_as_people_write_them(text, expected):
    assert read([text, None], numbers=False)[:2] == ("timestamp", [expected, None])


def test_mixed_zones_and_none_become_utc():
    texts = ["2024-07-01T12:00:00+02:00", "2024-07-01T12:00:00", "2024-07-01T12:00:00Z", "2024-07-01"]
    hours = [value.hour for value in read(texts)[1]]
    assert hours == [10, 12, 12, 0]


def test_one_day_past_twelve_tells_which_comes_first():
    dtype, values, note = read(["01/02/2024", "25/12/2024"])
    assert (dtype, values[0], note) == ("timestamp", moment(2024, 2, 1), "dates read with the day first (25/12/2024)")
    assert read(["01/02/2024", "12/25/2024"])[1][0] == moment(2024, 1, 2)


def test_dates_that_may_mean_two_things_stay_text_and_that_is_said():
    dtype, _, note = read(["01/02/2024", "03/04/2024"])
    assert (dtype, note) == (
        "string",
        "holds dates such as '01/02/2024' that may mean day/month or month/day: kept as text",
    )


def test_dates_in_both_orders_stay_text():
    assert "in both orders" in read(["25/12/2024", "12/25/2024"])[2]


def test_a_day_that_does_not_exist_is_said():
    assert read(["2024-02-30", "2024-02-28"])[2] == "holds dates, but '2024-02-30' is none: kept as text"
    assert "'soon' is none" in read(["2024-02-28", *[f"2024-03-{n:02}" for n in range(1, 30)], "soon"])[2]


def test_compact_dates_are_read_only_where_the_name_says_time():
    assert read(["20241231"], "order_date", numbers=False)[:2] == ("timestamp", [moment(2024, 12, 31)])
    assert read(["20241231"], "ticket", numbers=False)[0] == "string"


def test_times_of_day_and_version_numbers_are_no_dates():
    assert read(["10:30", "11:45"])[0] == "string"
    assert read(["1.2.3", "2.0.1"])[0] == "string"


def test_text_in_a_typed_source_is_only_read_as_dates():
    assert read(["1", "2"], numbers=False)[0] == "string"


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000])
def test_counts_since_1970_are_instants_where_the_name_says_time(factor):
    values = pa.chunked_array([[1_735_603_200 * factor]])
    found = read_number("created_at", values)
    assert found is not None
    assert found.values.to_pylist() == [moment(2024, 12, 31)]
    assert read_number("amount", values) is None


def test_a_read_day_column_may_hold_real_years_only():
    assert read_number("date", pa.chunked_array([[20240101, 20241399]])) is None
