"""The benchmark's results as text for a terminal, and as a page of which every figure comes from the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.accuracy import table
from benchmarks.accuracy.result import Result
from benchmarks.accuracy.tasks import ASKED, LEAKING

HEAD = """# Accuracy

`python -m benchmarks.accuracy{arguments} --write docs/accuracy.md` wrote this page, and every figure on it comes from
that command, the slow tasks run one by one into a file (`--into`). {machine}; effort {effort}; seed fixed. It is no
test, and the machine was shared, so read the seconds as an upper bound.

## How to read it

Each task is a question in one line of PQL. Its rows are those of `penstock evaluate`: test is the newest complete
window, validation the one before, training all that is older; where a database has no time to part by (a column to be
filled in), by a hash of the entity or the row's own time. Everybody learns from the same training and validation rows
and is judged on the same test rows. The questions were chosen for what people ask and for how they differ, before
anything was measured, and none was taken away after. Two things were changed once data had been seen: retail-units-30
leaves out customer 0, who stands for all unknown ones, and what a match's own goals tell of its score, which the
hand-written features had at first, became a question of its own (football-home-score+leaks).

The measure: area under the ROC curve for yes or no, mean absolute error for numbers, accuracy for classes, average
precision over all cells for labels, MAP@10 for rankings. Of numbers the peers learn one model for the absolute error,
and another where RMSE is shown; {loss}. Numbers in
brackets are 90 % intervals by bootstrap, entities drawn with all their rows. The lead is
paired: the same draws for both; for errors it is the share of the other's error that is saved.
✗ marks a lead whose whole interval lies below zero.

Beside Penstock:

- **majority, mean**: the training rate, mean, median or popularity; the best of them.
- **own past**: what the entity did in its own earlier windows: their mean, the last, the same season's; the best.
- **one table**: Penstock's own learner, seeing only the entity's own row.
- **by hand**: recency, frequency and money of the main event tables, written in SQL for each task
  (`benchmarks/accuracy/tasks.py`, `rfm.py`): days since the last and the first event, mean gap, counts, sums and means
  over 7, 30, 90, 365 days and all time, beside the entity's own columns; then LightGBM with a careful person's settings
  (`peers.py`), at most {most} training rows, stopped on validation, grown once more on both. For rankings LambdaRank
  over the entity's own and the best-selling items.{featuretools}

Task names that end in `+leaks` are asked once more with the columns kept that were taken when the data was dumped and
so know the future ({leaking}), or, for the score of a football match, with the goals of that very match, which by
default Penstock leaves out because they give the answer away. Their figures are not what one would see in practice;
they show who makes use of a leak. In all other tasks those columns are hidden from everybody{auto}.{poison}"""

POISON = """

**Poison.** For every task the model is trained on what lay before the test cutoff; then all rows that happened after it
are rewritten in memory (half taken away, the rest scrambled, as many added), and the features made, their values for
every training, validation and test row, and the predictions must be equal to the bit. Where rows have times of their
own, this is tried at three of them. A row of a table without a clock counts as later if the row that it points to is;
other rows without a clock are left alone, since no cutoff tells their versions apart (the leakage audit is for those).
The graph is the one inferred from the database as it is."""

FEATURETOOLS = """
- **featuretools**: Deep Feature Synthesis (featuretools {version}, in an environment of its own), depth 2, with the
  cutoff times of the rows, and the same LightGBM. *default*: its default primitives without a window. *generous*: more
  primitives, over all time and over windows of one, four and twelve horizons. It learns from at most {rows:,} training
  and as many validation rows, drawn by lot; test rows are all there. `>` marks what did not finish in {limit} s,
  *failed* where featuretools itself raised an error, and a dash (–) a question it was not tried on."""


def text(results: Sequence[Result], skipped: Mapping[str, str]) -> str:
    """For a terminal."""
    parts = [table.aligned(table.main_table(results)), table.aligned(table.averages(results))]
    parts += ["\n".join(f"{name}: {value:.3f} is the best reachable" for name, value in reachable(results))]
    parts += ["\n".join(["below what is promised:", *(table.shortfalls(results) or ["nothing"])])]
    parts += [table.aligned(table.secondary(results))]
    parts += ["\n".join(left_out(skipped))]
    return "\n\n".join(part for part in parts if part)


def reachable(results: Sequence[Result]) -> list[tuple[str, float]]:
    """What the true probabilities would reach, where they are known."""
    return [(r.name, r.extra["best reachable"]) for r in results if "best reachable" in r.extra]


def left_out(skipped: Mapping[str, str]) -> list[str]:
    """The tasks that could not be asked, and why."""
    return [f"{name} was left out: {why}" for name, why in skipped.items()]


def page(
    results: Sequence[Result], skipped: Mapping[str, str], told: Mapping[str, str], known: Mapping[str, str]
) -> str:
    """As Markdown. ``told`` fills the frame; ``known`` is what is known of why a task falls short, by its name."""
    parts = [HEAD.format(leaking=_leaking(), **told)]
    parts += ["## The tasks", table.markdown(table.main_table(results)), *_bullets(left_out(skipped))]
    parts += [f"- {name}: the true probabilities themselves reach {v:.3f}." for name, v in reachable(results)]
    parts += [
        "## By type of task",
        "The mean lead, over the tasks (their number in brackets) where both have a figure; not those with `+leaks`.",
    ]
    parts += [table.markdown(table.averages(results)), "## Where it falls short", *_short(results, known)]
    parts += ["## The other measures", table.markdown(table.secondary(results))]
    parts += ["## The questions", *_questions(results)]
    return "\n\n".join(parts) + "\n"


def _leaking() -> str:
    return "; ".join(", ".join(f"`{column}`" for column in columns) for columns in LEAKING.values())


def _bullets(lines: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _short(results: Sequence[Result], known: Mapping[str, str]) -> list[str]:
    """What is promised: never below the best other by more than noise; intervals that cover 87 to 93 per cent; a
    calibration error of at most 0.03 from 2,000 test rows on; the demonstration within 0.02 of the best reachable."""
    lines = [f"{line}{_why(line, known)}" for line in table.shortfalls(results)]
    return _bullets(lines or ["Nowhere."])


def _why(line: str, known: Mapping[str, str]) -> str:
    why = next((text for name, text in known.items() if line.startswith(f"{name}:")), "")
    return f". {why}" if why else "."


def _questions(results: Sequence[Result]) -> list[str]:
    asked = {task.name: task for task in ASKED}
    shown = [asked[result.name] for result in results if result.name in asked]
    return _bullets([f"{task.name} ({task.database}): `{task.query}`" for task in shown])
