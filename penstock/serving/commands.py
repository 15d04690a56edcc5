"""What Feast's clients ask of an offline server, by the names they call it: tables in, tables out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError
from penstock.features.views.bound import BoundView
from penstock.online.pushing import target_of
from penstock.serving.datasources import data_source, kept_name, last, ours
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
    refs, full, spine = _asked(service, command, given)
    return _zoned(service.historical(spine, refs, full_names=full), len(spine.column_names))


def _asked(service: FeatureService, command: Command, given: pa.Table) -> tuple[Sequence[str], bool, pa.Table]:
    """Which features, whether by full names, and for which rows. Raises ``RequestError``."""
    refs = _texts(command, "feature_refs")
    if command.get("entity_df_sql") is not None:
        hint = "Read them into a data frame first, or derive a table and read that."
        raise RequestError("SERVE_SPINE", "entities are not asked for by SQL here", hint=hint)
    if given.column_names == ["key"]:
        hint = "Pass entity_df as a data frame with the entities' columns and their times."
        raise RequestError("SERVE_SPINE", "the past is asked about rows, and there are none", hint=hint)
    check_names(service.bound, None, refs)
    return refs, command.get("full_feature_names") is True, _without_index(given)


def _without_index(given: pa.Table) -> pa.Table:
    """A data frame's columns, without what pandas keeps beside them."""
    return given.select([name for name in given.column_names if not name.startswith("__index_level_")])


def _pull_all(service: FeatureService, command: Command, _given: pa.Table) -> pa.Table:
    keys, features = _texts(command, "join_key_columns"), _texts(command, "feature_name_columns")
    clocks = [name for name in (command.get("timestamp_field"), command.get("created_timestamp_column")) if name]
    source = data_source(service, _text(command, "data_source_name"))
    wanted = dict.fromkeys([*keys, *features, *clocks])
    rows = pa.table({name: source.column(name) for name in wanted})
    for name in clocks:
        if not pa.types.is_timestamp(rows.schema.field(name).type):
            raise RequestError("SERVE_COLUMN", f"{name} holds no instants", name=name)
    return _between(_zoned(rows), _text(command, "timestamp_field"), command)


def _between(rows: pa.Table, clock: str, command: Command) -> pa.Table:
    """The rows that happened in a window, both ends included; an end that is not said is open."""
    for end, compare in (("start_date", pc.greater_equal), ("end_date", pc.less_equal)):
        if command.get(end) is not None:
            rows = rows.filter(compare(rows[clock], pa.scalar(instant(_text(command, end)), pa.int64()).cast(_UTC)))
    return rows


def _zoned(rows: pa.Table, first: int = 0) -> pa.Table:
    """The instants of columns from the ``first`` on are told to be UTC."""
    fields = [field if at < first else field.with_type(_utc(field.type)) for at, field in enumerate(rows.schema)]
    return rows.cast(pa.schema(fields, rows.schema.metadata))


def _utc(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_utc(kind.value_type))
    return _UTC if pa.types.is_timestamp(kind) else kind


def _pull_latest(service: FeatureService, command: Command, given: pa.Table) -> pa.Table:
    """Of each key the row that happened last; of several at once the one created last (NULL: when it happened)."""
    rows = _pull_all(service, command, given)
    happened = rows[command["timestamp_field"]]
    created = pc.coalesce(rows[command.get("created_timestamp_column") or command["timestamp_field"]], happened)
    return last(rows, _texts(command, "join_key_columns"), [happened, created])


def _columns(service: FeatureService, command: Command, _given: pa.Table) -> pa.Table:
    source = data_source(service, _source_name(command))
    return pa.table(
        {"name": source.names, "type": [str(kind) for kind in _zoned(source.rows.slice(0, 0)).schema.types]}
    )


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
    table = target_of(service.bound, view.name).table
    service.push(view.name, ours(service, table, _without_index(given)), "offline")


def _persist(service: FeatureService, command: Command, given: pa.Table) -> None:
    """Keep what a client asked of the past as a table for training, by the name of its data source."""
    if command.get("retrieve_func") != "get_historical_features":
        message = f"what {command.get('retrieve_func')} gives is not kept: only features of the past are"
        raise RequestError("SERVE_COMMAND", message)
    refs, full, spine = _asked(service, command, given)
    name = kept_name(_text(command, "data_source_name"))
    service.keep(name, spine, refs, full_names=full, replace=command.get("allow_overwrite") is True)


def _log(_service: FeatureService, _command: Command, _given: pa.Table) -> None:
    hint = "What is served here is logged by itself: penstock online verify."
    raise RequestError("SERVE_LOGGED", "features that were logged elsewhere are not taken", hint=hint)


def _validate(service: FeatureService, command: Command, _given: pa.Table) -> None:
    data_source(service, _source_name(command))


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
    "persist": _persist,
    "validate_data_source": _validate,
    "write_logged_features": _log,
}
