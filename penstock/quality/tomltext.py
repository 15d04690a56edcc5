"""Values as TOML writes them, so that reading gives the same values again."""

from __future__ import annotations

import datetime as dt
import re

from penstock.quality.kinds import Option, Scalar

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_CONTROL = re.compile(r'[\x00-\x1f\x7f"\\]')
_QUOTES = re.compile(r'"(?="")|"\Z')
_BARE = re.compile(r"[A-Za-z0-9_-]+")
WIDE = 100


def toml_key(name: str) -> str:
    """A key, quoted where it must be.

    >>> toml_key("min"), toml_key("order id")
    ('min', '"order id"')
    """
    return name if _BARE.fullmatch(name) else toml_text(name)


def toml_value(value: Option) -> str:
    """A value. Long lists and texts of several lines are laid out over lines.

    >>> print(toml_value(("a", 1, 2.5, True)))
    ["a", 1, 2.5, true]
    """
    if not isinstance(value, tuple):
        return _scalar(value)
    parts = [_scalar(one) for one in value]
    line = f"[{', '.join(parts)}]"
    return line if len(line) <= WIDE else "[\n" + "".join(f"  {part},\n" for part in parts) + "]"


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _block(value) if "\n" in value else toml_text(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return repr(value)


def toml_text(text: str) -> str:
    """A text on one line."""
    return '"' + _CONTROL.sub(_escaped, text) + '"'


def _block(text: str) -> str:
    """A text over several lines, as it is; only what would not come back is escaped."""
    body = _CONTROL.sub(lambda found: found[0] if found[0] in '\n\t"' else _escaped(found), text)
    return '"""\n' + _QUOTES.sub('\\\\"', body) + '"""'


def _escaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}"
