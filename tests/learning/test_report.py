"""The report as text: whole without what is absent, escaped, contrasting, and made again the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.cli import main
from penstock.errors import RequestError
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.judging.reliability import reliability
from penstock.learning.leaks.findings import Finding
from penstock.learning.reasons.report import html, write_page
from penstock.learning.reasons.report.markup import element, joined
from penstock.learning.reasons.report.plots import Bar, Dot, Lane, bars, dots, lanes, wrapped
from penstock.learning.reasons.report.scales import Scale, date_ticks, heavy, moment, ticks
from penstock.learning.reasons.report.scores import headline, primary, rival, verdict
from penstock.learning.reasons.report.style import DARK, LIGHT, SHEET, TEXT
from tests.small import DAY, QUIET, shop

FINITE = st.floats(-1e12, 1e12, allow_subnormal=False)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return ps.connect(shop()).evaluate(QUIET)


class Outline(HTMLParser):
    """What elements a text opens, and whether each that needs it is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


# ---------------------------------------------------------------- the page


def test_the_page_is_well_formed_and_has_every_part(evaluation: Evaluation):
    text = html(evaluation, query=QUIET, source="shop.duckdb")
    outline = Outline(text)
    assert set(outline.seen).isdisjoint({"script", "img", "link", "iframe", "a"})
    heads = re.findall(r"<h2>(.*?)</h2>", text)
    assert heads == [
        "How good it is",
        "What was said, and what came",
        "What it leans on",
        "Who the rows were",
        "What may know the future",
        "Rows and cutoffs",
        "Notes, and what was left out",
        "Again",
    ]
    assert f"penstock evaluate shop.duckdb &#x27;{QUIET}&#x27; --report report.html" in text


def test_nothing_in_the_page_points_elsewhere(evaluation: Evaluation):
    text = html(evaluation, query=QUIET, source="shop.duckdb")
    assert re.findall(r"https?:|//\w|url\(|@import|src=|href=", text) == []


def test_the_same_evaluation_makes_the_same_page_even_after_json(evaluation: Evaluation):
    kept = Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict())), evaluation.predictions)
    assert html(kept, query=QUIET) == html(evaluation, query=QUIET)


def test_what_is_absent_is_left_out(evaluation: Evaluation):
    bare = replace(
        evaluation, notes=(), importance=(), reliability=(), intervals={}, lead=None, findings=(), insight=None,
        baselines={}, predictions=evaluation.predictions.slice(0, 0),
    )  # fmt: skip
    text = html(bare)
    Outline(text)
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["How good it is", "What may know the future", "Rows and cutoffs"]


def test_features_are_shown_without_what_is_seen_inside(evaluation: Evaluation):
    text = html(replace(evaluation, insight=None))
    assert evaluation.importance
    assert joined(evaluation.importance[0][0]) in text
    assert "By table" not in text


def test_metrics_that_are_undefined_are_a_dash(evaluation: Evaluation):
    undefined = replace(evaluation, metrics=dict.fromkeys(evaluation.metrics, float("nan")), intervals={}, lead=None)
    Outline(html(undefined))
    assert headline(undefined).startswith("AUROC is undefined on ")


def test_findings_say_what_was_done(evaluation: Evaluation):
    found = Finding("snapshot", "users.<b>", "grows with age, 0.9", "dropped")
    for findings in ((found,), (found.to_dict(),)):
        text = html(replace(evaluation, findings=findings))
        assert "<code>users.&lt;b&gt;</code>" in text
        assert "left out" in text
        assert "Nothing was found" not in text


def test_several_test_windows_are_listed_with_mean_and_spread(evaluation: Evaluation):
    windows = ({**evaluation.metrics, "auroc": 0.5}, {**evaluation.metrics, "auroc": 0.75})
    cutoffs = {**evaluation.cutoffs, "windows": (100 * DAY, 70 * DAY)}
    text = html(replace(evaluation, windows=windows, cutoffs=cutoffs))
    Outline(text)
    assert "1970-04-11" in text
    assert "0.625 ± 0.177" in text


ODD = st.sampled_from([0.0, 1.0, 0.5, 1e-9, 0.25])
NUMBER = st.one_of(st.sampled_from([0.0, 1.0, -3.5, 1e9, -1e-9]), FINITE)


@given(st.lists(st.tuples(st.one_of(st.none(), st.booleans()), ODD), min_size=1, max_size=30))
def test_however_odd_the_probabilities_there_is_a_page(evaluation: Evaluation, rows: list[tuple[bool | None, float]]):
    said = [p for _, p in rows]
    table = pa.table({"target": pa.array([t for t, _ in rows], pa.bool_()), "probability": said})
    bins = reliability(np.array([p for t, p in rows if t is not None]), np.array([t for t, _ in rows if t is not None]))
    Outline(html(replace(evaluation, predictions=table, reliability=bins)))


@given(st.lists(st.tuples(st.one_of(st.none(), NUMBER), NUMBER), min_size=1, max_size=30))
def test_however_odd_the_numbers_there_is_a_page(evaluation: Evaluation, rows: list[tuple[float | None, float]]):
    table = pa.table({"target": pa.array([t for t, _ in rows], pa.float64()), "prediction": [p for _, p in rows]})
    known = np.array([(t, p) for t, p in rows if t is not None], float).reshape(-1, 2)
    bins = reliability(known[:, 1], (np.abs(known[:, 0] - known[:, 1]) < 1).astype(float))
    step = pa.array(np.arange(len(rows)) % 3 + 1)
    odd = replace(evaluation, task="forecasting", predictions=table.append_column("step", step), reliability=bins)
    text = html(odd)
    Outline(text)
    assert "nan" not in re.sub(r"<style>.*?</style>|<title>.*?</title>|<desc>.*?</desc>", "", text)


def test_the_best_baseline_is_the_one_the_lead_is_counted_against(evaluation: Evaluation):
    assert primary(evaluation) == "auroc"
    assert evaluation.lead is not None
    assert rival(evaluation, "auroc") == evaluation.lead.rival
    alone = replace(evaluation, lead=None, baselines={"a": {"auroc": 0.5}, "b": {"auroc": 0.6}})
    assert rival(alone, "auroc") == "b"
    assert verdict(alone) is None
    assert headline(alone).endswith("beside 0.600 for b, the best baseline")


def test_a_report_is_an_html_file_in_a_folder_that_is_there(evaluation: Evaluation, tmp_path):
    write_page(evaluation, str(tmp_path / "out.html"), query=QUIET)
    assert (tmp_path / "out.html").read_text("utf-8").startswith("<!doctype html>")
    with pytest.raises(RequestError, match=re.escape("a report is an .html file, not 'out.pdf'")):
        write_page(evaluation, "out.pdf")
    with pytest.raises(RequestError, match=r"there is no folder '.*nowhere' to write to"):
        write_page(evaluation, str(tmp_path / "nowhere" / "out.html"))


def test_the_command_line_writes_a_report(tmp_path):
    for name, table in shop().items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    place = tmp_path / "out.html"
    done = CliRunner().invoke(main, ["evaluate", str(tmp_path), QUIET, "--report", str(place)])
    assert done.exit_code == 0, done.output
    assert f"wrote {place}" in done.stderr
    text = place.read_text("utf-8")
    Outline(text)
    assert joined(f"penstock evaluate {tmp_path} ") in text
    assert joined(QUIET) in text
    refused = CliRunner().invoke(main, ["evaluate", str(tmp_path), QUIET, "--report", "report.txt"])
    assert refused.exit_code == 2
    assert "REQUEST_REPORT" in refused.stderr


# ---------------------------------------------------------------- markup


@given(st.text(), st.text())
def test_any_text_comes_back_as_it_was_and_makes_no_element(text: str, title: str):
    outline = Outline(element("p", text, title=title))
    assert outline.seen == ["p"]
    kept = "".join(outline.said)
    assert len(kept) == len(text.replace("\r\n", "\n")) or "\r" in text
    assert re.sub(r"\s", "", re.sub(r"[^\x20-\x7e]", "", kept)) == re.sub(r"\s", "", re.sub(r"[^\x20-\x7e]", "", text))


# ---------------------------------------------------------------- scales and drawings


@given(FINITE, FINITE, st.integers(2, 8))
def test_ticks_lie_on_the_axis_evenly_apart_and_not_too_many(low: float, high: float, most: int):
    low, high = sorted((low, high))
    if not (high > low and high - low > 1e-9 * max(abs(low), abs(high))):
        return
    found = ticks(low, high, most)
    assert len(found) <= most
    room = (high - low) * 1e-6
    assert all(low - room <= tick <= high + room for tick in found)
    gaps = np.diff(found)
    assert np.allclose(gaps, gaps[:1], rtol=1e-4) if len(gaps) else True


@given(st.lists(FINITE, min_size=2, max_size=50), st.sampled_from([None, 1.0, 100.0]))
def test_a_scale_keeps_order_and_stays_inside(values: list[float], bend: float | None):
    scale = Scale(min(values), max(values), 10, 90, bend)
    placed = [scale(value) for value in sorted(values)]
    assert placed == sorted(placed)
    assert all(10 <= place <= 90 for place in placed)
    assert all(min(values) <= tick <= max(values) for tick in scale.ticks()) or bend is None


@given(st.integers(0, 20_000 * DAY), st.integers(1, 20_000 * DAY))
def test_dates_on_an_axis_are_few_and_inside(low: int, length: int):
    found = date_ticks(low, low + length)
    assert len(found) <= 4
    assert all(low <= at <= low + length for at, _ in found)
    assert all(moment(at).date().isoformat().startswith(text) for at, text in found)


@given(st.lists(FINITE, max_size=30))
def test_a_scale_is_bent_only_where_some_numbers_dwarf_the_rest(values: list[float]):
    bend = heavy(values)
    assert bend is None or (bend > 0 and max(map(abs, values)) >= 20 * bend)


@given(st.text(max_size=300), st.floats(30, 400))
def test_labels_are_no_longer_than_their_room(said: str, width: float):
    lines = wrapped(said, width)
    assert 1 <= len(lines) <= 2
    assert all(len(line) <= max(4, width / 6.9) for line in lines)


def test_drawings_say_what_they_show():
    drawn = [
        bars("Shares", "a 10 %; b 5 %", [Bar("a", 0.1, "10 %"), Bar("b", 0.05, "5 %")]),
        dots("Scores", "x 1", [Dot("x", 1.0, "1", 0.5, 1.5)]),
        lanes("Time", "test: 1", [Lane("test", [0], "own")]),
    ]
    for one in drawn:
        Outline(one)
        assert re.match(r'<svg [^>]*role="img"[^>]*><title>\w+</title><desc>[^<]+</desc>', one)


# ---------------------------------------------------------------- colours


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("behind", ["ground", "paper"])
def test_words_stand_out_from_what_is_behind_them(colours: dict[str, str], behind: str):
    for name in TEXT:
        assert contrast(colours[name], colours[behind]) >= 4.5, name
    assert contrast(colours["other"], colours[behind]) >= 3, "marks"


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_stand_out_from_the_darkest_cell_of_a_matrix(colours: dict[str, str]):
    assert "calc(var(--share)*38%)" in SHEET
    mixed = "#" + "".join(
        f"{round(0.38 * int(colours['own'][i : i + 2], 16) + 0.62 * int(colours['paper'][i : i + 2], 16)):02x}"
        for i in (1, 3, 5)
    )
    assert contrast(colours["ink"], mixed) >= 4.5
