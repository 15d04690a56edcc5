"""Rows that are pushed to a view: fitted to its table, written to the lake's tail, and fed to the store."""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import FailedError, RequestError, SourceError
from penstock.features.views.bound import Bound, BoundView
from penstock.lake.streams import Message, Stream, TableWriter, open_writer
from penstock.lake.streams.values import storage
from penstock.lake.versioned import DELETED, KNOWN, Lake
from penstock.online.coercing import coerced
from penstock.online.feeding.feed import Feed, Way
from penstock.online.feeding.feeds import Feeds
from penstock.plan import Latest
from penstock.plan import Stream as Flow
from penstock.schema import Dtype

Destination = Literal["online", "offline", "online_and_offline"]
"""Where pushed rows go: the store, the lake, or both."""
TIME, CREATED = "event_timestamp", "created"
"""What a pushed row may call the time at which it happened, and a column that may be left over."""
SOURCE = "push_source"
"""The tag that says by which name rows are pushed to a view."""
_PARTITION = "push"
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  the lake's instants have no zone: they are UTC
_WAYS: Mapping[Destination, Way] = {"online": "store", "offline": "lake", "online_and_offline": "both"}
_LOOK = 0.5


@dataclass(frozen=True)
class Target:
    """Where a view's rows are: its table, and the table's columns by the names that pushed rows have for them.

    ``items`` are the dtypes of what its lists hold, ``known`` is the column by which rows say when they were known.
    """

    view: str
    table: str
    columns: Mapping[str, str]
    dtypes: Mapping[str, Dtype]
    needed: tuple[str, ...]
    items: Mapping[str, Dtype] = field(default_factory=dict)
    known: str | None = None

    def told(self, known: str | None) -> Target:
        """The same, where rows say by this column when they were known: they may call it ``created``."""
        names = {} if known is None or CREATED in self.columns else {CREATED: known}
        return replace(self, columns={**self.columns, **names}, known=known)


def target_of(bound: Bound, view: str) -> Target:
    """The table that rows of a view belong to.

    A view may be named by its tag ``push_source``, too. Rows name the entity's keys, features and ``event_timestamp``,
    or the table's own columns. Raises ``RequestError``: ``PUSH_VIEW`` for a view there is not, or one whose features
    are not the latest values of one table.
    """
    found = view_of_source(bound, view)
    if found is None:
        raise RequestError("PUSH_VIEW", f"there is no view {view!r}", name=view, candidates=bound.views)
    latest = {one.name: one.expression for one in found.features if isinstance(one.expression, Latest)}
    flows = {leaf.stream for leaf in latest.values()}
    if len(latest) < len(found.features) or len(flows) != 1:
        message = f"{view} is no view of the latest values of one table: it takes no rows"
        raise RequestError("PUSH_VIEW", message, name=view, hint="Push to a view whose table these rows belong to.")
    flow = flows.pop()
    table = bound.graph.table(flow.table)
    aside = (KNOWN, DELETED, *bound.joins.made(table.name))
    own = {one.name: one.name for one in table.columns if one.name not in aside}
    keys = dict(zip(found.entity.keys, _joined(bound, flow), strict=True))
    when = table.happened
    told = {**({TIME: when} if when else {}), **own, **{name: leaf.column for name, leaf in latest.items()}, **keys}
    dtypes = {one.name: one.dtype for one in table.columns}
    needed = tuple(dict.fromkeys([*keys.values(), *table.keys, *([when] if when else [])]))
    items = {one.name: one.items or Dtype.STRING for one in table.columns if one.dtype is Dtype.LIST}
    return Target(view, table.name, told, dtypes, needed, items)


def view_of_source(bound: Bound, name: str) -> BoundView | None:
    """The view that takes rows by this name: its own, or that of its tag ``push_source``; None where there is none."""
    named = (view for view in bound.views.values() if view.about.tags.get(SOURCE) == name)
    return bound.views.get(name) or next(named, None)


def _joined(bound: Bound, flow: Flow) -> tuple[str, ...]:
    """The columns of a table that hold the keys of a view's entity."""
    if not flow.hops:
        return bound.graph.table(flow.table).keys
    column = flow.hops[0].columns[0]
    virtual = bound.joins.virtual.get(flow.root)
    return (column,) if virtual is None else virtual.made(flow.table).get(column, (column,))


def fitted(target: Target, rows: pa.Table, now: int) -> dict[str, list[Any]]:
    """Pushed rows as columns of the table, in its dtypes; instants are microseconds since 1970.

    Whole numbers become numbers, and what would lose anything is refused; NaN and infinities are NULL. A time among
    the key's columns that is not said, such as when a row was made, is now. Raises ``RequestError``: ``PUSH_COLUMN``
    for a column that is missing or that the table has not, ``PUSH_VALUE`` for a value that does not fit, with its
    column and row.
    """
    found: dict[str, list[Any]] = {}
    for name in rows.column_names:
        column = target.columns.get(name)
        if column is None:
            if name == CREATED:
                continue
            message = f"{target.view} takes no column {name!r}"
            raise RequestError("PUSH_COLUMN", message, name=name, candidates=target.columns)
        if column in found:
            raise RequestError("PUSH_COLUMN", f"two columns say {target.table}.{column}", name=name)
        items = target.items.get(column)
        dtype = target.dtypes[column]
        found[column] = _values(rows[name], dtype, name) if items is None else _lists(rows[name], items, name)
    for column in target.needed:
        if column not in found and target.dtypes[column] is Dtype.TIMESTAMP and column != target.columns.get(TIME):
            found[column] = [now] * len(rows)
        _must_be_whole(target, column, found.get(column))
    return found


def _values(column: pa.ChunkedArray, dtype: Dtype, name: str) -> list[Any]:
    if dtype in (Dtype.INT, Dtype.FLOAT) and pa.types.is_string(column.type):
        told = next(((place, value) for place, value in enumerate(column.to_pylist()) if value is not None), None)
        if told is not None:
            message = f"{name}[{told[0]}] is the text {told[1]!r}, which is no number"
            raise RequestError("PUSH_VALUE", message, name=name, hint="Send numbers as numbers.")
    if pa.types.is_timestamp(column.type) and dtype is Dtype.TIMESTAMP:
        try:
            column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise RequestError("PUSH_VALUE", f"{name}: instants are kept to the microsecond", name=name) from error
    elif pa.types.is_timestamp(column.type) and column.null_count < len(column):
        raise RequestError("PUSH_VALUE", f"{name} holds {column.type}, which is no {dtype.value}", name=name)
    found = coerced(column.to_pylist(), dtype, name, code="PUSH_VALUE")
    return found if dtype is not Dtype.FLOAT else [_finite(value) for value in found]


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _lists(column: pa.ChunkedArray, items: Dtype, name: str) -> list[Any]:
    """Lists, the items of all of them as the dtype has them."""
    if pa.types.is_null(column.type) or not _is_list(column.type):
        return coerced(column.to_pylist(), Dtype.LIST, name, code="PUSH_VALUE")
    inner = iter(_values(pc.list_flatten(column), items, f"{name}[…]"))
    lengths = pc.list_value_length(column).to_pylist()
    return [None if length is None else [next(inner) for _ in range(length)] for length in lengths]


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _must_be_whole(target: Target, column: str, values: list[Any] | None) -> None:
    said = next((name for name, ours in target.columns.items() if ours == column), column)
    if values is None:
        message = f"the rows do not say {said}, and every one must"
        raise RequestError("PUSH_COLUMN", message, name=said, hint=f"{target.view} takes {', '.join(target.columns)}.")
    if None in values:
        raise RequestError("PUSH_VALUE", f"{said}[{values.index(None)}] is NULL: every row must say it", name=said)


class Pusher:
    """Takes rows of views, for as long as this process runs; `close` makes versions of what has come.

    It is the one writer of the tables that rows are pushed to: a stream into one of them, here or elsewhere, keeps it
    out (``TAIL_BUSY``). Methods may be called from several threads.
    """

    def __init__(self, bound: Bound, lake: Lake, feed: Feed | Feeds | None, *, now: Callable[[], int]) -> None:
        self._bound, self._lake, self._feed, self._now = bound, lake, feed, now
        self._writers: dict[str, TableWriter] = {}
        self._way: Way = "both"
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def opened(self, view: str) -> str:
        """Take the right to write the table that rows of a view belong to, which is given. Raises as `push` does."""
        target = target_of(self._bound, view)
        with self._lock:
            self._writer(target)
        return target.table

    def push(self, view: str, rows: pa.Table, to: Destination = "online_and_offline", *, wait: float = 10.0) -> int:
        """Take rows; how many. They are durable where they were to go when this returns.

        ``online`` gives them to the store alone: they stay until their entity is brought into step with the lake.
        ``offline`` writes them to the lake, from where the store takes them with the next sync. A row of a key that
        the table holds is its newest version as a whole, unless its source says that it was known before that one.
        Older rows never hide newer ones. Raises ``RequestError`` as `target_of` and `fitted` do, ``SourceError``
        (``TAIL_BUSY``; ``STREAM_COMPARED`` where the table has no key and is compared with its source), and
        ``FailedError`` (``PUSH_SLOW``) where the store has not taken them within ``wait`` seconds, or (``PUSH_ENDED``)
        after `close`.
        """
        target = target_of(self._bound, view)
        target = target.told(self._lake.table(target.table).roles.known)
        columns = fitted(target, rows, self._now())
        if not len(rows):
            return 0
        with self._lock:
            if self._closed.is_set():
                raise FailedError("PUSH_ENDED", "rows are no longer taken here")
            if to == "online":
                self._fed().landed(target.table, self._batch(target, columns, len(rows)), "store")
            else:
                self._way = _WAYS[to]
                self._write(target, columns)
        if to != "offline" and self._feed is not None and not self._feed.settle(wait, others=False):
            raise FailedError("PUSH_SLOW", f"the store has not taken the rows of {view} within {wait:g} seconds")
        return len(rows)

    def close(self) -> None:
        """Make versions of what has come, and let others write."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()

    # ------------------------------------------------------------ one push

    def _fed(self) -> Feed | Feeds:
        if self._feed is None:
            hint = "Push to the lake (offline), or start the feed of the store."
            raise RequestError("PUSH_NO_STORE", "no store is fed here", hint=hint)
        return self._feed

    def _batch(self, target: Target, columns: Mapping[str, list[Any]], count: int) -> pa.RecordBatch:
        """The rows as the table holds them, known when they say, else now."""
        schema, now = self._lake.table(target.table).schema, self._now()
        said = columns.get(target.known, [None] * count) if target.known else [None] * count
        own: dict[str, list[Any]] = {
            KNOWN: [now if known is None else known for known in said],
            DELETED: [False] * count,
        }
        whole: dict[str, list[Any]] = {**columns, **own}
        arrays = [_array(whole.get(one.name), one.type, count) for one in schema]
        return pa.RecordBatch.from_arrays(arrays, schema.names)

    def _write(self, target: Target, columns: Mapping[str, list[Any]]) -> None:
        writer = self._writer(target)
        first = max(writer.positions.get(f"at:{_PARTITION}", 0), 0) + 1
        said = {name: _plain(values, target.items.get(name, target.dtypes[name])) for name, values in columns.items()}
        rows = [dict(zip(said, row, strict=True)) for row in zip(*said.values(), strict=True)]
        tallies = writer.write([Message(_PARTITION, first + n, row, typed=True) for n, row in enumerate(rows)])
        dead = next((place for place, tally in enumerate(tallies) if tally.dead), None)
        if dead is not None:
            message = f"row {dead} does not fit {target.table}; {target.table}__dead says why"
            raise RequestError("PUSH_VALUE", message, name=target.table)

    def _writer(self, target: Target) -> TableWriter:
        if target.table not in self._writers:
            roles = self._lake.table(target.table).roles
            stream = Stream(f"push-{target.table}", "push:", target.table, roles.key, roles.happened, links=roles.links)
            try:
                self._writers[target.table] = open_writer(stream, self._lake, self._now, self._landed)
            except SourceError as error:
                if error.code != "TAIL_BUSY":
                    raise
                message = f"rows cannot be pushed to {target.view}: something else streams into {target.table}"
                hint = "Send them to that stream, or stop it."
                raise SourceError("TAIL_BUSY", message, name=target.table, hint=hint) from error
            self._tend()
        return self._writers[target.table]

    def _landed(self, table: str, rows: pa.RecordBatch) -> None:
        if self._feed is not None:
            self._feed.landed(table, rows, self._way)

    # ------------------------------------------------------------ versions

    def _tend(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._flush, name="push", daemon=True)
            self._thread.start()

    def _flush(self) -> None:
        """Make versions of what has come, a few seconds after it has; what cannot be made is tried again."""
        while not self._closed.wait(_LOOK):
            for writer in list(self._writers.values()):
                try:
                    if writer.due():
                        writer.flush()
                except (SourceError, OSError):
                    continue


def _array(values: list[Any] | None, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int64()).cast(pa.timestamp("us")).cast(kind)
    timely = pa.types.is_timestamp(kind) or pa.types.is_list(kind)
    return pa.array(values, storage(kind) if timely else None).cast(kind)


def _plain(values: list[Any], dtype: Dtype) -> list[Any]:
    """Values, or lists of them, as streams fit them: instants as ``datetime``."""
    return values if dtype is not Dtype.TIMESTAMP else list(map(_dated, values))


def _dated(value: Any) -> Any:
    if value is None or isinstance(value, list):
        return None if value is None else list(map(_dated, value))
    return _EPOCH + dt.timedelta(microseconds=value)
