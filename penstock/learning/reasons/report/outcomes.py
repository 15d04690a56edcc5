"""What was said beside what came, each task in its own way: reliability, gain, numbers, confusion, places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.conformal import COVERAGE
from penstock.learning.calibration.finish import truth_of
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.judging.metrics import auroc
from penstock.learning.judging.reliability import reliability as binned
from penstock.learning.reasons.report import plots
from penstock.learning.reasons.report.markup import (
    Child,
    Markup,
    cut,
    details,
    element,
    framed,
    joined,
    paragraph,
    table,
)
from penstock.learning.reasons.report.plots import Frame
from penstock.learning.reasons.report.scales import heavy, padded
from penstock.learning.reasons.report.scores import number

POINTS = 400
CLASSES = 8
LABELS = 12
_LIFTS = (0.01, 0.05, 0.1, 0.2, 0.5)


def figure(title: str, told: str | None, drawn: Child, *below: Child) -> Markup:
    """A drawing under its title, with what it says, and the same as a table below."""
    return element("figure", element("h3", title), None if not told else paragraph(told), drawn, *below)


def percent(share: float) -> str:
    """A share as text.

    >>> percent(0.123), percent(0.0004), percent(1.0)
    ('12.3 %', '0.04 %', '100.0 %')
    """
    said = f"{100 * share:.1f}" if share >= 0.001 or share == 0 else f"{100 * share:.2g}"
    return f"{said} %"


# ---------------------------------------------------------------- reliability


def reliability(evaluation: Evaluation) -> Markup:
    """What was said beside how often it came, for probabilities."""
    bins = evaluation.reliability
    if evaluation.task not in ("binary", "multiclass", "multilabel") or not bins:
        return Markup("")
    points = [(b.said, b.came) for b in bins]
    frame = Frame.of((0, 1), (0, 1), ("said", "came"), height=240)
    top = frame.height + 6
    spoken = np.histogram(_spoken(evaluation), np.linspace(0, 1, 41))[0]
    counts = [
        _count(frame, top, i / 40, (i + 1) / 40, 44 * n / spoken.max()) for i, n in enumerate(spoken.tolist()) if n
    ]
    drawn = plots.drawing(
        "Reliability diagram",
        "; ".join(f"said {number(said)}, came {number(came)}" for said, came in points),
        top + 66,
        frame.axes(),
        frame.through([(0, 0), (1, 1)], "even"),
        frame.through(points, "own"),
        frame.marks(points, "own"),
        counts,
        plots.text(0, top + 12, "rows", class_="soft"),
    )
    what = {"binary": "a yes", "multiclass": "the likeliest class", "multilabel": "a label"}[evaluation.task]
    told = f"Of rows about which much the same was said, how often {what} came. On the dashed line words are kept."
    rows = [[f"{number(b.low)} to {number(b.high)}", f"{b.rows:,}", number(b.said), number(b.came)] for b in bins]
    below = details("The figures", table(["probability", "rows", "said", "came"], rows, caption="Reliability"))
    return figure("Do probabilities mean what they say?", told, drawn, below)


def _spoken(evaluation: Evaluation) -> Floats:
    """Every probability that the reliability table counts."""
    if evaluation.task == "multiclass":
        return np.asarray(_Wide.of(evaluation).said.max(axis=1), np.float64)
    return _known(evaluation, "probability")[1]


def _count(frame: Frame, top: float, low: float, high: float, height: float) -> Markup:
    left, right = frame.x(low), frame.x(high)
    return plots.box(left, top + 56 - height, max(1.5, right - left - 1), height, "faint")


# ---------------------------------------------------------------- yes or no


def _gain(evaluation: Evaluation) -> Markup:
    """How many of those who said yes are among the first so many of the list."""
    truth, said = _known(evaluation, "probability")
    if not truth.any() or truth.all():
        return Markup("")
    found = np.concatenate([[0.0], np.cumsum(truth[np.argsort(-said, kind="stable")])]) / truth.sum()
    asked = np.arange(len(found)) / (len(found) - 1)
    kept = np.unique(np.linspace(0, len(found) - 1, 120).astype(int))
    frame = Frame.of((0, 1), (0, 1), ("share of the list, likeliest first", "share of all yes found"))
    perfect = [(0.0, 0.0), (float(truth.mean()), 1.0), (1.0, 1.0)]
    lifts = [(share, float(np.interp(share, asked, found))) for share in _LIFTS if share * len(truth) >= 1]
    drawn = plots.drawing(
        "Gain curve",
        "; ".join(f"the first {percent(share)} hold {percent(gain)} of all yes" for share, gain in lifts),
        frame.height,
        frame.axes(),
        frame.through([(0, 0), (1, 1)], "even"),
        frame.through(perfect, "even"),
        frame.through([(float(asked[i]), float(found[i])) for i in kept], "own"),
    )
    rows = [
        [percent(share), f"{round(share * len(truth)):,}", percent(gain), f"{gain / share:.2f} ×"]
        for share, gain in lifts
    ]
    below = details("The figures", table(["first", "rows", "of all yes", "lift"], rows, caption="Gain and lift"))
    told = "How many of all yes are found in the first part of the list. Dashed: by luck, and by perfect knowledge."
    return figure("Who is asked first?", told, drawn, below)


def _spread(evaluation: Evaluation) -> Markup:
    """How probabilities are spread among those who said yes and those who said no."""
    truth, said = _known(evaluation, "probability")
    edges = np.linspace(0, 1, 21)
    shares = [np.histogram(said[truth == answer], edges)[0] / max(1, (truth == answer).sum()) for answer in (0, 1)]
    frame = Frame.of((0, 1), (0, float(max(part.max() for part in shares)) * 1.05), ("probability", "share of rows"))
    middles = (edges[1:] + edges[:-1]) / 2
    lines = [list(zip(middles.tolist(), part.tolist(), strict=True)) for part in shares]
    no, yes = (number(_mean(said[truth == answer])) for answer in (0, 1))
    drawn = plots.drawing(
        "Probabilities by what came",
        f"mean probability {no} where no came, {yes} where yes came",
        frame.height + 16,
        frame.axes(),
        frame.through(lines[0], "no"),
        frame.through(lines[1], "own"),
        plots.legend([("own", "yes came"), ("warm", "no came")], frame.height + 10),
    )
    return figure("Are the two told apart?", "The further the two lines lie from each other, the better.", drawn)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _known(evaluation: Evaluation, column: str) -> tuple[Floats, Floats]:
    """Target and answer of the rows that have a target."""
    rows = evaluation.predictions
    rows = rows.filter(rows["target"].is_valid())
    return truth_of(rows["target"]), np.asarray(rows[column], np.float64)


# ---------------------------------------------------------------- numbers


def _numbers(evaluation: Evaluation) -> Markup:
    """Predictions against what came, row by row and in ten bins."""
    truth, said = _known(evaluation, "prediction")
    if not len(truth):
        return Markup("")
    both = np.concatenate([truth, said])
    bend = heavy(both.tolist())
    low, high = (float(both.min()), float(both.max())) if bend else padded(both.tolist())
    frame = Frame.of((low, high), (low, high), ("predicted", "came"), (bend, bend), 270)
    kept = np.argsort(said, kind="stable")[:: max(1, -(-len(said) // POINTS))]
    bins = [(b.said, b.came, b.rows) for b in binned(said, truth)]
    drawn = plots.drawing(
        "Predictions against what came",
        "; ".join(f"predicted {number(p)}, came {number(c)}" for p, c, _ in bins),
        frame.height,
        frame.axes(),
        frame.marks([(float(said[i]), float(truth[i])) for i in kept], "faint", 2.2),
        frame.through([(x, x) for x in _along(low, high)], "even"),
        frame.through([(p, c) for p, c, _ in bins], "own"),
        frame.marks([(p, c) for p, c, _ in bins], "own"),
    )
    rows = [[number(p), number(c), f"{n:,}"] for p, c, n in bins]
    below = details(
        "The figures", table(["mean predicted", "mean that came", "rows"], rows, caption="Ten bins", numeric=0)
    )
    bent = " Both scales grow by powers of ten, since a few numbers dwarf the rest." if bend else ""
    told = f"Each pale point is a row, each dark one the mean of a tenth of them. Dashed: as predicted.{bent}"
    return figure("Are the numbers right?", told, drawn, below)


def _along(low: float, high: float) -> list[float]:
    return [float(x) for x in np.linspace(low, high, 60)]


def _coverage(evaluation: Evaluation) -> Markup:
    """How often intervals held what came, from the smallest predictions to the largest."""
    bins = evaluation.reliability
    if not bins:
        return Markup("")
    low = min(0.5, min(b.came for b in bins) - 0.03)
    frame = Frame.of(
        (0.5, len(bins) + 0.5), (max(0.0, low), 1.0), ("tenths of the rows, small predictions first", "inside")
    )
    drawn = plots.drawing(
        "Coverage of the intervals",
        "; ".join(f"{number(b.low)} to {number(b.high)}: {percent(b.came)}" for b in bins),
        frame.height,
        frame.axes(),
        frame.through([(0.5, COVERAGE), (len(bins) + 0.5, COVERAGE)], "even"),
        frame.marks([(i, b.came) for i, b in enumerate(bins, 1)], "own", 5.5),
    )
    rows = [[f"{number(b.low)} to {number(b.high)}", f"{b.rows:,}", percent(b.came)] for b in bins]
    below = details("The figures", table(["prediction", "rows", "inside"], rows, caption="Coverage by prediction"))
    told = f"How often the interval held what came; it is meant to {100 * COVERAGE:.0f} % of the time (dashed)."
    return figure("Do the intervals hold?", told, drawn, below)


def _by_step(evaluation: Evaluation) -> Markup:
    """The error of a forecast, frame by frame."""
    table_ = evaluation.predictions.filter(evaluation.predictions["target"].is_valid())
    if "step" not in table_.column_names or not table_.num_rows:
        return Markup("")
    off = np.abs(truth_of(table_["target"]) - np.asarray(table_["prediction"], np.float64))
    step = np.asarray(table_["step"], np.int64)
    steps = np.unique(step).tolist()
    means = [float(off[step == s].mean()) for s in steps]
    told = "; ".join(f"frame {s}: {number(m)}" for s, m in zip(steps, means, strict=True))
    drawn = plots.columns("Error by frame", told, means, [str(s) for s in steps])
    rows = [[str(s), number(m)] for s, m in zip(steps, means, strict=True)]
    below = details("The figures", table(["frame ahead", "mean absolute error"], rows, caption="Error by frame"))
    return figure("How far ahead does it see?", "The mean absolute error of each frame ahead.", drawn, below)


# ---------------------------------------------------------------- classes and labels


@dataclass(frozen=True)
class _Wide:
    """The answer of classes or labels with a row for each row asked."""

    values: list[str]
    said: Floats
    target: Any

    @classmethod
    def of(cls, evaluation: Evaluation) -> _Wide:
        """Rows that have a target."""
        rows = evaluation.predictions
        names = rows["class"].unique().to_pylist()
        wide = np.asarray(rows["probability"], np.float64).reshape(-1, max(1, len(names)))
        target = rows["target"].combine_chunks()
        known = np.asarray(target.is_valid()).reshape(wide.shape)[:, 0] if len(target) else np.zeros(0, bool)
        return cls([str(name) for name in names], wide[known], target.filter(pa.array(np.repeat(known, len(names)))))

    @cached_property
    def came(self) -> list[str]:
        """The class of each row."""
        chosen = np.arange(0, len(self.target), max(1, len(self.values)))
        return [str(value) for value in self.target.take(pa.array(chosen)).to_pylist()]


_REST = "any other"


def _confusion(evaluation: Evaluation) -> Markup:
    """What came against what was thought likeliest, the commonest classes first."""
    wide = _Wide.of(evaluation)
    if not len(wide.said):
        return Markup("")
    guessed = [wide.values[i] for i in wide.said.argmax(axis=1).tolist()]
    counts: dict[str, int] = {}
    for name in wide.came:
        counts[name] = counts.get(name, 0) + 1
    shown = sorted(counts, key=lambda name: (-counts[name], name))[:CLASSES]
    names = [*shown, *([_REST] if set(wide.came) | set(guessed) > set(shown) else [])]
    place = {name: i for i, name in enumerate(shown)}
    cells = np.zeros((len(names), len(names)), int)
    for true, said in zip(wide.came, guessed, strict=True):
        cells[place.get(true, len(names) - 1), place.get(said, len(names) - 1)] += 1
    body = [element("tr", _matrix_row(name, cells[i])) for i, name in enumerate(names) if cells[i].sum()]
    head = element("tr", element("td"), [element("th", cut(name), scope="col") for name in names])
    caption = "Rows: what came. Columns: what was thought likeliest. In each cell the share of its row, and the count."
    drawn = framed(caption, element("thead", head), element("tbody", body), class_="matrix")
    told = "A perfect model has everything on the diagonal."
    return element("div", figure("Which class is taken for which?", told, drawn), class_="wide")


def _matrix_row(name: str, counts: Any) -> list[Markup]:
    total = max(1, int(counts.sum()))
    cells = [
        element("td", percent(n / total), element("br"), f"{n:,}", style=f"--share:{n / total:.3f}")
        if n
        else element("td", "\N{MIDDLE DOT}", style="--share:0")
        for n in counts.tolist()
    ]
    return [element("th", cut(name), scope="row"), *cells]


def _labels(evaluation: Evaluation) -> Markup:
    """Each label: how often it came, how likely it was said to be, and how well it is told."""
    wide = _Wide.of(evaluation)
    truth = np.asarray(wide.target, np.float64).reshape(wide.said.shape)
    rows = (
        [
            (name, float(truth[:, i].mean()), float(wide.said[:, i].mean()), auroc(truth[:, i], wide.said[:, i]))
            for i, name in enumerate(wide.values)
        ]
        if len(truth)
        else []
    )
    most = sorted(rows, key=lambda row: (-row[1], row[0]))[:LABELS]
    if not most:
        return Markup("")
    dots = [plots.Dot(name, area, number(area)) for name, _, _, area in most if not np.isnan(area)]
    spoken = "; ".join(f"{d.label} {d.said}" for d in dots)
    drawn = plots.dots("AUROC of each label", spoken, dots, reach=(0.5, 1.0)) if dots else None
    said = [
        [name, percent(came), percent(mean), number(area)]
        for name, came, mean, area in sorted(rows, key=lambda row: (-row[1], row[0]))
    ]
    below = details("The figures", table(["label", "came", "said on average", "AUROC"], said, caption="Every label"))
    told = "The chance that a row with the label is ranked above one without it; the commonest labels first."
    return figure("Which labels are told best?", told, drawn, below)


# ---------------------------------------------------------------- rankings


def _places(evaluation: Evaluation) -> Markup:
    """How often the item at each place came, over rows to which anything came."""
    rows = evaluation.predictions
    if "relevant" in rows.column_names:
        rows = rows.filter(pa.array(np.asarray(rows["relevant"].fill_null(0), np.int64) > 0))
    rows = rows.filter(rows["target"].is_valid())
    if not rows.num_rows:
        return Markup("")
    hit, rank = truth_of(rows["target"]), np.asarray(rows["rank"], np.int64)
    asked = max(1, int((rank == 1).sum()))
    shares = [float(hit[rank == place].sum() / asked) for place in range(1, int(rank.max()) + 1)]
    names = [str(place) for place in range(1, len(shares) + 1)]
    told = "; ".join(f"place {name}: {percent(share)}" for name, share in zip(names, shares, strict=True))
    drawn = plots.columns("Hits by place", told, [100 * share for share in shares], names, unit=" %")
    figures = [[name, percent(share)] for name, share in zip(names, shares, strict=True)]
    below = details("The figures", table(["place", "came"], figures, caption="Hits by place"))
    said = "How often the item at each place was one that came. Scores order a row's items; they are no probabilities."
    return figure("At which places are the hits?", said, drawn, below)


_OUTCOMES: Mapping[str, Sequence[Callable[[Evaluation], Markup]]] = {
    "binary": (reliability, _gain, _spread),
    "regression": (_numbers, _coverage),
    "forecasting": (_numbers, _coverage, _by_step),
    "multiclass": (reliability, _confusion),
    "multilabel": (reliability, _labels),
    "ranking": (_places,),
}


def outcomes(evaluation: Evaluation) -> Markup:
    """All that can be drawn of a task's answers."""
    drawn = [draw(evaluation) for draw in _OUTCOMES.get(evaluation.task, ()) if evaluation.predictions.num_rows]
    return element("div", drawn, class_="grid") if joined(drawn) else Markup("")
