"""How good: the headline, and the metrics beside the baselines as a table and as points on a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from penstock.learning.judging.difference import arrow, better_is
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.reasons.report import plots
from penstock.learning.reasons.report.markup import Markup, element, joined, paragraph, table
from penstock.learning.reasons.report.scales import heavy

OWN = "this model"


@dataclass(frozen=True)
class Words:
    """A metric for people: its name with an article, and what it means."""

    named: str
    meaning: str

    @property
    def name(self) -> str:
        """The name without the article."""
        return self.named.partition(" ")[2]


METRICS: Mapping[str, Words] = {
    "auroc": Words("an AUROC", "the chance that a yes is ranked above a no; 0.5 is luck, 1 is perfect"),
    "ap": Words("an average precision", "how pure the top of the list is, over all places to cut it"),
    "log_loss": Words("a log loss", "how far probabilities were from what came; being sure and wrong costs most"),
    "calibration_error": Words("a calibration error", "how far probabilities lay from the shares that came"),
    "brier": Words("a Brier score", "the mean squared distance of the probability from what came"),
    "mae": Words("a mean absolute error", "how far off a prediction was on average, in the target's unit"),
    "rmse": Words("a root mean squared error", "as the mean absolute error, but large errors count for more"),
    "r2": Words("an R²", "the share of the variance that is explained; below 0 is worse than the mean"),
    "coverage": Words("a coverage", "the share of rows whose 90 % interval held what came"),
    "accuracy": Words("an accuracy", "how often the likeliest class was the one that came"),
    "macro_f1": Words("a macro F1", "how well each class is found, every class counting alike"),
    "f1_micro": Words("a micro F1", "how well labels are found when one half is the line"),
    "map": Words("a mean average precision", "how high up the items stand that came"),
    "ndcg": Words("an NDCG", "the same, with places discounted by their logarithm"),
    "recall": Words("a recall", "the share of the items that came which are in the list"),
}


def words(metric: str) -> Words:
    """A metric in words; one that is not known is called by its name.

    >>> words("map@10").named, words("auroc_micro").named, words("profit").named
    ('a mean average precision @ 10', 'an AUROC, micro', 'a profit')
    """
    stem, _, places = metric.partition("@")
    for whole, ending in (
        (stem, ""),
        (stem.removesuffix("_micro"), ", micro"),
        (stem.removesuffix("_macro"), ", macro"),
    ):
        if whole in METRICS:
            known = METRICS[whole]
            return Words(f"{known.named}{ending}{f' @ {places}' if places else ''}", known.meaning)
    return Words(f"a {metric}", "")


_FIRST: Mapping[str, str] = {
    "binary": "auroc",
    "regression": "mae",
    "forecasting": "mae",
    "multiclass": "accuracy",
    "multilabel": "auroc_macro",
}


def primary(evaluation: Evaluation) -> str:
    """The metric to tell first: the one the lead is counted in, the task's usual one, or the first that there is."""
    wanted = _FIRST.get(evaluation.task, "") if evaluation.lead is None else evaluation.lead.metric
    return wanted if wanted in evaluation.metrics else next(iter(evaluation.metrics), "")


def rival(evaluation: Evaluation, metric: str) -> str | None:
    """The baseline that is best by a metric; None where none has it."""
    lead = evaluation.lead
    if lead is not None and lead.metric == metric and lead.rival in evaluation.baselines:
        return lead.rival
    found = {
        who: said[metric] for who, said in evaluation.baselines.items() if not math.isnan(said.get(metric, math.nan))
    }
    sign = better_is(metric) or 1
    return max(found, key=lambda who: (sign * found[who], who)) if found else None


def headline(evaluation: Evaluation) -> str:
    """The result in one sentence, without its full stop."""
    metric = primary(evaluation)
    value = evaluation.metrics.get(metric, math.nan)
    rows = f"{evaluation.rows.get('test', evaluation.predictions.num_rows):,}"
    if math.isnan(value):
        return f"{words(metric).name} is undefined on {rows} later rows".removeprefix(" ")
    named, best = words(metric).named, rival(evaluation, metric)
    head = f"{_title(named)} of {number(value)} on {rows} later rows"
    return (
        head
        if best is None
        else f"{head}, beside {number(evaluation.baselines[best][metric])} for {best}, the best baseline"
    )


_VERDICTS: Mapping[str, str] = {
    "better": "The best baseline is beaten by more than noise",
    "as good": "The best baseline is not beaten by more than noise",
    "worse": "The best baseline is better than this model by more than noise",
}


def verdict(evaluation: Evaluation) -> str | None:
    """Whether the lead over the best baseline is more than noise; None where that is not known."""
    lead = evaluation.lead
    if lead is None or math.isnan(lead.low) or lead.verdict not in _VERDICTS:
        return None
    span = f"{lead.low:+,.3g} to {lead.high:+,.3g}"
    told = f"{words(lead.metric).name} {lead.value:+,.3g} (90 % interval {span})".replace(" -", " \N{MINUS SIGN}")
    return f"{_VERDICTS[lead.verdict]}: {told}."


def number(value: float | None) -> str:
    """A metric's value as text; a dash where it is undefined."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def scores(evaluation: Evaluation) -> Markup:
    """All metrics: a small drawing for each, and the table of them."""
    drawn = [_compared_by(evaluation, metric) for metric in evaluation.metrics]
    return joined([element("div", drawn, class_="grid"), _table(evaluation), _windows(evaluation)])


def _compared_by(evaluation: Evaluation, metric: str) -> Markup:
    """One metric of the model and of the baselines, as points on a line."""
    told, low_high = words(metric), evaluation.intervals.get(metric)
    said = {OWN: evaluation.metrics, **evaluation.baselines}
    known = [(who, values[metric]) for who, values in said.items() if not math.isnan(values.get(metric, math.nan))]
    if not known:
        return Markup("")
    low, high = _ends(low_high)
    rows = [
        plots.Dot(who, value, number(value), low, high)
        if who == OWN
        else plots.Dot(who, value, number(value), class_="other")
        for who, value in known
    ]
    direction = {1: "more is better", -1: "less is better", 0: ""}[better_is(metric)]
    spoken = "; ".join(f"{who} {number(value)}" for who, value in known)
    drawn = plots.dots(f"{told.name} of the model and of the baselines", spoken, rows, bend=_bend(known))
    told_below = "; ".join(part for part in (told.meaning, direction) if part)
    return element(
        "figure", element("h3", _title(told.name), f" {arrow(metric)}"), paragraph(_sentence(told_below)), drawn
    )


def _bend(known: list[tuple[str, float]]) -> float | None:
    """A bent scale where one predictor is so far off that the others could not be told apart."""
    return heavy([value for _, value in known]) if min(value for _, value in known) >= 0 else None


def _ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None or math.isnan(interval[0]) else interval


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _sentence(said: str) -> str:
    return f"{_title(said)}." if said else ""


def _table(evaluation: Evaluation) -> Markup:
    names = list(evaluation.metrics)
    said = {OWN: evaluation.metrics, **evaluation.baselines}
    best = {name: _best(name, said) for name in names}
    rows = [[who, *(_cell(values.get(name), who == best[name]) for name in names)] for who, values in said.items()]
    if evaluation.intervals:
        rows.insert(1, ["its 90 % interval", *(_span(evaluation.intervals.get(name)) for name in names)])
    head = ["", *(f"{words(name).name} {arrow(name)}".strip() for name in names)]
    return table(head, rows, caption="The model and what one could say without it; the best of each column stands out")


def _best(metric: str, said: Mapping[str, Mapping[str, float]]) -> str | None:
    sign = better_is(metric)
    known = {who: sign * values[metric] for who, values in said.items() if not math.isnan(values.get(metric, math.nan))}
    return max(known, key=lambda who: known[who]) if known and sign else None


def _cell(value: float | None, best: bool) -> Markup:
    return element("span", number(value), class_="best") if best else joined(number(value))


def _span(interval: tuple[float, float] | None) -> str:
    if interval is None or math.isnan(interval[0]):
        return "\N{EN DASH}"
    return f"{number(interval[0])} to {number(interval[1])}"


def _windows(evaluation: Evaluation) -> Markup:
    """The metrics of each test window of a rolling evaluation, newest first, with mean and spread."""
    if not evaluation.windows:
        return Markup("")
    names = list(evaluation.metrics)
    whens = [plots.day(at) for at in evaluation.cutoffs.get("windows", ())]
    whens += [f"window {n}" for n in range(len(whens) + 1, len(evaluation.windows) + 1)]
    rows = [
        [when, *(number(w.get(name)) for name in names)] for when, w in zip(whens, evaluation.windows, strict=False)
    ]
    spread = evaluation.spread
    rows.append(
        ["mean ± spread", *(f"{number(spread[n][0])} ± {number(spread[n][1])}" if n in spread else "–" for n in names)]
    )
    return table(
        ["test window", *(words(name).name for name in names)], rows, caption="Several test windows, newest first"
    )
