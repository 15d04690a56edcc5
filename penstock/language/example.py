"""A question that fits a graph, for those who have not written one yet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.errors import QueryError
from penstock.language.check import check_query
from penstock.schema import Graph, Link

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def example(graph: Graph) -> str | None:
    """Whom nothing will happen to in the next 30 days, as a line of PQL; None where the graph has no events.

    Events that nothing points to come first: what happens to customers rather than which customers a plan gets.
    """
    leaves_first = sorted(graph.links, key=lambda link: bool(tuple(graph.links_to(link.table))))
    return next((text for link in leaves_first for text in _about(link, graph)), None)


def _about(link: Link, graph: Graph) -> Iterator[str]:
    keys = graph.table(link.to).keys
    if not graph.table(link.table).happened or len(keys) != 1:
        return
    text = f"PREDICT COUNT({_pql(link.table)}.*, 0, 30, days) = 0 FOR EACH {_pql(link.to)}.{_pql(keys[0])}"
    try:
        check_query(text, graph, None, {})
    except QueryError:  # a name that cannot be written, a link that cannot be followed
        return
    yield text


def _pql(name: str) -> str:
    return name if _WORD.fullmatch(name) else f"`{name}`"
