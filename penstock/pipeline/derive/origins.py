"""Where each column of a query comes from: one qualified tree, its scopes walked once from the tables up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from penstock.pipeline.derive.derivation import Columns, Origin

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

Names: TypeAlias = Mapping[str, Mapping[str, str]]
"""Tables by folded name: their columns' own names by folded name."""
_ANY = ""
"""The column that stands for all columns of rows that have no names of their own (lists taken apart, VALUES)."""
_CRASHES = (AssertionError, AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
"""What sqlglot raises of trees that it does not foresee."""
_PARTS = frozenset({"expressions", "with_", "hint", "operation_modifiers"})


class UnclearError(Exception):
    """Column-level lineage cannot be told; the message says why."""


def coarse(tables: Mapping[str, Mapping[str, str]], owners: Mapping[str, str], given: tuple[str, ...]) -> Columns:
    """Lineage by table: each column comes from all columns of all tables."""
    everything = frozenset((owners[name], column) for name, columns in tables.items() for column in columns.values())
    return Columns(dict.fromkeys(given, everything), everything)


def origins(tree: exp.Query, names: Names, owners: Mapping[str, str], given: tuple[str, ...]) -> Columns:
    """Where the columns of a query (called ``given`` by the engine) come from; the tree is changed.

    ``owners`` gives the tables' own names. Raises `UnclearError`.
    """
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import build_scope

    try:
        scope = build_scope(_qualified(tree, names))
    except (SqlglotError, *_CRASHES) as error:
        raise UnclearError("sqlglot cannot follow it") from error
    if scope is None:
        raise UnclearError("it is no plain SELECT")
    found = _Walk(names).outputs(scope)
    called = list(found.values)
    if len(called) != len(given) or any(not _same(ours, theirs) for ours, theirs in zip(called, given, strict=True)):
        raise UnclearError("its columns are named only when it runs")
    own = {
        table: {(table, column): (owners[table], names[table][column]) for column in names[table]} for table in names
    }
    told = {name: _own(found.values[at], own) for name, at in zip(given, called, strict=True)}
    return Columns(told, _own(found.uses, own))


def _qualified(tree: exp.Query, names: Names) -> exp.Query:
    """The tree with each column under its table's name, stars and USING written out."""
    from sqlglot import exp
    from sqlglot.optimizer.qualify import qualify

    schema: dict[str, object] = {table: dict.fromkeys(columns, "VARCHAR") for table, columns in names.items()}
    made = qualify(
        tree, schema=schema, dialect="duckdb", quote_identifiers=False, identify=False, validate_qualify_columns=False
    )
    if not isinstance(made, exp.Query):
        raise UnclearError("it is no plain SELECT")
    return made


def _same(ours: str, theirs: str) -> bool:
    return ours.startswith("_col_") or ours.casefold() == theirs.casefold()


def _own(found: frozenset[Origin], own: Mapping[str, Mapping[Origin, Origin]]) -> frozenset[Origin]:
    return frozenset(own[table][table, column] for table, column in found)


@dataclass(frozen=True)
class _Walk:
    """The scopes of one tree; what each gives is worked out once."""

    names: Names
    done: dict[int, Columns] = field(default_factory=dict)
    doing: set[int] = field(default_factory=set)

    def outputs(self, scope: Scope) -> Columns:
        """Where the columns that a scope gives come from."""
        mark = id(scope)
        if mark not in self.done:
            if mark in self.doing:
                raise UnclearError("it is recursive")
            self.doing.add(mark)
            self.done[mark] = self._outputs(scope)
        return self.done[mark]

    def _outputs(self, scope: Scope) -> Columns:
        from sqlglot import exp

        tree = scope.expression
        if isinstance(tree, exp.SetOperation):
            return self._both(scope, tree)
        if isinstance(tree, exp.Select):
            return self._select(scope, tree)
        if isinstance(tree, exp.Lateral | exp.Subquery) and len(scope.subquery_scopes) == 1:
            return self.outputs(scope.subquery_scopes[0])
        if isinstance(tree, exp.Unnest | exp.Values | exp.Lateral):
            found = self._mentioned(scope, tree)
            return Columns({_ANY: found}, found)
        raise UnclearError(f"it holds a {type(tree).__name__}")

    def _both(self, scope: Scope, tree: exp.SetOperation) -> Columns:
        from sqlglot import exp

        left, right = (self.outputs(side) for side in scope.set_operation_scopes)
        uses = left.uses | right.uses
        if not isinstance(tree, exp.Union) or tree.args.get("distinct"):
            uses |= left.everything | right.everything
        if tree.args.get("by_name"):
            names = dict.fromkeys([*left.values, *right.values])
            none: frozenset[Origin] = frozenset()
            return Columns({n: left.values.get(n, none) | right.values.get(n, none) for n in names}, uses)
        if len(left.values) != len(right.values):
            raise UnclearError("the sides of a set operation differ")
        pairs = zip(left.values.items(), right.values.values(), strict=True)
        return Columns({name: mine | theirs for (name, mine), theirs in pairs}, uses)

    def _select(self, scope: Scope, tree: exp.Select) -> Columns:
        values: dict[str, frozenset[Origin]] = {}
        for at, projection in enumerate(tree.expressions):
            name = projection.alias_or_name.lower() or f"_col_{at}"
            if name in values:
                raise UnclearError(f"it names {name} twice")
            values[name] = self._mentioned(scope, projection)
        return Columns(values, self._uses(scope, tree, values))

    def _uses(self, scope: Scope, tree: exp.Select, values: Mapping[str, frozenset[Origin]]) -> frozenset[Origin]:
        """What decides the rows of a SELECT: its clauses, and what its own sources' rows were decided by."""
        from sqlglot import exp
        from sqlglot.optimizer.scope import Scope

        uses: set[Origin] = set()
        for name, part in tree.args.items():
            if name not in _PARTS:
                for clause in part if isinstance(part, list) else [part]:
                    if isinstance(clause, exp.Expr):
                        uses |= self._mentioned(scope, clause, values)
        for _, source in scope.selected_sources.values():
            if isinstance(source, Scope):
                uses |= self.outputs(source).uses
        group, distinct = tree.args.get("group"), tree.args.get("distinct")
        for projection, found in zip(tree.expressions, values.values(), strict=True):
            grouping = group is not None and group.args.get("all") and not projection.find(exp.AggFunc)
            if distinct is not None or grouping or projection.find(exp.Unnest, exp.Explode):
                uses |= found
        return frozenset(uses)

    def _mentioned(
        self, scope: Scope, tree: exp.Expr, aliases: Mapping[str, frozenset[Origin]] | None = None
    ) -> frozenset[Origin]:
        """All origins of the columns in a part of a scope; of a query inside it, all that it takes in."""
        from sqlglot import exp

        inside = {id(one.expression): one for one in scope.subquery_scopes}
        found: set[Origin] = set()
        for node in _nodes(tree):
            if isinstance(node, exp.Column):
                found |= self._column(scope, node, aliases or {})
            elif isinstance(node, exp.TableColumn):
                raise UnclearError(f"it takes a whole row as one value ({node.sql('duckdb')})")
            elif isinstance(node, exp.Columns | exp.Pivot | exp.Star) and not isinstance(node.parent, exp.Count):
                raise UnclearError(f"it chooses columns when it runs ({node.sql('duckdb')})")
            elif isinstance(node, exp.Query) and id(node) in inside:
                found |= self.outputs(inside[id(node)]).everything
        return frozenset(found)

    def _column(self, scope: Scope, column: exp.Column, aliases: Mapping[str, frozenset[Origin]]) -> frozenset[Origin]:
        from sqlglot import exp

        name, table = column.name.lower(), column.table.lower()
        if not table and name in aliases:
            return aliases[name]
        source = _source(scope, table)
        if isinstance(source, exp.Table):
            return self._of_table(scope, source, name)
        if source is None:
            raise UnclearError(f"{column.sql('duckdb')} is no column of a table")
        given = self.outputs(source).values
        if name not in given and _ANY not in given:
            raise UnclearError(f"{column.sql('duckdb')} is no column of its subquery")
        return given.get(name, given.get(_ANY, frozenset()))

    def _of_table(self, scope: Scope, table: exp.Table, name: str) -> frozenset[Origin]:
        from sqlglot import exp

        if not isinstance(table.this, exp.Identifier):
            return self._mentioned(scope, table.this)
        owner = table.name.casefold()
        if name not in self.names.get(owner, {}):
            raise UnclearError(f"{owner} has no column {name}")
        return frozenset({(owner, name)})


def _nodes(tree: exp.Expr) -> Iterator[exp.Expr]:
    """A tree's nodes, without those inside queries, which are scopes of their own."""
    from sqlglot import exp

    return tree.walk(prune=lambda node: isinstance(node, exp.Query) and not isinstance(node, exp.Subquery))


def _source(scope: Scope, table: str) -> Scope | exp.Table | None:
    """What a name stands for in a scope or in those around it."""
    at: Scope | None = scope
    while at is not None:
        found = at.sources.get(table)
        if found is not None:
            return found
        at = at.parent
    return None
