"""Feast's data sources as tables of a project: where they are, what they call their columns, how they are read."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from penstock.features.feast.objects import Unfit, text, texts
from penstock.features.feast.values import Made

_WHOLE = re.compile(r'\s*select\s+\*\s+from\s+((?:[\w$]+|"[^"]+")(?:\.(?:[\w$]+|"[^"]+"))*)\s*;?\s*', re.IGNORECASE)
_STREAMS = ("KafkaSource", "KinesisSource", "PushSource")
PASSWORD = "FEAST_PASSWORD"
"""The environment variable that a password of the repository's offline store is to stand in."""


@dataclass(frozen=True)
class Origin:
    """Where rows come from: the batch source, and what pushes or streams into it."""

    batch: Made
    pushed: Made | None = None

    @property
    def streamed(self) -> bool:
        """Whether a stream is all that there is."""
        return self.batch is self.pushed

    @property
    def called(self) -> str:
        """What Feast calls the batch source: its name, else its table or the path of its file."""
        return self.batch.name or text(self.batch, "table") or text(self.batch, "path") or self.batch.kind

    @property
    def name(self) -> str:
        """What its table is called: as the source is, in one word."""
        told = self.called
        plain = Path(told.rstrip("/")).stem if "path" in self.batch.said and told == self.batch.said["path"] else told
        return re.sub(r"\W+", "_", plain).strip("_") or "rows"


@dataclass
class TableMade:
    """A table in the making: its place, and the join keys of all views on it."""

    name: str
    source: str
    url: str
    from_: str
    origin: Origin
    renames: Mapping[str, str]
    time: str
    created: str
    keys: dict[str, None] = field(default_factory=dict)
    feeding: list[Made] = field(default_factory=list)

    @property
    def key(self) -> list[str]:
        """What tells its rows apart: whom they are about, when they happened, and when they were made.

        Feast takes the newest row, and of rows of one instant the one made last: so does the order of this key.
        """
        return [*self.keys, self.time, *([self.created] if self.created else [])]

    def section(self) -> dict[str, object]:
        """The table as the project's file says it."""
        told: dict[str, object] = {"source": self.source}
        if self.from_ != self.name:
            told["from"] = self.from_
        if self.feeding:  # rows that only were pushed are in no file: a comparison would take them for deleted
            told |= {"mode": "incremental", "watermark": self.created or self.time}
        else:
            told["mode"] = "compare"
        told |= {"key": self.key, "time": self.time}
        return told | ({"renames": dict(self.renames)} if self.renames else {})


def origin_of(source: object) -> Origin:
    """Where a view's rows come from. Raises `Unfit` for what is no source of rows."""
    if isinstance(source, list):
        raise Unfit("it is made of other views")
    if not isinstance(source, Made):
        raise Unfit("its source cannot be read")
    if source.kind not in _STREAMS:
        return Origin(source)
    batch = source.said.get("batch_source")
    if isinstance(batch, Made):
        return Origin(batch, source)
    if source.kind == "KafkaSource" and batch is None:
        return Origin(source, source)
    raise Unfit(f"its {source.kind} has no batch_source that can be read")


def placed(origin: Origin, root: Path, folder: Path, store: Mapping[str, object]) -> tuple[str, str]:
    """A source's URL, told from ``folder`` on, and its table's name there. Raises `Unfit`."""
    kind = origin.batch.kind
    if kind == "FileSource":
        form = origin.batch.said.get("file_format")
        if form is not None and not (isinstance(form, Made) and form.kind == "ParquetFormat"):
            raise Unfit("its files are no plain Parquet")
        return _file(text(origin.batch, "path"), root, folder)
    if kind == "PostgreSQLSource":
        schema, _, table = _table(origin.batch).rpartition(".")
        return _postgres(store, schema), table
    if kind.endswith("Source"):
        raise Unfit(f"its rows are in {_elsewhere(origin.batch)}, which is no source here: bring them as Parquet")
    raise Unfit(f"its source is a {kind}")


def _file(path: str, root: Path, folder: Path) -> tuple[str, str]:
    if not path:
        raise Unfit("its file has no path that can be read")
    if "://" in path and not path.startswith("file://"):
        if not path.startswith("s3://"):
            raise Unfit(f"its file is at {path.partition('://')[0]}://, which is no source here")
        return path, Path(path.rstrip("/")).stem
    whole = Path(os.path.normpath(root / path.removeprefix("file://")))
    at = whole.parent if whole.is_dir() else whole  # a folder of parts is a table of the folder that it is in
    return os.path.relpath(at, folder), whole.name if whole.is_dir() else whole.stem


def _table(source: Made) -> str:
    table = text(source, "table")
    if not table:
        found = _WHOLE.fullmatch(text(source, "query"))
        if found is None:
            raise Unfit("its source is a query: write it as a derived table")
        table = found[1]
    return table.replace('"', "")


def _postgres(store: Mapping[str, object], schema: str) -> str:
    if store.get("type") != "postgres":
        raise Unfit("feature_store.yaml does not say where its PostgreSQL is")
    user, said = quote(str(store.get("user", "")), safe=""), str(store.get("password", ""))
    secret = said if re.fullmatch(r"\$\{\w+\}", said) else f"${{{PASSWORD}}}"
    host, port = store.get("host", "localhost"), store.get("port", 5432)
    options = {"schema": schema or store.get("db_schema"), "sslmode": store.get("sslmode")}
    query = urlencode({name: value for name, value in options.items() if value})
    who = f"{user}:{secret}@" if user else ""
    return f"postgresql://{who}{host}:{port}/{store.get('database', '')}{f'?{query}' if query else ''}"


def _elsewhere(source: Made) -> str:
    parts = [text(source, name) for name in ("database", "schema", "table", "path", "topic") if source.said.get(name)]
    return f"{source.kind.removesuffix('Source')} ({'.'.join(parts) or text(source, 'name') or 'a query'})"


def columns_of(origin: Origin) -> tuple[dict[str, str], str, str]:
    """What columns are renamed (our names to the source's), and the names of the times of event and creation."""
    batch = origin.batch
    mapping = texts(batch, "field_mapping")
    time = text(batch, "timestamp_field") or text(batch, "event_timestamp_column")
    if not time:
        raise Unfit("its source does not say which column is the time of an event (timestamp_field)")
    created = text(batch, "created_timestamp_column")
    return {ours: theirs for theirs, ours in mapping.items()}, mapping.get(time, time), mapping.get(created, created)


def stream_section(kafka: Made, table: TableMade) -> dict[str, object]:
    """The section of a stream that is read into a table. Raises `Unfit`."""
    if table.renames:
        raise Unfit("its columns are renamed (field_mapping): a stream's columns keep their names")
    servers = text(kafka, "kafka_bootstrap_servers") or text(kafka, "bootstrap_servers")
    topic, form = text(kafka, "topic"), kafka.said.get("message_format")
    if not servers or not topic:
        raise Unfit("its servers or its topic cannot be read")
    if not isinstance(form, Made) or form.kind != "JsonFormat":
        raise Unfit("its messages are no JSON")
    return {"url": f"kafka://{servers}/{topic}", "table": table.name, "key": table.key, "time": table.time}


def unique(name: str, taken: Sequence[str] | Mapping[str, object]) -> str:
    """A name that is not taken yet.

    >>> unique("stats", ["stats", "stats_2"])
    'stats_3'
    """
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
