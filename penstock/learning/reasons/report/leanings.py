"""What the model leans on: features in words, tables, links; and the test rows' cohorts by the strongest of them."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.reasons.cohorts import Cohort, View
from penstock.learning.reasons.importance import Shares, Weight
from penstock.learning.reasons.report import plots
from penstock.learning.reasons.report.markup import Child, Markup, details, element, joined, table
from penstock.learning.reasons.report.outcomes import figure, percent
from penstock.learning.reasons.report.plots import Bar
from penstock.learning.reasons.report.scales import Scale, heavy, padded
from penstock.learning.reasons.report.scores import number

FEATURES, TABLES = 12, 10


def leanings(evaluation: Evaluation) -> Markup:
    """Importance by feature and, where it is known, by table and by link."""
    seen, weights = evaluation.insight, _weights(evaluation)
    if not weights:
        return Markup("")
    drawn: list[Child] = [_features(weights)]
    if seen is not None and seen.tables:
        ranking = evaluation.task == "ranking"
        title = "By source" if ranking else "By table"
        told = "" if ranking else "A feature that reads several tables gives each an equal part."
        rest = [_parts(title, told, seen.tables)]
        if seen.links:
            told = "What would be lost without the link; a feature that crosses two counts for both."
            rest.append(_parts("By link", told, seen.links))
        drawn.append(element("div", rest))
    return element("div", drawn, class_="grid")


def _weights(evaluation: Evaluation) -> Sequence[Weight]:
    if evaluation.insight is not None:
        return evaluation.insight.weights
    return [Weight(name, name, share) for name, share in evaluation.importance]


def _features(weights: Sequence[Weight]) -> Markup:
    rows = [Bar(weight.phrase, weight.share, percent(weight.share)) for weight in weights[:FEATURES]]
    told = "; ".join(f"{row.label} {row.said}" for row in rows)
    drawn = plots.bars("Share of the gain by feature", told, rows)
    figures = [[element("code", w.feature), w.phrase, percent(w.share)] for w in weights]
    below = details(
        f"All {len(weights)} features as expressions",
        table(["expression", "in words", "share"], figures, caption="Every feature that is used", numeric=2),
    )
    return figure(
        "By feature", "Each feature's share of what was gained by asking about it while learning.", drawn, below
    )


def _parts(title: str, told: str, shares: Shares) -> Markup:
    rows = [Bar(name, share, percent(share), "good") for name, share in shares[:TABLES]]
    said = "; ".join(f"{row.label} {row.said}" for row in rows)
    return figure(title, told, plots.bars(f"Share of the gain, {title.lower()}", said, rows))


# ---------------------------------------------------------------- cohorts


_SAID = {
    "binary": ("share of yes", "mean probability"),
    "multiclass": ("how often the likeliest class was right", "how likely it was called"),
    "multilabel": ("labels that came to a row", "labels said"),
}


def cohorts(evaluation: Evaluation) -> Markup:
    """A drawing for each of the strongest features: its bins, how large they are, what came and what was said."""
    seen = evaluation.insight
    if seen is None or not seen.views:
        return Markup("")
    return element("div", [_view(evaluation.task, view) for view in seen.views], class_="grid")


def cohorts_read(evaluation: Evaluation) -> str:
    """How to read the drawings of cohorts."""
    outcome, prediction = _said(evaluation.task)
    head = "The test rows, parted by the strongest features."
    return f"{head} Bar: share of the rows. Point: {outcome}. Ring: {prediction}."


def _said(task: str) -> tuple[str, str]:
    return _SAID.get(task, ("mean of what came", "mean prediction"))


def _view(task: str, view: View) -> Markup:
    outcome, prediction = _said(task)
    spoken = "; ".join(
        f"{c.name}: {percent(c.share)} of the rows, came {number(c.outcome)}, said {number(c.prediction)}"
        for c in view.cohorts
    )
    title = view.phrase[:1].upper() + view.phrase[1:]
    drawn = plots.drawing(f"Cohorts by {view.phrase}", spoken, *_drawn(view.cohorts))
    return figure(title, None, drawn, details("The figures", _table(view, outcome, prediction)))


def _drawn(cohorts: Sequence[Cohort]) -> tuple[float, list[Child]]:
    """The height of a drawing of cohorts, and its parts: label, share, and a line with what came and what was said."""
    values = [v for c in cohorts for v in (c.outcome, c.prediction)]
    bend = heavy(values) if min(values) >= 0 else None
    scale = Scale(*padded(values), 176, plots.WIDTH - 8, bend)
    step = 36.0
    foot = 4 + step * len(cohorts)
    widest = max(c.share for c in cohorts)
    drawn: list[Child] = [plots.across(scale, 4, foot, most=4)]
    for number_, cohort in enumerate(cohorts):
        y = 4 + step * (number_ + 0.5)
        label = plots.wrapped(cohort.name, 166, 1)
        drawn += [plots.written(0, y - 3, label), plots.box(0, y + 3, 110 * cohort.share / widest, 7, "pale")]
        drawn.append(plots.text(110 * cohort.share / widest + 5, y + 11, percent(cohort.share), class_="soft"))
        drawn.append(plots.line(scale(cohort.outcome), y, scale(cohort.prediction), y, "gap"))
        drawn += [plots.dot(scale(cohort.prediction), y, "ring", 5.5), plots.dot(scale(cohort.outcome), y, "own", 4)]
    return foot + plots.LINE + 6, drawn


def _table(view: View, outcome: str, prediction: str) -> Markup:
    classes = any(c.commonest is not None for c in view.cohorts)
    head = [view.phrase, "rows", "share", outcome, prediction, *(["commonest"] if classes else [])]
    rows = [
        [
            c.name,
            f"{c.rows:,}",
            percent(c.share),
            number(c.outcome),
            number(c.prediction),
            *([c.commonest or "–"] if classes else []),
        ]
        for c in view.cohorts
    ]
    return joined(table(head, rows, caption=f"Cohorts by {view.feature}"))
