"""The page on the feature store: its files are written, its commands run and its Python holds, in the page's order."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import demo
from tests.conftest import ROOT
from tests.pages import blocks, follow

PAGE = (ROOT / "docs" / "feature-store.md").read_text(encoding="utf-8")


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo.write(demo.generate(subscribers=200), tmp_path / "penstock-demo.duckdb")
    before, (_, code), after = split(PAGE)
    done = follow(before, monkeypatch)
    exec(compile(code, "docs/feature-store.md", "exec"), {})  # noqa: S102  the page itself
    assert done + follow(after, monkeypatch) > 8


def split(page: str) -> tuple[str, tuple[str, str], str]:
    """What stands before the page's Python, that, and what comes after it."""
    (python,) = [block for block in blocks(page) if block[0] == "python"]
    before, after = page.split(python[1])
    return before, python, after
