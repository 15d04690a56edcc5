"""HTML as values: text is escaped where it becomes markup, and nowhere else, so that no name from data can slip by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

_EMPTY = frozenset({"br", "circle", "line", "meta", "path", "rect"})


class Markup(str):
    """Text that is markup already; any other text is escaped when it is put into an element."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | Iterable[Child] | None"
Attribute: TypeAlias = "str | float | bool | None"


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """An element. Attributes that are None or False are left out; ``class_`` is class, ``stroke_width`` stroke-width.

    >>> element("p", "a < b", element("b", "!"), class_="x", title='"')
    '<p class="x" title="&quot;">a &lt; b<b>!</b></p>'
    >>> element("line", x1=1.25, hidden=True), element("g", ["a", None])
    ('<line x1="1.25" hidden />', '<g>a</g>')
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{told} />")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    """Children one after the other, texts escaped."""
    if children is None:
        return Markup("")
    if isinstance(children, str):
        return children if isinstance(children, Markup) else Markup(escape(visible(children)))
    return Markup("".join(map(joined, children)))


def visible(text: str) -> str:
    """The text without characters that HTML cannot hold, or that turn the direction of what follows.

    >>> visible("a\\x00b\\u202ec")
    'a\\ufffdb\\ufffdc'
    """
    return "".join(_REPLACED if _is_odd(character) else character for character in text)


_REPLACED = "\N{REPLACEMENT CHARACTER}"
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _is_odd(character: str) -> bool:
    control = ord(character) < 32 and character not in "\t\n\r"
    return control or 0x7F <= ord(character) < 0xA0 or character in _TURNS or "\ud800" <= character <= "\udfff"


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    said = f"{round(value, 2):g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(visible(said))}"'


def table(head: Sequence[str], rows: Iterable[Sequence[Child]], *, caption: str, numeric: int = 1) -> Markup:
    """A table in a frame that scrolls by itself where the page is too narrow; from column ``numeric`` on, numbers.

    The first cell of each row is its heading.
    """
    heads = [element("th", name, scope="col", class_=_aligned(i, numeric)) for i, name in enumerate(head)]
    body = [element("tr", _cells(row, numeric)) for row in rows]
    return framed(caption, element("thead", element("tr", heads)), element("tbody", body))


def framed(caption: str, *parts: Child, class_: str | None = None) -> Markup:
    """The parts of a table under its caption, in a frame that scrolls by itself; the caption stays where it is."""
    whole = element("table", *parts, class_=class_, aria_label=caption)
    frame = element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return element("div", paragraph(caption, class_="caption"), frame, class_="table")


def _cells(row: Sequence[Child], numeric: int) -> list[Markup]:
    first, *rest = row
    return [
        element("th", first, scope="row"),
        *(element("td", cell, class_=_aligned(i, numeric)) for i, cell in enumerate(rest, 1)),
    ]


def _aligned(place: int, numeric: int) -> str | None:
    return "number" if place >= numeric else None


def cut(name: str, most: int = 40) -> str:
    """A name that is not too long for a heading; the rest of a longer one is an ellipsis.

    >>> cut("short"), cut("a" * 50, 5)
    ('short', 'aaaa…')
    """
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def details(summary: str, *children: Child) -> Markup:
    """What is shown when asked for, and always in print."""
    return element("details", element("summary", summary), *children)


def paragraph(*children: Child, class_: str | None = None) -> Markup:
    """A paragraph."""
    return element("p", *children, class_=class_)


def section(title: str, *children: Child, lead: Child = None) -> Markup:
    """A part of the page under its own heading; nothing where it has no content."""
    whole = joined(children)
    if not whole:
        return Markup("")
    told = None if lead is None else paragraph(lead, class_="lead")
    return element("section", element("h2", title), told, whole)
