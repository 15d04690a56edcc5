"""A place in the tokens of a text, the ways to move on from it, and the errors of not being able to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from penstock.errors import QueryError, Span
from penstock.language.lexer import T, Token, tokens
from penstock.language.literals import BadLiteralError, whole
from penstock.language.tree import Extension

DEEPEST = 40
"""How many parentheses, negations and filters may stand inside one another."""


@dataclass
class Cursor:
    """Reads tokens one by one; notes every place that only Penstock's own dialect allows.

    ``names`` are values that are given by name, and may stand where a constant may.
    """

    text: str
    tokens: list[Token]
    place: int = 0
    depth: int = 0
    extensions: list[Extension] = field(default_factory=list)
    names: Collection[str] = ()

    @classmethod
    def on(cls, text: str) -> Cursor:
        """A cursor before the first token of a text."""
        return cls(text, tokens(text))

    @property
    def here(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.place]

    @property
    def after(self) -> Token:
        """The token that comes after the next."""
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, which is then behind."""
        token = self.here
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def since(self, start: Token) -> Span:
        """From the start of a token to the end of the last one taken."""
        return Span(start.span.start, self.tokens[max(self.place - 1, 0)].span.end)

    def at_sign(self, *signs: str) -> bool:
        """Whether one of these signs comes next."""
        return self.here.kind is T.SIGN and self.here.text in signs

    def sign(self, *signs: str) -> Token | None:
        """Takes one of these signs if it comes next."""
        return self.take() if self.at_sign(*signs) else None

    def need_sign(self, sign: str, hint: str) -> Token:
        """Takes this sign, or fails."""
        return self.sign(sign) or self.fail(f"expected {sign!r}, found {self.found}", hint=hint)

    def at_word(self, *words: str) -> bool:
        """Whether these keywords come next, one after the other."""
        ahead = self.tokens[self.place : self.place + len(words)]
        return len(ahead) == len(words) and all(
            token.kind is T.WORD and token.upper == word for token, word in zip(ahead, words, strict=True)
        )

    def word(self, *words: str) -> Span | None:
        """Takes these keywords if they come next: together they are one keyword of the language."""
        if not self.at_word(*words):
            return None
        first = self.here
        taken = [self.take() for _ in words]
        span = self.since(first)
        written = " ".join(token.text for token in taken)
        if written not in (written.upper(), written.lower()) and written not in ("True", "False"):
            self.extend("keywords in mixed case", span)
        if self.text[span.start : span.end] != written:
            self.extend(f"more than one space inside {written.upper()}", span)
        return span

    def need_word(self, *words: str, hint: str) -> Span:
        """Takes these keywords, or fails."""
        return self.word(*words) or self.fail(f"expected {' '.join(words)}, found {self.found}", hint=hint)

    def integer(self, what: str, hint: str) -> int:
        """Takes a whole number, with its sign."""
        minus = self.sign("-") if self.after.kind is T.INT else None
        if self.here.kind is not T.INT:
            self.fail(f"expected {what}, found {self.found}", hint=hint)
        number = self.take()
        with self.literal(number):
            return whole(("-" if minus else "") + number.text)

    def extend(self, what: str, span: Span, kumo: str = "PQL_PARSE_SYNTAX") -> None:
        """Notes an extension of the language."""
        self.extensions.append(Extension(what, span, kumo))

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level of nesting further in; fails beyond `DEEPEST`."""
        if self.depth >= DEEPEST:
            self.fail(
                f"more than {DEEPEST} levels of nesting",
                hint="Take some parentheses out, or use IN for many values.",
                code="PQL_PARSE_TOO_DEEP",
            )
        self.depth += 1
        yield
        self.depth -= 1

    @contextmanager
    def literal(self, start: Token) -> Iterator[None]:
        """Turns a constant that cannot be read into an error at its place."""
        try:
            yield
        except BadLiteralError as error:
            raise QueryError(
                error.code, error.message, text=self.text, span=self.since(start), hint=error.hint
            ) from None

    @property
    def found(self) -> str:
        """The next token, as an error names it."""
        return "the end" if self.here.kind is T.END else f"{self.here.text!r}"

    def fail(
        self,
        message: str,
        *,
        hint: str,
        code: str = "PQL_PARSE_SYNTAX",
        span: Span | None = None,
        name: str | None = None,
        candidates: tuple[str, ...] = (),
    ) -> NoReturn:
        """Raises a ``QueryError`` at the next token (or at ``span``)."""
        place = span or self.here.span
        raise QueryError(code, message, text=self.text, span=place, hint=hint, name=name, candidates=candidates)
