"""The README says what is so: its Python runs, its commands run, its figures are what comes out."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(kind: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/how-it-works.md", "docs/lake.md", "docs/learning.md"])
def test_the_python_of_a_page_gives_what_it_shows(page: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    example = doctest.DocTestParser().get_doctest("\n".join(blocks("python", page)), {}, page, page, 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=options).run(example, out=said.append)
    assert result.attempted > 2
    assert not result.failed, "".join(said)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `penstock demo` prints, in an empty folder with an empty cache."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {"PENSTOCK_CACHE": str(folder / "cache"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    command = [sys.executable, "-m", "penstock", "demo"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_prints_what_the_readme_shows(demo: str) -> None:
    """Every line of the README's output stands in the real one; figures of the backtest agree to 0.02."""
    real: dict[str, list[str]] = {}
    for line in demo.splitlines():
        real.setdefault(_without_numbers(line), []).append(line)
    for line in blocks("console")[0].splitlines()[1:]:
        if line and line != "...":
            assert _without_numbers(line) in real, f"not printed: {line}"
            assert any(_close(line, other) for other in real[_without_numbers(line)]), f"{line}\n{real}"


def test_the_demo_comes_close_to_the_best_there_is(demo: str) -> None:
    best = re.search(r"reach an AUROC of (0\.\d+)", demo)
    ours = re.search(r"reaches (0\.\d+)", demo)
    assert best
    assert ours
    assert 0.5 < float(best[1]) - 0.03 < float(ours[1]) <= float(best[1]) + 0.01


_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


def _without_numbers(line: str) -> str:
    return " ".join(_NUMBER.sub("#", line).split())


def _close(shown: str, real: str) -> bool:
    """Whether the metrics of two lines (numbers below 1 with three decimals) are within 0.02 of each other."""
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(real), strict=True)
    metrics = [(float(a), float(b)) for a, b in pairs if re.fullmatch(r"0\.\d{3}", a) and re.fullmatch(r"0\.\d{3}", b)]
    return all(abs(a - b) <= 0.02 for a, b in metrics)
