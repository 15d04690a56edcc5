"""What Feast's clients ask of an offline server, by the names they call it: tables in, tables out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError
from penstock.features.views.bound import BoundView
from penstock.lake.versioned import DELETED, KNOWN
from penstock.schema import Table
from penstock.serving.faults import unknown
from penstock.serving.naming import check_names, known_view
from penstock.serving.service import FeatureService
from penstock.window import instant

Command = Mapping[str, Any]
_MOST = 1 << 20
_UTC = pa.timestamp("us", "UTC")


def command_in(text: bytes) -> dict[str, Any]:
    """A command as its JSON says it. Raises ``RequestError`` (``SERVE_COMMAND``)."""
    try:
        if len(text) > _MOST:
            raise ValueError(f"a command has at most {_MOST:,} bytes")
        found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        if not isinstance(found.get("api"), str):
            raise ValueError("it names no api")
    except (ValueError, RecursionError) as error:
        raise RequestError("SERVE_COMMAND", f"this is no command: {error}") from None
    return found


def answer(service: FeatureService, command: Command, given: pa.Table) -> pa.Table:
    """The table that a reading command asks for. Raises ``RequestError``."""
    api = command["api"]
    if api not in READS:
        raise RequestError("SERVE_COMMAND", f"there is no reading {api!r}", name=api, candidates=READS)
    return READS[api](service, command, given)


def take(service: FeatureService, command: Command, given: pa.Table) -> None:
    """Do what a writing command asks for. Raises ``RequestError``."""
    WRITES[command["api"]](service, command, given)


# ---------------------------------------------------------------------------------------------------- reading


def _historical(service: FeatureService, command: Command, given: pa.Table) -> pa.Table:
    refs = _texts(command, "feature_refs")
    if "entity_df_sql" in command or given.column_names == ["key"]:
        hint = "Pass entity_df as a data frame with the entities' columns and their times."
        raise RequestError("SERVE_SPINE", "the past is asked about rows, and there are none", hint=hint)
    check_names(service.bound, None, refs)
    full = command.get("full_feature_names") is True
    return service.historical(_without_index(given), refs, full_names=full)


def _without_index(given: pa.Table) -> pa.Table:
    """A data frame's columns, without what pandas keeps beside them."""
    return given.select([name for name in given.column_names if not name.startswith("__index_level_")])


def _pull_all(service: FeatureService, command: Command, _given: pa.Table) -> pa.Table:
    keys, features = _texts(command, "join_key_columns"), _texts(command, "feature_name_columns")
    clocks = [name for name in (command.get("timestamp_field"), command.get("created_timestamp_column")) if name]
    table = _table(service, _text(command, "data_source_name"))
    rows = _current(service.rows(table.name), table)
    wanted = list(dict.fromkeys([*keys, *features, *clocks]))
    for name in wanted:
        if name not in rows.column_names:
            raise RequestError("SERVE_COLUMN", f"there is no column {name!r}", name=name, candidates=rows.column_names)
    for name in clocks:
        if not pa.types.is_timestamp(rows.schema.field(name).type):
            raise RequestError("SERVE_COLUMN", f"{name} holds no instants", name=name)
    return _between(_zoned(rows.select(wanted)), _text(command, "timestamp_field"), command)


def _between(rows: pa.Table, clock: str, command: Command) -> pa.Table:
    """The rows that happened in a window, both ends included; an end that is not said is open."""
    for end, compare in (("start_date", pc.greater_equal), ("end_date", pc.less_equal)):
        if command.get(end) is not None:
            rows = rows.filter(compare(rows[clock], pa.scalar(instant(_text(command, end)), pa.int64()).cast(_UTC)))
    return rows


def _zoned(rows: pa.Table) -> pa.Table:
    """Instants are told to be UTC."""
    schema = pa.schema([field.with_type(_UTC) if pa.types.is_timestamp(field.type) else field for field in rows.schema])
    return rows.cast(schema)


def _current(rows: pa.Table, table: Table) -> pa.Table:
    """The rows that are true now, of all their versions: each key's newest, and none that was deleted."""
    if table.known in rows.column_names and table.keys:
        rows = _last(rows, table.keys, [rows[table.known]])
    if table.deleted in rows.column_names:
        rows = rows.filter(pc.invert(pc.fill_null(rows[table.deleted], False)))
    return rows


def _last(rows: pa.Table, keys: Sequence[str], clocks: Sequence[pa.ChunkedArray]) -> pa.Table:
    """Of each key the last row by its clocks (NULL is first), and of equal ones the last."""
    order = pa.table({str(at): pc.fill_null(clock.cast(pa.int64()), -(2**63)) for at, clock in enumerate(clocks)})
    rows = rows.take(pc.sort_indices(order, [(name, "ascending") for name in order.column_names]))
    rows = rows.append_column("", pa.array(range(rows.num_rows), pa.int64()))
    last = rows.group_by(list(keys)).aggregate([("", "max")])["_max"]
    return rows.take(last.take(pc.sort_indices(last))).drop_columns([""])


def _pull_latest(service: FeatureService, command: Command, given: pa.Table) -> pa.Table:
    """Of each key the row that happened last; of several at once the one created last (NULL: when it happened)."""
    rows = _pull_all(service, command, given)
    happened = rows[command["timestamp_field"]]
    created = pc.coalesce(rows[command.get("created_timestamp_column") or command["timestamp_field"]], happened)
    return _last(rows, _texts(command, "join_key_columns"), [happened, created])


def _columns(service: FeatureService, command: Command, _given: pa.Table) -> pa.Table:
    table = _table(service, _source_name(command))
    rows = service.rows(table.name).slice(0, 0)
    rows = _zoned(rows.drop_columns([name for name in (KNOWN, DELETED) if name in rows.column_names]))
    return pa.table({"name": rows.column_names, "type": [str(kind) for kind in rows.schema.types]})


def _table(service: FeatureService, name: str) -> Table:
    """The table that a data source stands for. Raises ``RequestError`` (``SERVE_DATA_SOURCE``)."""
    tables = {one.name: one for one in service.bound.graph if one.name not in service.bound.joins.virtual}
    if name not in tables:
        raise unknown("SERVE_DATA_SOURCE", "data source", name, tables)
    return tables[name]


def _source_name(command: Command) -> str:
    """The name in a data source that is told as JSON."""
    try:
        return _text(msgspec.json.decode(_text(command, "data_source_proto"), type=dict[str, Any]), "name")
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RequestError("SERVE_COMMAND", f"this is no data source: {error}") from None


# ---------------------------------------------------------------------------------------------------- writing


def _write_batch(service: FeatureService, command: Command, given: pa.Table) -> None:
    names = _texts(command, "feature_view_names")
    if len(names) != 1:
        raise RequestError("SERVE_COMMAND", f"rows are written to one view, not to {len(names)}")
    view = known_view(service.bound, names[0])
    if not isinstance(view, BoundView):
        raise RequestError("SERVE_ON_DEMAND", f"{view.name} is worked out on demand: it takes no rows", name=view.name)
    service.push(view.name, _without_index(given), "offline")


def _validate(service: FeatureService, command: Command, _given: pa.Table) -> None:
    _table(service, _source_name(command))


# ---------------------------------------------------------------------------------------------------- fields


def _text(command: Command, name: str) -> str:
    found = command.get(name)
    if not isinstance(found, str):
        raise RequestError("SERVE_COMMAND", f"the command's {name} is no text", name=name)
    return found


def _texts(command: Command, name: str) -> Sequence[str]:
    found = command.get(name)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise RequestError("SERVE_COMMAND", f"the command's {name} is no list of texts", name=name)
    return found


READS: Mapping[str, Callable[[FeatureService, Command, pa.Table], pa.Table]] = {
    "get_historical_features": _historical,
    "pull_all_from_table_or_query": _pull_all,
    "pull_latest_from_table_or_query": _pull_latest,
    "get_table_column_names_and_types_from_data_source": _columns,
}
WRITES: Mapping[str, Callable[[FeatureService, Command, pa.Table], None]] = {
    "offline_write_batch": _write_batch,
    "validate_data_source": _validate,
}
