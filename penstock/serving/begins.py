"""Requests that begin as one before, to the byte: all but whom they are about is known of them.

Most who ask for features ask for the same ones again and again, and name the entities last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from penstock.serving.bodies import Columns

T = TypeVar("T")
_MOST, _LONGEST = 256, 1 << 15
_ENTITIES = b'"entities":'
_COLUMNS = msgspec.json.Decoder(Columns)


@dataclass
class Begins(Generic[T]):
    """What bodies of requests that were read before want, by all that stands before their entities."""

    _known: dict[bytes, T] = field(default_factory=dict)

    def find(self, body: bytes) -> tuple[Columns, T] | None:
        """Whom a body is about, and what it wants; None for one that begins or ends otherwise than those before.

        >>> begins, body = Begins(), b'{"features": ["a:b"], "entities": {"id": [%d]}}'
        >>> begins.keep(body % 1, "a:b")
        >>> begins.find(body % 2), begins.find(b'{"features": ["c"], "entities": {"id": [2]}}')
        (({'id': [2]}, 'a:b'), None)
        """
        end = body.rfind(_ENTITIES) + len(_ENTITIES)
        known = self._known.get(body[:end]) if end <= _LONGEST else None
        columns = None if known is None else _last(body, end)
        return None if known is None or columns is None else (columns, known)

    def keep(self, body: bytes, wanted: T) -> None:
        """Remember a body that was read as a whole and wants this, if its entities come last.

        What stands between such a beginning and a last brace can be nothing but entities: the beginning ends neither
        inside a text, of which the rest would hold an odd number of quotes, nor deeper than one brace.
        """
        end = body.rfind(_ENTITIES) + len(_ENTITIES)
        begin = body[:end]
        whole = begin.endswith(_ENTITIES) and not begin.endswith(b"\\" + _ENTITIES)
        if whole and end <= _LONGEST and _last(body, end) is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[begin] = wanted


def _last(body: bytes, end: int) -> Columns | None:
    """The entities, where nothing but a brace follows them."""
    if body[-1:] != b"}":
        return None
    try:
        return _COLUMNS.decode(body[end:-1])
    except (RecursionError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
