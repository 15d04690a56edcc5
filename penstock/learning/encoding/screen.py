"""Which features survive: those that gain most in short trials on a sample, no more than serving should pay for.

Hundreds of features that say the same thing cost time and accuracy. There is a trial on the older and one on the newer
half of the sample: a feature that gains in one of them only, and whose part in the score makes later rows worse, was
luck. Left out as well is what only tells cutoffs apart (such as the month) where validation shows values that training
never saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.calibration.finish import Classes, Labels, truth_of
from penstock.learning.encoding.matrix import Encoding, Values, learn
from penstock.learning.encoding.targets import Past, Rate
from penstock.learning.fitting.booster import Examples, binned, train
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.trained import with_step
from penstock.learning.rows.dataset import Rows, Samples, drawn
from penstock.schema import Kind

Floats: TypeAlias = npt.NDArray[np.float64]
View: TypeAlias = tuple[str, Floats]

SAMPLE = 12_000
MOST_CUTOFFS, FEWEST_ROWS, MOST_VIEWS = 50, 5, 4
_ROUNDS, _FEWEST_ROUNDS = 28, 12
_JUDGING = 600
_ONE_SIDED = 0.1
_TOLD: Mapping[str, str | int | float] = {
    "num_leaves": 15, "learning_rate": 0.2, "feature_fraction": 0.2, "max_bin": 31, "lambda_l2": 1.0,
    "bagging_fraction": 0.8, "bagging_freq": 1,
}  # fmt: skip


def sampled(task: str, samples: Samples, seed: int) -> Rows:
    """The rows of a sample; of a rare answer, yes or no, as many as there are, up to a tenth."""
    rows = drawn(samples, SAMPLE, seed)
    if task != "binary" or len(rows) == len(samples):
        return rows
    truth = truth_of(samples.target) > 0
    rare = np.flatnonzero(truth == (truth.mean() < 0.5))
    return np.union1d(rows, rare[:: -(-10 * len(rare) // SAMPLE)]) if len(rare) < len(samples) / 10 else rows


def survivors(
    task: str, sample: Samples, later: Samples, most: int, options: Options, kinds: Mapping[str, Kind] | None
) -> tuple[list[str], list[tuple[str, str]]]:
    """(features to learn from, what was dropped and why), from sample rows of training and of validation."""
    table = with_step(sample)
    encoding, values = learn(table, sample.entity, kinds, past_of(task, sample, later, options.horizon))
    dropped = list(encoding.dropped)
    fleeting = _fleeting(encoding, values, sample, later)
    dropped += [(name, "it only tells cutoffs apart, by values that come once") for name in fleeting]
    chosen = encoding.only([name for name in encoding.features if name not in fleeting])
    if len(chosen.features) > most:
        kept, lucky = _strongest(_Trial(task, chosen, sample, later, options), encoding.part(values, chosen), most)
        kept += [name for name in chosen.features if name in sample.own_past and name not in kept]
        lucky = [name for name in lucky if name not in kept]
        dropped += [(name, "it helped in one half of training only, and hurts on later rows") for name in lucky]
        left = [name for name in chosen.features if name not in kept and name not in lucky]
        dropped += [(name, "it adds too little to the others") for name in left]
        chosen = chosen.only(kept)
    return list(chosen.features), dropped


def _fleeting(encoding: Encoding, values: Values, sample: Samples, later: Samples) -> set[str]:
    """Features that are the same for all rows of a cutoff, and whose values in validation training never saw."""
    groups = [values[sample.cutoff == cutoff] for cutoff in np.unique(sample.cutoff)[:MOST_CUTOFFS]]
    groups = [rows for rows in groups if len(rows) >= FEWEST_ROWS]
    if len(groups) < 2 or not len(later):
        return set()
    steady = np.all([np.all(rows == rows[0], axis=0) for rows in groups], axis=0)
    table = with_step(later)
    fleeting = set()
    for place in np.flatnonzero(steady):
        encoder = encoding.encoders[place]
        if isinstance(encoder, Rate):
            continue  # moves with the cutoff even where its category stays
        known = [rows[0, place] for rows in groups]
        if not np.isin(encoder.encode(table.column(encoder.feature)), known).all():
            fleeting.add(encoder.feature)
    return fleeting


def views(task: str, sample: Samples, like: Samples | None = None) -> list[View]:
    """What a short trial learns, to see which features matter: (objective, target), some for tasks of many answers.

    Classes and labels are the commonest of ``like``, or of the sample itself.
    """
    given = (like or sample).target
    if task == "binary":
        return [("binary", truth_of(sample.target))]
    if task == "multiclass":
        codes = Classes.of(given).codes(sample.target)
        return [("binary", (codes == place).astype(float)) for place in range(MOST_VIEWS)]
    if task == "multilabel":
        truths = Labels.of(given).truths(sample.target)
        return [("binary", truths[:, place]) for place in range(min(MOST_VIEWS, truths.shape[1]))]
    truth = truth_of(sample.target)
    return [("regression", np.sign(truth) * np.log1p(np.abs(truth)))]


def past_of(task: str, samples: Samples, later: Samples, horizon: int) -> Past:
    """What came of rows, and when it was known; a horizon that is not told (0) is at most the gap to later rows."""
    truth = np.column_stack([target for _, target in views(task, samples)])
    gap = int(later.cutoff.min()) - int(samples.cutoff.max()) if len(later) and len(samples) else 0
    return Past.of(truth, samples.cutoff, horizon or max(0, gap), samples.entity)


@dataclass(frozen=True)
class _Trial:
    """A task's sample and later rows, and the encoding of the features that are tried."""

    task: str
    encoding: Encoding
    sample: Samples
    later: Samples
    options: Options


def _strongest(trial: _Trial, values: Values, most: int) -> tuple[list[str], list[str]]:
    """(the ``most`` features with the largest share of the gain, in their own order; those that were only lucky)."""
    asked, encoding = views(trial.task, trial.sample), trial.encoding
    later = trial.later.take(np.arange(len(trial.later))[:: max(1, len(trial.later) * len(asked) // _JUDGING)])
    outcomes, after = views(trial.task, later, trial.sample), encoding.encode(with_step(later))
    shares, harm = np.zeros((2, len(encoding.features))), np.zeros(len(encoding.features))
    for number, rows in enumerate(_halves(trial.sample)):
        half = Examples(np.asfortranarray(values[rows]), np.zeros(len(rows)), encoding.categorical)
        bins = binned(half, None, _told(trial.options))
        for (objective, target), (_, truth) in zip(asked, outcomes, strict=True):
            told = {**_told(trial.options), "objective": objective}
            rounds = max(_FEWEST_ROUNDS, _ROUNDS // len(asked))
            booster = train(replace(half, target=target[rows]), None, told, rounds=rounds, bins=bins).booster
            gains = np.bincount(encoding.owners, booster.importance(len(encoding.encoders)))
            shares[number] += gains / max(gains.sum(), 1e-12)
            harm += _harm(booster.contributions(after, threads=trial.options.threads), encoding, objective, truth)
    lucky = (shares.min(axis=0) < _ONE_SIDED * shares.max(axis=0)) & (harm > 0)
    total = np.where(lucky, 0.0, shares.sum(axis=0))
    kept = np.sort(np.argsort(-total, kind="stable")[:most])
    names = [encoding.features[place] for place in kept if total[place] > 0 or not shares.any()]
    return names, [encoding.features[place] for place in np.flatnonzero(lucky)]


def _told(options: Options) -> dict[str, str | int | float | bool]:
    return {**_TOLD, "seed": options.seed, "num_threads": options.threads}


def _halves(sample: Samples) -> tuple[Rows, Rows]:
    """The rows of the older and of the newer half; every other row where time does not part them."""
    middle = np.sort(sample.cutoff)[len(sample) // 2]
    newer = sample.cutoff >= middle if sample.cutoff.min() < middle else np.arange(len(sample)) % 2 == 1
    return np.flatnonzero(~newer), np.flatnonzero(newer)


def _harm(parts: Floats, encoding: Encoding, objective: str, truth: Floats) -> Floats:
    """For each feature by how much the loss of these rows falls when its part is taken out of their scores."""
    owned = np.stack([np.bincount(encoding.owners, row, minlength=len(encoding.features)) for row in parts[:, :-1]])
    score = parts.sum(axis=1)
    before = _loss(score, truth, objective)
    return before - _loss(score[:, None] - owned, truth[:, None], objective)


def _loss(score: Floats, truth: Floats, objective: str) -> Floats:
    """The mean over rows of the log loss of log-odds, or of the squared error."""
    rows = np.logaddexp(0.0, score) - truth * score if objective == "binary" else (score - truth) ** 2
    return np.asarray(rows.mean(axis=0), np.float64)
