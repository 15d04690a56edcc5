"""Pushes into a lake table, and the keys of it that its source has yet to show."""

from __future__ import annotations

import json

from penstock.lake.reserved import AWAITED
from penstock.lake.streams import Message, Stream, TableWriter, open_writer
from penstock.lake.streams.positions import AT
from penstock.lake.versioned import Lake
from tests.lake.ingest.history import SCHEMA
from tests.plainsql import plain_sql


class Pushed:
    """Pushes into table ``t``: rows with the key ``id``, by a writer that lives until it is told otherwise."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.now = lake, 0
        self.writer: TableWriter | None = None

    def open(self) -> TableWriter:
        stream = Stream("s", "push:", "t", ("id",), schema=SCHEMA)
        self.writer = self.writer or open_writer(stream, self.lake, lambda: self.now)
        return self.writer

    def push(self, now: int, **row: object) -> None:
        self.now, writer = now, self.open()
        place = writer.positions.get(f"{AT}p", 0) + 1
        assert writer.write([Message("p", place, json.dumps(row).encode())])[0].dead == 0

    def end(self, how: str) -> None:
        if self.writer is not None:
            getattr(self.writer, how)()
            self.writer = None if how != "flush" else self.writer


def awaited(lake: Lake, name: str = "t") -> set[object]:
    """The keys of a table that its source has yet to show."""
    if name + AWAITED not in lake:
        return set()
    with plain_sql({"rows": lake.table(name + AWAITED).scan()}, "log") as sql:
        return set(sql.arrow("SELECT key_1 FROM rows").column("key_1").to_pylist())
