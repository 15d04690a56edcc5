"""What verifying found: for each feature how many values were compared, which differed, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from penstock.errors import RefusedError

Difference: TypeAlias = Literal["mismatch", "missing", "extra"]
"""A value that is another one, one that was not served, one that should not have been."""
Cause: TypeAlias = Literal["late row", "ttl", "definition version", "clock", "type", "key", "online push", "unknown"]

CAUSES: Mapping[Cause, str] = {
    "late row": "rows that were known when it was served were not in the store yet",
    "ttl": "the store and training disagree about the maximum age",
    "definition version": "the definition was another one when it was served",
    "clock": "it was worked out for another instant than the one it was served at",
    "type": "the same value in another type",
    "key": "no row names the entity that it was served of",
    "online push": "rows that were pushed to the store alone were in it: no lake has them",
    "unknown": "nothing explains it",
}
"""Every cause in words."""
EXAMPLES = 5
"""So many are told of a feature."""


@dataclass(frozen=True)
class Example:
    """A value that differed: when it was served, what was, and what training would read."""

    at: int
    difference: Difference
    cause: Cause
    served: object
    trained: object


@dataclass(frozen=True)
class FeatureVerdict:
    """How a feature's served values compare with those that training reads for the same instants.

    ``alone`` are those that differ because they rested on rows that the store alone was told (cause ``online push``).
    """

    feature: str
    checked: int = 0
    mismatch: int = 0
    missing: int = 0
    extra: int = 0
    alone: int = 0
    causes: Mapping[Cause, int] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    def __add__(self, other: FeatureVerdict) -> FeatureVerdict:
        """What was found of the same feature, by other answers."""
        return FeatureVerdict(
            self.feature,
            self.checked + other.checked,
            self.mismatch + other.mismatch,
            self.missing + other.missing,
            self.extra + other.extra,
            self.alone + other.alone,
            dict(Counter(self.causes) + Counter(other.causes)),
            (*self.examples, *other.examples)[:EXAMPLES],
        )

    @property
    def differing(self) -> int:
        """How many values differed in any way, but for those that rested on rows of the store alone."""
        return self.mismatch + self.missing + self.extra

    def to_dict(self) -> dict[str, object]:
        """The verdict as plain values for JSON."""
        counts = {
            "checked": self.checked,
            "mismatch": self.mismatch,
            "missing": self.missing,
            "extra": self.extra,
            "alone": self.alone,
        }
        examples = [
            {"at": e.at, "difference": e.difference, "cause": e.cause, "served": e.served, "trained": e.trained}
            for e in self.examples
        ]
        return {"feature": self.feature, **counts, "causes": dict(self.causes), "examples": examples}


@dataclass(frozen=True)
class Verified:
    """The verdicts of all features that were looked at.

    ``served`` counts the entities of the answers compared, ``unknown_keys`` those of them whose keys no row has, and
    ``superseded`` the entities of answers that were given by definitions that have been replaced since.
    """

    features: tuple[FeatureVerdict, ...]
    served: int = 0
    unknown_keys: int = 0
    superseded: int = 0

    def __add__(self, other: Verified) -> Verified:
        """The verdicts of both, feature by feature."""
        mine, theirs = ({one.feature: one for one in told.features} for told in (self, other))
        both = {name: mine[name] + theirs[name] if name in mine and name in theirs else mine.get(name) or theirs[name]
                for name in sorted({*mine, *theirs})}  # fmt: skip
        counts = (self.served + other.served, self.unknown_keys + other.unknown_keys)
        return Verified(tuple(both.values()), *counts, self.superseded + other.superseded)

    @property
    def checked(self) -> int:
        """How many values were compared."""
        return sum(one.checked for one in self.features)

    @property
    def differing(self) -> int:
        """How many of them differed."""
        return sum(one.differing for one in self.features)

    @property
    def alone(self) -> int:
        """How many of them rested on rows that the store alone was told, and cannot be worked out again."""
        return sum(one.alone for one in self.features)

    @property
    def passed(self) -> bool:
        """Whether something was compared that can be worked out again, and nothing of it differed."""
        return self.checked > self.alone and self.differing == 0

    def must_pass(self) -> None:
        """Raise ``RefusedError`` (``ONLINE_DIFFERS``, ``ONLINE_UNVERIFIED``) unless it passed."""
        if self.differing:
            worst: Sequence[FeatureVerdict] = [one for one in self.features if one.differing]
            told = ", ".join(f"{one.feature} ({one.differing} of {one.checked}: {_why(one)})" for one in worst[:5])
            message = f"{self.differing:,} of {self.checked:,} served values are not what training reads: {told}"
            raise RefusedError("ONLINE_DIFFERS", message, hint="See them: penstock online verify --json")
        if self.checked == self.alone:
            message = "no served value could be compared"
            raise RefusedError("ONLINE_UNVERIFIED", message, hint="Serve some first, or let it sample keys itself.")

    def to_dict(self) -> dict[str, object]:
        """All verdicts as plain values for JSON."""
        return {
            "passed": self.passed,
            "checked": self.checked,
            "differing": self.differing,
            "alone": self.alone,
            "unknown_keys": self.unknown_keys,
            "superseded": self.superseded,
            "features": [one.to_dict() for one in self.features],
        }


def _why(one: FeatureVerdict) -> str:
    return ", ".join(f"{cause} {count}" for cause, count in one.causes.items())
