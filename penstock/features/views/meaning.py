"""Fingerprints of definitions: equal for those that mean the same, whatever they are called and wherever they stand."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import replace

from penstock.expression import Expr
from penstock.features.views.entities import Joins
from penstock.plan import Aggregate, Peers
from penstock.schema import Dtype, Graph, Kind

_PLAIN = {
    Dtype.INT: Kind.NUMERICAL,
    Dtype.FLOAT: Kind.NUMERICAL,
    Dtype.TIMESTAMP: Kind.TIMESTAMP,
    Dtype.LIST: Kind.MULTICATEGORICAL,
    Dtype.OTHER: Kind.IGNORED,
}


def fingerprint(*parts: object) -> str:
    """A short hash of how values print themselves."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=10).hexdigest()


def joined(joins: Joins, expression: Expr) -> list[object]:
    """What an expression about peers rests on beyond its links: how the rows of virtual tables are known."""
    streams = [node.stream for node in expression.walk() if isinstance(node, Aggregate)]
    roots = {stream.root for stream in streams if isinstance(stream.anchor, Peers)}
    return [(one.name, sorted(one.ways)) for one in joins.virtual.values() if one.name in roots]


def plain(graph: Graph) -> Graph:
    """The graph without what was only guessed from values, and why: a definition must not move with the rows.

    Kinds follow from dtypes.
    """
    tables = tuple(
        replace(
            table,
            columns=tuple(replace(one, kind=_PLAIN.get(one.dtype, Kind.CATEGORICAL), why="") for one in table.columns),
            rows=None,
            why=(),
        )
        for table in graph.tables
    )
    return Graph(tables, tuple(replace(link, why="") for link in graph.links))


def code(source: str) -> str:
    """Python code as its tree prints it: spaces, comments and docstrings make no difference.

    >>> code("def f(a):\\n    'Says what.'\\n    return a  # and why") == code("def f(a): return (a)")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            told = ast.get_docstring(node, clean=False) is not None
            node.body = node.body[1:] if told else node.body
    return ast.dump(tree)
