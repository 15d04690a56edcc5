"""A question asked of a database: gather examples, learn, and judge what was learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RequestError
from penstock.features.definitions import FeatureSet
from penstock.features.survey import Survey
from penstock.features.synthesis import synthesise
from penstock.language import Query
from penstock.learning import examples
from penstock.learning.audit import audit
from penstock.learning.dataset import Samples, Split, capped, split
from penstock.learning.evaluate import Evaluation
from penstock.learning.evaluate import evaluate as judge
from penstock.learning.models import Options
from penstock.learning.placement import placed
from penstock.learning.spines import target_type, with_target
from penstock.learning.timeline import Timeline, now, timeline
from penstock.learning.train import fit
from penstock.learning.trained import Trained
from penstock.schema import Kind

Leaks: TypeAlias = Literal["drop", "keep"]
Regime: TypeAlias = Literal["seed-time", "frozen"]

MOST_TRAIN_ROWS = 150_000
MOST_TEST_ROWS = 200_000


@dataclass(frozen=True)
class Given:
    """Spines from outside, with or without a ``target``; None where there is none."""

    train: pa.Table | None = None
    validation: pa.Table | None = None
    test: pa.Table | None = None

    @property
    def any(self) -> bool:
        """Whether any spine was given."""
        return any(spine is not None for spine in (self.train, self.validation, self.test))


@dataclass(frozen=True)
class Gathered:
    """The examples of a query, parted by time, with their features and what there is to say about them."""

    train: Samples
    validation: Samples
    test: Samples
    features: FeatureSet
    notes: tuple[str, ...]


@dataclass(frozen=True)
class How:
    """How an answer is to be found: how to learn, what to do about columns that know the future, what test rows see."""

    options: Options = field(default_factory=Options)
    leaks: Leaks = "drop"
    regime: Regime = "seed-time"


AS_USUAL = How()


def evaluate(
    query: Query, relational: Relational, given: Given, how: How = AS_USUAL, progress: Progress = quiet
) -> Evaluation:
    """Train on the past, judge on the newest complete window (or on the given spines), beside baselines."""
    gathered = gather(query, relational, given, how, progress)
    trained = learn(query, gathered.train, gathered.validation, gathered.features, relational, how, progress)
    return judged(query, gathered, trained, relational)


def judged(query: Query, gathered: Gathered, trained: Trained, relational: Relational) -> Evaluation:
    """How good the model's predictions for the test rows are, with all there is to say about the examples."""
    evaluation = judge(
        trained,
        gathered.test,
        train=gathered.train,
        validation=gathered.validation,
        top_k=query.top_k,
        threads=relational.settings.threads,
        kinds=kinds(gathered.features),
    )
    warnings = audit(query, gathered.features, trained, gathered.test)
    return replace(evaluation, notes=(*gathered.notes, *evaluation.notes, *warnings))


def learn(
    query: Query,
    train: Samples,
    validation: Samples,
    features: FeatureSet,
    relational: Relational,
    how: How,
    progress: Progress,
) -> Trained:
    """Learn the query's task from the samples."""
    options = replace(how.options, threads=relational.settings.threads)
    return fit(query.task.value, train, validation, options=options, kinds=kinds(features), progress=progress)


def kinds(features: FeatureSet) -> dict[str, Kind]:
    """Of the features that are whole numbers: which are categories in truth."""
    found = {}
    for name, expression in features.expressions.items():
        value = getattr(expression, "value", expression)
        kind, function = getattr(value, "kind", None), getattr(expression, "function", None)
        if kind is Kind.CATEGORICAL and function in (None, "MODE", "FIRST", "LAST", "LAST_N"):
            found[name] = Kind.CATEGORICAL
    return found


def within(progress: Progress, low: float, high: float) -> Progress:
    """Progress of a part of the work that lies between two shares of the whole."""
    return lambda message, share: progress(message, low + (high - low) * share)


# ---------------------------------------------------------------- examples


def gather(
    query: Query, relational: Relational, given: Given, how: How, progress: Progress, line: Timeline | None = None
) -> Gathered:
    """Labels at the usable cutoffs (or the given spines), parted into train, validation and test, with features."""
    progress("finding cutoffs", 0.05)
    if given.any:
        parts, notes = _given(query, relational, given)
    else:
        until = now() if query.as_of is None else min(query.as_of, now())
        line = line or timeline(query, Survey(relational.rows, until))
        parts, notes = _own(query, relational, line, how.options.seed, progress)
    train, validation, test = parts
    until = int(test.cutoff.min()) if len(test) else now()
    progress("making features", 0.2)
    features = synthesise(query, Survey(relational.rows, until))
    progress(f"computing {len(features)} features for {len(train) + len(validation) + len(test):,} rows", 0.3)
    bare = [part.features for part in (train, validation, test)]
    done = examples.parted_samples(query, features, bare, relational, within(progress, 0.3, 0.5))
    return Gathered(done[0], done[1], done[2], features, notes)


def _bare(table: pa.Table) -> Samples:
    """Labelled rows as samples that carry their own columns, to be parted and capped."""
    return Samples(table["entity"], table["cutoff"].cast(pa.int64()).to_numpy(), table, table["target"])


def _own(
    query: Query, relational: Relational, line: Timeline, seed: int, progress: Progress
) -> tuple[tuple[Samples, Samples, Samples], tuple[str, ...]]:
    if query.static:
        labelled = examples.labels_of_rows(query, relational, line.end)
        parted = _split_static(labelled.table, line, seed)
    else:
        parted = split(line.cutoffs, query.horizon_microseconds or 0, seed)
        if parted.train != parted.validation:
            parted = replace(parted, train=placed(parted.train, line.apart, len(examples.entities(query, relational))))
        asked = sorted({*parted.train, *parted.validation, *parted.test}, reverse=True)
        progress(f"computing labels at {len(asked)} cutoffs", 0.1)
        labelled = examples.labels(query, relational, np.array(asked, np.int64), within(progress, 0.1, 0.2))
    rows = _bare(labelled.table)
    chosen = [rows.take(places) for places in parted.rows(rows.entity, rows.cutoff)]
    limits = (MOST_TRAIN_ROWS, MOST_TRAIN_ROWS // 2, MOST_TEST_ROWS)
    kept = [capped(part, most, seed) for part, most in zip(chosen, limits, strict=True)]
    notes = (*line.notes, *str(parted).splitlines(), *_dropped(labelled.dropped), *_sampled(chosen, kept))
    return (kept[0], kept[1], kept[2]), notes


def _split_static(table: pa.Table, line: Timeline, seed: int) -> Split:
    """Rows with times of their own are parted at the times that leave 60 and 80 per cent before them."""
    times = np.unique(table["cutoff"].cast(pa.int64()).to_numpy())
    if len(times) < 10:
        return split([line.end], 0, seed)
    cutoffs = np.sort(table["cutoff"].cast(pa.int64()).to_numpy())
    first, second = cutoffs[int(len(cutoffs) * 0.6)], cutoffs[int(len(cutoffs) * 0.8)]
    parts = times[times <= first], times[(times > first) & (times <= second)], times[times > second]
    train, validation, test = (tuple(int(t) for t in part) for part in parts)
    return Split(train, validation, test, seed=seed)


def _dropped(dropped: dict[str, int]) -> list[str]:
    return [f"{rows:,} (entity, cutoff) rows were left out: {sentence}" for sentence, rows in dropped.items() if rows]


def _sampled(chosen: Sequence[Samples], kept: Sequence[Samples]) -> list[str]:
    names = ("training", "validation", "test")
    pairs = zip(names, chosen, kept, strict=True)
    return [f"{len(k):,} of {len(c):,} {name} rows were drawn by lot." for name, c, k in pairs if len(k) < len(c)]


def _given(
    query: Query, relational: Relational, given: Given
) -> tuple[tuple[Samples, Samples, Samples], tuple[str, ...]]:
    """The given spines, each with its own target or the query's; what is not given is taken from what is."""
    if given.train is None or given.test is None:
        hint = "Give --train and --test (and --validation), or none of them."
        raise RequestError("REQUEST_SPINES", "a spine to train on and one to test on are both needed", hint=hint)
    train, test = (_bare(_labelled(query, relational, spine)) for spine in (given.train, given.test))
    if not len(train) or not len(test):
        raise RequestError("SPINE_EMPTY", f"the {'test' if len(train) else 'training'} spine has no rows")
    notes = ["The rows are those of the given spines."]
    if given.validation is not None:
        return (train, _bare(_labelled(query, relational, given.validation)), test), tuple(notes)
    latest = train.cutoff.max()
    newest, older = np.flatnonzero(train.cutoff == latest), np.flatnonzero(train.cutoff < latest)
    if len(older) < len(newest) // 4:
        parted = Split((int(latest),), (int(latest),), (), (), 0).rows(train.entity, train.cutoff)
        older, newest = parted[0], parted[1]
    notes.append("No validation spine was given: a part of the training rows took its place.")
    return (train.take(older), train.take(newest), test), tuple(notes)


def _labelled(query: Query, relational: Relational, spine: pa.Table) -> pa.Table:
    """A spine with a ``target`` column, computed where it brings none."""
    if "target" not in spine.column_names:
        return examples.targets(query, relational, spine)
    if query.steps is not None and "step" not in spine.column_names:
        hint = "A forecast's target has one row for each step, from 1; or leave target out to have it computed."
        raise RequestError("SPINE_COLUMN", "the spine has targets, but no column 'step'", name="step", hint=hint,
                           candidates=spine.column_names)  # fmt: skip
    return with_target(spine, target_type(query))
