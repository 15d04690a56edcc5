"""The Arrow Flight door: exchanges, what older clients put and come back for, writes, and what is wrong."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from penstock.errors import RequestError, SourceError
from penstock.lake.versioned import DELETED, KNOWN
from penstock.schema import Column, Dtype, Graph, Kind, Table
from penstock.serving.flight import Waiting, flying
from tests.serving.shop import HOUR, NOON, Shop

EMPTY = pa.table({"key": pa.array([], pa.string())})
NOON_TIME = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
SPINE = pa.table(
    {
        "driver_id": [1001, 1001, 9],
        "event_timestamp": pa.array([NOON - 1, NOON, NOON], pa.timestamp("us", "UTC")),
        "more": ["a", "b", "c"],
        "__index_level_0__": [5, 6, 7],
    }
)
PAST = {
    "api": "get_historical_features", "feature_refs": ["driver_stats:trips"], "feature_view_names": ["driver_stats"],
    "project": "p", "full_feature_names": False, "name_aliases": [None],
}  # fmt: skip
PULL = {
    "data_source_name": "driver_stats", "join_key_columns": ["driver_id"], "feature_name_columns": ["trips"],
    "timestamp_field": "event_timestamp", "created_timestamp_column": None,
}  # fmt: skip


@pytest.fixture
def shop() -> Shop:
    return Shop.opened()


@pytest.fixture
def client(shop: Shop) -> Iterator[flight.FlightClient]:
    with flying(shop, "127.0.0.1", 0) as where, flight.connect(where) as found:
        yield found


def descriptor(command: Any) -> flight.FlightDescriptor:
    text = command if isinstance(command, bytes) else json.dumps(command).encode()
    return flight.FlightDescriptor.for_command(text)


def exchanged(client: flight.FlightClient, command: Any, given: pa.Table = EMPTY, **how: Any) -> pa.Table:
    writer, reader = client.do_exchange(descriptor(command), **how)
    with writer:
        writer.begin(given.schema)
        writer.write_table(given)
        writer.done_writing()
        return reader.read_all()


def put(client: flight.FlightClient, command: Any, given: pa.Table = EMPTY) -> None:
    writer, _ = client.do_put(descriptor(command), given.schema)
    writer.write_table(given)
    writer.close()


def test_the_past_in_one_exchange(client: flight.FlightClient) -> None:
    found = exchanged(client, PAST, SPINE)
    assert found.column_names == ["driver_id", "event_timestamp", "more", "trips"]
    assert found["trips"].to_pylist() == [9, 10, None]
    full = exchanged(client, PAST | {"full_feature_names": True}, SPINE)
    assert full.column_names[-1] == "driver_stats__trips"


def test_the_past_as_older_clients_come_back_for_it(client: flight.FlightClient) -> None:
    put(client, PAST, SPINE)
    ticket = client.get_flight_info(descriptor(PAST)).endpoints[0].ticket
    assert client.do_get(ticket).read_all()["trips"].to_pylist() == [9, 10, None]
    with pytest.raises(flight.FlightServerError, match="SERVE_TICKET"):
        client.do_get(ticket).read_all()
    with pytest.raises(flight.FlightServerError, match="SERVE_TICKET"):
        client.get_flight_info(descriptor(PAST))


def test_rows_of_a_window(client: flight.FlightClient) -> None:
    window = {"start_date": "2026-01-01T11:00:00+00:00", "end_date": "2026-01-01T12:00:00"}
    every = exchanged(client, {"api": "pull_all_from_table_or_query", **PULL, **window})
    assert every.column_names == ["driver_id", "trips", "event_timestamp"]
    assert every["trips"].to_pylist() == [9, 10, 20]
    assert every["event_timestamp"].to_pylist()[1] == NOON_TIME
    latest = exchanged(client, {"api": "pull_latest_from_table_or_query", **PULL, **window})
    assert latest.to_pydict()["trips"] == [10, 20]
    open_ended = exchanged(client, {"api": "pull_latest_from_table_or_query", **PULL})
    assert open_ended["driver_id"].to_pylist() == [1001, 1002, 1003]


def test_of_one_time_the_row_created_last(shop: Shop, client: flight.FlightClient) -> None:
    times = pa.array([NOON, NOON, NOON], pa.timestamp("us"))
    created = pa.array([NOON + HOUR, None, NOON - HOUR], pa.timestamp("us"))
    shop.tables.tables["driver_stats"] = pa.table({"id": [1, 1, 1], "at": times, "made": created, "v": [1, 2, 3]})
    command = {
        "api": "pull_latest_from_table_or_query", "data_source_name": "driver_stats", "join_key_columns": ["id"],
        "feature_name_columns": ["v"], "timestamp_field": "at", "created_timestamp_column": "made",
    }  # fmt: skip
    assert exchanged(client, command)["v"].to_pylist() == [1]


def test_rows_are_pulled_as_they_are_now(shop: Shop, client: flight.FlightClient) -> None:
    kinds = {"id": Dtype.INT, "at": Dtype.TIMESTAMP, "v": Dtype.INT, KNOWN: Dtype.TIMESTAMP, DELETED: Dtype.BOOL}
    columns = tuple(Column(name, dtype, Kind.CATEGORICAL) for name, dtype in kinds.items())
    versioned = Table("versioned", columns, "id", "at", KNOWN, DELETED)
    shop.bound = replace(shop.bound, graph=Graph((*shop.bound.graph, versioned)))
    times = pa.array([NOON] * 5, pa.timestamp("us"))
    known = pa.array([NOON + HOUR, None, NOON, NOON + HOUR, NOON], pa.timestamp("us"))
    gone = [None, None, None, True, False]
    rows = {"id": [1, 1, 2, 2, 3], "at": times, "v": [10, 9, 20, 21, 30], KNOWN: known, DELETED: gone}
    shop.tables.tables["versioned"] = pa.table(rows)
    command = {
        "api": "pull_all_from_table_or_query", "data_source_name": "versioned", "join_key_columns": ["id"],
        "feature_name_columns": ["v"], "timestamp_field": "at",
    }  # fmt: skip
    assert sorted(exchanged(client, command)["v"].to_pylist()) == [10, 30]
    source = {"api": "get_table_column_names_and_types_from_data_source", "data_source_proto": '{"name": "versioned"}'}
    assert exchanged(client, source)["name"].to_pylist() == ["id", "at", "v"]


def test_columns_of_a_data_source(client: flight.FlightClient) -> None:
    command = {
        "api": "get_table_column_names_and_types_from_data_source",
        "data_source_proto": json.dumps({"name": "stock", "type": "BATCH_FILE"}),
    }
    found = exchanged(client, command).to_pydict()
    assert found["name"] == ["store_id", "sku", "at", "lvl"]
    assert found["type"] == ["int64", "string", "timestamp[us, tz=UTC]", "int64"]


def test_rows_are_written(shop: Shop, client: flight.FlightClient) -> None:
    rows = pa.table({"driver_id": [1001], "event_timestamp": pa.array([NOON + HOUR], pa.timestamp("us")), "trips": [8]})
    put(client, {"api": "offline_write_batch", "feature_view_names": ["driver_stats"], "name_aliases": [None]}, rows)
    assert shop.rows("driver_stats")["trips"].to_pylist()[-1] == 8


def test_a_result_of_many_rows_comes_in_pieces(client: flight.FlightClient) -> None:
    rows = 150_000
    spine = pa.table({"driver_id": [1001] * rows, "event_timestamp": pa.array([NOON] * rows, pa.timestamp("us"))})
    assert exchanged(client, PAST, spine)["trips"].to_pylist() == [10] * rows


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (b"", "SERVE_COMMAND"),
        (b"\xff", "SERVE_COMMAND"),
        (b"[" * 200_000, "SERVE_COMMAND"),
        (b" " * (1 << 21), "at most"),
        ({"api": "persist"}, "there is no reading 'persist'"),
        ({"api": 5}, "it names no api"),
        (PAST, "SERVE_SPINE"),
        (PAST | {"feature_refs": 5}, "feature_refs is no list of texts"),
        (PAST | {"entity_df_sql": "SELECT 1"}, "SERVE_SPINE"),
        ({"api": "pull_all_from_table_or_query", **PULL, "data_source_name": "none"}, "DataSourceObjectNotFound"),
        ({"api": "pull_all_from_table_or_query", **PULL, "timestamp_field": "none"}, "no column 'none'"),
        ({"api": "pull_all_from_table_or_query", **PULL, "start_date": "soon"}, "soon"),
        ({"api": "get_table_column_names_and_types_from_data_source", "data_source_proto": "{"}, "no data source"),
    ],
)
def test_commands_that_are_none(client: flight.FlightClient, command: Any, said: str) -> None:
    with pytest.raises(flight.FlightServerError, match=said) as raised:
        exchanged(client, command)
    assert "Traceback" not in str(raised.value)


def test_tables_that_do_not_fit_are_told(client: flight.FlightClient) -> None:
    twice = pa.Table.from_arrays([SPINE["driver_id"], *SPINE.columns[:2]], ["driver_id", *SPINE.column_names[:2]])
    with pytest.raises(flight.FlightServerError, match=r"SERVE_COLUMN: of driver_id, driver_id, .* two are the same"):
        exchanged(client, PAST, twice)
    for api in ("pull_all_from_table_or_query", "pull_latest_from_table_or_query"):
        with pytest.raises(flight.FlightServerError, match="SERVE_COLUMN: city holds no instants"):
            exchanged(client, {**PULL, "api": api, "timestamp_field": "city", "start_date": "2026-01-01"})


def acted(client: flight.FlightClient) -> None:
    list(client.do_action(flight.Action("x" * 10_000, b"")))


def asked_without_a_table(client: flight.FlightClient) -> None:
    command = json.dumps({"api": "get_historical_features", "feature_refs": ["driver_stats:trips"]}).encode()
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(command))
    writer.done_writing()
    reader.read_all()


@pytest.mark.parametrize(("ask", "code"), [(acted, "SERVE_COMMAND"), (asked_without_a_table, "SERVE_TABLE")])
def test_what_is_not_done_is_told_without_a_trace(client: flight.FlightClient, ask: Any, code: str) -> None:
    with pytest.raises(flight.FlightServerError, match=code) as caught:
        ask(client)
    assert "Traceback" not in str(caught.value)
    assert client.get_schema(flight.FlightDescriptor.for_command(b"{}")).schema == pa.schema([])


def test_errors_are_feasts_own(client: flight.FlightClient) -> None:
    with pytest.raises(flight.FlightServerError, match="Flight error: ") as raised:
        exchanged(client, PAST | {"feature_refs": ["gone:n"]}, SPINE)
    text = str(raised.value)
    said, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert (said["module"], said["class"]) == ("feast.errors", "FeatureViewNotFoundException")


def test_what_was_asked_of_the_past_is_kept(client: flight.FlightClient) -> None:
    command = PAST | {"api": "persist", "retrieve_func": "get_historical_features", "allow_overwrite": False,
                      "data_source_name": "s3://bucket/churn.parquet", "timeout": None}  # fmt: skip
    put(client, command, SPINE)
    with pytest.raises(flight.FlightServerError, match="DATASET_EXISTS"):
        put(client, command, SPINE)
    put(client, command | {"allow_overwrite": True}, SPINE.slice(1))
    again = {"api": "pull_all_from_table_or_query", **PULL, "data_source_name": "s3://bucket/churn.parquet"}
    assert exchanged(client, again)["trips"].to_pylist() == [10, None]
    with pytest.raises(flight.FlightServerError, match="DataSourceObjectNotFound"):
        exchanged(client, again | {"data_source_name": "s3://other/churn.parquet"})


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"api": "write_logged_features", "feature_service_name": "s"}, "SERVE_LOGGED: features that were logged"),
        ({"api": "persist"}, "what None gives is not kept"),
        (PAST | {"api": "persist", "retrieve_func": "get_historical_features"}, "the past is asked about rows"),
        ({"api": "drop"}, "there is no 'drop'"),
    ],
)
def test_writes_that_are_none(client: flight.FlightClient, command: Any, said: str) -> None:
    with pytest.raises(flight.FlightServerError, match=said):
        put(client, command)


def test_columns_are_called_as_the_source_calls_them(shop: Shop, client: flight.FlightClient) -> None:
    command = {
        "api": "pull_all_from_table_or_query", "data_source_name": "stock", "join_key_columns": ["store_id"],
        "feature_name_columns": ["lvl"], "timestamp_field": "at",
    }  # fmt: skip
    assert exchanged(client, command)["lvl"].to_pylist() == [5, 7]
    assert exchanged(client, command | {"feature_name_columns": ["level"]})["level"].to_pylist() == [5, 7]
    rows = pa.table({"store_id": [3], "sku": ["c"], "at": pa.array([NOON], pa.timestamp("us")), "lvl": [8]})
    put(client, {"api": "offline_write_batch", "feature_view_names": ["stock_now"], "name_aliases": [None]},
        rows.rename_columns(["store_id", "sku", "event_timestamp", "lvl"]))  # fmt: skip
    assert shop.rows("stock")["level"].to_pylist()[-1] == 8


def test_a_data_source_may_be_called_otherwise_than_its_table(shop: Shop, client: flight.FlightClient) -> None:
    stock = shop.bound.views["stock_now"]
    about = replace(stock.about, tags={"data_source": "data/stock.parquet"})
    shop.bound = replace(shop.bound, views={**shop.bound.views, "stock_now": replace(stock, about=about)})
    command = {"api": "get_table_column_names_and_types_from_data_source"}
    found = exchanged(client, command | {"data_source_proto": json.dumps({"name": "data/stock.parquet"})})
    assert found["name"].to_pylist() == ["store_id", "sku", "at", "lvl"]
    with pytest.raises(flight.FlightServerError, match=r"exists: data/stock\.parquet, driver_stats"):
        exchanged(client, command | {"data_source_proto": json.dumps({"name": "data/stok.parquet"})})


def test_instants_of_features_are_utc(client: flight.FlightClient) -> None:
    spine = SPINE.append_column("seen", SPINE["event_timestamp"].cast(pa.timestamp("us")))
    found = exchanged(client, PAST | {"feature_refs": ["driver_stats:hired"]}, spine)
    assert found.schema.field("hired").type == pa.timestamp("us", "UTC")
    assert found.schema.field("seen").type == pa.timestamp("us")


def test_what_nobody_foresaw_has_a_number_and_no_trace(
    shop: Shop, client: flight.FlightClient, caplog: pytest.LogCaptureFixture
) -> None:
    del shop.tables.tables["stock"]
    with pytest.raises(flight.FlightServerError, match="which has logged why under") as raised:
        exchanged(client, {"api": "pull_all_from_table_or_query", **PULL, "data_source_name": "stock"})
    assert "KeyError" not in str(raised.value)
    assert "KeyError" in caplog.text


def test_a_token_is_asked_for(shop: Shop) -> None:
    with flying(shop, "127.0.0.1", 0, token="s3cret") as where, flight.connect(where) as client:
        for given in ([], [(b"authorization", b"Bearer no")], [(b"authorization", b"Basic s3cret")]):
            with pytest.raises(flight.FlightUnauthenticatedError, match="a valid bearer token is needed"):
                exchanged(client, PAST, SPINE, options=flight.FlightCallOptions(headers=given))
        right = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer s3cret")])
        assert exchanged(client, PAST, SPINE, options=right).num_rows == 3


def test_without_a_token_only_this_machine(shop: Shop) -> None:
    with pytest.raises(SourceError, match="SERVE_OPEN"), flying(shop, "0.0.0.0", 0):
        pass


def test_what_waits_is_bounded_and_forgotten() -> None:
    table = pa.table({"a": [1, 2, 3]})
    waiting = Waiting(most_bytes=60)
    waiting.put(b"one", {}, table, 0.0)
    waiting.put(b"two", {}, table, 1.0)
    with pytest.raises(RequestError, match="SERVE_FULL"):
        waiting.put(b"three", {}, table, 2.0)
    waiting.put(b"three", {}, table, 600.5)
    with pytest.raises(RequestError, match="nothing waits"):
        waiting.ticket(b"one")
    assert waiting.pop(waiting.ticket(b"two")) == ({}, table)
    many = Waiting()
    for number in range(64):
        many.put(b"%d" % number, {}, table, 0.0)
    with pytest.raises(RequestError, match="SERVE_FULL"):
        many.put(b"64", {}, table, 0.0)
