"""Fingerprints of definitions: equal for those that mean the same, whatever they are called and wherever they stand."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from penstock.expression import Expr
from penstock.features.views.entities import Joins
from penstock.plan import Aggregate, Field, Latest, Peers, Stream
from penstock.schema import Dtype, Graph, Kind, Link

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
    """The joins of virtual tables that an expression rests on: its links do not say what their keys are made of.

    A table that it does not read may come and go.
    """
    streams = [node.stream for node in expression.walk() if isinstance(node, Aggregate | Latest)]
    links = set(_links(expression))
    roots = {stream.root for stream in streams if isinstance(stream.anchor, Peers)}
    return [
        (one.name, table, columns)
        for one in joins.virtual.values()
        for table, columns in sorted(one.ways)
        if one.name in roots or Link(table, one.column(table, columns), one.name) in links
    ]


def _links(node: Expr) -> Iterator[Link]:
    if isinstance(node, Field):
        yield from node.hops
    if isinstance(node, Aggregate | Latest):
        yield from _of_stream(node.stream)
    for child in node.children:
        yield from _links(child)


def _of_stream(stream: Stream) -> Iterator[Link]:
    yield from stream.hops
    for part in (stream.where, stream.anchor):
        if part is not None:
            yield from _links(part)


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
    """Python code as its tree prints it: spaces, comments, docstrings and decorators make no difference.

    >>> code("@mark\\ndef f(a):\\n    'Says what.'\\n    return a  # and why") == code("def f(a): return (a)")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.decorator_list = []
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            told = ast.get_docstring(node, clean=False) is not None
            node.body = node.body[1:] if told else node.body
    return ast.dump(tree)
