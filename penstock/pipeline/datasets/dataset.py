"""One dataset snapshot, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b


@dataclass(frozen=True)
class Pinned:
    """One table of a snapshot: its version, its rows (row versions included), and a hash of its files and columns."""

    version: int
    rows: int
    content: str


@dataclass(frozen=True)
class Dataset:
    """What was pinned, when (microseconds since 1970), and under which name.

    Two snapshots with the same tables, queries and settings have the same ``hash``, whatever they are called.
    """

    name: str
    made: int
    tables: Mapping[str, Pinned]
    queries: Mapping[str, str]
    settings: Mapping[str, object]

    @cached_property
    def hash(self) -> str:
        """A hash of all that an answer from this snapshot rests on."""
        told = {
            "tables": {name: pinned.content for name, pinned in self.tables.items()},
            "queries": dict(self.queries),
            "settings": self.settings,
        }
        return blake2b(json.dumps(told, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()

    @property
    def versions(self) -> dict[str, int]:
        """Each table's version."""
        return {name: pinned.version for name, pinned in self.tables.items()}

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {**asdict(self), "hash": self.hash}

    @classmethod
    def from_dict(cls, told: Mapping[str, object]) -> Dataset:
        """The snapshot that `to_dict` told. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is none."""
        plain = json.loads(json.dumps(told))
        tables = {name: Pinned(**pinned) for name, pinned in plain["tables"].items()}
        made = cls(plain["name"], plain["made"], tables, plain["queries"], plain["settings"])
        if plain["hash"] != made.hash:
            raise ValueError(f"its hash is {plain['hash']}, but what it says hashes to {made.hash}")
        return made

    def __str__(self) -> str:
        tables = [f"  {name}: version {p.version}, {p.rows:,} row versions" for name, p in self.tables.items()]
        return "\n".join([f"{self.name} ({self.hash})", *tables])
