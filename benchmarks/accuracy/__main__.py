"""How good the answers are: tasks of every type over several databases, beside what others say of the same rows.

    python -m benchmarks.accuracy [NAME ...] [--effort fast] [--with-featuretools] [--poison] [--write docs/accuracy.md]

The rows are those of an evaluation: test is the newest complete window. Everybody learns from the same training and
validation rows and is judged on the same test rows. Progress goes to stderr; the tables (or, with ``--json``, the
figures) to stdout.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from benchmarks.accuracy import dfs, page, peers, ranking, rfm, table
from benchmarks.accuracy.asked import Asked, Said, answer, counted, coverage, judge, put
from benchmarks.accuracy.judge import Array, Judge, better
from benchmarks.accuracy.poison import tried
from benchmarks.accuracy.reasons import KNOWN
from benchmarks.accuracy.result import BY_HAND, ONE_TABLE, OURS, Result
from benchmarks.accuracy.tasks import DEMO, TASKS, Task, absent, demonstration
from penstock import demo
from penstock.errors import PenstockError
from penstock.learning.calibration.finish import Classes, truth_of
from penstock.learning.rows.dataset import known


def measured(task: Task, given: argparse.Namespace) -> Result:
    """One task, from asking to comparing."""
    asked = put(task, given.effort, given.seed, blind=not given.auto)
    said = answer(asked, given.effort, given.seed, told_loss=given.told)
    seat = judge(asked, said)
    answers = {OURS: said.prediction, **peers.trivial(asked, said)}
    missing: dict[str, str] = {}
    if not given.ours:
        answers |= rivals(asked, said)
    if given.with_featuretools:
        found, missing = dfs.answers(asked, said, most=given.rows, limit=given.limit)
        answers |= found
    result = compared(asked, said, seat, answers)
    law = str(tried(asked, said.trained[0])) if given.poison else ""
    return replace(result, missing=missing, poison=law)


def rivals(asked: Asked, said: Said) -> dict[str, Array]:
    """What the learners among the peers say."""
    found = {}
    alone = peers.one_table(asked)
    if alone is not None:
        found[ONE_TABLE] = alone
    if asked.kind == "ranking":
        return found | {BY_HAND: ranking.boosted(asked, peers.rows(asked, ranking.MOST_ROWS))}
    parts = peers.rows(asked)
    return found | {BY_HAND: peers.boosted(asked, said, parts, rfm.features(asked, parts))}


def compared(asked: Asked, said: Said, seat: Judge, answers: dict[str, Array]) -> Result:
    """Everybody's measures, and the lead over the best other."""
    scores = {who: seat.measure(prediction) for who, prediction in answers.items()}
    name = seat.primary
    leads = {who: better(name, scores[OURS][name], value[name]) for who, value in scores.items() if who != OURS}
    best = min(leads, key=lambda who: math.inf if math.isnan(leads[who]) else leads[who])
    return Result(
        asked.task.name,
        asked.kind,
        counted(asked),
        len(np.unique(seat.owner)),
        name,
        scores,
        seat.interval(answers[OURS], name),
        best,
        leads[best],
        seat.interval(answers[OURS], name, answers[best]),
        coverage(asked, said),
        asked.seconds + said.seconds,
        len(asked.gathered.features),
        extra={**reachable(asked, seat), **means(asked, said)},
    )


def reachable(asked: Asked, seat: Judge) -> dict[str, float]:
    """What the true probabilities would reach, where they are known."""
    if asked.task.database != DEMO or asked.task.query != demo.QUESTION:
        return {}
    true = demo.true_probability(demonstration(), int(asked.test.cutoff[0]))
    places = pc.index_in(asked.test.entity, true["entity"].combine_chunks())
    probability = true["probability"].take(places.combine_chunks() if hasattr(places, "combine_chunks") else places)
    return {"best reachable": seat.one(probability.to_numpy(), seat.primary)}


def means(asked: Asked, said: Said) -> dict[str, float]:
    """The target's mean in training, validation and test (of classes the share of the test rows' commonest one)."""
    parts = {"training": asked.gathered.train, "validation": asked.gathered.validation, "test": asked.gathered.test}
    targets = {f"mean in {name}": known(part).target for name, part in parts.items()}
    finish = said.trained[0].finish
    if isinstance(finish, Classes):
        codes = {name: finish.codes(target) for name, target in targets.items()}
        commonest = np.bincount(codes["mean in test"][codes["mean in test"] >= 0]).argmax()
        return {name: float(np.mean(code == commonest)) for name, code in codes.items()}
    if asked.kind in ("multilabel", "ranking"):
        return {name: float(pc.mean(pc.list_value_length(target)).as_py()) for name, target in targets.items()}
    return {name: float(np.mean(truth_of(target))) for name, target in targets.items()}


def chosen(names: Sequence[str], *, twins: bool = True) -> list[Task]:
    """The tasks whose names begin with one of these; all where none is given."""
    asked = [task for task in TASKS if twins or not task.kept]
    return [task for task in asked if not names or any(task.name.startswith(name) for name in names)]


def run(given: argparse.Namespace) -> tuple[list[Result], dict[str, str]]:
    """Every chosen task; those that cannot be asked, with the reason."""
    done = read(given.into)
    results, skipped = [], {}
    for task in chosen(given.names, twins=not given.no_leaks):
        reason = absent(task)
        if reason is None and task.name not in done:
            try:
                done[task.name] = noted(timed(task, given), given.into)
            except PenstockError as error:
                reason = f"{error.code}: {error.message}"
        if reason is None:
            results.append(done[task.name])
        else:
            skipped[task.name] = reason
            print(f"{task.name}: left out, {reason}", file=sys.stderr)
    return results, skipped


def timed(task: Task, given: argparse.Namespace) -> Result:
    """One task, with a line of progress."""
    started = time.perf_counter()
    result = measured(task, given)
    seconds, score = time.perf_counter() - started, table.shown(result.ours[result.primary])
    told = f"{task.name}: {result.primary} {score}, {table.lead(result)}, {result.seconds:.1f} of {seconds:.1f} s"
    print(told, file=sys.stderr, flush=True)
    return result


def read(file: Path | None) -> dict[str, Result]:
    """The results that a file holds, by task."""
    if file is None or not file.exists():
        return {}
    found = [Result.from_dict(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    return {result.name: result for result in found}


def noted(result: Result, file: Path | None) -> Result:
    """The result, added to a file."""
    if file is not None:
        with file.open("a", encoding="utf-8") as open_file:
            open_file.write(json.dumps(result.to_dict()) + "\n")
    return result


def machine() -> str:
    """What it ran on."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores{load}"


def frame(given: argparse.Namespace) -> dict[str, str]:
    """What the page says of the run."""
    auto = ", but for Penstock, which had to notice them by itself" if given.auto else ""
    deep = page.FEATURETOOLS.format(version=dfs.VERSION, rows=given.rows, limit=given.limit)
    loss = "Penstock is told so too" if given.told else "Penstock is told nothing, and answers with one model"
    told = {"machine": machine(), "effort": given.effort, "auto": auto, "loss": loss}
    told["featuretools"] = deep if given.with_featuretools else ""
    told["poison"] = page.POISON if given.poison else ""
    return {**told, "most": f"{peers.MOST_ROWS:,}", "arguments": "".join(f" {text}" for text in _told(given))}


def _told(given: argparse.Namespace) -> list[str]:
    """The arguments that a run was given, without where to write."""
    flags = [
        f"--{name}"
        for name in ("ours", "auto", "no-leaks", "told", "poison", "with-featuretools")
        if getattr(given, name.replace("-", "_"))
    ]
    effort = [] if given.effort == "fast" else [f"--effort {given.effort}"]
    return [*given.names, *effort, *flags]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="tasks whose names begin so (default: all)")
    parser.add_argument("--effort", choices=["fast", "normal", "best"], default="fast", help="how hard Penstock tries")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--ours", action="store_true", help="leave out the peers that learn")
    parser.add_argument("--auto", action="store_true", help="hide no column from Penstock: it has to notice what leaks")
    parser.add_argument("--no-leaks", action="store_true", help="leave out the tasks that keep what leaks")
    parser.add_argument("--told", action="store_true", help="tell Penstock which error counts: a model for each")
    parser.add_argument("--poison", action="store_true", help="try that no row after a test cutoff changes anything")
    parser.add_argument(
        "--with-featuretools", action="store_true", help="and featuretools, in an environment of its own"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="rows that featuretools learns from (default 20,000)")
    parser.add_argument("--limit", type=int, default=600, help="seconds that a setting of featuretools may take")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="add results to a file; tasks in it are not run again"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def main() -> None:
    given = arguments().parse_args()
    results, skipped = run(given)
    if given.json:
        print(json.dumps({"results": [result.to_dict() for result in results], "left out": skipped}))
    else:
        print(page.text(results, skipped))
    if given.write:
        given.write.write_text(page.page(results, skipped, frame(given), KNOWN), encoding="utf-8")


if __name__ == "__main__":
    main()
