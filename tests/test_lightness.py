"""What is asked again is answered from what was kept, without loading what would be needed to work it out."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

QUESTION = "PREDICT COUNT(visits.*, 0, 30, days) > 0 FOR EACH users.user_id"
NOT_NEEDED = {"duckdb", "lightgbm", "numba", "pandas", "polars", "scipy", "sklearn"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files: users, and their visits over a year."""
    place, draw = tmp_path / "shop", random.Random(7)
    place.mkdir()
    visits = sorted((draw.randrange(365 * 24), draw.randrange(1, 1 + draw.randrange(1, 61))) for _ in range(900))
    rows = (f"{n},{user},2024-{1 + hour // 744:02}-{1 + hour % 744 // 27:02}" for n, (hour, user) in enumerate(visits))
    (place / "users.csv").write_text("\n".join(["user_id", *map(str, range(1, 61))]), "utf-8")
    (place / "visits.csv").write_text("\n".join(["visit_id,user_id,visited_at", *rows]), "utf-8")
    return place


def ask(folder: Path, *options: str) -> tuple[str, set[str]]:
    """What a process of its own prints, and the packages it loads modules of (to look for one is not to load it)."""
    command = [sys.executable, "-X", "importtime", "-m", "penstock", "predict", str(folder), QUESTION, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, set(re.findall(r"^import time:.*\|\s+(\w+)\.[\w.]+$", done.stderr, re.M))


def test_a_kept_answer_is_given_without_engine_or_learner(folder: Path) -> None:
    first, loaded = ask(folder)
    assert {"duckdb", "numba"} <= loaded
    again, loaded = ask(folder)
    assert again == first
    assert loaded & NOT_NEEDED == set()
    some, loaded = ask(folder, "--entities", "3,7")
    assert {"3", "7"} <= set(re.findall(r"^\W*(\d+) ", some, re.M))
    assert loaded & NOT_NEEDED == set()
