"""The comments at the head of a SQL file that say what the table's columns are for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from penstock.errors import SchemaError, Span

NAMES = ("key", "time", "known", "links", "incremental", "description")
_LINE = re.compile(r"[ \t]*--[ \t]*(\w+)[ \t]*:[ \t]*(.*?)[ \t]*$")
_PART = re.compile(r'"((?:[^"]|"")*)"|([^,"\s][^,"]*)')


@dataclass(frozen=True)
class Directives:
    """What a file's leading comments say; ``spans`` tells where each was said."""

    key: tuple[str, ...] = ()
    time: str | None = None
    known: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    incremental: bool = True
    description: str = ""
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)


def read_directives(text: str, file: str) -> Directives:
    """The directives of a SQL text. Raises ``SchemaError`` for one that cannot be read.

    >>> found = read_directives("-- key: order_id\\n-- links: customer_id -> customers\\nSELECT 1", "orders.sql")
    >>> found.key, dict(found.links)
    (('order_id',), {'customer_id': 'customers'})
    """
    told: dict[str, list[str]] = {}
    spans: dict[str, Span] = {}
    for name, value, span in _lines(text):
        if name not in NAMES:
            _must_not_be_meant(name, text, span, file)
            continue
        told.setdefault(name, []).append(value)
        spans[name] = span
    single = {name: _single(name, told[name], text, spans[name], file) for name in ("time", "known") if name in told}
    return Directives(
        tuple(part for value in told.get("key", ()) for part in _parts(value)),
        single.get("time"),
        single.get("known"),
        _links(told.get("links", ()), text, spans.get("links"), file),
        _switch(told.get("incremental", ["on"])[-1], text, spans.get("incremental"), file),
        " ".join(told.get("description", ())),
        spans,
    )


def _lines(text: str) -> Iterator[tuple[str, str, Span]]:
    """The leading comments that look like directives: name, value and the value's place."""
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if bare.strip() and not bare.lstrip().startswith("--"):
            return
        found = _LINE.match(bare)
        if found:
            yield found[1].lower(), found[2], Span(at + found.start(2), at + max(found.end(2), found.start(2) + 1))
        at += len(line)


def _must_not_be_meant(name: str, text: str, span: Span, file: str) -> None:
    """Refuse a misspelt directive; any other comment with a colon is a comment."""
    if difflib.get_close_matches(name, NAMES, n=1, cutoff=0.75) or any(_swapped(name, one) for one in NAMES):
        message = f"{file}: there is no directive {name!r}"
        raise SchemaError("DERIVE_DIRECTIVE", message, text=text, span=span, name=name, candidates=NAMES)


def _swapped(name: str, meant: str) -> bool:
    """Whether two letters that stand side by side have changed places.

    >>> _swapped("kye", "key"), _swapped("item", "time")
    (True, False)
    """
    return any(name == meant[:at] + meant[at + 1] + meant[at] + meant[at + 2 :] for at in range(len(meant) - 1))


def _parts(value: str) -> list[str]:
    """Names between commas; a quoted one may hold a comma."""
    return [quoted.replace('""', '"') if quoted else plain.strip() for quoted, plain in _PART.findall(value)]


def _single(name: str, values: list[str], text: str, span: Span, file: str) -> str:
    parts = [part for value in values for part in _parts(value)]
    if len(parts) != 1:
        message = f"{file}: '{name}' names one column"
        raise SchemaError("DERIVE_DIRECTIVE", message, text=text, span=span, hint=f"Write -- {name}: column")
    return parts[0]


def _links(values: list[str] | tuple[str, ...], text: str, span: Span | None, file: str) -> dict[str, str]:
    links = {}
    for part in (part for value in values for part in value.split(",") if part.strip()):
        column, arrow, table = (piece.strip().strip('"') for piece in part.partition("->"))
        if not (column and arrow and table):
            message = f"{file}: a link reads column -> table"
            hint = "Write -- links: customer_id -> customers"
            raise SchemaError("DERIVE_DIRECTIVE", message, text=text, span=span, hint=hint)
        links[column] = table
    return links


def _switch(value: str, text: str, span: Span | None, file: str) -> bool:
    if value.lower() not in {"on", "off"}:
        message = f"{file}: 'incremental' is on or off"
        raise SchemaError("DERIVE_DIRECTIVE", message, text=text, span=span, name=value, candidates=("on", "off"))
    return value.lower() == "on"
