"""A SQL file as text: one SELECT, the tables it mentions, and the fingerprint of its meaning."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.errors import SchemaError, Span
from penstock.lake.sql import Sql
from penstock.lake.versioned import OWN_COLUMNS
from penstock.lake.versioned.scan import text as sql_text

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.tokenizer_core import Token

VOLATILE = frozenset({
    "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "random", "setseed", "now", "today", "current_date", "current_time",
    "current_timestamp", "get_current_time", "get_current_timestamp", "localtime", "localtimestamp",
    "transaction_timestamp", "txid_current", "current_transaction_id", "current_connection_id", "current_database",
    "current_query", "current_query_id", "current_schema", "current_schemas", "current_setting", "currval", "nextval",
    "setval", "getvariable", "in_search_path", "sleep_ms", "write_log", "stats", "vector_type", "error",
})  # fmt: skip
"""Functions whose answer is not made by their arguments alone, as DuckDB lists them."""
OWN_NAMES = frozenset(column.name for column in OWN_COLUMNS)
_BARE = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
_RAISES_ALONE = frozenset({"error", "stats", "vector_type"})
"""Said by DuckDB to vary, so that they are not worked out beforehand; their answers do not."""


@dataclass(frozen=True)
class Mention:
    """A table's name where a query says it, folded, with its place."""

    name: str
    span: Span


@dataclass(frozen=True)
class Outline:
    """What a text alone tells: where the SELECT ends, which tables it mentions, its meaning's fingerprint.

    ``coarse`` says why lineage can only be told by table; empty where it can be told by column.
    """

    end: int
    mentions: tuple[Mention, ...]
    fingerprint: str
    coarse: str = ""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables mentioned, each once, in order."""
        return tuple(dict.fromkeys(mention.name for mention in self.mentions))


@lru_cache(maxsize=1)
def dialect() -> Dialect:
    """DuckDB's dialect; what its parser cannot read is told by errors here, not by warnings on a terminal."""
    from sqlglot.dialects.dialect import Dialect as Dialects

    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return Dialects.get_or_raise("duckdb")


@dataclass(frozen=True)
class Parsed:
    """A query's tree and the tokens that it was made of."""

    tree: exp.Query
    tokens: Sequence[Token]


def outline(text: str, file: str) -> tuple[Outline, Parsed | None]:
    """Read a file's text; it is parsed only where not DuckDB alone understands it. Raises ``SchemaError``."""
    from sqlglot import exp
    from sqlglot.errors import ParseError, TokenError

    try:
        tokens = dialect().tokenize(text)
        _must_be_one(tokens, text, file)
        _must_be_plain(tokens, text, file)
        trees = [
            tree for tree in dialect().parser().parse(tokens, text) if tree and not isinstance(tree, exp.Semicolon)
        ]
    except (ParseError, TokenError) as error:
        return _by_duckdb(text, file, str(error).partition("\n")[0]), None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        return _by_duckdb(text, file, "its parts are not all understood"), None
    tree = trees[0]
    end = next((token.start for token in reversed(tokens) if token.text == ";"), len(text))
    return Outline(end, tuple(_mentioned(tree, text, file)), meaning(tokens)), Parsed(tree, tokens)


def meaning(tokens: Sequence[Token]) -> str:
    """A hash of the tokens: spaces, comments, a last semicolon and the case of keywords make no difference."""
    from sqlglot.tokenizer_core import TokenType

    names = {TokenType.VAR, TokenType.NUMBER}
    said = []
    for token in tokens:
        if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            said.append(f"{token.token_type.name} {token.text}")
        elif token.token_type is not TokenType.SEMICOLON:
            said.append(token.text if token.token_type in names else token.text.upper())
    return hashed("\n".join(said))


def hashed(text: str) -> str:
    """A short hash of a text."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _must_be_one(tokens: Sequence[Token], text: str, file: str) -> None:
    if not tokens:
        raise SchemaError(
            "DERIVE_EMPTY", f"{file}: there is no SELECT in it", hint="Write one SELECT, or drop the file."
        )
    ended = False
    for token in tokens:
        if ended and token.text != ";":
            message = f"{file}: a file holds one SELECT, and a second statement begins here"
            hint = "Give each its own file: the file's name is the table's."
            raise SchemaError("DERIVE_TWO_STATEMENTS", message, text=text, span=place(token), hint=hint)
        ended = ended or token.text == ";"


def _must_be_plain(tokens: Sequence[Token], text: str, file: str) -> None:
    """Refuse what varies from run to run, and names that tables keep for themselves."""
    for at, token in enumerate(tokens):
        name, before = token.text.lower(), tokens[at - 1].text.lower() if at else ""
        called = at + 1 < len(tokens) and tokens[at + 1].text == "("
        quoted = text[token.start] in "\"'"
        if name in OWN_NAMES and text[token.start] != "'":
            message = f"{file}: {token.text} is a column that each table has of its own"
            hint = "Leave it out: current rows have no such column, and the derived table gets its own."
            raise SchemaError("DERIVE_RESERVED", message, text=text, span=place(token), hint=hint)
        if quoted or before in {".", "as"}:
            continue
        sampled = name == "tablesample" or (name == "sample" and before == "using")
        if sampled or name in _BARE or (called and name in VOLATILE - _RAISES_ALONE):
            message = f"{file}: {token.text} gives another answer each time, so the table could not be built again"
            hint = "Take times and chances from the rows: a column of the input, or a hash of its key."
            raise SchemaError("DERIVE_VOLATILE", message, text=text, span=place(token), hint=hint)


def place(token: Token) -> Span:
    """Where a token stands."""
    return Span(token.start, token.end + 1)


def _mentioned(tree: exp.Query, text: str, file: str) -> Iterator[Mention]:
    """The tables that a tree reads, those that it defines itself (WITH) left out."""
    from sqlglot import exp

    for table in tree.find_all(exp.Table):
        name = table.this
        if not isinstance(name, exp.Identifier):
            continue  # a function that makes rows
        span = Span(name.meta.get("start", 0), name.meta.get("end", 0) + 1)
        if table.args.get("db") is not None:
            message = f"{file}: a table is named alone, without a schema before it"
            raise SchemaError("DERIVE_QUALIFIED", message, text=text, span=span, hint=f"Write {name.name}.")
        if not _defined(table, name.name.casefold()):
            yield Mention(name.name.casefold(), span)


def _defined(table: exp.Table, name: str) -> bool:
    """Whether a WITH around the mention gives the name its meaning: those before it, or itself when recursive."""
    from sqlglot import exp

    child: exp.Expr = table
    while (parent := child.parent) is not None:
        seen: Sequence[exp.Expr] = ()
        if isinstance(parent, exp.With):
            seen = parent.expressions[: parent.expressions.index(child) + bool(parent.recursive)]
        elif (given := parent.args.get("with_")) is not None and given is not child:
            seen = given.expressions
        if name in {one.alias.casefold() for one in seen}:
            return True
        child = parent
    return False


# ------------------------------------------------------------ what only DuckDB understands


def _by_duckdb(text: str, file: str, why: str) -> Outline:
    """The outline by DuckDB's own parser, which has the last word on what is a SELECT."""
    with Sql({}) as sql:
        answer = sql.arrow(f"SELECT json_serialize_sql({sql_text(text)}) AS tree")["tree"][0].as_py()
    told = json.loads(answer)
    if told["error"]:
        _refuse(told, text, file)
    statements = told["statements"]
    if len(statements) != 1:
        message = f"{file}: a file holds one SELECT, not {len(statements)} statements"
        raise SchemaError("DERIVE_TWO_STATEMENTS", message, hint="Give each its own file.")
    defined: set[str] = set()
    mentions: list[Mention] = []
    for node in _nodes(statements[0]):
        defined |= {str(one["key"]).casefold() for one in node.get("cte_map", {}).get("map", ())}
        if node.get("type") == "BASE_TABLE":
            at = int(node["query_location"])
            name = str(node["table_name"])
            mentions.append(Mention(name.casefold(), Span(at, at + len(name))))
    kept = tuple(mention for mention in mentions if mention.name not in defined)
    bare = text.rstrip()
    return Outline(len(bare.removesuffix(";")), kept, hashed(_placeless(statements[0])), why)


def _refuse(told: dict[str, str], text: str, file: str) -> NoReturn:
    if told["error_type"] == "not implemented":
        message = f"{file}: it holds a statement that is no SELECT"
        span = Span(len(text) - len(text.lstrip()), len(text))
        hint = "Write one SELECT: Penstock makes the table from its rows, and the file's name is the table's."
        raise SchemaError("DERIVE_NOT_SELECT", message, text=text, span=_first_word(text) or span, hint=hint)
    at = len(text.encode()[: int(told.get("position", "0"))].decode(errors="ignore"))  # DuckDB counts bytes
    message = f"{file}: {told['error_message']}"
    raise SchemaError("DERIVE_SYNTAX", message, text=text, span=Span(at, at + word(text, at)))


def _first_word(text: str) -> Span | None:
    """The first word that is not in a comment."""
    at = 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("--"):
            start = at + len(line) - len(line.lstrip())
            return Span(start, start + word(text, start))
        at += len(line)
    return None


def word(text: str, at: int) -> int:
    """How long the word that begins at a place is; 1 where none does."""
    length = 0
    while at + length < len(text) and (text[at + length].isalnum() or text[at + length] == "_"):
        length += 1
    return max(1, length)


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _nodes(part)


def _placeless(value: object) -> str:
    """A tree of DuckDB's as text, without the places of its parts."""

    def bare(part: object) -> object:
        if isinstance(part, dict):
            return {name: bare(inner) for name, inner in part.items() if not name.startswith("query_location")}
        return [bare(inner) for inner in part] if isinstance(part, list) else part

    return json.dumps(bare(value), sort_keys=True)
