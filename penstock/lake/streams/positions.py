"""How far a table has been read: small numbers by name, kept with the rows and once more in a ledger beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from penstock.lake.reserved import TAIL
from penstock.lake.streams.log import framed, frames, write_whole
from penstock.lake.versioned import VersionedTable

KNOWN = "known"
AT, ONCE = "at:", "once:"
FULL = 256
RECEIPTS = 100_000
_FACT = "positions"
_GROWN = 4 << 20

CAME = "_penstock_came"
"""The column with the number by which each row came; without it ``_known`` is that number."""

Positions = Mapping[str, int]
"""``at:PARTITION`` → last offset, ``once:RECEIPT`` → its content's digest, ``known`` → the number of the last row.

Rows are numbered as they come: by the instant, or where the clock stands by one more than the row before. Where no
column says otherwise, this is when they were known.
"""


def advanced(positions: Positions, *later: Positions) -> dict[str, int]:
    """Positions with later ones over them; of the receipts only the newest are kept.

    >>> advanced({"at:p": 1, "known": 5}, {"at:p": 3})
    {'at:p': 3, 'known': 5}
    """
    whole = dict(positions)
    for change in later:
        whole.update(change)
    receipts = [name for name in whole if name.startswith(ONCE)]
    for name in receipts[: max(len(receipts) - RECEIPTS, 0)]:
        del whole[name]
    return whole


def facts(tail: str, number: int, whole: Positions, change: Positions) -> dict[str, str]:
    """What a version says of the stream: segment and positions (all, unless they are many; then what changed)."""
    lasting = {name: value for name, value in whole.items() if not name.startswith(ONCE)}
    if len(lasting) > FULL:
        lasting = {name: value for name, value in change.items() if not name.startswith(ONCE)}
    return {TAIL: f"{tail}:{number}", _FACT: json.dumps(lasting, separators=(",", ":"))}


def told(facts: Mapping[str, str]) -> tuple[str, int, dict[str, int]] | None:
    """The tail, segment and positions that a version's facts say; None where it came from elsewhere."""
    if _FACT not in facts or TAIL not in facts:
        return None
    tail, _, number = facts[TAIL].rpartition(":")
    return tail, int(number), json.loads(facts[_FACT])


def last_segment(table: VersionedTable, tail: str) -> int:
    """The newest segment of a tail that the table's newest version holds; 0 when it holds none."""
    newest_first = (version.facts for version in reversed(table.versions()))
    for facts in chain([table.facts()], newest_first):
        found = told(facts)
        if found is not None and found[0] == tail:
            return found[1]
    return 0


@dataclass
class Ledger:
    """A file of positions, one record a flushed segment, for what outlives the versions that said it."""

    path: Path
    positions: dict[str, int] = field(default_factory=dict)
    _settled: int = 0

    def records(self) -> list[tuple[int, dict[str, int]]]:
        """Segment numbers and what changed with each, oldest first."""
        if not self.path.exists():
            return []
        found = [json.loads(body) for body, _ in frames(self.path.read_bytes(), self.path.name)]
        return [(int(number), change) for number, change in found]

    def begin(self, number: int, positions: Positions) -> None:
        """Write the whole anew: positions as they are after a segment."""
        self.positions = dict(positions)
        data = _record(number, positions)
        write_whole(self.path, data)
        self._settled = len(data)

    def note(self, number: int, change: Positions) -> None:
        """Add what a segment changed; durable when this returns."""
        self.positions = advanced(self.positions, change)
        with self.path.open("ab") as file:
            file.write(_record(number, change))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if size > 2 * self._settled + _GROWN:
            self.begin(number, self.positions)


def _record(number: int, positions: Positions) -> bytes:
    return framed(json.dumps([number, positions], separators=(",", ":")).encode())


def restored(ledger: Ledger, tables: Iterable[VersionedTable]) -> tuple[int, dict[str, int]]:
    """The newest flushed segment and the positions after it, by the ledger and by what tables' facts say."""
    records = ledger.records()
    for table in tables:
        facts = [table.facts(), *(version.facts for version in table.versions())]
        records += [(found[1], found[2]) for found in map(told, facts) if found]
    records.sort(key=lambda record: record[0])
    whole = advanced({}, *(change for _, change in records))
    return (records[-1][0] if records else 0), whole


__all__ = [
    "AT",
    "CAME",
    "KNOWN",
    "ONCE",
    "Ledger",
    "Positions",
    "advanced",
    "facts",
    "last_segment",
    "restored",
    "told",
]
