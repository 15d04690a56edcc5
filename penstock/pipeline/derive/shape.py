"""Whether a query makes its rows one by one, and if so the query that also says when each was known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from penstock.lake.sql import Sql
from penstock.lake.versioned import KNOWN
from penstock.lake.versioned.scan import quoted
from penstock.pipeline.derive.derivation import UNTIL, Shape
from penstock.pipeline.derive.statement import Parsed

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

_CLAUSES = (
    "group",
    "having",
    "qualify",
    "distinct",
    "limit",
    "offset",
    "fetch",
    "windows",
    "laterals",
    "sample",
    "pivots",
)


def shape_of(text: str, parsed: Parsed, incremental: bool = True, columns: Collection[str] = ()) -> Shape:
    """How a SELECT (its text, and that text parsed) treats rows; ``columns`` are those of the tables it reads, folded.

    >>> from penstock.pipeline.derive.statement import outline
    >>> query = "SELECT o.id, c.city FROM orders AS o LEFT JOIN customers AS c ON c.id = o.customer"
    >>> shape = shape_of(query, outline(query, "x.sql")[1])
    >>> print(shape.carried)
    SELECT greatest("o"."_known", "c"."_known") AS "_known", o.id, c.city FROM orders AS o LEFT JOIN ...
    >>> sorted(shape.linear)
    ['orders']
    """
    if not _row_wise(parsed.tree) or _takes_rows(parsed.tree, columns):
        return Shape()
    carried = _carried(text, parsed, (KNOWN,))
    inner = not any(join.side for join in parsed.tree.find_all(_join()))
    replayed = _carried(text, parsed, (KNOWN, UNTIL)) if carried and inner else None
    return Shape(carried, frozenset(_linear(parsed.tree)) if carried and incremental else frozenset(), replayed)


def _join() -> type[exp.Join]:
    from sqlglot import exp

    return exp.Join


# ------------------------------------------------------------ row by row


def _row_wise(tree: exp.Query) -> bool:
    from sqlglot import exp

    refused = (
        exp.AggFunc, exp.Window, exp.Lateral, exp.Unnest, exp.Explode, exp.Exists, exp.Pivot, exp.TableSample,
        exp.Columns,  # by a pattern, which the clock may fit
    )  # fmt: skip
    for node in tree.walk():
        if isinstance(node, refused) or (isinstance(node, exp.Anonymous) and node.name.lower() in aggregates()):
            return False
        if isinstance(node, exp.With) and node.recursive:
            return False
        if isinstance(node, exp.Join) and not _plain_join(node):
            return False
        if isinstance(node, exp.Query) and not _plain_query(node):
            return False
        if isinstance(node, exp.TableAlias) and node.columns:
            return False
    return True


def _plain_join(join: exp.Join) -> bool:
    """A join whose rows are pairs of rows: no ASOF, POSITIONAL, SEMI, ANTI or NATURAL."""
    return join.kind in ("", "INNER", "OUTER", "CROSS") and not join.method


def _plain_query(query: exp.Query) -> bool:
    """A SELECT without clauses that look at many rows, or UNION ALL by place, standing where rows are taken from."""
    from sqlglot import exp

    if isinstance(query, exp.SetOperation):
        plain = isinstance(query, exp.Union) and not query.args.get("distinct") and not query.args.get("by_name")
    else:
        plain = isinstance(query, exp.Select | exp.Subquery)
    places = (exp.From, exp.Join, exp.CTE, exp.SetOperation, exp.Subquery, type(None))
    return plain and isinstance(query.parent, places) and not any(query.args.get(name) for name in _CLAUSES)


def _takes_rows(tree: exp.Query, columns: Collection[str]) -> bool:
    """Whether a whole row is taken as one value, which the clock would become part of."""
    from sqlglot import exp

    sources = {table.alias_or_name.casefold() for table in tree.find_all(exp.Table, exp.Subquery)}
    named = {one.name.casefold() for one in tree.find_all(exp.Column) if not one.table}
    return bool((named & sources) - set(columns))


@lru_cache(maxsize=1)
def aggregates() -> frozenset[str]:
    """The names of DuckDB's aggregates."""
    with Sql({}) as sql:
        found = sql.arrow("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'")
    return frozenset(found["function_name"].to_pylist())


# ------------------------------------------------------------ the clock, carried along


def _carried(text: str, parsed: Parsed, clocks: Sequence[str]) -> str | None:
    """The text with the clocks as first columns of each of its SELECTs; None where they have no place.

    The text is added to, never written anew: a tree printed again could mean something else.
    """
    from sqlglot import exp

    tokens = parsed.tokens
    places: dict[int, str] = {}
    for select in parsed.tree.find_all(exp.Select):
        at, known = _keyword(tokens, select), _clocks(select, clocks)
        if at is None or known is None or at in places:
            return None
        places[at] = f" {known},"
    if len(places) != sum(token.text.upper() == "SELECT" for token in tokens if token.token_type.name == "SELECT"):
        return None
    for at in range(len(tokens)):
        if _is_star(tokens, at):
            placed = _without(tokens, at, clocks)
            if placed is None:
                return None
            places[placed[0]] = placed[1]
    for at in sorted(places, reverse=True):
        end = tokens[at].end + 1
        text = text[:end] + places[at] + text[end:]
    return text


def _keyword(tokens: Sequence[Token], select: exp.Select) -> int | None:
    """The number of a SELECT's own keyword: the nearest before its first projection that names something."""
    from sqlglot import exp

    starts = [
        node.meta["start"]
        for projection in select.expressions
        for node in projection.find_all(exp.Identifier)
        if "start" in node.meta
    ]
    if not starts:
        return _only_star(tokens, select)
    before = [at for at, token in enumerate(tokens) if token.start < min(starts) and token.token_type.name == "SELECT"]
    return before[-1] if before else None


def _only_star(tokens: Sequence[Token], select: exp.Select) -> int | None:
    """The keyword of ``SELECT * FROM name``, found by the name, which is the first after it."""
    from sqlglot import exp

    given = select.args.get("from_")
    if given is None or not isinstance(given.this, exp.Table) or not isinstance(given.this.this, exp.Identifier):
        return None
    start = given.this.this.meta.get("start", -1)
    before = [at for at, token in enumerate(tokens) if token.start < start and token.token_type.name == "SELECT"]
    return before[-1] if before else None


def _clocks(select: exp.Select, clocks: Sequence[str]) -> str | None:
    """The latest ``_known`` of a SELECT's sources and their earliest `UNTIL`; NULL is before all, or after all."""
    from sqlglot import exp

    given = select.args.get("from_")
    sources = [] if given is None else [given.this, *(join.this for join in select.args.get("joins") or ())]
    said = []
    for source in sources:
        if isinstance(source, exp.Values) or (isinstance(source, exp.Table) and not _named(source)):
            continue
        if not source.alias_or_name:
            return None
        said.append(quoted(source.alias_or_name))
    return ", ".join(f"{_met(said, clock)} AS {quoted(clock)}" for clock in clocks)


def _met(sources: Sequence[str], clock: str) -> str:
    if not sources:
        return "NULL::TIMESTAMP"
    said = [f"{source}.{quoted(clock)}" for source in sources]
    return said[0] if len(said) == 1 else f"{'greatest' if clock == KNOWN else 'least'}({', '.join(said)})"


def _named(table: exp.Table) -> bool:
    from sqlglot import exp

    return isinstance(table.this, exp.Identifier)


def _is_star(tokens: Sequence[Token], at: int) -> bool:
    """Whether a token is the star that stands for columns, not the one that multiplies."""
    return tokens[at].text == "*" and at > 0 and tokens[at - 1].text.upper() in {"SELECT", ",", ".", "("}


def _without(tokens: Sequence[Token], at: int, clocks: Sequence[str]) -> tuple[int, str] | None:
    """Where and what to write so that a star leaves the clocks out."""
    names = ", ".join(map(quoted, clocks))
    after = tokens[at + 1].text.lower() if at + 1 < len(tokens) else ""
    if after in {"exclude", "except"}:
        return (at + 2, f"{names}, ") if tokens[at + 2].text == "(" else None
    return (at, f" EXCLUDE ({names})")


# ------------------------------------------------------------ new rows from new rows


def _linear(tree: exp.Query) -> Iterator[str]:
    """The tables, folded, whose new rows alone give the new rows of the result.

    Each is read once, by queries that are read once, and stands on the side of its joins whose rows are all kept or
    dropped by themselves.
    """
    from sqlglot import exp

    if tree.find(exp.SetOperation) or any(join.side in ("RIGHT", "FULL") for join in tree.find_all(exp.Join)):
        return
    mentions = [table.name.casefold() for table in tree.find_all(exp.Table)]
    inner = {cte.alias.casefold(): cte for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name = table.name.casefold()
        if name not in inner and mentions.count(name) == 1 and _always(table, mentions, inner):
            yield name


def _always(table: exp.Expr, mentions: Sequence[str], inner: dict[str, exp.CTE]) -> bool:
    """Whether nothing between a table and the result may turn on its rows' absence, or take them twice."""
    from sqlglot import exp

    at: exp.Expr | None = table
    while at is not None:
        if isinstance(at, exp.Join) and at.side == "LEFT":
            return False
        if isinstance(at, exp.CTE):
            name = at.alias.casefold()
            if mentions.count(name) != 1 or sum(cte.alias.casefold() == name for cte in inner.values()) != 1:
                return False
            root = at.root()
            reader = next((one for one in root.find_all(exp.Table) if one.name.casefold() == name), None)
            return reader is not None and _always(reader, mentions, inner)
        at = at.parent
    return True
