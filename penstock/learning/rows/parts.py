"""The rows of a question with their targets, parted into train, validation and test: its own cutoffs, or given spines.

Parts lie one after the other in time. What a spine from outside leaves open is filled from the question's own cutoffs,
never with a row whose answer was known only after the first row that is to be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RefusedError, RequestError
from penstock.features.survey import Survey
from penstock.language import Query
from penstock.learning.rows import examples
from penstock.learning.rows.dataset import Samples, Split, capped, joined, split, when
from penstock.learning.rows.placement import placed
from penstock.learning.rows.spines import Given, target_type, with_target
from penstock.learning.rows.timeline import Timeline, now, timeline
from penstock.window import shift

MOST_TRAIN_ROWS = 150_000
MOST_TEST_ROWS = 200_000


@dataclass(frozen=True)
class Parted:
    """Rows with their targets in three parts, and what there is to say about them."""

    train: Samples
    validation: Samples
    test: Samples
    notes: tuple[str, ...]


def bare(table: pa.Table) -> Samples:
    """Labelled rows as samples that carry their own columns, to be parted and capped."""
    return Samples(table["entity"], table["cutoff"].cast(pa.int64()).to_numpy(), table, table["target"])


# ---------------------------------------------------------------- the question's own cutoffs


def own(query: Query, relational: Relational, line: Timeline, seed: int, progress: Progress) -> Parted:
    """The question's own rows at its usable cutoffs: the newest complete window is the test."""
    if query.static:
        labelled = examples.labels_of_rows(query, relational, line.end)
        parted = _by_own_times(labelled.table, line, seed)
    else:
        parted = _placed(query, relational, line, split(line.cutoffs, query.horizon_microseconds or 0, seed))
        asked = sorted({*parted.train, *parted.validation, *parted.test}, reverse=True)
        labelled = _labels(query, relational, asked, progress)
    rows = bare(labelled.table)
    chosen = [rows.take(places) for places in parted.rows(rows.entity, rows.cutoff)]
    kept, drawn = _capped(chosen, seed)
    notes = (*line.notes, *str(parted).splitlines(), *_dropped(labelled.dropped), *drawn)
    return Parted(kept[0], kept[1], kept[2], notes)


def _labels(query: Query, relational: Relational, asked: Sequence[int], progress: Progress) -> examples.Labelled:
    progress(f"computing labels at {len(asked)} cutoffs", 0.1)
    return examples.labels(query, relational, np.array(asked, np.int64), progress)


def _placed(query: Query, relational: Relational, line: Timeline, parted: Split) -> Split:
    """The split with as many training cutoffs as serve, where time alone parts it."""
    if parted.train == parted.validation:
        return parted
    return replace(parted, train=placed(parted.train, line.apart, len(examples.entities(query, relational))))


def _by_own_times(table: pa.Table, line: Timeline, seed: int) -> Split:
    """Rows with times of their own are parted at the times that leave 60 and 80 per cent before them."""
    times = np.unique(table["cutoff"].cast(pa.int64()).to_numpy())
    if len(times) < 10:
        return split([line.end], 0, seed)
    cutoffs = np.sort(table["cutoff"].cast(pa.int64()).to_numpy())
    first, second = cutoffs[int(len(cutoffs) * 0.6)], cutoffs[int(len(cutoffs) * 0.8)]
    parts = times[times <= first], times[(times > first) & (times <= second)], times[times > second]
    train, validation, test = (tuple(int(t) for t in part) for part in parts)
    return Split(train, validation, test, seed=seed)


def _capped(chosen: Sequence[Samples], seed: int) -> tuple[list[Samples], list[str]]:
    """The parts with no more rows than are worked with, and a note for each that was larger."""
    limits = (MOST_TRAIN_ROWS, MOST_TRAIN_ROWS // 2, MOST_TEST_ROWS)
    kept = [capped(part, most, seed) for part, most in zip(chosen, limits, strict=False)]
    pairs = zip(("training", "validation", "test"), chosen, kept, strict=False)
    return kept, [f"{len(k):,} of {len(c):,} {name} rows were drawn by lot." for name, c, k in pairs if len(k) < len(c)]


def _dropped(dropped: dict[str, int]) -> list[str]:
    return [f"{rows:,} (entity, cutoff) rows were left out: {sentence}" for sentence, rows in dropped.items() if rows]


# ---------------------------------------------------------------- spines from outside


def given(query: Query, relational: Relational, spines: Given, seed: int, progress: Progress = quiet) -> Parted:
    """The given spines, each with its own target or the query's; what is missing is taken from what came before."""
    if spines.test is None:
        hint = "Give --test (and, if they are not to be the question's own, --train and --validation), or none of them."
        raise RequestError("REQUEST_SPINES", "a spine to be judged on is needed", hint=hint)
    test, train, validation = (
        None if spine is None else bare(_labelled(query, relational, spine))
        for spine in (spines.test, spines.train, spines.validation)
    )
    for name, part in (("test", test), ("training", train), ("validation", validation)):
        if part is not None and not len(part):
            raise RequestError("SPINE_EMPTY", f"the {name} spine has no rows")
    assert test is not None
    notes = [*spines.notes, "The test rows are those of the given spine."]
    if train is None:
        judged = test if validation is None else joined(validation, test)
        train, newest, said = _before(query, relational, judged, seed, progress)
        train, validation = (train, newest) if validation is None else (joined(train, newest), validation)
        notes += said
    elif validation is None:
        train, validation = _newest_apart(train)
        notes.append("No validation spine was given: a part of the training rows took its place.")
    return Parted(train, validation, test, (*notes, *_overlap(query, train, validation, test)))


def _before(
    query: Query, relational: Relational, judged: Samples, seed: int, progress: Progress
) -> tuple[Samples, Samples, list[str]]:
    """(train, validation) at the question's own cutoffs, all known before the first row that is to be judged."""
    first = int(judged.cutoff.min())
    if query.static:
        return _filled_before(query, relational, judged, first, seed)
    line = timeline(query, Survey(relational.rows, first))
    parted = split([*line.cutoffs, first], query.horizon_microseconds or 0, seed)
    if parted.train == parted.test:
        raise _nothing_before(first)
    parted = _placed(query, relational, line, replace(parted, test=(first,)))
    labelled = _labels(query, relational, sorted({*parted.train, *parted.validation}), progress)
    rows = bare(labelled.table)
    places = parted.rows(rows.entity, rows.cutoff)
    kept, drawn = _capped([rows.take(places[0]), rows.take(places[1])], seed)
    return kept[0], kept[1], [*str(parted).splitlines()[:2], *_dropped(labelled.dropped), *drawn]


def _filled_before(
    query: Query, relational: Relational, judged: Samples, first: int, seed: int
) -> tuple[Samples, Samples, list[str]]:
    """The same for a plain column: rows of earlier times, or where all have one time, rows of other entities."""
    line = timeline(query, Survey(relational.rows, first))
    table = examples.labels_of_rows(query, relational, line.end).table
    other = pc.invert(pc.is_in(table["entity"], pc.unique(judged.entity)))
    rows = bare(table.filter(pc.and_(other, pc.less_equal(table["cutoff"].cast(pa.int64()), first))))
    if not len(rows):
        raise _nothing_before(first)
    parted = _by_own_times(rows.features, line, seed)
    places = parted.rows(rows.entity, rows.cutoff)
    kept, drawn = _capped([rows.take(places[0]), rows.take(np.concatenate(places[1:]))], seed)
    return kept[0], kept[1], ["Train and validation: other rows, of no later time.", *drawn]


def _nothing_before(first: int) -> RefusedError:
    hint = "Give --train with targets, or test later cutoffs."
    return RefusedError("DATA_NO_CUTOFF", f"no answer was known before {when(first)}: nothing to learn from", hint=hint)


def _newest_apart(train: Samples) -> tuple[Samples, Samples]:
    """Training rows with the newest cutoff's as validation; where that is nearly all of them, parted by a hash."""
    latest = train.cutoff.max()
    newest, older = np.flatnonzero(train.cutoff == latest), np.flatnonzero(train.cutoff < latest)
    if len(older) < len(newest) // 4:
        parted = Split((int(latest),), (int(latest),), (), (), 0).rows(train.entity, train.cutoff)
        older, newest = parted[0], parted[1]
    return train.take(older), train.take(newest)


def _overlap(query: Query, train: Samples, validation: Samples, test: Samples) -> list[str]:
    """A note where given rows were answered only after the first test cutoff."""
    first, horizon = int(test.cutoff.min()), query.horizon_microseconds or 0
    late = int(sum(np.sum(part.cutoff + horizon > first) for part in (train, validation)))
    if not late:
        return []
    rows = f"{late:,} of the {len(train) + len(validation):,} rows learnt from"
    said = f"The answers of {rows} were known only after the first test cutoff, {when(first)}"
    return [f"{said}: a model in use could not have had them."]


def _labelled(query: Query, relational: Relational, spine: pa.Table) -> pa.Table:
    """A spine with a ``target`` column, computed where it brings none."""
    if "target" not in spine.column_names:
        return _answered(query, relational, examples.targets(query, relational, spine))
    if query.steps is not None and "step" not in spine.column_names:
        hint = "A forecast's target has one row for each step, from 1; or leave target out to have it computed."
        raise RequestError("SPINE_COLUMN", "the spine has targets, but no column 'step'", name="step", hint=hint,
                           candidates=spine.column_names)  # fmt: skip
    return with_target(spine, target_type(query))


def _answered(query: Query, relational: Relational, table: pa.Table) -> pa.Table:
    """The rows with their computed targets, NULL where the data ends before the answer is known.

    Without it a window that the data does not reach would count as one in which nothing happened. A twentieth of the
    window may be missing: the last row of all is seldom at its very end.
    """
    if query.static or query.period is None:
        return table
    survey, period = Survey(relational.rows, now()), query.period
    spans = [span for one in query.graph if (span := survey.span(one.name)) is not None]
    frames = [period.step(place).end for place in range(query.steps or 1)]
    cutoff = table["cutoff"].cast(pa.int64()).to_numpy()
    ends = np.array([shift(cutoff, end, period.unit) for end in frames])
    step = table["step"].to_numpy() - 1 if query.steps is not None else np.zeros(len(cutoff), np.int64)
    reach = ends[step, np.arange(len(cutoff))]
    known = reach - (reach - cutoff) // 20 <= max((high for _, high in spans), default=now())
    target = pc.if_else(pa.array(known), table["target"], pa.scalar(None, table["target"].type))
    return table.set_column(table.column_names.index("target"), "target", target)
