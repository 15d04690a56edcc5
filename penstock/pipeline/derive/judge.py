"""DuckDB as the judge of a query: the columns it gives, or why not, told with the place and what exists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.errors import SchemaError, SourceError, Span
from penstock.lake.sql import Sql
from penstock.lake.versioned import KNOWN, OWN_COLUMNS
from penstock.lake.versioned.stored import stored_type
from penstock.pipeline.derive.statement import Parsed, dialect, place, word

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

_COLUMN = (
    re.compile(r'Referenced column "(?P<name>[^"]+)" not found'),
    re.compile(r'"(?P<table>[^"]+)" does not have a column named "(?P<name>[^"]+)"'),
    re.compile(r'Column "(?P<name>[^"]+)" does not exist'),
)
_TABLE = re.compile(r'Referenced table "(?P<name>[^"]+)" not found!\s*(?:Candidate tables: (?P<exists>.*))?')
_FUNCTION = re.compile(r"Function with name (?P<name>\S+) does not exist!\s*(?:Did you mean \"(?P<meant>[^\"]+)\")?")
_READS = re.compile(r"read_\w+|\w+_scan|parquet_\w+|glob|sniff_csv")
_REACHED = re.compile(r"Cannot access (?:file|directory) .*disabled by configuration", re.S)
_NO_FILES = "Bring the file in as a table of its own (a source in penstock.toml), and read that table."
_LINE = re.compile(r"^(LINE \d+: )(.*)\n( *)\^", re.M)
_KEPT_NESTED = (pa.types.is_struct, pa.types.is_map, pa.types.is_union, pa.types.is_interval)


def empty(schema: pa.Schema, *, clocked: bool) -> pa.Table:
    """A table without rows, with ``_known`` or without either of the lake's own columns."""
    own = {field.name for field in OWN_COLUMNS}
    fields = [field for field in schema if field.name not in own]
    return pa.schema([*fields, OWN_COLUMNS[0]] if clocked else fields).empty_table()


def described(sql: Sql, body: str) -> pa.Schema:
    """The columns of a query in the types they are kept in. Raises ``SourceError`` with DuckDB's reason."""
    return sql.describe(f"\n{body}\n")


def kept(schema: pa.Schema, file: str) -> pa.Schema:
    """The columns without ``_known``, in the types that tables keep. Raises ``SchemaError`` for those they do not."""
    fields = [field for field in schema if field.name != KNOWN]
    for field in fields:
        if field.name.startswith("_") and field.name in {own.name for own in OWN_COLUMNS}:
            message = f"{file}: {field.name} is a column that each table has of its own"
            raise SchemaError("DERIVE_RESERVED", message, name=field.name, hint="Give yours another name.")
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if any(nested(kind) for nested in _KEPT_NESTED):
            message = f"{file}: column {field.name} is {field.type}, which tables do not keep"
            raise SchemaError("DERIVE_TYPE", message, name=field.name, hint="Take it apart into columns, or cast it.")
    return pa.schema([(field.name, stored_type(field.type)) for field in fields])


def must_read_no_files(tokens: Sequence[Token], text: str, file: str) -> None:
    """Refuse functions that read files where a table stands: what is in them has no versions."""
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        stands = before.text.upper() in {"FROM", "JOIN", ","} and after.text == "("
        if stands and _READS.fullmatch(token.text.lower()):
            message = f"{file}: {token.text} reads files, which a table's definition may not"
            raise SchemaError("DERIVE_FILES", message, text=text, span=place(token), hint=_NO_FILES)


def must_be_distinct(tree: exp.Query, text: str, file: str) -> None:
    """Refuse two columns of one name, which DuckDB would call by a number."""
    from sqlglot import exp

    first = tree
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    seen: set[str] = set()
    for projection in first.expressions if isinstance(first, exp.Select) else ():
        name = projection.alias_or_name
        if name and name != "*" and name.casefold() in seen:
            named = [one for one in projection.find_all(exp.Identifier) if one.name == name and "start" in one.meta]
            span = Span(named[0].meta["start"], named[0].meta["end"] + 1) if named else None
            message = f"{file}: two columns are called {name}"
            hint = "Give one of them another name with AS."
            raise SchemaError("DERIVE_DUPLICATE_COLUMN", message, text=text, span=span, hint=hint)
        seen.add(name.casefold())


def must_name_its_columns(parsed: Parsed, text: str, file: str, schemas: Mapping[str, pa.Schema]) -> None:
    """Refuse a star that would follow every change of a table; one over a WITH that names its columns is fine."""
    open_over = tuple(_open_stars(parsed.tree))
    if not open_over:
        return
    tokens = parsed.tokens
    depth, spans = 0, []
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "*" and at and tokens[at - 1].text.upper() in {"SELECT", ",", "."} and depth == 0:
            spans.append(place(token))
    columns = [name for table in open_over if table in schemas for name in schemas[table].names]
    message = f"{file}: SELECT * would change this table whenever {' or '.join(open_over)} changes"
    hint = f"Name the columns: SELECT {', '.join(columns)}"
    raise SchemaError("DERIVE_STAR", message, text=text, span=spans[0] if spans else None, hint=hint)


def _open_stars(tree: exp.Expr) -> Iterable[str]:
    """The tables whose columns a query's own stars take over, through the queries between."""
    from sqlglot import exp

    if isinstance(tree, exp.SetOperation):
        yield from _open_stars(tree.left)
        yield from _open_stars(tree.right)
    elif isinstance(tree, exp.Subquery):
        yield from _open_stars(tree.this)
    elif isinstance(tree, exp.Select):
        starred = [one for one in tree.expressions if one.is_star and not isinstance(one, exp.Count)]
        given = tree.args.get("from_")
        sources = [given.this, *(join.this for join in tree.args.get("joins") or ())] if given and starred else []
        names = {one.table for one in starred if isinstance(one, exp.Column)}
        bare = any(not isinstance(one, exp.Column) for one in starred)
        for source in sources:
            if bare or source.alias_or_name in names:
                yield from _behind(source)


def _behind(source: exp.Expr) -> Iterable[str]:
    from sqlglot import exp

    if isinstance(source, exp.Table) and not isinstance(source.this, exp.Identifier):
        return  # a function that makes rows: its columns stay what they are
    if not isinstance(source, exp.Table):
        yield from _open_stars(source)
        return
    inner: exp.Expr | None = source
    while inner is not None:
        given = inner.args.get("with_")
        found = [cte for cte in given.expressions if cte.alias.casefold() == source.name.casefold()] if given else []
        if found and found[0] is not source.find_ancestor(exp.CTE):
            yield from _open_stars(found[0].this)
            return
        inner = inner.parent
    yield source.name.casefold()


# ------------------------------------------------------------ telling what DuckDB says


def explained(error: SourceError, text: str, file: str, schemas: Mapping[str, pa.Schema]) -> SchemaError:
    """DuckDB's reason as an error with the place in the file, what exists and what to try."""
    message = error.message
    for pattern in _COLUMN:
        if found := pattern.search(message):
            return _no_column(found, text, file, schemas)
    if found := _TABLE.search(message):
        name, exists = found["name"], re.findall(r'"([^"]+)"', found["exists"] or "")
        said = f"{file}: {name} is not among the tables that this SELECT reads"
        span = _place(text, [name, "."]) or _place(text, [name])
        return SchemaError("DERIVE_UNKNOWN_TABLE", said, text=text, span=span, name=name, candidates=exists)
    if found := _FUNCTION.search(message):
        meant = f"Did you mean {found['meant']}?" if found["meant"] else None
        said = f"{file}: there is no function {found['name']}"
        return SchemaError("DERIVE_UNKNOWN_FUNCTION", said, text=text, span=_place(text, [found["name"]]), hint=meant)
    if _REACHED.search(message):
        said = f"{file}: it reads files, which a table's definition may not"
        return SchemaError("DERIVE_FILES", said, text=text, span=_caret(message, text), hint=_NO_FILES)
    reason = " ".join(message.partition("\n\nLINE")[0].partition("\n\tCandidate functions")[0].split())
    code = "DERIVE_SYNTAX" if reason.startswith("Parser Error") else "DERIVE_REFUSED"
    return SchemaError(code, f"{file}: DuckDB refuses it: {reason}", text=text, span=_caret(message, text))


def _no_column(found: re.Match[str], text: str, file: str, schemas: Mapping[str, pa.Schema]) -> SchemaError:
    name, table = found["name"], found.groupdict().get("table")
    exists = dict.fromkeys(column for schema in schemas.values() for column in schema.names)
    where = table if table else " or ".join(schemas) or "the tables it reads"
    span = (_place(text, [table, ".", name]) if table else None) or _place(text, [name])
    message = f"{file}: there is no column {name!r} in {where}"
    return SchemaError("DERIVE_UNKNOWN_COLUMN", message, text=text, span=span, name=name, candidates=exists)


def _place(text: str, wanted: Sequence[str]) -> Span | None:
    """Where these words first stand one after another; the place of the last one that is a word."""
    tokens: list[Token] = dialect().tokenize(text)
    folded = [word.casefold() for word in wanted]
    for at in range(len(tokens) - len(wanted) + 1):
        if [token.text.casefold() for token in tokens[at : at + len(wanted)]] == folded:
            return place(tokens[at + len(wanted) - (2 if wanted[-1] == "." else 1)])
    return None


def _caret(message: str, text: str) -> Span | None:
    """The place that DuckDB points at, found again by the piece of the line that it shows."""
    found = _LINE.search(message)
    if found is None:
        return None
    shown, at = found[2], len(found[3]) - len(found[1])
    piece = shown.removeprefix("... ").removesuffix("...").removesuffix(" ")
    start = text.find(piece)
    if start < 0:
        return None
    place_at = start + at - (len(shown) - len(shown.removeprefix("... ")))
    return Span(place_at, place_at + word(text, place_at))
