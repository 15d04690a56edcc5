"""The page on defining features: its files are a project, its commands run, and its mistake is told as it says."""

from __future__ import annotations

import re
import shlex

import pytest
from click.testing import CliRunner

import penstock
from penstock.cli import main
from penstock.errors import PenstockError
from penstock.features.views.chosen import resolve
from tests.conftest import ROOT
from tests.pipeline.shop import do, made, write

PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
FILES = {
    found[1]: found[0] for found in re.findall(r"```\w+\n((?:#|--) (\S+\.(?:toml|pql|py))\n.*?)```", PAGE, re.DOTALL)
}
COMMANDS = [line[2:] for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The page's files over a shop that was brought in."""
    made(tmp_path, customers=30, days=90)
    do(tmp_path, "CREATE TABLE stock (shop_id INTEGER, item_id INTEGER, count INTEGER, PRIMARY KEY (shop_id, item_id))",
       "INSERT INTO stock VALUES (1, 1, 5), (1, 2, 7)")  # fmt: skip
    for name, text in FILES.items():
        write(tmp_path, name, text)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["run"], catch_exceptions=False).exit_code == 0
    return tmp_path


def test_the_pages_files_are_a_project_and_its_commands_run(folder):
    assert set(FILES) == {"penstock.toml", "features/recent.pql", "features/ratios.py"}
    bound = penstock.open(folder).features.bound
    assert list(bound.on_demand) == ["risk", "ratios", "cap"]
    assert bound.entities["item"].composed
    assert len(resolve(bound, ["everything", "fraud"])) == 8
    assert str(bound.views["recent"].feature("orders_7d").dtype) == "int"
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        result = CliRunner().invoke(main, shlex.split(command)[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_the_pages_mistake_is_told_as_it_says(folder):
    write(folder, "features/recent.pql", FILES["features/recent.pql"].replace("SUM(orders.amount", "SUM(orders.amuont"))
    (told,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    with pytest.raises(PenstockError) as caught:
        penstock.open(folder).features.bound.must_be_sound()
    assert str(caught.value) == told
