"""The plan of a project: its stages, which have something to do, what changed at the sources, and what that breaks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.errors import PenstockError, RefusedError
from penstock.pipeline.change import Change, Renamed, Verdict
from penstock.pipeline.journal import Run
from penstock.pipeline.site import Site, aside
from penstock.pipeline.stages import Progress, Stage
from penstock.pipeline.walk import Walk, without_own
from penstock.quality.run import must_fit

Prospect = Literal["runs", "unchanged", "refused"]


@dataclass(frozen=True)
class Step:
    """A stage and what is to be expected of it, with the reason."""

    stage: Stage
    prospect: Prospect
    why: str = ""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        stage = {"kind": self.stage.kind, "name": self.stage.name, "sentence": self.stage.sentence}
        return {**stage, "needs": list(self.stage.needs), "prospect": self.prospect, "why": self.why}


@dataclass(frozen=True)
class Plan:
    """What a run would do, and the verdicts on what changed at the sources (those that changed nothing left out)."""

    project: str
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[Step, ...]:
        """The steps that would fail."""
        return tuple(step for step in self.steps if step.prospect == "refused")

    def must_pass(self) -> None:
        """Raise ``RefusedError`` (``PLAN_REFUSED``) when a step would fail."""
        if self.refused:
            names = ", ".join(step.stage.name for step in self.refused)
            hint = "See: penstock plan. What passes can be done alone: penstock run --table NAME"
            raise RefusedError("PLAN_REFUSED", f"nothing was done: {names} would fail", hint=hint)

    def __str__(self) -> str:
        counts = f"{len(self.steps)} stages, {sum(step.prospect == 'runs' for step in self.steps)} to run"
        width = max((len(f"{step.stage.kind} {step.stage.name}") for step in self.steps), default=0)
        lines = [f"{self.project}: {counts}", *(f"  {line}" for step in self.steps for line in _lines(step, width))]
        lines += [line for verdict in self.verdicts for line in ("", *str(verdict).split("\n"))]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "project": self.project,
            "steps": [step.to_dict() for step in self.steps],
            "changes": [verdict.to_dict() for verdict in self.verdicts],
            "notes": list(self.notes),
            "refused": bool(self.refused),
        }


def _lines(step: Step, width: int) -> Iterator[str]:
    name = f"{step.stage.kind} {step.stage.name}"
    yield f"{step.prospect:9}  {name:{width}}  {step.stage.sentence}"
    yield from (f"{'':9}  {line}" for line in step.why.split("\n") if line)


def plan(site: Site, progress: Progress) -> Plan:
    """What a run of the project would do now. Reads schemas, and rows only where a rename is possible."""
    walk = Walk(site, still=True)
    progress("looking at the sources", 0.1)
    steps: list[Step] = []
    before = site.journal.newest()
    running: set[str] = set()
    for stage in walk.stages():
        step = _step(stage, walk, before, running)
        running |= {stage.name} if step.prospect == "runs" else set()
        steps.append(step)
    return Plan(site.file.name, tuple(steps), tuple(_verdicts(walk)), tuple(_notes(walk, steps)))


def _verdicts(walk: Walk) -> Iterator[Verdict]:
    for one in walk.wanted:
        try:
            found = walk.verdict(one)
        except PenstockError:
            continue  # the step says so
        if found.notes or any(not _is_settled(change) for change in found.changes.all):
            yield found


def _is_settled(change: Change) -> bool:
    return isinstance(change, Renamed) and change.declared


def _step(stage: Stage, walk: Walk, before: Mapping[tuple[str, str], Run], running: Iterable[str]) -> Step:
    obstacle = stage.broken or walk.obstacle(stage)
    if obstacle is not None:
        broken = walk.broken_by(stage.name) if obstacle.code == "CHANGE_BREAKS" else ()  # the verdict tells the rest
        return Step(stage, "refused", f"breaks {', '.join(broken)}" if broken else str(obstacle))
    if changed := walk.redefined(stage):
        return Step(stage, "runs", changed)
    fed = sorted(set(stage.needs) & set(running))
    if fed:
        return Step(stage, "runs", f"if {', '.join(fed)} bring{'s' if len(fed) == 1 else ''} something new")
    done = before.get((stage.kind, stage.name))
    if done is not None and stage.is_done(done.fingerprint):
        return Step(stage, "unchanged", "")
    if done is None:
        return Step(stage, "runs", "for the first time")
    if stage.touched:
        return Step(stage, "runs", "what it made is not as its last run left it")
    changed = "its source, settings, contract or inputs changed"
    return Step(stage, "runs", changed if stage.fingerprint else "what is new only reading tells")


def _notes(walk: Walk, steps: list[Step]) -> Iterator[str]:
    made = {step.stage.name for step in steps} | {one.table or one.name for one in walk.site.file.streams.values()}
    made |= set(walk.files())
    hidden = any(look.error for look in walk.looks)
    for name, table in walk.kept().items():
        if name not in made and not hidden and not aside(name, table.roles):
            yield f"{name}: nothing makes this table any more; it stays as it is"
    yield from _misfits(walk, made)
    yield from _strangers(walk, made)


def _misfits(walk: Walk, made: Collection[str]) -> Iterator[str]:
    """Contracts that do not fit the columns of their table, or are of none."""
    kept = walk.kept()
    schemas = {name: without_own(table.schema) for name, table in kept.items()}
    keys = {name: table.roles.key for name, table in kept.items()}
    for name, contract in walk.contracts.items():
        if name in schemas:
            try:
                must_fit(contract, schemas, keys)
            except PenstockError as error:
                yield f"contract of {name}: {error.message}"
        elif name not in made:
            yield f"contract of {name}: nothing makes a table of that name"


def _strangers(walk: Walk, made: Collection[str]) -> Iterator[str]:
    """Tables that links, questions and label sets name, and that nothing makes."""
    there, file = {*made, *walk.kept()}, walk.site.file
    for name, settings in file.tables.items():
        for column, to in settings.links.items():
            if to not in there:
                yield f"[tables.{name}] links: {column} leads to {to}, which nothing makes"
    for name, labels in file.labels.items():
        if labels.entity not in there:
            yield f"[labels.{name}] entity: nothing makes a table {labels.entity}"
    yield from walk.unanswerable()
    yield from walk.unfit()
