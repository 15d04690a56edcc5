"""The schema that the reference's verdicts are about, and one with several links between tables."""

from __future__ import annotations

from typing import Any

from penstock import language
from penstock.errors import QueryError
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

DTYPES = {"int": Dtype.INT, "float": Dtype.FLOAT, "string": Dtype.STRING, "bool": Dtype.BOOL, "date": Dtype.TIMESTAMP}

SHOP: dict[str, Any] = {
    "tables": {
        "users": {
            "key": "user_id",
            "time": "signup",
            "columns": {
                "user_id": ["ID", "int"],
                "age": ["numerical", "int"],
                "country": ["categorical", "string"],
                "name": ["text", "string"],
                "signup": ["timestamp", "date"],
                "vip": ["categorical", "bool"],
                "region_id": ["ID", "int"],
            },
        },
        "regions": {"key": "region_id", "columns": {"region_id": ["ID", "int"], "pop": ["numerical", "int"]}},
        "orders": {
            "key": "order_id",
            "time": "ts",
            "columns": {
                "order_id": ["ID", "int"],
                "user_id": ["ID", "int"],
                "item_id": ["ID", "int"],
                "price": ["numerical", "float"],
                "status": ["categorical", "string"],
                "note": ["text", "string"],
                "paid": ["categorical", "bool"],
                "ts": ["timestamp", "date"],
                "tags": ["multicategorical", "string"],
            },
        },
        "items": {"key": "item_id", "columns": {"item_id": ["ID", "int"], "cat": ["categorical", "string"]}},
        "notif": {
            "key": "nid",
            "time": "ts",
            "columns": {"nid": ["ID", "int"], "user_id": ["ID", "int"], "ts": ["timestamp", "date"]},
        },
    },
    "links": [
        ["orders.user_id", "users"],
        ["orders.item_id", "items"],
        ["users.region_id", "regions"],
        ["notif.user_id", "users"],
    ],
}

POST: dict[str, Any] = {
    "tables": {
        "people": {
            "key": "pid",
            "time": "born",
            "columns": {
                "pid": ["ID", "int"],
                "age": ["numerical", "int"],
                "born": ["timestamp", "date"],
                "city_id": ["ID", "int"],
                "home_id": ["ID", "int"],
            },
        },
        "cities": {"key": "city_id", "columns": {"city_id": ["ID", "int"], "pop": ["numerical", "int"]}},
        "letters": {
            "key": "lid",
            "time": "sent",
            "columns": {
                "lid": ["ID", "int"],
                "from_id": ["ID", "int"],
                "to_id": ["ID", "int"],
                "weight": ["numerical", "float"],
                "sent": ["timestamp", "date"],
            },
        },
        "stamps": {
            "key": None,
            "time": "stuck",
            "columns": {"lid": ["ID", "int"], "cents": ["numerical", "int"], "stuck": ["timestamp", "date"]},
        },
        "staff": {
            "key": "sid",
            "time": "hired",
            "columns": {
                "sid": ["ID", "int"],
                "boss": ["ID", "int"],
                "pay": ["numerical", "float"],
                "hired": ["timestamp", "date"],
            },
        },
        "profiles": {"key": "pid", "columns": {"pid": ["ID", "int"], "score": ["numerical", "float"]}},
    },
    "links": [
        ["letters.from_id", "people"],
        ["letters.to_id", "people"],
        ["people.city_id", "cities"],
        ["people.home_id", "cities"],
        ["stamps.lid", "letters"],
        ["staff.boss", "staff"],
        ["profiles.pid", "people"],
    ],
}

STORES: dict[str, Any] = {
    "tables": {
        "USERS": {
            "key": "USER_ID",
            "columns": {"USER_ID": ["ID", "int"], "AGE": ["numerical", "int"], "STATUS": ["categorical", "string"]},
        },
        "ORDERS": {
            "key": "ORDER_ID",
            "time": "TIME",
            "columns": {
                "ORDER_ID": ["ID", "int"],
                "USER_ID": ["ID", "int"],
                "STORE_ID": ["ID", "int"],
                "AMOUNT": ["numerical", "float"],
                "TIME": ["timestamp", "date"],
            },
        },
        "STORES": {"key": "STORE_ID", "columns": {"STORE_ID": ["ID", "int"], "CAT": ["categorical", "string"]}},
    },
    "links": [["ORDERS.USER_ID", "USERS"], ["ORDERS.STORE_ID", "STORES"]],
}


def graph(described: dict[str, Any]) -> Graph:
    """A schema as Penstock holds it."""
    tables = tuple(
        Table(
            name,
            tuple(Column(column, DTYPES[dtype], Kind(kind)) for column, (kind, dtype) in table["columns"].items()),
            table["key"],
            table.get("time"),
        )
        for name, table in described["tables"].items()
    )
    return Graph(tables, tuple(Link(*link.split("."), to) for link, to in described["links"]))


SHOP_GRAPH, POST_GRAPH, STORES_GRAPH = graph(SHOP), graph(POST), graph(STORES)
NAMED = {"churn": "COUNT(orders.*, 0, 90) = 0"}


def code(text: str, dialect: str | None = None, on: Graph = SHOP_GRAPH) -> str:
    """The code a query is refused with, or OK."""
    try:
        language.query(text, on, dialect, NAMED)
    except QueryError as error:
        assert error.span is not None and error.text is not None and error.hint, (
            f"{text}: {error!r} leaves something out"
        )
        return error.code
    return "OK"
