"""Which rows of its inputs alone make the rows of a derived table that have certain values in certain columns.

Told only where a query's rows are pairs of rows, or groups of them by those columns: one plain SELECT whose FROM names
the table that the columns are taken from as they are. Everything else is made from whole tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.pipeline.derive.derivation import Derivation
from penstock.pipeline.derive.shape import aggregates
from penstock.pipeline.derive.statement import outline

if TYPE_CHECKING:
    from sqlglot import exp

_CLAUSES = ("qualify", "limit", "offset", "fetch", "windows", "laterals", "sample", "pivots", "with_", "with")


@dataclass(frozen=True)
class Followed:
    """A joined table: of it those rows count whose columns have what those of a row of ``of`` say.

    ``equal`` are pairs of them: a column of the table, and one of ``of``.
    """

    table: str
    of: str
    equal: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Narrowing:
    """The rows of ``table`` whose ``columns`` (by the derived table's names) have the values asked for, and theirs.

    Columns that are asked for and not there do not tell rows of the table.
    """

    table: str
    columns: Mapping[str, str]
    followed: tuple[Followed, ...] = ()


def narrowing(derivation: Derivation, columns: Collection[str]) -> Narrowing | None:
    """How few rows of its inputs are enough for those that have some values in these columns; None: all.

    A column tells them that is the first table's as it is, and by which groups are made if any are.
    """
    from sqlglot import exp

    if derivation.kind != "sql" or not columns:
        return None
    parsed = outline(derivation.text, derivation.file)[1]
    if parsed is None or not isinstance(parsed.tree, exp.Select) or not _is_plain(parsed.tree):
        return None
    sources = _sources(parsed.tree, derivation)
    if sources is None:
        return None
    first = next(iter(sources))
    found = {name: _taken(parsed.tree, derivation, name, first, sources) for name in columns}
    told = {name: column for name, column in found.items() if column and _is_told(parsed.tree, name, column, sources)}
    return Narrowing(sources[first], told, tuple(_followed(parsed.tree, sources))) if told else None


def _is_plain(tree: exp.Select) -> bool:
    """One SELECT without clauses that look at rows beside the one, or the group, that is made."""
    from sqlglot import exp

    inner = (exp.Subquery, exp.Window, exp.Lateral, exp.Unnest, exp.Explode, exp.Exists, exp.Pivot,
             exp.TableSample, exp.Columns)  # fmt: skip
    distinct = tree.args.get("distinct")
    if any(tree.args.get(name) for name in _CLAUSES) or tree.find(*inner) or len(list(tree.find_all(exp.Query))) > 1:
        return False
    joins = tree.args.get("joins") or ()
    pairs = all(j.kind in ("", "INNER", "OUTER", "CROSS") and j.side in ("", "LEFT") and not j.method for j in joins)
    return pairs and (distinct is None or not distinct.args.get("on"))


def _sources(tree: exp.Select, derivation: Derivation) -> dict[str, str] | None:
    """The tables read, by the folded name that the query has for each, in order; None where one is read twice."""
    from sqlglot import exp

    given = tree.args.get("from_")
    own = {name.casefold(): name for name in derivation.reads}
    found: dict[str, str] = {}
    for node in [] if given is None else [given.this, *(join.this for join in tree.args.get("joins") or ())]:
        if not isinstance(node, exp.Table) or node.name.casefold() not in own:
            return None
        found[node.alias_or_name.casefold()] = own[node.name.casefold()]
    return found if found and len(set(found.values())) == len(found) == len(list(tree.find_all(exp.Table))) else None


def _taken(tree: exp.Select, derivation: Derivation, name: str, first: str, sources: Mapping[str, str]) -> str | None:
    """The column of the first table that a column of the result is, as it is; None where it is anything else."""
    from sqlglot import exp

    origins = {one for one in derivation.direct.get(name, ()) if one[0] == sources[first]}
    if len(origins) != 1 or len(derivation.direct[name]) != 1:
        return None
    column = next(iter(origins))[1]
    named = [one.unalias() for one in tree.expressions if one.alias_or_name.casefold() == name.casefold()]
    is_it = len(named) == 1 and isinstance(named[0], exp.Column) and _is(named[0], column, first, sources)
    return column if is_it else None


def _is(node: exp.Column, column: str, source: str, sources: Mapping[str, str]) -> bool:
    """Whether a column of a query is this one of this source; without a qualifier only where there is one source."""
    said = node.table.casefold()
    return node.name.casefold() == column.casefold() and (said == source or (not said and len(sources) == 1))


def _is_told(tree: exp.Select, name: str, column: str, sources: Mapping[str, str]) -> bool:
    """Whether rows are made one by one, or by groups of which each has one value in a column of the first table."""
    from sqlglot import exp

    group = tree.args.get("group")
    if group is None:
        several = (one for one in tree.find_all(exp.Anonymous) if one.name.lower() in aggregates())
        return tree.find(exp.AggFunc) is None and next(several, None) is None and not tree.args.get("having")
    if any(group.args.get(one) for one in ("grouping_sets", "cube", "rollup", "totals")):
        return False
    if group.args.get("all"):
        return True
    named = [one for one in group.expressions if isinstance(one, exp.Column)]
    placed = {int(one.name) for one in group.expressions if isinstance(one, exp.Literal) and one.is_int}
    first = next(iter(sources))
    return any(_is(one, column, first, sources) for one in named) or _place(tree, name) in placed


def _place(tree: exp.Select, name: str) -> int:
    """Where a column stands in the result, from 1."""
    return [one.alias_or_name.casefold() for one in tree.expressions].index(name.casefold()) + 1


def _followed(tree: exp.Select, sources: Mapping[str, str]) -> Iterator[Followed]:
    """Joined tables of which only rows that equal those before them can be met."""
    near = {next(iter(sources))}
    for join in tree.args.get("joins") or ():
        alias = join.this.alias_or_name.casefold()
        found = list(_equal(join, alias, near))
        if found:
            of = found[0][1].table.casefold()
            pairs = tuple((ours.name, theirs.name) for ours, theirs in found if theirs.table.casefold() == of)
            yield Followed(sources[alias], sources[of], pairs)
            near.add(alias)


def _equal(join: exp.Join, alias: str, near: Collection[str]) -> Iterator[tuple[exp.Column, exp.Column]]:
    """The conditions of a join that a column of the new table equals one of those before it."""
    from sqlglot import exp

    condition = join.args.get("on")
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        if isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Column):
            for ours, theirs in ((part.this, part.expression), (part.expression, part.this)):
                if ours.table.casefold() == alias and theirs.table.casefold() in near:
                    yield ours, theirs


__all__ = ["Followed", "Narrowing", "narrowing"]
