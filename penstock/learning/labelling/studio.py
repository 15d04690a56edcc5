"""Label Studio's exports as labels: JSON (tasks with annotations) and JSON-MIN (one flat object an annotation)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from penstock.errors import SourceError
from penstock.learning.labelling.door import Defaults, gather
from penstock.learning.labelling.label import GOLD, Labels
from penstock.learning.rows.timeline import now as present

SOURCE, MODEL = "label studio", "model"
BETWEEN = " | "
"""What joins several choices into one value."""
Clock: TypeAlias = Literal["annotated", "imported"]
_CONTROLS = ("choices", "number", "rating", "text", "taxonomy", "labels")
_NOT_DATA = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"})
_CANCELLED, _SILENT, _MINE = (
    "cancelled annotations",
    "annotations without an answer",
    "annotations without this control",
)


@dataclass(frozen=True)
class Task:
    """How a task of Label Studio names what Penstock needs.

    ``entity`` and ``happened`` are fields of the task's data (``happened`` None, or absent there: about no time), and
    ``control`` the name of the control that is answered; None where a project has one alone. ``known`` says when an
    annotation counts as known: when it was ``annotated``, or when it is ``imported``.
    """

    entity: str = "entity"
    happened: str | None = "cutoff"
    control: str | None = None
    known: Clock = "annotated"


AS_EXPORTED = Task()


def from_label_studio(
    source: str | Path | list[Any],
    task: Task = AS_EXPORTED,
    *,
    predictions: bool = False,
    now: Callable[[], int] = present,
) -> Labels:
    """Labels from a Label Studio export: a file, or what its JSON holds.

    Read are choices, taxonomies (levels joined by `` / ``), numbers, ratings and texts; several choices of one
    annotation are one value, joined by `` | ``. The labeller is who completed the annotation, its source
    ``label studio``, or ``gold`` where it is marked as ground truth. With ``predictions``, the models' are labels of
    the source ``model``, their score as confidence. Cancelled and unanswered annotations are skipped and counted; what
    cannot be read is rejected with its place. Raises ``SourceError`` for what is no such export.
    """
    tasks = _opened(source)
    reading = _Reading(task, predictions)
    labels = gather(reading.all(tasks), Defaults("unnamed", SOURCE), now())
    return Labels(labels.rows, labels.rejected, {**reading.skipped, **labels.skipped})


def _opened(source: str | Path | list[Any]) -> list[Any]:
    if isinstance(source, list):
        return _listed(source, "the export")
    path = Path(source)
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError("SOURCE_ABSENT", f"{path.name} cannot be read: {error.strerror}", name=path.name) from error
    except (ValueError, RecursionError) as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} is no JSON: {error}") from error
    return _listed(found, path.name)


def _listed(found: object, name: str) -> list[Any]:
    if not isinstance(found, list):
        hint = "Export a project as JSON or JSON-MIN."
        message = f"{name} is no export of Label Studio: it holds no list of tasks"
        raise SourceError("LABELS_NO_EXPORT", message, hint=hint)
    return found


@dataclass
class _Reading:
    """The reading of one export: what to look for, and what was skipped."""

    task: Task
    predictions: bool
    control: str | None = None
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, why: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1

    def all(self, tasks: list[Any]) -> Iterator[tuple[str, Mapping[str, object]]]:
        self.control = self.task.control or _sole_control(tasks, {self.task.entity, self.task.happened})
        for number, one in enumerate(tasks, 1):
            place = f"task {number}"
            if not isinstance(one, dict):
                yield place, {}
            elif "annotations" in one or "completions" in one or "data" in one:
                yield from self._full(one, place)
            else:
                yield from self._flat(one, place)

    # ------------------------------------------------------------ JSON

    def _full(self, task: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, object]]]:
        data = task.get("data")
        whose = self._whose(data if isinstance(data, dict) else {})
        for at, annotation in enumerate(_some(task, "annotations") or _some(task, "completions"), 1):
            here = f"{place}, annotation {at}"
            if annotation.get("was_cancelled"):
                self.skip(_CANCELLED)
            else:
                yield from self._answered(annotation, here, {**whose, **self._by(annotation)})
        for at, guess in enumerate(_some(task, "predictions") if self.predictions else [], 1):
            model = guess.get("model_version") or MODEL
            said = {"labeller": str(model), "source": MODEL, "confidence": guess.get("score")}
            known = {"known": self._known(guess)}
            yield from self._answered(guess, f"{place}, prediction {at}", {**whose, **said, **known})

    def _whose(self, data: Mapping[str, Any]) -> dict[str, object]:
        happened = None if self.task.happened is None else data.get(self.task.happened)
        return {"entity": data.get(self.task.entity), "happened": happened}

    def _by(self, annotation: Mapping[str, Any]) -> dict[str, object]:
        source = GOLD if annotation.get("ground_truth") else SOURCE
        return {"labeller": _who(annotation.get("completed_by")), "source": source, "known": self._known(annotation)}

    def _known(self, annotation: Mapping[str, Any]) -> object:
        if self.task.known == "imported":
            return None
        return annotation.get("updated_at") or annotation.get("created_at")

    def _answered(
        self, annotation: Mapping[str, Any], place: str, said: Mapping[str, object]
    ) -> Iterator[tuple[str, Mapping[str, object]]]:
        results = _some(annotation, "result")
        mine = [r for r in results if r.get("from_name") == self.control and _value_of(r) is not None]
        if not mine:
            self.skip(_SILENT if not results else _MINE)
            return
        values = [_value_of(result) for result in mine]
        yield place, {**said, "value": BETWEEN.join(dict.fromkeys(str(v) for v in values))}

    # ------------------------------------------------------------ JSON-MIN

    def _flat(self, row: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, object]]]:
        answer = None if self.control is None else row.get(self.control)
        value = _flat_value(answer)
        if value is None:
            self.skip(_SILENT)
            return
        said = {**self._whose(row), "labeller": _who(row.get("annotator")), "known": self._known(row)}
        yield place, {**said, "value": value}


def _some(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a list; none where there is no list."""
    found = holder.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _who(completed_by: object) -> str | None:
    """A person, as an export names one: a number, an address, or an object that holds them."""
    if isinstance(completed_by, Mapping):
        named = (completed_by.get(part) for part in ("email", "username", "id"))
        completed_by = next((part for part in named if part not in (None, "")), None)
    if isinstance(completed_by, int) and not isinstance(completed_by, bool):
        return f"user {completed_by}"
    return completed_by if isinstance(completed_by, str) else None


def _value_of(result: Mapping[str, Any]) -> object:
    """What one result of an annotation says; None for what says nothing that is a label."""
    value = result.get("value")
    return _said(value) if isinstance(value, Mapping) else None


def _said(value: Mapping[str, Any]) -> object:
    kind = next((name for name in _CONTROLS if name in value), None)
    told = value[kind] if kind else None
    if isinstance(told, list):
        parts = [" / ".join(map(str, one)) if isinstance(one, list) else str(one) for one in told]
        return BETWEEN.join(sorted(parts) if kind != "text" else parts) or None
    return told if told not in ("", None) else None


def _flat_value(answer: object) -> object:
    """What a JSON-MIN answer says: a bare value, or objects as results hold them."""
    if isinstance(answer, Mapping):
        return _said(answer)
    if isinstance(answer, list):
        told = [_flat_value(one) for one in answer]
        return BETWEEN.join(str(one) for one in told if one is not None) or None
    return answer if isinstance(answer, str | int | float) and answer != "" else None


def _sole_control(tasks: list[Any], data: set[str | None]) -> str | None:
    """The one control that results name, or the one field of flat rows that is not known to be ``data``.

    Raises ``SourceError`` where there are several.
    """
    found: dict[str, None] = {}
    flat: dict[str, None] = {}
    for task in tasks:
        if not isinstance(task, dict):
            continue
        holders = [*_some(task, "annotations"), *_some(task, "completions"), *_some(task, "predictions")]
        named = [r.get("from_name") for one in holders for r in _some(one, "result")]
        found |= dict.fromkeys(name for name in named if isinstance(name, str))
        if "annotation_id" in task:
            flat |= dict.fromkeys(name for name in task if name not in _NOT_DATA | data)
    which = tuple(found or flat)
    if len(which) > 1:
        message = "several controls were answered" if found else "the export does not tell which field is the label"
        raise SourceError("LABELS_CONTROL", message, candidates=which, hint="Name it: Task(control='…').")
    return next(iter(which), None)


__all__ = ["AS_EXPORTED", "BETWEEN", "Task", "from_label_studio"]
