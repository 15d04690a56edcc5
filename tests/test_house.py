"""The laws of the building: names, sizes, doors, docs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LONG, ROOT

NAMES_THAT_SAY_NOTHING = {"common", "utils", "util", "core", "base", "manager", "managers", "helpers", "helper", "misc"}
HEAVY = {
    "adbc_driver_manager",
    "connectorx",
    "duckdb",
    "lightgbm",
    "numba",
    "numpy",
    "optuna",
    "pandas",
    "polars",
    "pyarrow",
    "pymysql",
    "scipy",
    "sklearn",
    "sqlalchemy",
}
# A place on one machine, or the host of a package registry.
PLACES = re.compile(
    r"(?<![\w.~-])/(?:work|tmp|root|home|opt)/|\b(?:pypi|pythonhosted|npmjs|deb\.debian)\.(?:org|com)\b", re.I
)

PACKAGE = sorted((ROOT / "penstock").rglob("*.py"))
SOURCES = PACKAGE + sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def tracked() -> list[Path]:
    """The files of the repository, or of the unpacked source where there is no git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listing.stdout.split("\0")[:-1]
    paths = [ROOT / name for name in names] or [path for path in ROOT.rglob("*") if ".venv" not in path.parts]
    return [path for path in paths if path.is_file()]


def test_every_module_has_a_name_that_says_what_it_holds():
    assert [relative(p) for p in SOURCES if {p.stem, p.parent.name} & NAMES_THAT_SAY_NOTHING] == []


def test_no_file_grows_past_six_hundred_lines():
    sizes = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: size for path, size in sizes.items() if size > 600} == {}


def test_no_function_is_longer_than_sixty_lines():
    long = {f"{relative(p)}:{f.lineno} {f.name}": lines(f) for p in SOURCES for f in functions(p) if lines(f) > 60}
    assert long == {}


def test_the_usual_function_is_short():
    assert statistics.median(lines(f) for path in PACKAGE for f in functions(path)) <= 10


def test_a_folder_holds_at_least_three_modules():
    folders = {path.parent for path in PACKAGE}
    assert [relative(folder) for folder in sorted(folders) if len(list(folder.glob("*.py"))) < 3] == []


def test_nothing_prints():
    printing = [
        f"{relative(path)}:{node.lineno}"
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


@pytest.mark.parametrize("arguments", [["-c", "import penstock"], ["-m", "penstock", "--help"]], ids=["import", "help"])
def test_the_front_door_opens_without_a_heavy_import(arguments: list[str]):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"^import time:.*\|\s+(\w+)[\w.]*$", done.stderr, re.M))
    assert "penstock" in imported
    assert imported & HEAVY == set()


def test_the_repository_names_no_machine_and_no_registry():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        found += [f"{relative(path)}: {match[0]}" for match in PLACES.finditer(text)]
    assert found == []


def test_every_file_promises_the_same_pythons():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    classifiers = " ".join(project["project"]["classifiers"])
    minors = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", classifiers)]
    first, last = minors[0], minors[-1]
    assert minors == list(range(first, last + 1))
    said = {
        "pyproject.toml": [f'requires-python = ">=3.{first},<3.{last + 1}"', f'target-version = "py3{first}"'],
        "Makefile": [
            f"(3, {first}) <= sys.version_info < (3, {last + 1})",
            " ".join(f"python3.{minor}" for minor in reversed(minors)),
            f"--python-version 3.{first} ",
        ],
        "README.md": [f"Python 3.{first} to 3.{last} "],
    }
    absent = [f"{name}: {text}" for name, texts in said.items() for text in texts
              if text not in (ROOT / name).read_text("utf-8")]  # fmt: skip
    assert absent == []


@pytest.mark.parametrize("python", ["python-that-is-not-here", "half-a-python"])
def test_an_environment_is_of_the_python_that_was_asked_for_or_not_at_all(tmp_path: Path, python: str):
    """No other Python is taken in its place, and one that breaks down while it makes an environment leaves none."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    half = tmp_path / "half-a-python"
    half.write_text("#!/bin/sh\n[ $1 = -c ] || { mkdir -p $4/bin; touch $4/bin/python; echo $0 breaks >&2; exit 1; }\n")
    half.chmod(0o755)
    made = tmp_path / "venv"
    done = subprocess.run(
        ["make", "env", f"PYTHON={python}", f"VENV={made}"],
        cwd=ROOT, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert not (made / "bin" / "python").exists()
    assert python in done.stderr


def test_every_command_is_in_the_documentation():
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    documentation = "\n".join(path.read_text(encoding="utf-8") for path in texts)
    assert commands(), "the command line has no commands"
    missing = [f"penstock {name}" for name in commands() if not re.search(rf"\bpenstock {name}\b", documentation)]
    assert missing == []


def commands() -> list[str]:
    import click

    from penstock.cli import main

    return sorted(_paths(main, click.Context(main)))


def _paths(group, context) -> Iterator[str]:
    import click

    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {rest}" for rest in _paths(command, click.Context(command, parent=context)))
        else:
            yield name


def test_the_files_that_come_first_are_there():
    assert [name for name in LONG if not (ROOT / "tests" / name).is_file()] == []


def test_decisions_are_numbered_one_after_another():
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md")
    assert [name for name in names if not re.fullmatch(r"\d{3}-[a-z0-9-]+\.md", name)] == []
    assert [int(name[:3]) for name in names] == list(range(1, len(names) + 1))


def test_each_decision_begins_with_its_own_number():
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:3]} "), path.name
