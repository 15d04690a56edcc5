"""Sections as TOML: every text quoted, every list on one line, small tables inline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from penstock.features.feast.carrying import Carried

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STORE = ("[online]", 'store = ".penstock/online"')


def toml_text(carried: Carried) -> str:
    """The project's file; what a repository serves is to be served by the project, so that it keeps a store."""
    return "\n".join([f"name = {value_text(carried.name)}", *_lines(carried), "", *_STORE]) + "\n"


def _lines(carried: Carried) -> Iterator[str]:
    for kind, sections in carried.sections.items():
        for name, section in sections.items():
            yield ""
            yield f"[{kind}.{_key(name)}]"
            for key, value in section.items():
                if value != {}:
                    yield f"{_key(key)} = {value_text(value)}"


def value_text(value: object) -> str:
    r"""A text, a truth value, a number, a list or a mapping as TOML says it.

    >>> print(value_text({"a b": ["x", 'say "y"'], "c": 1}))
    { "a b" = ["x", "say \"y\""], c = 1 }
    """
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(str(name))} = {value_text(one)}' for name, one in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else value_text(name)
