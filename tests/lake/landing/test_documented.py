"""The page on bad input names every code with which a landing refuses a file, and no other."""

from __future__ import annotations

import re

from tests.conftest import ROOT

CODE = re.compile(r"\b(?:SOURCE|LANDING)_[A-Z_]+\b")


def test_the_page_on_bad_input_knows_the_codes():
    sources = sorted((ROOT / "penstock" / "lake" / "landing").glob("*.py"))
    sources += [ROOT / "penstock" / "lake" / name for name in ("delimited.py", "jsonlines.py")]
    raised = {code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")
    assert set(CODE.findall(page)) == raised
