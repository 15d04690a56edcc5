"""Pages of the documentation as a reader follows them: files are written and commands run, in the page's order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.cli import main

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"(?:--|#) ([\w./-]+\.\w+)(: add)?\n")


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a page: their language and their text."""
    yield from ((language, text) for language, text in _BLOCK.findall(page))


def commands(text: str) -> list[str]:
    """The commands of a block of the console."""
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def follow(page: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Do what a page says below the current folder; how many commands ran.

    A block that begins with a comment ``-- features/usage.pql`` or ``# penstock.toml: add`` is a file, or what is added
    to one.
    """
    done = 0
    for language, text in blocks(page):
        if (file := _FILE.match(text)) is not None:
            path = Path(file[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a" if file[2] else "w") as written:
                written.write(text)
        for command in commands(text) if language == "console" else ():
            done += run(command, monkeypatch)
    return done


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command of a page; 1 for one of ours, which must end well."""
    program, *words = shlex.split(command)
    if program == "cd":
        monkeypatch.chdir(words[0])
        return 0
    assert program == "penstock"
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return 1
