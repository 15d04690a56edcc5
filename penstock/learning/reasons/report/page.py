"""The page: an evaluation as one HTML file that stands by itself, with no script and nothing to fetch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from penstock.errors import RequestError
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.leaks.findings import Finding, told
from penstock.learning.reasons.report import plots
from penstock.learning.reasons.report.leanings import cohorts, cohorts_read, leanings
from penstock.learning.reasons.report.markup import Child, Markup, details, element, joined, paragraph, section, table
from penstock.learning.reasons.report.outcomes import outcomes
from penstock.learning.reasons.report.plots import Lane
from penstock.learning.reasons.report.scores import headline, number, primary, scores, verdict, words
from penstock.learning.reasons.report.style import SHEET
from penstock.settings import VERSION

_PARTS: Mapping[str, tuple[str, str]] = {
    "train": ("training", "other"),
    "validation": ("validation", "warm"),
    "test": ("test", "own"),
}


def html(evaluation: Evaluation, *, query: str | None = None, source: str | None = None) -> str:
    """The report of an evaluation as the text of an HTML file.

    ``query`` and ``source`` are shown, and in the command that makes the report again; a password in the source's URL
    is left out. What an evaluation lacks is left out. All names and values from data are escaped.
    """
    title = f"Penstock: {headline(evaluation)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("title", title),
        element("style", Markup(SHEET)),
    )
    body = element("body", _top(evaluation, query), element("main", _sections(evaluation, query, source)), _foot())
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def check_page(path: str) -> None:
    """Raise ``RequestError`` where a page cannot be written: its folder is not there, or it is no ``.html`` file."""
    place = Path(path)
    if place.suffix.lower() not in (".html", ".htm"):
        hint = "Write it like report.html."
        raise RequestError("REQUEST_REPORT", f"a report is an .html file, not {path!r}", name=path, hint=hint)
    if not place.parent.is_dir() or place.is_dir():
        hint = "Make the folder first."
        raise RequestError("REQUEST_REPORT", f"there is no folder {str(place.parent)!r} to write to", hint=hint)


def write_page(evaluation: Evaluation, path: str, *, query: str | None = None, source: str | None = None) -> None:
    """Write the report of an evaluation (as `html`) to a file."""
    check_page(path)
    Path(path).write_text(html(evaluation, query=query, source=source), "utf-8")


def _top(evaluation: Evaluation, query: str | None) -> Markup:
    return element(
        "header",
        paragraph("Penstock · evaluation", class_="eyebrow"),
        element("h1", headline(evaluation)),
        None if verdict(evaluation) is None else paragraph(verdict(evaluation), class_="lead"),
        None if query is None else element("pre", element("code", query)),
        element(
            "dl",
            [element("div", element("dt", name), element("dd", said)) for name, said in _facts(evaluation)],
            class_="facts",
        ),
    )


def _facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    metric = primary(evaluation)
    yield "task", evaluation.task
    yield words(metric).name, number(evaluation.metrics.get(metric))
    yield "test rows", f"{evaluation.rows.get('test', 0):,}"
    yield "features", f"{evaluation.features:,}"
    yield "time to learn", f"{evaluation.seconds:,.1f} s"


def _sections(evaluation: Evaluation, query: str | None, source: str | None) -> list[Markup]:
    return [
        section("How good it is", scores(evaluation), lead=_judged(evaluation)),
        section("What was said, and what came", outcomes(evaluation)),
        section("What it leans on", leanings(evaluation)),
        section("Who the rows were", cohorts(evaluation), lead=cohorts_read(evaluation)),
        section("What may know the future", _audit(evaluation), lead=_AUDITED),
        section("Rows and cutoffs", _rows(evaluation)),
        section("Notes, and what was left out", _left_out(evaluation)),
        section("Again", _again(query, source)),
    ]


def _judged(evaluation: Evaluation) -> str:
    regime = {
        "seed-time": "Each test row saw what was known at its own cutoff.",
        "frozen": "No test row saw anything that came after the first test cutoff.",
    }.get(evaluation.regime, f"Regime: {evaluation.regime}.")
    sure = " Bars through the points are 90 % intervals, drawn by whole entities." if evaluation.intervals else ""
    return f"Judged on rows that came later than all it learnt from. {regime}{sure}"


# ---------------------------------------------------------------- leakage


_AUDITED = "Columns and features that could hold the answer, or that may have been written after the fact."
_DONE: Mapping[str, str] = {"dropped": "left out", "kept": "kept", "asked": "kept, but look at it"}


def _found(evaluation: Evaluation) -> list[Finding]:
    """The findings; those of an evaluation that was kept in a file are plain values."""
    return [Finding.from_dict(f) if isinstance(f, Mapping) else f for f in evaluation.findings]


def _audit(evaluation: Evaluation) -> Markup:
    """The findings of the leakage audit, or that there are none."""
    found = _found(evaluation)
    if not found:
        return paragraph("Nothing was found that may know the future.")
    told = [
        element("li", element("code", f.what), " ", element("b", _DONE[f.action]), f" ({f.kind}): {f.evidence}.")
        for f in found
    ]
    return element("ul", told, class_="found")


# ---------------------------------------------------------------- rows


def _rows(evaluation: Evaluation) -> Markup:
    """When cutoffs lie, and how many rows each part has."""
    lanes = [Lane(name, evaluation.cutoffs.get(part, ()), class_) for part, (name, class_) in _PARTS.items()]
    kept = [lane for lane in lanes if lane.instants]
    spoken = "; ".join(
        f"{lane.name}: {len(lane.instants)} from {plots.day(min(lane.instants))} to {plots.day(max(lane.instants))}"
        for lane in kept
    )
    rows = [
        [lane.name, f"{evaluation.rows.get(lane.name, 0):,}", f"{len(lane.instants):,}", *_ends(lane.instants)]
        for lane in kept
    ]
    drawn = plots.lanes("Cutoffs in time", spoken, kept) if kept else None
    whole = table(
        ["part", "rows", "cutoffs", "first", "last"], rows, caption="Each part comes later than the one before"
    )
    return element("div", element("figure", drawn), element("div", whole), class_="grid")


def _ends(instants: Sequence[int]) -> tuple[str, str]:
    return plots.day(min(instants)), plots.day(max(instants))


def _left_out(evaluation: Evaluation) -> Markup:
    """The notes, and each feature that was dropped."""
    said = told(_found(evaluation))
    notes = [note for note in evaluation.notes if note not in said]
    listed: Child = element("ul", [element("li", note) for note in notes]) if notes else None
    seen = evaluation.insight
    if seen is None or not seen.dropped:
        return joined(listed)
    rows = [[element("code", name), why] for name, why in seen.dropped]
    more = seen.more_dropped
    caption = f"Features that were made but not used{f'; {more:,} more are not shown' if more else ''}"
    whole = table(["feature", "why"], rows, caption=caption, numeric=2)
    return joined([listed, details(f"{len(rows) + more:,} features that were dropped", whole)])


# ---------------------------------------------------------------- again


def _again(query: str | None, source: str | None) -> Markup:
    """The command that makes the report again."""
    if query is None:
        return Markup("")
    place = "SOURCE" if source is None else without_password(source)
    command = f"penstock evaluate {shlex.quote(place)} {shlex.quote(query)} --report report.html"
    return element("pre", element("code", command))


def without_password(source: str) -> str:
    """A source as it may be shown: the password of a URL is left out.

    >>> (
    ...     without_password("postgresql://me:secret@host:5432/shop?sslmode=require&password=x"),
    ...     without_password("a/b.duckdb"),
    ... )
    ('postgresql://me@host:5432/shop', 'a/b.duckdb')
    """
    if "://" not in source:
        return source
    parts = urlsplit(source)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"{user.partition(':')[0]}{at}{host}", parts.path, "", ""))


def _foot() -> Markup:
    return element("footer", paragraph(f"Made by Penstock {VERSION}. This file fetches nothing and runs no script."))
