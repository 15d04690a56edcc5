"""What Feast's clients call data sources: tables of the project, and tables that were kept for training.

A client knows a table by the name that its own repository gives it, and its columns by those of the source.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError
from penstock.features.views.bound import Bound
from penstock.lake.versioned import DELETED, KNOWN
from penstock.online.pushing import target_of
from penstock.schema import Table
from penstock.serving.faults import unknown
from penstock.serving.service import FeatureService

TAG = "data_source"
"""The tag of a view that says what Feast calls the source of its rows, where its table is not called so."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class DataSource:
    """A table as it is now, by our columns' names; ``theirs`` says what the source calls those it calls otherwise."""

    rows: pa.Table
    theirs: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column by the source's name for it, or by ours. Raises ``RequestError`` (``SERVE_COLUMN``)."""
        ours = {other: own for own, other in self.theirs.items()}.get(name, name)
        if ours not in self.rows.column_names:
            raise RequestError("SERVE_COLUMN", f"there is no column {name!r}", name=name, candidates=self.names)
        return self.rows[ours]

    @property
    def names(self) -> list[str]:
        """The columns as the source calls them."""
        return [self.theirs.get(name, name) for name in self.rows.column_names]


def data_source(service: FeatureService, name: str) -> DataSource:
    """The rows of a data source. Raises ``RequestError`` (``SERVE_DATA_SOURCE``)."""
    table = _table(service.bound, name)
    if table is not None:
        made = service.bound.joins.made(table.name)
        rows = _current(service.rows(table.name), table)
        plain = [one for one in rows.column_names if one not in (KNOWN, DELETED, *made)]
        return DataSource(rows.select(plain), service.renames(table.name))
    kept = service.kept(kept_name(name))
    if kept is None:
        raise unknown("SERVE_DATA_SOURCE", "data source", name, _names(service.bound))
    return DataSource(kept)


def _table(bound: Bound, name: str) -> Table | None:
    named = {view.about.tags.get(TAG): view.name for view in bound.views.values()}
    table = target_of(bound, named[name]).table if name in named else name
    return next((one for one in bound.graph if one.name == table and table not in bound.joins.virtual), None)


def _names(bound: Bound) -> Iterator[str]:
    yield from (one.name for one in bound.graph if one.name not in bound.joins.virtual)
    yield from filter(None, (view.about.tags.get(TAG) for view in bound.views.values()))


def kept_name(name: str) -> str:
    """What a table is kept as for training that a client would keep as a data source of this name, often a path.

    >>> kept_name("churn_2026"), kept_name("/data/churn.parquet")
    ('churn_2026', 'churn-7a0cbf42')
    """
    if _PLAIN.fullmatch(name):
        return name
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", PurePosixPath(name).stem).strip("_")[:60]
    return f"{stem or 'table'}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


def ours(service: FeatureService, table: str, rows: pa.Table) -> pa.Table:
    """Rows with columns by our names, where they have them by the source's."""
    names = {theirs: own for own, theirs in service.renames(table).items() if own not in rows.column_names}
    return rows.rename_columns([names.get(name, name) for name in rows.column_names])


def _current(rows: pa.Table, table: Table) -> pa.Table:
    """The rows that are true now, of all their versions: each key's newest, and none that was deleted."""
    if table.known in rows.column_names and table.keys:
        rows = last(rows, table.keys, [rows[table.known]])
    if table.deleted in rows.column_names:
        rows = rows.filter(pc.invert(pc.fill_null(rows[table.deleted], False)))
    return rows


def last(rows: pa.Table, keys: Sequence[str], clocks: Sequence[pa.ChunkedArray]) -> pa.Table:
    """Of each key the last row by its clocks (NULL is first), and of equal ones the last."""
    order = pa.table({str(at): pc.fill_null(clock.cast(pa.int64()), -(2**63)) for at, clock in enumerate(clocks)})
    rows = rows.take(pc.sort_indices(order, [(name, "ascending") for name in order.column_names]))
    rows = rows.append_column("", pa.array(range(rows.num_rows), pa.int64()))
    found = rows.group_by(list(keys)).aggregate([("", "max")])["_max"]
    return rows.take(found.take(pc.sort_indices(found))).drop_columns([""])
