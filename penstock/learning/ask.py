"""A question asked of a database: gather examples, learn, and judge what was learnt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.features.definitions import FeatureSet
from penstock.features.survey import Survey
from penstock.language import Query
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.trained import Trained
from penstock.learning.judging.evaluate import Evaluation
from penstock.learning.judging.evaluate import evaluate as judge
from penstock.learning.leaks.audit import audit, audited, kept, narrowed, revealing, without
from penstock.learning.leaks.findings import Finding, told
from penstock.learning.reasons.insight import insight
from penstock.learning.rows import examples, parts
from penstock.learning.rows.answered import without_own_answers
from penstock.learning.rows.dataset import Samples, joined, known
from penstock.learning.rows.frozen import at_own_cutoffs, frozen, frozen_note
from penstock.learning.rows.spines import Given
from penstock.learning.rows.timeline import Timeline, now, timeline
from penstock.schema import Kind

Leaks: TypeAlias = Literal["drop", "keep"]
Regime: TypeAlias = Literal["seed-time", "frozen"]


@dataclass(frozen=True)
class Gathered:
    """The examples of a query, parted by time, with their features and what there is to say about them."""

    train: Samples
    validation: Samples
    test: Samples
    features: FeatureSet
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    regime: Regime = "seed-time"


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
        regime=gathered.regime,
    )
    findings = (*gathered.findings, *audit(trained, gathered.test, gathered.findings))
    seen = insight(trained, gathered.features, gathered.test, evaluation.predictions)
    notes = (*gathered.notes, *evaluation.notes, *told(findings))
    return replace(evaluation, notes=notes, findings=findings, insight=seen)


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
    options = replace(how.options, threads=relational.settings.threads, horizon=query.horizon_microseconds or 0)
    return fit(query.task.value, train, validation, options=options, kinds=kinds(features), progress=progress)


def kinds(features: FeatureSet) -> dict[str, Kind]:
    """Of the features that are whole numbers: which are categories in truth; and which of the texts are to be read."""
    found = {}
    for name, expression in features.expressions.items():
        value = getattr(expression, "value", expression)
        kind, function = getattr(value, "kind", None), getattr(expression, "function", None)
        if kind in (Kind.CATEGORICAL, Kind.ID) and function in (None, "MODE", "FIRST", "LAST", "LAST_N"):
            found[name] = Kind.CATEGORICAL
        elif kind is Kind.TEXT and function in (None, "FIRST", "LAST", "LAST_N"):
            found[name] = Kind.TEXT
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
        parted = parts.given(query, relational, given, how.options.seed, within(progress, 0.1, 0.2))
    else:
        until = now() if query.as_of is None else min(query.as_of, now())
        line = line or timeline(query, Survey(relational.rows, until))
        parted = parts.own(query, relational, line, how.options.seed, within(progress, 0.1, 0.2))
    train, validation, test, notes = parted.train, parted.validation, parted.test, parted.notes
    until = int(test.cutoff.min()) if len(test) else now()
    progress("making features", 0.2)
    count, keep = len(train) + len(validation) + len(test), how.leaks == "keep"
    features, findings = audited(query, relational, until, count, keep=keep)
    bare = [part.features for part in (train, validation, test)]
    if given.any:
        features = without_own_answers(query, features, relational, bare)
    progress(f"computing {len(features)} features for {count:,} rows", 0.3)
    if how.regime == "frozen":
        bare[2], notes = frozen(bare[2]), (*notes, frozen_note(test.cutoff))
    done = examples.parted_samples(query, features, bare, relational, within(progress, 0.3, 0.5))
    done[2] = at_own_cutoffs(done[2], test.cutoff) if how.regime == "frozen" else done[2]
    telling = revealing(query, features, joined(known(done[0]), known(done[1])), relational.rows)
    out = frozenset(finding.what for finding in telling if finding.action == "dropped")
    if out and not keep:
        features = without(features, out)
        done = [narrowed(part, features) for part in done]
    found = (*findings, *(kept(telling) if keep else telling))
    return Gathered(done[0], done[1], done[2], features, (*notes, *features.notes), found, how.regime)
