"""The store in PostgreSQL: the contract on a real server, and connections that are lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from penstock.errors import StoreError
from penstock.online.store import OnlineStore, Part
from penstock.online.stores import open_store
from penstock.online.stores.postgres import PostgresStore
from penstock.online.waiting import within
from tests.online.contracts.suite import StoreContract, put


@pytest.fixture
def schema(postgres_url: str) -> Iterator[str]:
    """A schema of the test's own."""
    yield "Own schema"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute('DROP SCHEMA IF EXISTS "Own schema" CASCADE')


class TestPostgres(StoreContract):
    @pytest.fixture
    def opener(self, postgres_url: str, schema: str) -> Callable[[], OnlineStore]:
        return lambda: PostgresStore(postgres_url, schema)


def ended(url: str, which: str = "TRUE") -> None:
    """End the connections of others to the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
        )


def test_stores_of_one_database_are_kept_apart_by_schema(postgres_url: str):
    one, two = (open_store(f"{postgres_url}?schema=kept_{number}") for number in (1, 2))
    one.write([put("s", b"k", b"v")], {"n": "1"})
    assert two.read("s", [b"k"]) == [[]] and two.spaces() == {} and two.notes() == {}
    with one.feeding(), two.feeding():
        two.drop("s")
    assert one.read("s", [b"k"]) == [[Part(0, b"v")]]
    one.close()
    two.close()


def test_several_may_make_the_tables_at_once(postgres_url: str, schema: str):
    made: list[Any] = []
    threads = [threading.Thread(target=lambda: made.append(PostgresStore(postgres_url, schema))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    for store in made:
        store.close()


def test_connections_that_the_server_closed_are_made_again(postgres_url: str, schema: str):
    store = PostgresStore(postgres_url, schema)
    store.write([put("s", b"k", b"v")])
    for _ in range(2):
        ended(postgres_url)
        assert store.read("s", [b"k"]) == [[Part(0, b"v")]]
        ended(postgres_url)
        store.write([put("s", b"k", b"v")])
    store.close()


def test_a_writer_whose_connection_is_lost_writes_no_more(postgres_url: str, schema: str):
    store, other = PostgresStore(postgres_url, schema), PostgresStore(postgres_url, schema)
    with store.feeding():
        store.write([put("s", b"k", b"1")])
        ended(postgres_url)
        with other.feeding():
            other.write([put("s", b"k", b"2")])
            with pytest.raises(StoreError) as caught:
                store.write([put("s", b"k", b"3")])
    assert caught.value.code == "STORE_LOST"
    assert store.read_part("s", [b"k"], 0) == [b"2"]
    with store.feeding():
        store.write([put("s", b"k", b"4")])
    store.close()
    other.close()


def test_who_may_not_write_reads(postgres_url: str, schema: str):
    store = PostgresStore(postgres_url, schema)
    store.write([put("s", b"k", b"v")])
    store.close()
    reader = PostgresStore(f"{postgres_url}?options=-c%20default_transaction_read_only%3Don", schema)
    assert reader.read("s", [b"k"]) == [[Part(0, b"v")]]
    with pytest.raises(StoreError) as caught:
        reader.write([put("s", b"k", b"w")])
    assert caught.value.code == "STORE_READ_ONLY"
    reader.close()


def test_a_password_is_not_told(postgres_url: str):
    parts = urlsplit(postgres_url)
    wrong = parts._replace(netloc=f"no-such-user:no-such-word@{parts.netloc.rpartition('@')[2]}").geturl()
    with pytest.raises(StoreError) as caught:
        open_store(wrong)
    assert caught.value.code == "STORE_REFUSED"
    assert "no-such-word" not in str(caught.value)


def test_who_waits_no_longer_than_he_may_is_told_and_asks_again(postgres_url: str, schema: str):
    store = PostgresStore(postgres_url, schema)
    store.write([put("s", b"k", b"v")])
    with psycopg.connect(postgres_url) as holder:
        holder.execute('LOCK TABLE "Own schema".parts IN ACCESS EXCLUSIVE MODE')
        with within(0.3), pytest.raises(StoreError) as caught:
            store.read("s", [b"k"])
    assert caught.value.code == "STORE_LOST"
    with within(60):
        assert store.read("s", [b"k"]) == [[Part(0, b"v")]]
    assert store.read("s", [b"k"]) == [[Part(0, b"v")]]
    store.close()
