"""Text into a syntax tree: the clauses of a query. Expressions are read in `phrases`.

::

    query = [EXPLAIN | EVALUATE] PREDICT target [FORECAST n TIMEFRAMES | RANK TOP k | CLASSIFY]
            FOR [EACH] table.key [= constant | IN (constants)]
            [WHERE condition] [ASSUMING condition] [AS OF date [time]] [;]
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from penstock.aggregates import AGGREGATES
from penstock.expression import Constant, Expr
from penstock.language import phrases
from penstock.language.cursor import Cursor
from penstock.language.lexer import T, Token
from penstock.language.tree import Extension, Ids, Predict, Spec

_TALLEST = 100
_SHAPE = "A query reads: PREDICT target FOR EACH table.key [WHERE …] [ASSUMING …]."


def parse(text: str) -> Predict:
    """The syntax tree of a query. Raises ``QueryError`` where the text is not PQL; no schema is looked at.

    >>> print(parse("predict count(orders.*, 0, 30) = 0 for each users.user_id"))
    PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH users.user_id
    """
    at = Cursor.on(text)
    prefix = _prefix(at)
    at.need_word("PREDICT", hint=_SHAPE)
    target, spec = _target(at)
    each = _for(at)
    entity = phrases.column(at)
    ids = _ids(at)
    where = phrases.condition(at) if at.word("WHERE") else None
    assuming = phrases.condition(at) if at.word("ASSUMING") else None
    as_of = _as_of(at)
    _end(at)
    tree = Predict(
        target, entity, each, spec, ids, where, assuming, as_of, prefix, text=text, extensions=tuple(at.extensions)
    )
    for expression in tree.expressions:
        _not_too_tall(at, expression)
    return tree


def parse_expression(text: str, names: Collection[str] = ()) -> Expr:
    """The syntax tree of one expression: a feature, or a condition. Raises ``QueryError``.

    Among ``names`` may be words for aggregates: where no parenthesis follows, they are names.

    >>> print(parse_expression("COUNT(orders.*, -7, 0) / COUNT(orders.*, -30, 0)"))
    COUNT(orders.*, -7, 0, days) / COUNT(orders.*, -30, 0, days)
    """
    at = Cursor.on(text)
    at.names = names
    if names:
        at.tokens = [_as_name(one, after, names) for one, after in pairwise([*at.tokens, at.here])]
    found = phrases.expression(at)
    _end(at)
    _not_too_tall(at, found)
    return found


def _as_name(token: Token, after: Token, names: Collection[str]) -> Token:
    """A token; a word for an aggregate that is a name here, as if it stood in backticks."""
    named = token.text in names and token.upper in AGGREGATES and after.text != "("
    return replace(token, kind=T.QUOTED) if named else token


def parse_target(text: str) -> tuple[Expr, Spec, tuple[Extension, ...]]:
    """The syntax tree of a target as it may be named: an expression, and what may stand between it and FOR."""
    at = Cursor.on(text)
    target, spec = _target(at)
    _end(at)
    _not_too_tall(at, target)
    return target, spec, tuple(at.extensions)


def _prefix(at: Cursor) -> Literal["EXPLAIN", "EVALUATE"] | None:
    """A word before the query, in any case."""
    for word in ("EXPLAIN", "EVALUATE"):
        if at.at_word(word):
            at.take()
            return word
    return None


def _target(at: Cursor) -> tuple[Expr, Spec]:
    if at.at_word("FOR") or at.here.kind is T.END:
        at.fail(f"expected a target, found {at.found}", hint=_SHAPE)
    target = phrases.expression(at)
    if at.at_word("WHERE"):
        at.fail(
            "the target's filter stands outside of its aggregate",
            hint="A filter of rows goes inside: SUM(orders.price WHERE orders.status = 'ok', 0, 30); "
            "a filter of entities goes after FOR EACH.",
        )
    return target, _spec(at)


def _spec(at: Cursor) -> Spec:
    start = at.here
    if at.word("FORECAST"):
        steps = at.integer("a number of time frames", "Write FORECAST 12 TIMEFRAMES.")
        at.need_word("TIMEFRAMES", hint=f"Write FORECAST {steps} TIMEFRAMES.")
        return Spec("FORECAST", steps=steps, span=at.since(start))
    word: Literal["RANK", "CLASSIFY"] | None = None
    if at.word("RANK"):
        word = "RANK"
    elif at.word("CLASSIFY"):
        word = "CLASSIFY"
    top_k = at.integer("how many to rank", "Write RANK TOP 10.") if at.word("TOP") else None
    return Spec(word, top_k, span=at.since(start)) if word or top_k is not None else Spec(span=start.span)


def _for(at: Cursor) -> bool:
    if at.word("FOR", "EACH"):
        return True
    if at.at_word("ASSUMING") or at.at_word("WHERE"):
        at.fail(f"expected FOR EACH, found {at.found}", hint="WHERE and ASSUMING come after FOR EACH table.key.")
    at.need_word("FOR", hint="After the target comes FOR EACH table.key, such as FOR EACH users.user_id.")
    return False


def _ids(at: Cursor) -> Ids | None:
    start = at.here
    if at.word("IN"):
        if not at.at_sign("("):
            at.fail(f"IN needs a list, found {at.found}", code="PQL_TYPE_OPERATOR_NEEDS_ARRAY", hint="Write IN (1, 2).")
        values = _listed(at)
        if len(values) == 1:
            at.extend("IN with one value", at.since(start))
        return Ids("IN", values, span=at.since(start))
    operator = at.sign(*phrases.OPERATORS)
    if operator is None:
        return None
    if at.at_sign("("):
        at.fail("a list can only follow IN", code="PQL_TYPE_OPERATOR_ON_ARRAY", hint="Write IN (1, 2).")
    return Ids(operator.text, (phrases.constant(at),), span=at.since(start))


def _listed(at: Cursor) -> tuple[Constant, ...]:
    at.take()
    values = [phrases.constant(at)]
    while at.sign(","):
        values.append(phrases.constant(at))
    at.need_sign(")", "Close the list of IN with a parenthesis; it holds constants only.")
    return tuple(values)


def _as_of(at: Cursor) -> Constant | None:
    start = at.here
    if not at.word("AS", "OF"):
        return None
    if at.here.kind is not T.DATE:
        at.fail(f"expected a date, found {at.found}", hint="Write AS OF 2024-01-31 or AS OF 2024-01-31 12:00:00.")
    moment = phrases.constant(at)
    at.extend("AS OF", at.since(start))
    return moment


def _end(at: Cursor) -> None:
    semicolon = at.sign(";")
    if semicolon:
        at.extend("a semicolon at the end", semicolon.span)
    if at.here.kind is T.END:
        return
    if at.at_word("WHERE"):
        at.fail("WHERE comes before ASSUMING and AS OF, and only once", hint=f"Join conditions with AND. {_SHAPE}")
    at.fail(
        f"expected the end, found {at.found}",
        hint="Conditions are joined with AND and OR." if at.here.kind is T.COLUMN else _SHAPE,
    )


def _not_too_tall(at: Cursor, tree: Expr) -> None:
    """Long chains make tall trees, and whatever walks a tree must come back."""
    level: list[Expr] = [tree]
    for _ in range(_TALLEST):
        level = [child for node in level for child in node.children]
        if not level:
            return
    at.fail(
        f"more than {_TALLEST} operations in one expression",
        code="PQL_PARSE_TOO_DEEP",
        span=tree.span,
        hint="Use IN for many values, or a column that already holds the combination.",
    )
