"""A schema made up from a query's own text: every name exists, with the type that its use implies."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from penstock import language
from penstock.errors import QueryError
from penstock.expression import Among, Compare, Constant, Expr, Match
from penstock.language.tree import Aggregation, Column, Predict
from penstock.schema import Column as SchemaColumn
from penstock.schema import Dtype, Graph, Kind, Link, Table

_NUMBER, _TEXT = (Dtype.FLOAT, Kind.NUMERICAL), (Dtype.STRING, Kind.CATEGORICAL)
_KEY = (Dtype.INT, Kind.ID)


@dataclass
class _Sketch:
    columns: dict[str, dict[str, tuple[Dtype, Kind]]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    links: set[Link] = field(default_factory=set)

    def add(self, table: str, column: str, kind: tuple[Dtype, Kind]) -> None:
        self.columns.setdefault(table, {}).setdefault(column, kind)

    def link(self, child: str, parent: str) -> None:
        if child != parent and not any((k.table, k.to) == (child, parent) for k in self.links):
            self.add(child, f"{parent}_ref", _KEY)
            self.links.add(Link(child, f"{parent}_ref", parent))
            self.keys.setdefault(parent, "made_up_key")
            self.add(parent, self.keys[parent], _KEY)


def schema_of(text: str) -> Graph:
    """The schema; an empty one where the text is no query."""
    try:
        tree = language.parse(text)
    except QueryError:
        return Graph(())
    sketch = _Sketch(keys={tree.entity.table: tree.entity.column})
    ids = [value.value for value in tree.ids.values] if tree.ids else [1]
    sketch.add(tree.entity.table, tree.entity.column, _TEXT if isinstance(ids[0], str) else _KEY)
    for expression in (tree.target, tree.where, tree.assuming):
        if expression is not None:
            _sketch_expression(sketch, tree, expression, tree.entity.table)
    return _graph(sketch)


def _sketch_expression(
    sketch: _Sketch, tree: Predict, node: Expr, root: str, used: tuple[Dtype, Kind] | None = None
) -> None:
    if isinstance(node, Aggregation):
        _sketch_aggregate(sketch, tree, node, root)
    elif isinstance(node, Column):
        sketch.add(node.table, node.column, used or _TEXT)
        sketch.link(root, node.table)
    else:
        for child in node.children:
            _sketch_expression(sketch, tree, child, root, _implied(node))


def _sketch_aggregate(sketch: _Sketch, tree: Predict, node: Aggregation, root: str) -> None:
    table = node.column.table
    if node.function == "LIST_DISTINCT" and tree.spec.word != "CLASSIFY" and node is tree.target:
        sketch.add(table, node.column.column, _KEY)
        listed = f"{node.column.column}_parent"
        sketch.keys[listed] = "made_up_key"
        sketch.add(listed, "made_up_key", _KEY)
        sketch.links.add(Link(table, node.column.column, listed))
    elif not node.column.wildcard:
        lists = node.function in ("LIST_DISTINCT", "FIRST", "LAST", "COUNT_DISTINCT")
        sketch.add(table, node.column.column, _TEXT if lists else _NUMBER)
    if node.window is not None:
        sketch.times[table] = "made_up_time"
        sketch.add(table, "made_up_time", (Dtype.TIMESTAMP, Kind.TIMESTAMP))
    sketch.link(table, root)
    if node.where is not None:
        _sketch_expression(sketch, tree, node.where, table)


def _implied(node: Expr) -> tuple[Dtype, Kind]:
    if isinstance(node, Match):
        return _TEXT
    value = node.right if isinstance(node, Compare) else node.values[0] if isinstance(node, Among) else None
    if not isinstance(value, Constant) or isinstance(value.value, str):
        return _TEXT
    if isinstance(value.value, bool):
        return Dtype.BOOL, Kind.CATEGORICAL
    return (Dtype.TIMESTAMP, Kind.TIMESTAMP) if isinstance(value.value, dt.date) else _NUMBER


def _graph(sketch: _Sketch) -> Graph:
    tables = [
        Table(
            name,
            tuple(SchemaColumn(column, *kind) for column, kind in columns.items()),
            sketch.keys.get(name),
            sketch.times.get(name),
        )
        for name, columns in sketch.columns.items()
    ]
    return Graph(tuple(tables), tuple(sorted(sketch.links, key=str)))
