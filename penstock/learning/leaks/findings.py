"""What an audit found: which column or feature may know the future, the evidence, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Action = Literal["dropped", "kept", "asked"]
_SHOWN = 12


@dataclass(frozen=True)
class Finding:
    """A suspicion, its evidence in words with numbers, and what was done.

    ``what`` names a column (``users.Reputation``), all rows of a table (``tags.*``) or a feature. ``kind`` is one of
    *snapshot* (holds what came later), *last seen* (a date that is overwritten), *key* (encodes time), *no clock*
    (rows that cannot be dated), *same moment* (comes to be known with the answer), *copy* (the answer again) and
    *too good* (tells the answer alone). *Asked* is kept, too: the evidence speaks but does not prove.
    """

    kind: str
    what: str
    evidence: str
    action: Action

    @property
    def sentence(self) -> str:
        """The finding in one sentence.

        >>> print(Finding("key", "posts.number", "its order is that of posts.at", "dropped").sentence)
        posts.number was left out (key): its order is that of posts.at.
        """
        done = {"dropped": "was left out", "kept": "was kept", "asked": "was kept, but look at it"}[self.action]
        return f"{self.what} {done} ({self.kind}): {self.evidence}."

    def to_dict(self) -> dict[str, str]:
        """As plain values for JSON."""
        return {"kind": self.kind, "what": self.what, "evidence": self.evidence, "action": self.action,
                "sentence": self.sentence}  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Finding:
        """The finding that `to_dict` wrote."""
        return cls(plain["kind"], plain["what"], plain["evidence"], plain["action"])


def told(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The findings as an evaluation's notes: one for each action, and how to have it otherwise."""
    by_action: dict[str, list[Finding]] = {"dropped": [], "asked": [], "kept": []}
    for finding in findings:
        by_action[finding.action].append(finding)
    heads = {
        "dropped": ("Left out, as they know the future or the answer", _KEEP),
        "asked": ("Kept, though they may know the future or the answer", _LEAVE),
        "kept": ("Kept all the same", ""),
    }
    return tuple(
        f"{heads[action][0]}: {_listed(some)}.{heads[action][1].format(some[0].what)}"
        for action, some in by_action.items()
        if some
    )


_KEEP = " To keep a column all the same, set its kind by hand; to keep all, ask with leaks='keep'."
_LEAVE = " If one does, leave it out, as by set('table.column', kind='ignored'), or say when each value was known."


def _listed(some: list[Finding]) -> str:
    shown = "; ".join(f"{f.what} ({f.evidence})" for f in some[:_SHOWN])
    return shown + (f"; and {len(some) - _SHOWN} more" if len(some) > _SHOWN else "")
