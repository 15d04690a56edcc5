"""What a checker knows: the text, the schema, how strict to be; and how it says that something is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from penstock.errors import QueryError, Span
from penstock.expression import Expr
from penstock.schema import Graph, Link, Table


@dataclass(frozen=True)
class Scope:
    """The surroundings of a check. ``strict`` refuses what Penstock adds to the language."""

    graph: Graph
    text: str
    strict: bool = False

    def error(
        self,
        code: str,
        message: str,
        place: Expr | Span | None,
        hint: str,
        *,
        name: str | None = None,
        candidates: Iterable[str] = (),
    ) -> QueryError:
        """A ``QueryError`` at the place of a node, or at a span."""
        span = place.span if isinstance(place, Expr) else place
        return QueryError(
            code, message, text=self.text, span=span, hint=hint, name=name, candidates=tuple(dict.fromkeys(candidates))
        )

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The links, and those that follow where a table's own key is also its link: one row to at most one row.

        Such a twin can be reached in both directions, and by whatever points to the other.
        """
        one_to_one = [link for link in self.graph.links if link.columns == self.table(link.table).keys]
        back = [Link(link.to, self.table(link.to).keys, link.table) for link in one_to_one if link.to != link.table]
        beside = [
            Link(other.table, other.column, link.table)
            for link in one_to_one
            for other in self.graph.links
            if other.to == link.to and other.table != link.table
        ]
        return tuple(dict.fromkeys((*self.graph.links, *map(_plain, back), *beside)))

    def table(self, name: str) -> Table:
        """A table that is known to exist."""
        return self.graph.table(name)

    def link_of(self, table: str, column: str) -> Link | None:
        """The link that points by this column alone, if one does."""
        return next((link for link in self.graph.links_from(table) if link.columns == (column,)), None)

    def is_key(self, table: str, column: str) -> bool:
        """Whether the column identifies a row: of its own table, or of a parent."""
        return self.is_own_key(table, column) or self.is_foreign_key(table, column)

    def is_own_key(self, table: str, column: str) -> bool:
        """Whether the column is the key of its own table."""
        return self.table(table).keys == (column,)

    def is_foreign_key(self, table: str, column: str) -> bool:
        """Whether the column points to a parent (and is not the key of its own table)."""
        pointing = any(column in link.columns for link in self.graph.links_from(table))
        return pointing and not self.is_own_key(table, column)

    def is_linked_key(self, table: str, column: str) -> bool:
        """Whether the column takes part in a link, at either end."""
        pointed_at = self.is_own_key(table, column) and bool(self.graph.links_to(table))
        return pointed_at or any(column in link.columns for link in self.graph.links_from(table))


def _plain(link: Link) -> Link:
    """A key of one column as that column."""
    return replace(link, column=link.columns[0]) if len(link.columns) == 1 else link
