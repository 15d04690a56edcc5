"""Who reads which columns: derived tables, checks, and the project's questions with the features made for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.errors import PenstockError
from penstock.features.views.bound import Bound
from penstock.features.views.lineage import lineage
from penstock.language import query
from penstock.pipeline.change import Changes, Dependant, Verdict, uses_of_query
from penstock.pipeline.change.changes import Change
from penstock.pipeline.derive import Derivation
from penstock.quality.contract import Contract
from penstock.schema import Graph, Table


def dependants(
    derivations: tuple[Derivation, ...],
    contracts: Mapping[str, Contract],
    queries: Mapping[str, str],
    graph: Graph,
    features: Bound | None = None,
) -> tuple[Dependant, ...]:
    """All that reads columns, by name. A question that cannot be read on this graph depends on nothing."""
    return (
        *(() if features is None else _of_features(features)),
        *(_of_derivation(one) for one in derivations),
        *(one for contract in contracts.values() for one in _of_contract(contract)),
        *(one for name, text in queries.items() for one in _of_query(name, text, graph)),
    )


def of_itself(table: str, changes: Changes, verdict: Verdict) -> Dependant | None:
    """The lake's table, where a change that nobody else minds would end a column's history; None where none would.

    A column under another name, or of a type that holds other values, is no column that it can go on with.
    """
    minded = {broken.change for broken in verdict.refused}
    ends: list[Change] = [change for change in changes.retyped if change.kind != "widening"]
    ends += [change for change in changes.renamed if not change.declared]
    uses = frozenset((table, change.column) for change in ends if change not in minded)
    return Dependant("table", table, uses) if uses else None


def _of_derivation(derivation: Derivation) -> Dependant:
    uses = derivation.direct_uses.union(*derivation.direct.values())
    return Dependant("derived table", derivation.name, frozenset(uses))


def _of_contract(contract: Contract) -> Iterator[Dependant]:
    for check in contract.checks:
        if check.columns:
            uses = frozenset((contract.table, column) for column in check.columns)
            yield Dependant("check", f"{contract.table}.{check.name}", uses)


def _of_features(bound: Bound) -> Iterator[Dependant]:
    for view in bound.views:
        read = {origin for one in lineage(bound, view) for origin in (*one.values, *one.uses)}
        yield Dependant("feature", f"view {view}", frozenset(origin for origin in read if origin[1] != "*"))


def _of_query(name: str, text: str, graph: Graph) -> Iterator[Dependant]:
    try:
        asked = query(text, graph)
    except PenstockError:
        return
    own = uses_of_query(asked, graph)
    yield Dependant("query", name, own)
    near = {(table.name, column.name) for table in _around(asked.entity, graph) for column in table.columns}
    yield Dependant("feature", f"of {name}", frozenset(near) - own)


def _around(entity: str, graph: Graph) -> Iterator[Table]:
    """The tables that links lead to from an entity, in either direction: features may be made of all they hold."""
    seen, waiting = {entity}, [entity]
    while waiting:
        name = waiting.pop()
        yield graph.table(name)
        beside = {link.to for link in graph.links_from(name)} | {link.table for link in graph.links_to(name)}
        waiting.extend(sorted(beside - seen))
        seen |= beside
