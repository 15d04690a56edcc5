"""Features in a PQL file: whose they are, and a line ``name = expression`` for each.

::

    -- owner: growth
    -- description: How much customers order.
    -- tag tier: gold
    FOR EACH customers.customer_id

    orders_30d = COUNT(orders.*, -30, 0, days)
    spent_90d = SUM(orders.amount WHERE orders.status = 'paid',
                    -90, 0, days)   # goes on while a bracket is open, or on lines that are indented
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import RequestError, Span
from penstock.features.views.declared import About, ExpressionView

_TOKEN = re.compile(r"""'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`[^`\n]*`|(?P<comment>(?:\#|--)[^\n]*)|[()]""")
_EACH = re.compile(r"\s*FOR\s+EACH\s+(?P<entity>\S.*?)\s*;?\s*$", re.IGNORECASE)
_FEATURE = re.compile(r"(?:`(?P<quoted>[^`\n]+)`|(?P<name>[^\W\d]\w*))\s*=(?P<expression>.*)", re.DOTALL)
_SAID = re.compile(r"(?:#|--)\s*(?:(?P<what>owner|description)|tag\s+(?P<tag>\S+?))\s*:\s*(?P<value>.*?)\s*$")
_SHAPE = "A file reads: FOR EACH table.key, then lines name = expression."


@dataclass(frozen=True)
class _Statement:
    """A statement without its comments, where it begins in the file, and in which line."""

    text: str
    start: int
    line: int


def pql_view(path: Path, text: str, file: str) -> ExpressionView:
    """The view of a file. Raises ``RequestError`` (``FEATURE_PQL``) with the line that is not understood."""
    first, *rest = list(_statements(text)) or [_Statement("", 0, 1)]
    each = _EACH.match(first.text)
    if each is None:
        raise _unread(text, file, first, "expected FOR EACH, and whose features these are")
    features: dict[str, str] = {}
    places: dict[str, str] = {}
    for statement in rest:
        found = _FEATURE.fullmatch(statement.text)
        if found is None:
            raise _unread(text, file, statement, "expected name = expression")
        name = found["quoted"] or found["name"]
        if name in features:
            raise _unread(text, file, statement, f"{name} is declared already ({places[name]})", "FEATURE_TWICE")
        features[name] = found["expression"].strip()
        places[name] = f"{file}, line {statement.line}"
    if not features:
        raise _unread(text, file, first, "there are no features after FOR EACH")
    return ExpressionView(path.stem, _entity(each["entity"]), features, _about(text, file, places))


def _entity(written: str) -> str:
    """``table.key`` as it stands, and an entity's name without backticks."""
    return written[1:-1] if re.fullmatch(r"`[^`]+`", written) else written


def _statements(text: str) -> Iterator[_Statement]:
    """Lines joined with those that go on with them."""
    bare, depths = _without_comments(text)
    lines = [f"{line}\n" for line in bare.split("\n")]
    begun, start, first, at = "", 0, 0, 0
    for number, line in enumerate(lines, 1):
        goes_on = begun and (depths[at] > 0 or line[:1].isspace())
        if not goes_on and begun.strip():
            yield _Statement(begun.rstrip(), start, first)
        if not goes_on:
            begun, start, first = "", at, number
        begun += line
        if not begun.strip():
            begun = ""
        at += len(line)
    if begun.strip():
        yield _Statement(begun.rstrip(), start, first)


def _without_comments(text: str) -> tuple[str, list[int]]:
    """The text with comments as spaces; and how many brackets are open before each character."""
    bare, changes = list(text), {}
    for token in _TOKEN.finditer(text):
        if token["comment"]:
            bare[token.start() : token.end()] = " " * len(token[0])
        elif token[0] in "()":
            changes[token.end()] = 1 if token[0] == "(" else -1
    depth, depths = 0, []
    for place in range(len(text) + 1):
        depth = max(depth + changes.get(place, 0), 0)
        depths.append(depth)
    return "".join(bare), depths


def _about(text: str, file: str, places: dict[str, str]) -> About:
    """What comments of their own lines say of the view."""
    said: dict[str, str] = {}
    tags: dict[str, str] = {}
    for line in text.splitlines():
        found = _SAID.match(line)
        if found and found["tag"]:
            tags[found["tag"]] = found["value"]
        elif found:
            said[found["what"]] = " ".join([*([said[found["what"]]] if found["what"] in said else []), found["value"]])
    return About(said.get("description", ""), said.get("owner", ""), tags, file, places)


def _unread(text: str, file: str, statement: _Statement, why: str, code: str = "FEATURE_PQL") -> RequestError:
    begins = statement.start + len(statement.text) - len(statement.text.lstrip())
    ends = begins + len(statement.text.strip().partition("\n")[0])
    message = f"{file}, line {statement.line}: {why}"
    return RequestError(code, message, text=text, span=Span(begins, max(ends, begins + 1)), hint=_SHAPE)
