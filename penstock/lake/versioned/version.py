"""One version of a lake table, and how versions are named: by number, tag or instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock.errors import SourceError

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot

_FACT = "penstock.fact."
_KIND, _BATCH = "penstock.kind", "penstock.batch"


@dataclass(frozen=True)
class Version:
    """What one commit left: its number (1, 2, …), instant (microseconds since 1970), batch and row counts.

    ``rows`` counts the rows of the log, older versions of rows and deletions included; ``facts`` is whatever the
    writer noted with the commit (a watermark, offsets). Numbers grow with every commit and are never used again;
    instants grow too. ``kind`` is ``append``, ``replace`` or ``compact``.
    """

    number: int
    instant: int
    kind: str
    added: int
    rows: int
    batch: str
    facts: Mapping[str, str]
    snapshot: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Version:
        """The version that an Iceberg snapshot is."""
        summary = snapshot.summary
        told: Mapping[str, str] = {} if summary is None else summary.additional_properties
        return cls(
            snapshot.sequence_number or 0,
            snapshot.timestamp_ms * 1000,
            told.get(_KIND, "append"),
            int(told.get("added-records", 0)),
            int(told.get("total-records", 0)),
            told.get(_BATCH, ""),
            {name.removeprefix(_FACT): value for name, value in told.items() if name.startswith(_FACT)},
            snapshot.snapshot_id,
        )


def summary(kind: str, batch: str, facts: Mapping[str, str]) -> dict[str, str]:
    """What is written with a commit, to be read again by `Version.of`."""
    return {_KIND: kind, _BATCH: batch, **{_FACT + name: value for name, value in facts.items()}}


def named(table: str, which: int | str | datetime, versions: Sequence[Version], tags: Mapping[str, int]) -> Version:
    """The version called so: a number, a tag, or the newest one committed at or before an instant.

    A text is a tag's name first, then a number, then an instant as ISO 8601 writes it (UTC unless it says otherwise).
    Raises ``SourceError`` (``LAKE_UNKNOWN_VERSION``) with the versions and tags that there are.
    """
    wanted = _meant(which, tags)
    found = None
    if isinstance(wanted, datetime):
        instant = _micros(wanted)
        found = next((v for v in reversed(versions) if v.instant <= instant), None)
    elif wanted is not None:
        found = next((v for v in versions if v.number == wanted), None)
    if found is not None:
        return found
    there = [*map(str, (v.number for v in versions)), *tags]
    message = f"{table} has no version {str(which)!r}"
    hint = None
    if isinstance(wanted, datetime) and versions:
        hint = f"Its oldest version is of {_iso(versions[0].instant)}."
    raise SourceError("LAKE_UNKNOWN_VERSION", message, name=str(which), candidates=there, hint=hint)


def _meant(which: int | str | datetime, tags: Mapping[str, int]) -> int | datetime | None:
    """A number or an instant; None for a text that is neither, nor a tag."""
    if not isinstance(which, str):
        return which
    if which in tags:
        return tags[which]
    if which.isdecimal():
        return int(which)
    try:
        return datetime.fromisoformat(which)
    except ValueError:
        return None


def _micros(instant: datetime) -> int:
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _iso(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1e6, UTC).isoformat(timespec="milliseconds")
