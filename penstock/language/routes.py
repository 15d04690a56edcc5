"""Ways through the schema: from an entity down to the rows that point at it, and from a row up to its parents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.errors import QueryError
from penstock.expression import Expr
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column
from penstock.schema import Link

FARTHEST = 3
"""How many links a path may follow in one direction."""


@dataclass(frozen=True)
class Route:
    """Links from parent to child, and then from child to parent."""

    down: tuple[Link, ...] = ()
    up: tuple[Link, ...] = ()

    @property
    def length(self) -> int:
        """How many links it follows."""
        return len(self.down) + len(self.up)

    def uses(self, via: tuple[Column, ...]) -> bool:
        """Whether it follows all of these links."""
        return all(any(link.table == v.table and v.column in link.columns for link in self.down + self.up) for v in via)

    def timed(self, scope: Scope) -> bool:
        """Whether the rows it leads to have a time: their own, or that of the nearest table on the way."""
        return any(scope.table(link.table).happened is not None for link in self.down)

    def follows(self, via: tuple[Column, ...]) -> bool:
        """Whether it follows these links in this order, from the entity on."""
        ahead = iter(self.down + self.up)
        return all(any(link.table == v.table and v.column in link.columns for link in ahead) for v in via)

    def __str__(self) -> str:
        return ", ".join(map(str, self.down + self.up))


def upward(scope: Scope, start: str, goal: str, most: int = FARTHEST) -> list[tuple[Link, ...]]:
    """Every path from child to parent that ends in ``goal``, the shortest first."""
    return [path for path in _paths(scope, start, most, up=True) if path[-1].to == goal]


def downward(scope: Scope, start: str, goal: str, most: int = FARTHEST) -> list[tuple[Link, ...]]:
    """Every path from parent to child that ends in ``goal``, the shortest first."""
    return [path for path in _paths(scope, start, most, up=False) if path[-1].table == goal]


def _paths(scope: Scope, start: str, most: int, up: bool) -> Iterator[tuple[Link, ...]]:
    """Paths that come to no table twice, but for a step along a link of a table to itself."""
    level: list[tuple[Link, ...]] = [()]
    for _ in range(most):
        level = [(*path, link) for path in level for link in _onward(scope, start, path, up)]
        yield from level


def _onward(scope: Scope, start: str, path: tuple[Link, ...], up: bool) -> Iterator[Link]:
    seen = {start, *(link.to if up else link.table for link in path)}
    here = start if not path else path[-1].to if up else path[-1].table
    for link in scope.links:
        near, far = (link.table, link.to) if up else (link.to, link.table)
        if near == here and (far not in seen or (far == near and link not in path)):
            yield link


def to_parent(scope: Scope, start: str, column: Column, *, filters_entity: bool = False) -> tuple[Link, ...]:
    """The links from a row of ``start`` to the row that holds the column. Raises unless there is one way."""
    if column.table == start:
        return ()
    found = upward(scope, start, column.table, 1 if scope.strict else FARTHEST)
    shortest = [path for path in found if len(path) == len(found[0])]
    if len(shortest) == 1:
        return shortest[0]
    if shortest:
        raise _ambiguous(scope, column, start, [Route(up=path) for path in shortest], can_choose=False)
    raise _no_parent(scope, start, column, filters_entity)


def to_stream(scope: Scope, root: str, node: Aggregation) -> Route:
    """The way from ``root`` down to the rows an aggregate is about (and up to its column). Raises ``QueryError``.

    VIA names links of the way; where several ways follow them all, their order from the entity on decides.
    """
    straight = downward(scope, root, node.column.table, 1 if scope.strict else FARTHEST)
    routes = [Route(path) for path in straight if Route(path).uses(node.via)]
    if not routes and not node.column.wildcard and not scope.strict:
        routes = [route for route in _sideways(scope, root, node) if route.uses(node.via)]
    shortest = [route for route in routes if route.length == min(r.length for r in routes)]
    if len(shortest) > 1:
        shortest = [route for route in shortest if route.follows(node.via)] or shortest
    if len(shortest) == 1:
        return shortest[0]
    if shortest:
        raise _ambiguous(scope, node, root, shortest, can_choose=True)
    raise _no_stream(scope, root, node)


def _sideways(scope: Scope, root: str, node: Aggregation) -> list[Route]:
    """Down to rows and up to their parents; back up to the entity's own table only where VIA says so."""
    goal = node.column.table
    return [
        Route(down, up)
        for down in _paths(scope, root, FARTHEST, up=False)
        for up in _paths(scope, down[-1].table, FARTHEST + 1 - len(down), up=True)
        if up[-1].to == goal and (goal != root or node.via) and up[0] not in down
    ]


def _ambiguous(scope: Scope, node: Expr, start: str, routes: list[Route], *, can_choose: bool) -> QueryError:
    ways = [str(route) for route in routes]
    hint = (
        f"Choose with VIA: {_with_via(node, ways[0])}." if can_choose else "Unlink the ones this query does not mean."
    )
    return scope.error(
        "PQL_JOIN_AMBIGUOUS_FOREIGN_KEY",
        f"there are {len(ways)} ways between {start} and {node}",
        node,
        hint,
        candidates=ways,
    )


def _with_via(node: Expr, way: str) -> str:
    return f"{node.function}({node.column} VIA {way}, …)" if isinstance(node, Aggregation) else str(node)


def _no_parent(scope: Scope, start: str, column: Column, filters_entity: bool) -> QueryError:
    reverse = [link for link in scope.links if link.to == start and link.table == column.table]
    if reverse and filters_entity:
        return scope.error(
            "PQL_JOIN_EVENT_COLUMN_IN_ENTITY_FILTER",
            f"each row of {start} may have many rows of {column.table}, so there is no single {column} to compare",
            column,
            f"Move the condition into an aggregate: COUNT({column.table}.* WHERE {column} = …, -30, 0) > 0.",
        )
    if reverse:
        return scope.error(
            "PQL_JOIN_AMBIGUOUS_TARGET_VALUE",
            f"each row of {start} may have many values of {column}",
            column,
            f"Reduce them to one over a window, such as LAST({column}, …), or ask for each row of {column.table}.",
        )
    return scope.error(
        "PQL_JOIN_MISSING_FOREIGN_KEY",
        f"no links lead from {start} to its parent {column.table}",
        column,
        f"Use a column of {start} or of a table that {start} points to, or declare the missing link.",
        candidates=_parents(scope, start),
    )


def _parents(scope: Scope, start: str) -> list[str]:
    return [start, *(path[-1].to for path in _paths(scope, start, FARTHEST, up=True))]


def _no_stream(scope: Scope, root: str, node: Aggregation) -> QueryError:
    table = node.column.table
    if node.via:
        straight = downward(scope, root, table)
        return scope.error(
            "PQL_JOIN_MISSING_FOREIGN_KEY",
            f"no way from {root} to {table} follows {', '.join(map(str, node.via))}",
            node,
            "Name links that lie on one way.",
            candidates=[str(Route(path)) for path in straight if len(path) == len(straight[0])],
        )
    children = [path[-1].table for path in _paths(scope, root, FARTHEST, up=False)]
    return scope.error(
        "PQL_JOIN_MISSING_FOREIGN_KEY",
        f"no rows of {table} belong to a row of {root}: no link leads from {table} to {root}",
        node,
        f"Aggregate a table whose rows point to {root}, or declare the missing link.",
        candidates=children,
    )
