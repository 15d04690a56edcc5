"""Whether what changed may come in, who stands in the way, and the lines that settle it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from penstock.errors import RefusedError
from penstock.pipeline.change.changes import Change, Changes, Doubtful, Dropped, Renamed, Retyped
from penstock.pipeline.change.impact import Broken, Dependant, Downstream, harmless, impact, nowhere

FILE = "penstock.toml"


@dataclass(frozen=True)
class Verdict:
    """A table's changes, what they break, what of it is refused, and what to write down.

    ``refused`` are the breakages that stop the table; ``notes`` tell the rest: columns
    that are gone and that nothing uses, and doubts.
    """

    table: str
    changes: Changes
    refused: tuple[Broken, ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether the table's new rows may come in."""
        return not self.refused

    @property
    def dependants(self) -> tuple[str, ...]:
        """Who stands in the way, by kind and name, each once."""
        return tuple(dict.fromkeys(str(broken.dependant) for broken in self.refused))

    def error(self) -> RefusedError | None:
        """The refusal (``CHANGE_BREAKS``), naming each change, all its dependants and the lines to write; None if none.

        Who stands in the way is told in the message; `dependants` has the list.
        """
        if self.passes:
            return None
        changes = dict.fromkeys(broken.change for broken in self.refused)
        told = "; ".join(f"{change}; that breaks {_breaks(change, self.refused)}" for change in changes)
        hint = "\n  ".join([f"The last good version stays in use. Write into {FILE}:", *self.advice])
        return RefusedError("CHANGE_BREAKS", f"{self.table}: {told}", hint=hint)

    def must_pass(self) -> None:
        """Raise the refusal, if there is one."""
        error = self.error()
        if error is not None:
            raise error

    def __str__(self) -> str:
        if not self.changes:
            return "\n".join([f"{self.table}: nothing changed", *(f"  note: {note}" for note in self.notes)])
        told = [f"{self.table} {'passes' if self.passes else 'is refused'}:"]
        for change in self.changes.all:
            told.append(f"  {change}")
            told += [f"    breaks {broken}" for broken in self.refused if broken.change == change]
        told += [f"  note: {note}" for note in self.notes]
        return "\n".join([*told, *(f"  {line}" for line in self.advice)])

    def to_dict(self) -> dict[str, object]:
        """The verdict as plain values for JSON."""
        return {
            "table": self.table,
            "passes": self.passes,
            **self.changes.to_dict(),
            "broken": [broken.to_dict() for broken in self.refused],
            "verdict_notes": list(self.notes),
            "advice": list(self.advice),
        }


def judged(
    changes: Changes,
    table: str,
    dependants: Iterable[Dependant] = (),
    downstream: Downstream = nowhere,
    drops: Collection[str] = (),
) -> Verdict:
    """The verdict on a table's changes.

    Added columns, wider types and declared renames pass. A column that is dropped, narrowed, made another kind of
    value, or renamed without a word, is refused while something uses it; ``drops`` are those whose loss is accepted.
    Columns that seem to have changed places are told, never refused.
    """
    broken = impact(changes, table, dependants, downstream)
    refused = tuple(b for b in broken if not isinstance(b.change, Doubtful) and _column(b.change) not in drops)
    notes = tuple(_note(change, broken, drops) for change in changes.all if _worth_a_note(change, refused))
    return Verdict(table, changes, refused, notes + changes.notes, advice(changes, table, refused))


def advice(changes: Changes, table: str, broken: Iterable[Broken] = (), file: str = FILE) -> tuple[str, ...]:
    """The lines for a project's file that settle the changes; none where nothing is to be written.

    Renames that are declared already stay in the line, which takes the place of the old one.
    """
    lines = []
    if any(not one.declared for one in changes.renamed):
        pairs = ", ".join(f"{_key(one.ours)} = {_text(one.theirs)}" for one in changes.renamed)
        lines.append(f"renames = {{ {pairs} }}")
    for doubt in (one for one in changes.doubtful if not one.swapped):
        told = (f"renames = {{ {_key(doubt.column)} = {_text(name)} }}" for name, _ in doubt.candidates)
        lines.append(_remark(f"{doubt}. One of: {'  or  '.join(told)}"))
    gone = dict.fromkeys(b.change.column for b in broken if isinstance(b.change, Dropped))
    if gone:
        lines.append(_remark(f"if they are not needed any more: drops = [{', '.join(map(_text, gone))}]"))
    return (f"# {file}", f"[tables.{_key(table)}]", *lines) if lines else ()


def _key(name: str) -> str:
    """A name as TOML writes a key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    """A text as TOML writes it: as JSON does, but for one letter."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _remark(text: str) -> str:
    """A comment of one line, whatever names hold."""
    return "# " + re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text)


def _column(change: Change) -> str:
    return change.column


def _breaks(change: Change, refused: Iterable[Broken]) -> str:
    return ", ".join(dict.fromkeys(str(broken.dependant) for broken in refused if broken.change == change))


def _worth_a_note(change: Change, refused: Iterable[Broken]) -> bool:
    """Whether a change passes but should be known."""
    if isinstance(change, Dropped | Renamed | Retyped):
        return not harmless(change) and all(broken.change != change for broken in refused)
    return isinstance(change, Doubtful)


def _note(change: Change, broken: Iterable[Broken], drops: Collection[str]) -> str:
    users = _breaks(change, broken)
    if isinstance(change, Doubtful):
        return f"{change}; look before you trust {users}" if users else str(change)
    accepted = change.column in drops
    return f"{change}; {'its loss is accepted' if accepted else 'nothing uses it'}"
