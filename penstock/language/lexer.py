"""Text into tokens: each with its kind, its text and its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from penstock.errors import QueryError, Span


class T(Enum):
    """The kinds of tokens."""

    COLUMN = auto()  # table.column and table.*, one token, either name in backticks
    QUOTED = auto()
    TEXT = auto()
    DATE = auto()
    TIME = auto()
    DECIMAL = auto()
    INT = auto()
    WORD = auto()
    SIGN = auto()
    END = auto()


_NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|`[^`\r\n]+`)"
_SPACE = r"[\s\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
_PATTERNS = (
    (None, rf"{_SPACE}|\#[^\r\n]*"),
    (T.COLUMN, rf"{_NAME}\.(?:{_NAME}|\*)"),
    (T.QUOTED, r"`[^`\r\n]+`"),
    (T.TEXT, r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"),
    (T.DATE, r"[0-9]+(?P<sep>[/.-])[0-9]+(?P=sep)[0-9]+"),
    (T.TIME, r"[0-9]+:[0-9]+:[0-9]+"),
    (T.DECIMAL, r"[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)"),
    (T.INT, r"[0-9]+"),
    (T.WORD, r"[A-Za-z_][A-Za-z0-9_]*"),
    (T.SIGN, r"!=|<=|>=|[<>=(),;+*/-]"),
)
_HINTS = {
    "'": "Close the text with the quote it began with; write a quote inside it as \\' or use the other kind.",
    '"': 'Close the text with the quote it began with; write a quote inside it as \\" or use the other kind.',
    "`": "Close the name with a backtick.",
    ".": "A column is written table.column, without spaces around the dot.",
    "!": "Unequal is written !=.",
    "&": "Join conditions with AND.",
    "|": "Join conditions with OR.",
    "[": "A list is written in parentheses: IN ('a', 'b').",
    "%": "In LIKE, the percent sign stands inside the quotes: LIKE '%x%'.",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token; ``upper`` is its text in capitals, by which keywords are known."""

    kind: T
    text: str
    span: Span

    @property
    def upper(self) -> str:
        """The text in capitals."""
        return self.text.upper()


_KINDS = tuple(kind.name for kind in T if kind is not T.END)
_TOKEN = re.compile(
    "|".join(f"(?P<{'SKIP' if kind is None else kind.name}>{pattern})" for kind, pattern in _PATTERNS), re.DOTALL
)


def tokens(text: str) -> list[Token]:
    """The tokens of a text, closed by an END token. Raises ``QueryError`` at the first character that begins none.

    >>> [token.text for token in tokens("PREDICT COUNT(orders.*, 0, 30)")]
    ['PREDICT', 'COUNT', '(', 'orders.*', ',', '0', ',', '30', ')', '']
    """
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unreadable(text, place)
        if match["SKIP"] is None:
            kind = next(T[name] for name in _KINDS if match[name] is not None)
            found.append(Token(kind, match.group(), Span(place, match.end())))
        place = match.end()
    return [*found, Token(T.END, "", Span(len(text), len(text)))]


def _unreadable(text: str, place: int) -> QueryError:
    sign = text[place]
    what = f"a text that begins with {sign} is never closed" if sign in "'\"" else f"{sign!r} cannot stand here"
    return QueryError(
        "PQL_PARSE_SYNTAX", what, text=text, span=Span(place, place + 1), hint=_HINTS.get(sign, "Remove the character.")
    )


def names(column: Token) -> tuple[str, str]:
    """The two names of a COLUMN token, without backticks.

    >>> names(tokens("`Order Lines`.*")[0])
    ('Order Lines', '*')
    """
    first, second = re.findall(rf"{_NAME}|\*", column.text)
    return first.strip("`"), second.strip("`")
