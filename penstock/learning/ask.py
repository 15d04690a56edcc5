"""A question asked of a database: gather examples, learn, judge, answer, and remember the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RefusedError, RequestError
from penstock.features.definitions import FeatureSet
from penstock.features.survey import Survey
from penstock.features.synthesis import synthesise
from penstock.language import Query
from penstock.learning import examples
from penstock.learning.dataset import Samples, Split, capped, joined, split, when
from penstock.learning.evaluate import Evaluation
from penstock.learning.evaluate import evaluate as judge
from penstock.learning.models import Options
from penstock.learning.predictions import Predictions
from penstock.learning.reasons import with_reasons
from penstock.learning.shelf import Shelf, Shelved
from penstock.learning.timeline import Timeline, now, timeline
from penstock.learning.train import fit
from penstock.learning.trained import Trained
from penstock.schema import Kind

MOST_TRAIN_CUTOFFS = 24
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


def evaluate(
    query: Query, relational: Relational, given: Given, *, seed: int = 0, progress: Progress = quiet
) -> Evaluation:
    """Train on the past, judge on the newest complete window (or on the given spines), beside baselines."""
    gathered = gather(query, relational, given, seed, progress)
    trained = _learn(query, gathered.train, gathered.validation, gathered.features, relational, seed, progress)
    return _judged(query, gathered, trained, relational)


def _judged(query: Query, gathered: Gathered, trained: Trained, relational: Relational) -> Evaluation:
    evaluation = judge(
        trained,
        gathered.test,
        train=gathered.train,
        validation=gathered.validation,
        top_k=query.top_k,
        threads=relational.settings.threads,
        kinds=kinds(gathered.features),
    )
    return replace(evaluation, notes=(*gathered.notes, *evaluation.notes))


def _learn(
    query: Query,
    train: Samples,
    validation: Samples,
    features: FeatureSet,
    relational: Relational,
    seed: int,
    progress: Progress,
) -> Trained:
    options = Options(seed=seed, threads=relational.settings.threads)
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


def gather(query: Query, relational: Relational, given: Given, seed: int, progress: Progress) -> Gathered:
    """Labels at the usable cutoffs (or the given spines), parted into train, validation and test, with features."""
    progress("finding cutoffs", 0.05)
    parts, notes = _given(query, relational, given) if given.any else _own(query, relational, seed, progress)
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
    query: Query, relational: Relational, seed: int, progress: Progress
) -> tuple[tuple[Samples, Samples, Samples], tuple[str, ...]]:
    line = timeline(query, Survey(relational.rows, now()))
    if query.static:
        labelled = examples.labels_of_rows(query, relational, line.end)
        parted = _split_static(labelled.table, line, seed)
    else:
        parted = split(line.cutoffs, query.horizon_microseconds or 0, seed)
        parted = replace(parted, train=parted.train[-MOST_TRAIN_CUTOFFS:])
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
    return [f"{rows:,} (entity, cutoff) rows did not pass: {sentence}" for sentence, rows in dropped.items() if rows]


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
    if "target" in spine.column_names:
        return spine
    return examples.targets(query, relational, spine)


# ---------------------------------------------------------------- answers


def predict(
    query: Query,
    relational: Relational,
    *,
    at: int | None = None,
    entities: Sequence[object] | None = None,
    explain: bool | int = False,
    seed: int = 0,
    cache: bool = True,
    progress: Progress = quiet,
) -> Predictions:
    """A prediction for every entity (or the ones named), from a model judged on the newest complete window.

    ``explain`` asks for reasons: True for every row, a number for as many of the first rows.
    """
    shelf = Shelf.of(query, relational, seed) if cache else Shelf(None)
    shelved = shelf.load() or _answer(query, relational, seed, shelf, progress)
    line = timeline(query, Survey(relational.rows, now()))
    cutoff = at if at is not None else query.as_of if query.as_of is not None else line.end
    named = entities if entities is not None else query.ids
    progress("predicting", 0.9)
    table, notes = _predicted(query, relational, shelved.trained, shelf, cutoff, named)
    answer = Predictions(query.canonical, query.task.value, table, shelved.evaluation, (*notes, *line.notes))
    if explain is False:
        return answer
    progress("finding reasons", 0.95)
    return with_reasons(answer, shelved.trained, query, relational, None if explain is True else explain)


def _answer(query: Query, relational: Relational, seed: int, shelf: Shelf, progress: Progress) -> Shelved:
    """Judge a model on the newest window, then learn once more with that window as the newest evidence."""
    gathered = gather(query, relational, Given(), seed, progress)
    judged = _learn(query, gathered.train, gathered.validation, gathered.features, relational, seed, progress)
    evaluation = _judged(query, gathered, judged, relational)
    progress("learning from the newest window too", 0.8)
    older = joined(gathered.train, gathered.validation)
    final = _learn(query, older, gathered.test, gathered.features, relational, seed, progress)
    shelved = Shelved(final, evaluation)
    shelf.save(shelved)
    return shelved


def _predicted(
    query: Query, relational: Relational, trained: Trained, shelf: Shelf, cutoff: int, named: Sequence[object] | None
) -> tuple[pa.Table, list[str]]:
    """Predictions for everybody, or for the named ones with a note on who is missing."""
    ready = shelf.predictions(cutoff)
    if named is None:
        if ready is None:
            ready = _score(query, relational, trained, _population(query, relational, cutoff, None))
            shelf.keep_predictions(cutoff, ready)
        return ready, []
    chosen = _entities(query, relational, named)
    if ready is None or query.static:
        ready = _score(query, relational, trained, _population(query, relational, cutoff, chosen))
    ready = examples.chosen(ready, chosen)
    return ready, _missing(query, chosen, ready, cutoff)


def _entities(query: Query, relational: Relational, named: Sequence[object]) -> pa.Array:
    """The named entities in the key's own type; ``RequestError`` where one cannot be of that type."""
    keys = relational.keys(query.entity, query.key)
    try:
        asked = pa.array([str(n) for n in named]).cast(keys.type)
    except pa.ArrowInvalid as error:
        message = f"{query.entity}.{query.key} holds no such value: {error}"
        raise RequestError("REQUEST_ENTITY", message, candidates=map(str, keys[:5].to_pylist())) from error
    unknown = [
        value for value, known in zip(asked.to_pylist(), pc.is_in(asked, keys).to_pylist(), strict=True) if not known
    ]
    if unknown:
        message = f"{query.entity} has no row whose {query.key} is {', '.join(map(repr, unknown[:5]))}"
        raise RequestError("REQUEST_ENTITY", message, name=str(unknown[0]), candidates=map(str, keys[:5].to_pylist()))
    return asked


def _population(query: Query, relational: Relational, cutoff: int, chosen: pa.Array | None) -> pa.Table:
    """The rows to predict for."""
    if query.static:
        return examples.blanks(query, relational, cutoff, chosen)
    found = examples.population(query, relational, cutoff).table
    return found if chosen is None else examples.chosen(found, chosen)


def _score(query: Query, relational: Relational, trained: Trained, asked: pa.Table) -> pa.Table:
    if asked.num_rows == 0:
        raise RefusedError(
            "DATA_NOBODY",
            "there is nobody to predict for: no entity exists, passes WHERE and waits for an answer at the cutoff",
            hint="Loosen WHERE, choose another cutoff with --at, or name entities with --entities.",
        )
    if query.steps is not None:
        asked = _unrolled(asked, query.steps)
    features = examples.features_named(query, trained.features, query.graph)
    rows = examples.samples(query, features, asked, relational)
    return trained.predict(rows, threads=relational.settings.threads, top_k=query.top_k)


def _unrolled(asked: pa.Table, steps: int) -> pa.Table:
    """Each row once a step of the forecast."""
    kept = asked.take(pa.array(np.repeat(np.arange(asked.num_rows), steps)))
    return kept.append_column("step", pa.array(np.tile(np.arange(1, steps + 1), asked.num_rows)))


def _missing(query: Query, chosen: pa.Array, ready: pa.Table, cutoff: int) -> list[str]:
    left_out = chosen.filter(pc.invert(pc.is_in(chosen, ready["entity"].combine_chunks())))
    if not len(left_out):
        return []
    shown = ", ".join(map(str, left_out[:5].to_pylist()))
    why = "do not pass WHERE, or do not exist yet," if query.where is not None else "do not exist yet"
    return [f"{len(left_out)} of the {len(chosen)} entities {why} at {when(cutoff)}: {shown}"]
