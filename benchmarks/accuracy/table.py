"""The benchmark's page: one line a task, averages by type of task, and where we fall short."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import mean

from benchmarks.accuracy.judge import BIGGER
from benchmarks.accuracy.result import OURS, Result, groups
from benchmarks.accuracy.tasks import TWIN

LEAST_CALIBRATED = 2_000
COVERED = (0.87, 0.93)
TYPES = (
    ("binary", ("binary",), "auroc"),
    ("numbers", ("regression", "forecasting"), "mae"),
    ("numbers", ("regression", "forecasting"), "rmse"),
    ("multiclass", ("multiclass",), "accuracy"),
    ("multiclass", ("multiclass",), "log_loss"),
    ("multilabel", ("multilabel",), "ap_micro"),
    ("multilabel", ("multilabel",), "auroc_micro"),
    ("ranking", ("ranking",), "map"),
)


def main_table(results: Sequence[Result]) -> list[list[str]]:
    """Task, rows, measure, ours with its interval, everybody else, the lead, coverage, calibration, seconds."""
    told = list(groups(list(results)))
    head = ["task", "train / test rows", "measure", f"{OURS} (90 %)", *(name for name, _ in told)]
    lines = [[*head, "lead over the best (90 %)", "coverage", "calibration error", "seconds"]]
    lines += [_line(result, told) for result in results]
    if not any(result.poison for result in results):
        return lines
    laws = ["poison", *("held" if r.poison == "held" else "**broken**" if r.poison else "" for r in results)]
    return [[*line, law] for line, law in zip(lines, laws, strict=True)]


def _line(result: Result, told: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    name = result.primary
    others = [_cell(result, names) for _, names in told]
    low, high = result.interval
    return [
        result.name,
        f"{result.rows['training']:,} / {result.rows['test']:,}",
        name,
        f"**{shown(result.ours[name])}** ({shown(low)}–{shown(high)})",
        *others,
        lead(result),
        "" if result.coverage is None else f"{result.coverage:.1%}",
        _calibration(result),
        f"{result.seconds:.1f}",
    ]


def _cell(result: Result, names: tuple[str, ...]) -> str:
    best = result.group(names)
    if best is not None:
        return shown(result.scores[best][result.primary])
    return next((result.missing[name] for name in names if name in result.missing), "–")


def lead(result: Result) -> str:
    """The lead over the best other, and its interval: a difference, or a share of their error."""
    unit = "" if result.primary in BIGGER else "%"
    low, high = (signed(bound, unit) for bound in result.lead_interval)
    return f"{signed(result.lead, unit)} ({low} to {high}) {result.best}{' ✗' if result.below else ''}"


def _calibration(result: Result) -> str:
    if result.calibration is None:
        return ""
    few = "" if result.rows["test"] >= LEAST_CALIBRATED else " (few rows)"
    return f"{result.calibration:.3f}{few}"


def shown(value: float | None) -> str:
    """Three digits that matter.

    >>> shown(0.81349), shown(1234.5), shown(17.345), shown(float("nan"))
    ('0.813', '1,234', '17.3', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def signed(value: float, unit: str = "") -> str:
    """A difference, with its sign.

    >>> signed(0.0123), signed(-0.051, "%")
    ('+0.012', '-5.1 %')
    """
    if math.isnan(value):
        return "–"
    return f"{100 * value:+.1f} %" if unit == "%" else f"{value:+.3f}"


# ---------------------------------------------------------------- averages


def averages(results: Sequence[Result]) -> list[list[str]]:
    """By type of task and measure: the mean lead over each group of peers, on the tasks where both have a figure.

    The twins that keep what leaks do not count.
    """
    told = list(groups(list(results)))
    lines = [["type", "measure", "tasks", f"mean of {OURS}", *(name for name, _ in told), "lowest lead"]]
    for title, kinds, measure in TYPES:
        chosen = [result for result in results if result.kind in kinds and not result.name.endswith(TWIN)]
        if chosen:
            lines.append(_average(title, measure, chosen, told))
    return lines


def _average(title: str, measure: str, chosen: list[Result], told: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    unit = "" if measure in BIGGER else "%"
    means = []
    for _, names in told:
        leads = list(_leads(chosen, names, measure))
        means.append(f"{signed(mean(leads), unit)} ({len(leads)})" if leads else "–")
    everyone = tuple(name for _, names in told for name in names)
    lowest = min(_leads(chosen, everyone, measure), default=math.nan)
    own = shown(mean(result.ours[measure] for result in chosen)) if measure in BIGGER else ""
    return [title, measure, str(len(chosen)), own, *means, signed(lowest, unit)]


def _leads(results: Sequence[Result], names: tuple[str, ...], measure: str) -> Iterator[float]:
    for result in results:
        best = result.group(names, measure)
        found = None if best is None else result.lead_over(best, measure)
        if found is not None and not math.isnan(found):
            yield found


# ---------------------------------------------------------------- where it is not so


def shortfalls(results: Sequence[Result]) -> list[str]:
    """Every promise that is not kept, task by task, with how the target moved."""
    found = []
    for result in results:
        lines = list(_shortfalls(result))
        if lines:
            found.append("; ".join([f"{result.name}: {', and '.join(lines)}", *filter(None, [drift(result)])]))
    return found


def drift(result: Result) -> str:
    """How the target moved from part to part."""
    parts = ("training", "validation", "test")
    known = [
        f"{shown(result.extra[f'mean in {part}'])} in {part}" for part in parts if f"mean in {part}" in result.extra
    ]
    what = {"multiclass": "the share of the test rows' commonest class", "multilabel": "the mean number of labels"}
    what["ranking"] = "the mean number of items"
    return f"{what.get(result.kind, 'the mean of the target')} was {', '.join(known)}" if known else ""


def _shortfalls(result: Result) -> Iterator[str]:
    if result.below:
        yield f"below {result.best} by more than noise, {lead(result)} in {result.primary}"
    if result.coverage is not None and missed(result.coverage, result.rows["test"]):
        yield f"90 % intervals cover {result.coverage:.1%}"
    if result.calibration is not None and result.calibration > 0.03 and result.rows["test"] >= LEAST_CALIBRATED:
        yield f"calibration error {result.calibration:.3f}"
    gap = result.extra.get("best reachable", math.nan) - result.ours[result.primary]
    if gap > 0.02:
        yield f"{gap:.3f} below the best reachable"
    if result.poison not in ("", "held"):
        yield f"rows after the test cutoff matter: {result.poison}"


def missed(coverage: float, rows: int) -> bool:
    """Whether 90 % intervals cover more or less than they may, by more than the luck of so many rows (two sigma).

    >>> missed(0.85, 50), missed(0.85, 5_000), missed(0.88, 5_000)
    (False, True, False)
    """
    luck = 2 * math.sqrt(0.9 * 0.1 / rows)
    return not COVERED[0] <= coverage <= COVERED[1] and abs(coverage - 0.9) > luck


def secondary(results: Sequence[Result]) -> list[list[str]]:
    """The measures that are not the primary one: ours, and the best other's."""
    lines = [["task", "measure", OURS, "best other", "lead"]]
    for result in results:
        lines += [_second(result, name) for name in result.ours if name not in (result.primary, "calibration_error")]
    return lines


def _second(result: Result, name: str) -> list[str]:
    best = result.group(tuple(who for who in result.scores if who != OURS), name)
    value = math.nan if best is None else result.scores[best][name]
    found = None if best is None else result.lead_over(best, name)
    unit = "" if name in BIGGER else "%"
    told = "–" if found is None else signed(found, unit)
    return [result.name, name, shown(result.ours[name]), f"{shown(value)} {best or ''}".strip(), told]


# ---------------------------------------------------------------- as text


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(_bare(line[i])) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(_bare(c).ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _bare(cell: str) -> str:
    return cell.replace("**", "")


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table for a page."""
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])
