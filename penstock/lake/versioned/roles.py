"""What a lake table's columns are for, kept among the table's own properties."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.errors import SchemaError

KNOWN, DELETED = "_known", "_deleted"
OWN_COLUMNS = (pa.field(KNOWN, pa.timestamp("us")), pa.field(DELETED, pa.bool_()))
"""The two columns that every lake table has beside its source's."""
ROLES = "penstock.roles"
"""The property that says them, and the fact of a version that brought them."""


@dataclass(frozen=True)
class Roles:
    """A lake table's key, event time, links (column to table) and where its rows come from.

    A link of several columns has ``+`` between them, in the order of the other table's key. ``known`` is the column
    by which the source itself says when a row was known.
    """

    key: tuple[str, ...] = ()
    happened: str | None = None
    links: Mapping[str, str] | None = None
    origin: str = ""
    known: str | None = None

    @property
    def corrections(self) -> bool:
        """Whether rows of one key may come several times, each a correction that was known at an instant of its own."""
        return bool(self.key) and self.known is not None and self.known not in self.key

    def to_properties(self) -> dict[str, str]:
        """The roles as table properties."""
        told = {"key": self.key, "happened": self.happened, "links": dict(self.links or {}), "origin": self.origin}
        told |= {"known": self.known} if self.known else {}
        return {ROLES: json.dumps(told)}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Roles:
        """The roles that table properties hold; none where another writer made the table."""
        told = json.loads(properties.get(ROLES, "{}"))
        key, links = tuple(told.get("key", ())), told.get("links") or None
        return cls(key, told.get("happened"), links, told.get("origin", ""), told.get("known"))

    def must_fit(self, table: str, columns: Sequence[str]) -> None:
        """Raise ``SchemaError`` (``LAKE_UNKNOWN_COLUMN``) for a role of a column that the table does not have."""
        for name in (*self.key, self.happened, self.known, *linking(self.links or {})):
            if name is not None and name not in columns:
                message = f"{table} has no column {name!r}"
                raise SchemaError("LAKE_UNKNOWN_COLUMN", message, name=name, candidates=columns)


def linking(links: Iterable[str]) -> tuple[str, ...]:
    """All columns of links.

    >>> linking({"customer_id": "customers", "order+line": "lines"})
    ('customer_id', 'order', 'line')
    """
    return tuple(column for columns in links for column in columns.split("+"))
