"""The page on projects: its commands run, one after another, on the database of the demonstration."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock import demo
from penstock.cli import main
from penstock.pipeline.projectfile import read_project
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "projects.md").read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


def test_the_commands_of_the_page_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo.write(demo.generate(subscribers=400), tmp_path / "penstock-demo.duckdb")
    assert len(COMMANDS) > 20
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program == "cd":
            monkeypatch.chdir(words[0])
            continue
        assert program == "penstock"
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_the_files_of_the_page_are_understood(tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "penstock.toml").write_text(text)
        project = read_project(folder)
        assert project.sources or project.streams or project.labels
