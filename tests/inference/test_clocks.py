"""A law on each test: when a row happened is neither when it was loaded, edited, born nor when it expires."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from penstock.inference import infer
from penstock.lake import describe, open_source


def days(count: int, first: int = 0) -> list[dt.datetime]:
    return [dt.datetime.fromisoformat("2024-01-01") + dt.timedelta(days=first + n) for n in range(count)]


def graph_of(name: str, /, **columns):
    ids = list(range(5))
    return infer(describe(open_source({name: pa.table({"id": ids, **columns})})))


@pytest.mark.parametrize(
    "name",
    ["date", "time", "timestamp", "created_at", "CreationDate", "event_time", "placed_at", "ts", "InvoiceDate", "when"],
)
def test_the_only_time_that_is_an_event_s_is_taken(name: str):
    assert graph_of("orders", **{name: days(5)}).table("orders").happened == name


@pytest.mark.parametrize(
    "name",
    ["loaded_at", "_synced_at", "updated_at", "LastModified", "birth_date", "dob", "expires_on", "expiry_date",
     "end_date", "valid_to", "due_date", "ingested_at", "etl_time", "deleted_at", "last_login", "LastEditDate"],
)  # fmt: skip
def test_stamps_are_never_the_event(name: str):
    graph = graph_of("customers", **{name: days(5)})
    assert graph.table("customers").happened is None
    assert any(name in note for note in graph.notes)


def test_the_event_is_preferred_to_every_stamp():
    columns = {
        name: days(5, n)
        for n, name in enumerate(["birth_date", "loaded_at", "ordered_at", "updated_at", "expires_at", "shipped_at"])
    }
    assert graph_of("orders", **columns).table("orders").happened == "ordered_at"


def test_of_equal_names_the_one_that_is_never_later_is_taken():
    table = graph_of("stays", arrival_on=days(5, 1), booking_date=days(5), reminder_date=days(5, 3)).table("stays")
    assert table.happened == "booking_date"


def test_equal_names_that_cross_are_said_and_none_is_taken():
    graph = graph_of("visits", planting_date=days(5), harvest_date=days(5)[::-1])
    assert graph.table("visits").happened is None
    assert any("several times (planting_date, harvest_date)" in note and "set(time=…)" in note for note in graph.notes)


def test_an_end_is_paired_with_its_start():
    table = graph_of("campaigns", start_date=days(5), end_date=days(5, 9)).table("campaigns")
    assert (table.happened, table.ends) == ("start_date", "end_date")


def test_an_end_before_its_start_is_not_paired():
    assert graph_of("campaigns", start_date=days(5, 9), end_date=days(5)).table("campaigns").ends is None


def test_known_is_only_taken_from_its_own_name():
    table = graph_of("claims", happened_at=days(5), known_at=days(5, 2), loaded_at=days(5, 3)).table("claims")
    assert (table.happened, table.known) == ("happened_at", "known_at")


def test_a_load_stamp_is_offered_as_known():
    graph = graph_of("claims", claim_date=days(5), loaded_at=days(5, 3))
    assert graph.table("claims").known is None
    assert "claims.loaded_at looks like a stamp of loading: set(known='loaded_at') if rows can come late" in graph.notes


def test_rows_without_a_time_are_said():
    graph = graph_of("orders", placed_at=[*days(4), None])
    assert "orders.placed_at: 1 of 5 rows have no time; they are never seen" in graph.notes


def test_a_time_that_is_mostly_null_is_not_the_event():
    assert graph_of("orders", cancelled_on=[*days(1), None, None, None, None]).table("orders").happened is None


def test_a_table_without_times_has_none():
    assert graph_of("genres", name=list("abcde")).table("genres").happened is None


def test_numbers_that_count_since_1970_are_times_where_the_name_says_so():
    seconds = [1_700_000_000 + n for n in range(5)]
    table = graph_of("events", created_at=seconds, amount=seconds).table("events")
    assert table.happened == "created_at"
    assert str(table.column("amount").dtype) == "int"
