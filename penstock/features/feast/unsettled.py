"""Names whose values a statement may change in ways that only running it would tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_CHANGING = frozenset({
    "add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault",
    "sort", "update",
})  # fmt: skip
"""Methods that change a list, a dictionary or a set."""
_ONLY_RUN = ("__name__", "TYPE_CHECKING")
"""What a condition asks that holds when a file is run by itself, or never; such statements are not run on import."""


@dataclass(frozen=True)
class Unsettled:
    """Names that are given other values, and names whose values are changed in place."""

    given: frozenset[str]
    changed: frozenset[str]


def unsettled(statement: ast.stmt) -> Unsettled:
    """What a statement of a module leaves open. Plain assignments, imports and definitions settle what they give."""
    nodes = list(_run(statement))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    changed = {name for node in nodes for name in _changed(node)}
    settles = isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign)
    return Unsettled(frozenset() if settles else frozenset(stored), frozenset(changed))


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement that importing its module would run."""
    if isinstance(node, ast.If) and any(name in ast.unparse(node.test) for name in _ONLY_RUN):
        yield from (part for one in node.orelse for part in _run(one))
    elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _run(child)


def _changed(node: ast.AST) -> Iterator[str]:
    """The name at the root of what a node changes in place."""
    match node:
        case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield from _root(node)
        case ast.Call(func=ast.Attribute(value=of, attr=method)) if method in _CHANGING:
            yield from _root(of)


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


__all__ = ["Unsettled", "unsettled"]
