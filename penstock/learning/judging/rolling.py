"""Rolling origin: the newest complete windows one after the other, each judged with what was known before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RefusedError, RequestError
from penstock.features.survey import Survey
from penstock.language import Query
from penstock.learning.ask import AS_USUAL, How, gather, judged, learn, within
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.rows.dataset import split, when
from penstock.learning.rows.spines import Given
from penstock.learning.rows.timeline import Timeline, now, timeline
from penstock.window import Instants


def rolling(
    query: Query, relational: Relational, windows: int, how: How = AS_USUAL, progress: Progress = quiet
) -> Evaluation:
    """The evaluation of the newest window, with the metrics of the ``windows`` newest beside it.

    Windows do not overlap. For each, everything is done anew as if later rows did not exist: features are made, found
    to leak or not, and computed; a model is trained and calibrated; its test is that window. Where the data holds
    fewer windows that have older ones to train and validate on, there are fewer, and a note says so.

    Raises ``RequestError`` for less than one window, and for a plain column, which has none.
    """
    if windows < 1:
        raise RequestError("REQUEST_WINDOWS", f"{windows} test windows cannot be judged", hint="Ask for 1 or more.")
    if query.static:
        hint = "Leave windows out: rows are parted by their own times."
        raise RequestError("REQUEST_WINDOWS", "a plain column is not asked about in windows of time", hint=hint)
    until = now() if query.as_of is None else min(query.as_of, now())
    lines = origins(timeline(query, Survey(relational.rows, until)), query.horizon_microseconds or 0, windows)
    found, notes = [_judged(query, relational, how, lines[0], within(progress, 0, 1 / len(lines)))], []
    for place, line in enumerate(lines[1:], 1):
        part = within(progress, place / len(lines), (place + 1) / len(lines))
        try:
            found.append(_judged(query, relational, how, line, part))
        except RefusedError as error:
            notes.append(f"The window at {when(int(line.cutoffs.max()))} was left out: {error.message}.")
    if len(lines) < windows:
        notes.append(f"The data holds {len(lines)} of the {windows} test windows asked for, with enough before them.")
    return joined_windows(found, notes)


def joined_windows(found: Sequence[Evaluation], notes: Sequence[str] = ()) -> Evaluation:
    """The first evaluation, with the metrics and cutoffs of all as its windows."""
    tests = tuple(cutoff for evaluation in found for cutoff in evaluation.cutoffs["test"])
    leads = [evaluation.lead for evaluation in found if evaluation.lead is not None]
    ahead = sum(lead.verdict == "better" for lead in leads)
    told = f"The best baseline is beaten by more than noise in {ahead} of {len(found)} test windows."
    return replace(
        found[0],
        windows=tuple(evaluation.metrics for evaluation in found),
        cutoffs={**found[0].cutoffs, "windows": tests},
        notes=(*found[0].notes, *([told] if leads else []), *notes),
    )


def origins(line: Timeline, horizon: int, windows: int) -> list[Timeline]:
    """The timeline without its newest cutoffs, for each test window, newest first; the first is the whole.

    Of the others only those that time alone can part into training, validation and test.
    """
    found, test = [line], int(line.cutoffs.max())
    while len(found) < windows:
        older = line.cutoffs[line.cutoffs <= test - max(1, horizon)]
        if not _parted(older, horizon):
            break
        found.append(replace(line, cutoffs=older))
        test = int(older.max())
    return found


def _parted(cutoffs: Instants, horizon: int) -> bool:
    parts = split(cutoffs, horizon) if len(cutoffs) else None
    return parts is not None and parts.train != parts.validation


def _judged(query: Query, relational: Relational, how: How, line: Timeline, progress: Progress) -> Evaluation:
    """The evaluation of a timeline's newest window."""
    gathered = gather(query, relational, Given(), how, progress, line)
    trained = learn(query, gathered.train, gathered.validation, gathered.features, relational, how, progress)
    return judged(query, gathered, trained, relational)
