"""Which objects came since the last look, with a marker that stays small however many objects there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from penstock.lake.objects.store import ObjectStore, StoredObject

_SECOND = 1_000_000
UPLOAD = 86_400 * _SECOND
"""How long an upload may take: services date an object when its upload begins, and show it when it ends."""
_SKEW = 960 * _SECOND
"""How far clocks may differ: S3 refuses requests dated a quarter of an hour off."""


@dataclass(frozen=True)
class Marker:
    """What was seen: every object stored up to ``before`` (microseconds), and the later ones by key.

    Of those: when it was stored, its ETag, and whether it was old enough then that one stored over it shows another
    time. ``before`` stays `UPLOAD` behind the newest object.
    """

    before: int = -1
    later: Mapping[str, tuple[int, str, bool]] = field(default_factory=dict)

    def to_text(self) -> str:
        """The marker as text, to be kept."""
        return json.dumps({"before": self.before, "later": self.later}, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Marker:
        """The marker that a text tells; an empty text has seen nothing."""
        told = json.loads(text or '{"before": -1, "later": {}}')
        later = {key: (int(m), str(etag), bool(settled)) for key, (m, etag, settled) in told["later"].items()}
        return cls(int(told["before"]), later)


def objects_since(
    store: ObjectStore, marker: Marker, now: int, under: str = ""
) -> tuple[tuple[StoredObject, ...], Marker]:
    """The objects that are new or were replaced since a marker, in the order they were stored, and the next marker.

    ``now`` is in microseconds since 1970. Deleted objects are not told. Services date objects to the second: within the
    first quarter of an hour an object is looked at again by its ETag, so that no replacement goes unnoticed.
    """
    listed = [one for one in store.list(under) if one.modified > marker.before]
    told = {one.key: one for one in store.states([one.key for one in listed if _doubtful(one, marker)])}
    current = [found for one in listed if (found := told.get(one.key) or _as_seen(one, marker)) is not None]
    new = [one for one in current if _seen(one, marker) is None]
    before = max(marker.before, max((one.modified for one in current), default=0) - UPLOAD)
    later = {one.key: (one.modified, one.etag, _settled(one, marker, now)) for one in current if one.modified > before}
    return tuple(sorted(new, key=lambda one: (one.modified, one.key))), Marker(before, later)


def _doubtful(one: StoredObject, marker: Marker) -> bool:
    """Whether the ETag has to be asked: not seen before, or seen so young that the time alone does not tell."""
    seen = marker.later.get(one.key)
    return seen is None or seen[0] != one.modified or not seen[2]


def _as_seen(one: StoredObject, marker: Marker) -> StoredObject | None:
    """An object that is what it was; None where it is gone since it was listed."""
    return None if _doubtful(one, marker) else replace(one, etag=marker.later[one.key][1])


def _seen(one: StoredObject, marker: Marker) -> tuple[int, str, bool] | None:
    seen = marker.later.get(one.key)
    return seen if seen is not None and seen[:2] == (one.modified, one.etag) else None


def _settled(one: StoredObject, marker: Marker, now: int) -> bool:
    seen = _seen(one, marker)
    return (seen is not None and seen[2]) or now - one.modified > _SKEW
