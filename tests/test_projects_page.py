"""The page on projects: its commands run, one after another, on the database of the demonstration."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import demo
from penstock.pipeline.projectfile import read_project
from tests.conftest import ROOT
from tests.pages import blocks, follow

PAGE = (ROOT / "docs" / "projects.md").read_text()


def test_the_commands_of_the_page_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo.write(demo.generate(subscribers=400), tmp_path / "penstock-demo.duckdb")
    assert follow(PAGE, monkeypatch) > 20


def test_the_files_of_the_page_are_understood(tmp_path: Path) -> None:
    for number, text in enumerate(text for language, text in blocks(PAGE) if language == "toml"):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "penstock.toml").write_text(text)
        project = read_project(folder)
        assert project.sources or project.streams or project.labels
