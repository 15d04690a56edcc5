"""Laws of reading, on random values: what is written as text in any form comes back as it was."""

from __future__ import annotations

import csv
import datetime as dt
import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import SourceError
from penstock.inference import infer
from penstock.lake import SourceRows, describe, open_source
from penstock.lake.reading import read_text

YEARS = (dt.datetime.fromisoformat("1900-01-01"), dt.datetime.fromisoformat("2100-01-01"))
moments = st.datetimes(*YEARS)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
FORMS = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%dT%H:%M:%S", "%d %b %Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p", "%d.%m.%Y %H:%M:%S")

numbers = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1)
floats = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1)
letters = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
texts = st.lists(st.none() | letters.map(lambda text: f"t{text}\n,\"';"), min_size=1)
truths = st.lists(st.none() | st.booleans(), min_size=1)


def read(values):
    return read_text("x", pa.chunked_array([pa.array(values, pa.string())]), numbers=True)


@given(st.lists(st.tuples(moments, zones | st.none()), min_size=1))
def test_instants_survive_every_mixture_of_zones(moments_and_zones):
    zoned = [moment.replace(tzinfo=zone) for moment, zone in moments_and_zones]
    expected = [m.astimezone(dt.UTC).replace(tzinfo=None) if m.tzinfo else m for m in zoned]
    assert read([m.isoformat() for m in zoned]).values.to_pylist() == expected


@given(st.lists(moments, min_size=1), st.sampled_from(FORMS))
def test_dates_survive_every_form(found, form):
    whole = [moment.replace(microsecond=0) for moment in found]
    assert read([moment.strftime(form) for moment in whole]).values.to_pylist() == whole


@given(st.lists(moments, min_size=1), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%y", "%m-%d-%y"]))
def test_days_and_months_are_never_swapped_silently(found, form):
    days = [moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in found]
    if "%y" in form:
        days = [day.replace(year=1970 + day.year % 100, day=min(day.day, 28)) for day in days]
    answer = read([day.strftime(form) for day in days])
    assert (str(answer.dtype), bool(answer.note)) == ("string", True) or answer.values.to_pylist() == days


@given(st.lists(st.text(max_size=12), min_size=1))
def test_no_text_breaks_the_reading_and_none_is_lost(found):
    answer = read(found)
    assert len(answer.values) == len(found)
    if str(answer.dtype) == "string":
        assert answer.values.to_pylist() == found


@given(st.one_of(numbers, floats, texts, truths))
def test_a_csv_file_gives_back_what_was_written(values):
    written = [repr(v) if isinstance(v, float) else v for v in values]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("n", "x"), *enumerate(written)])
        source = open_source(path)
        facts = describe(source)
        found = SourceRows(source, infer(facts), facts).read("t", ["x"])["x"].to_pylist()
    assert found == values


NASTY = st.lists(
    st.sampled_from([b'"', b",", b";", b"\n", b"\r", b"a", b"1", b"\0", b"\xff", b"\xc3\xa9", b"[", b"{", b'":']),
    max_size=40,
)


@given(st.binary(max_size=200) | NASTY.map(b"".join), st.sampled_from(["t.csv", "t.csv.gz", "t.jsonl", "t.parquet"]))
def test_random_bytes_are_a_table_or_a_clear_error(data, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            describe(open_source(path))
        except SourceError as error:
            assert name in str(error)
