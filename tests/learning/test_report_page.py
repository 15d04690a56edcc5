"""The report in a real browser: it fetches nothing, nothing overlaps or sticks out, and no name from data bites."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.reasons.report import html
from tests.browser import Browser, browser, missing
from tests.small import QUIET, changed, shop

BITE = "<script>document.title='bitten'</script>"
IMAGE = '"><img src=x onerror=document.title=1>'
QUESTIONS = {
    "binary": QUIET,
    "regression": "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH users.user_id",
    "forecasting": "PREDICT SUM(orders.amount, 0, 15, days) FORECAST 3 TIMEFRAMES FOR EACH users.user_id",
    "multiclass": "PREDICT FIRST(orders.state, 0, 30, days) FOR EACH users.user_id",
    "multilabel": "PREDICT LIST_DISTINCT(orders.state, 0, 30, days) CLASSIFY FOR EACH users.user_id",
    "ranking": "PREDICT LIST_DISTINCT(orders.item_id, 0, 30, days) RANK TOP 5 FOR EACH users.user_id",
}

VISIBLE = """
const out = [];
for (const e of document.querySelectorAll("h1,h2,h3,p,pre,dl,table,svg,summary,li")) {
  if (!e.checkVisibility()) continue;
  const box = e.getBoundingClientRect();
  if (box.width < 2 || box.height < 2) out.push(e.tagName + " without size: " + e.textContent.slice(0, 60));
}
return out;
"""
STICKING_OUT = """
const out = [], wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) out.push("the page scrolls sideways");
for (const e of document.querySelectorAll("body *")) {
  if (!e.checkVisibility() || (e.closest(".scroll") && !e.classList.contains("scroll"))) continue;
  const box = e.getBoundingClientRect();
  if (box.width && (box.right > wide + 1 || box.left < -1)) out.push(e.tagName + ": " + e.textContent.slice(0, 60));
}
for (const svg of document.querySelectorAll("svg")) {
  const frame = svg.getBoundingClientRect();
  if (!frame.width) continue;
  for (const e of svg.querySelectorAll("text,rect,circle,path")) {
    const box = e.getBoundingClientRect();
    const across = Math.max(frame.left - box.left, box.right - frame.right);
    const beyond = Math.max(across, frame.top - box.top, box.bottom - frame.bottom);
    if (beyond > 3) out.push("in a drawing, " + e.tagName + " by " + beyond.toFixed(1) + ": " + e.textContent);
  }
}
return out;
"""
OVERLAPPING = """
const out = [];
const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
for (const svg of document.querySelectorAll("svg")) {
  const texts = [...svg.querySelectorAll("text")].map(e => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width);
  for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++)
    if (meet(texts[i][1], texts[j][1])) out.push(texts[i][0].textContent + " on " + texts[j][0].textContent);
}
const blocks = [...document.querySelectorAll("h1,h2,h3,p,pre,svg,summary,.scroll")].filter(e => e.checkVisibility());
const boxes = blocks.map(e => [e, e.getBoundingClientRect()]);
for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++)
  if (!boxes[i][0].contains(boxes[j][0]) && !boxes[j][0].contains(boxes[i][0]) && meet(boxes[i][1], boxes[j][1]))
    out.push(boxes[i][0].tagName + " on " + boxes[j][0].tagName + ": " + boxes[i][0].textContent.slice(0, 40));
return out;
"""
DRAWN = """
return [...document.querySelectorAll("svg")].filter(e => e.getBoundingClientRect().width).map(svg => ({
  named: !!svg.querySelector(":scope > title")?.textContent && !!svg.querySelector(":scope > desc"),
  marks: svg.querySelectorAll("rect,circle,path").length,
  size: Math.min(...[...svg.querySelectorAll("text")].map(e => e.getBoundingClientRect().height)),
}));
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    why = missing()
    if why is not None:
        if os.environ.get("PENSTOCK_REQUIRE_SERVERS"):
            pytest.fail(f"PENSTOCK_REQUIRE_SERVERS is set, but {why}")
        pytest.skip(why)
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module", params=QUESTIONS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of an evaluation of each task."""
    asked = QUESTIONS[request.param]
    written = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    written.write_text(html(ps.connect(shop()).evaluate(asked), query=asked, source="shop.duckdb"), "utf-8")
    return written


def hostile() -> tuple[dict[str, pa.Table], str]:
    """A shop whose table, column and categories are called what would run, if any of it were not escaped."""
    tables = shop()
    orders = tables.pop("orders")
    states = np.array([BITE, "</style></svg>" + BITE, "x" * 300, "\u202egnp.exe", IMAGE])
    orders = changed({"orders": orders}, "orders", state=pa.array(states[np.arange(orders.num_rows) % 5]))["orders"]
    orders = orders.rename_columns([IMAGE if name == "state" else name for name in orders.column_names])
    return {**tables, BITE: orders}, f"PREDICT FIRST(`{BITE}`.`{IMAGE}`, 0, 30, days) FOR EACH users.user_id"


def judged(tables: dict[str, pa.Table], asked: str) -> Evaluation:
    """How well the questions of such a shop are answered."""
    db = ps.connect(tables)
    if BITE in tables:
        db.set(f"{BITE}.{IMAGE}", kind="categorical")
    return db.evaluate(asked)


BROKEN = """<!doctype html><title>x</title><main>
<h1 style="position:absolute;top:0">One</h1><h2 style="position:absolute;top:0">Two</h2><p></p>
<svg viewBox="0 0 100 50" width="100" overflow="visible"><text y="20">a word</text><text x="4" y="22">another</text>
<rect x="90" width="60" height="5" /></svg><div style="width:3000px">wide</div></main>
<script>console.error("no")</script><img src="other.png">"""


def test_the_checks_of_this_file_find_what_is_wrong(chromium: Browser, tmp_path: Path):
    page = tmp_path / "broken.html"
    page.write_text(BROKEN, "utf-8")
    chromium.requests()
    chromium.look(360)
    chromium.open(page)
    assert chromium.requests() == [page.as_uri(), (tmp_path / "other.png").as_uri()]
    assert any("no" in said for said in chromium.complaints())
    assert chromium.run(VISIBLE) == ["P without size: "]
    out = chromium.run(STICKING_OUT)
    assert "the page scrolls sideways" in out
    assert any(said.startswith("in a drawing, rect by ") for said in out)
    assert {"another on a word", "H2 on H1: Two"} <= set(chromium.run(OVERLAPPING))


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_page_stands_by_itself_and_everything_on_it_can_be_seen(
    chromium: Browser, page: Path, width: int, scheme: str
):
    _opened(chromium, page, width, scheme)
    assert chromium.run("return document.querySelectorAll('section').length") >= 6
    assert chromium.run(VISIBLE) == []
    assert chromium.run(STICKING_OUT) == []
    assert chromium.run(OVERLAPPING) == []
    for drawn in chromium.run(DRAWN):
        assert drawn["named"]
        assert drawn["marks"] > 0
        assert drawn["size"] >= 10


def test_all_figures_can_be_read_as_tables_too(chromium: Browser, page: Path):
    _opened(chromium, page, 360, "light")
    chromium.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert chromium.run(VISIBLE) == []
    assert chromium.run(STICKING_OUT) == []
    assert chromium.run("return document.querySelectorAll('table').length") >= 4


def test_in_print_everything_is_open_and_dark_on_white(chromium: Browser, page: Path):
    _opened(chromium, page, 800, "dark")
    chromium.tell("Emulation.setEmulatedMedia", media="print", features=[])
    assert chromium.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tables = "[...document.querySelectorAll('details table')]"
    assert chromium.run(f"return {tables}.length") > 0
    assert chromium.run(f"return {tables}.filter(e => !e.checkVisibility() || e.offsetHeight < 20).length") == 0
    chromium.tell("Emulation.setEmulatedMedia", media="", features=[])


@pytest.mark.parametrize("width", [360, 1280])
def test_no_name_from_data_becomes_markup(chromium: Browser, tmp_path: Path, width: int):
    tables, asked = hostile()
    evaluation = judged(tables, asked)
    written = tmp_path / "report.html"
    written.write_text(html(evaluation, query=asked, source=BITE), "utf-8")
    _opened(chromium, written, width, "light")
    assert chromium.run("return document.querySelectorAll('script,img,iframe,object,link,a').length") == 0
    assert chromium.run("return document.title").startswith("Penstock: An accuracy of")
    assert chromium.run("return document.body.textContent").count(BITE) > 3
    assert chromium.run(STICKING_OUT) == []
    assert chromium.run(OVERLAPPING) == []


def _opened(chromium: Browser, page: Path, width: int, scheme: str) -> None:
    """Open a page and see that it asks for nothing but itself, and that the browser has nothing to say against it."""
    chromium.requests()
    chromium.complaints()
    chromium.look(width, prefers_color_scheme=scheme)
    chromium.open(page)
    assert chromium.requests() == [page.as_uri()]
    assert chromium.complaints() == []
    assert chromium.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
