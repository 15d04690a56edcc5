"""Kept results: every run that was acknowledged is there, whatever was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penstock.lake.versioned.scan import Scan, ScanColumn
from penstock.quality.check import check
from penstock.quality.contract import Contract
from penstock.quality.profiling import profile
from penstock.quality.report import Report
from penstock.quality.results import Results, rows_fingerprint
from penstock.quality.run import run_checks
from penstock.quality.safely import append_line, lines_backwards
from tests.conftest import ROOT

WRITER = """
import sys
from pathlib import Path
from penstock.quality.safely import append_line
number = 0
while True:
    append_line(Path(sys.argv[1]), sys.argv[2] + ":" + str(number) + ":" + "x" * 5000)
    print(number, flush=True)
    number += 1
"""


def report(table: str, value: int, now: int = 0) -> Report:
    contract = Contract(table, (check("range", "a", min=0), check("regex", "b", pattern="^.{0,9}$", severity="warn")))
    return run_checks(contract, {table: pa.table({"a": [value], "b": ["é" * abs(value)]})}, now=lambda: now)


def test_runs_are_kept_and_told_newest_first(tmp_path):
    kept = Results(tmp_path / "quality")
    assert list(kept.newest()) == []
    for number, (table, value) in enumerate([("a", 1), ("b", -1), ("a", -2), ("a", 3)]):
        kept.add(report(table, value, number), batch=f"batch {number}")
    assert [(run["table"], run["instant"]) for run in kept.newest()] == [("a", 3), ("a", 2), ("b", 1), ("a", 0)]
    assert [run["instant"] for run in kept.newest("a")] == [3, 2, 0]
    assert [run["instant"] for run in kept.newest(failed=True)] == [2, 1]
    newest = next(kept.newest())
    assert (newest["batch"], newest["passed"], newest["results"][0]["name"]) == ("batch 3", True, "a_range")


def test_long_texts_are_cut_where_they_are_kept(tmp_path):
    kept = Results(tmp_path)
    kept.add(report("a", 500))
    (sample,) = next(kept.newest())["results"][1]["sample"]
    assert sample["b"] == "é" * 200 + "…"


def test_a_torn_line_is_passed_over_and_spoils_no_other(tmp_path):
    kept = Results(tmp_path)
    kept.add(report("a", 1, 1))
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert [run["instant"] for run in kept.newest()] == [1]
    kept.add(report("a", 1, 2))
    assert [run["instant"] for run in kept.newest()] == [2, 1]
    path.write_bytes(path.read_bytes() + b'[1]\n{"table": 3}\n\xff\xfe\n')
    assert [run["instant"] for run in kept.newest()] == [2, 1]


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20), st.integers(1, 40))
def test_lines_are_read_backwards_in_blocks_of_any_size(lines: list[bytes], block: int):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        assert list(lines_backwards(path, block)) == [line for line in reversed(lines) if line]


def test_processes_that_append_at_once_and_are_killed_lose_nothing_they_acknowledged(tmp_path):
    """Twelve writers, three at a time, each killed while it writes."""
    path, acknowledged = tmp_path / "lines", set()
    for turn in range(4):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path), f"{turn}.{one}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for one in range(3)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(0.05 * turn)
        for one, writer in enumerate(writers):
            os.kill(writer.pid, signal.SIGKILL)
            said, _ = writer.communicate()
            acknowledged |= {f"{turn}.{one}:{line}" for line in ["0", *said.split("\n")[:-1]] if line}
    whole = {line.rpartition(b":")[0].decode() for line in lines_backwards(path) if line.endswith(b":" + b"x" * 5000)}
    assert len(acknowledged) >= 12
    assert acknowledged <= whole
    append_line(path, "last")
    assert next(lines_backwards(path)) == b"last"


def test_profiles_are_kept_by_the_files_that_they_are_of(tmp_path):
    kept, found = Results(tmp_path), profile(pa.table({"a": [1, 2]}))
    scan = Scan((Path("b.parquet"), Path("a.parquet")), (ScanColumn(1, "a", pa.int64()),))
    assert kept.profile("t", rows_fingerprint(scan)) is None
    kept.keep_profile("t", rows_fingerprint(scan), found)
    assert kept.profile("t", rows_fingerprint(Scan(scan.files[::-1], scan.columns))) == found
    assert kept.profile("t", rows_fingerprint(scan.with_files((Path("c.parquet"),)))) is None
    assert kept.profile("../t", rows_fingerprint(scan)) is None
    (file,) = (tmp_path / "profiles" / "t").iterdir()
    file.write_text("{")
    assert kept.profile("t", rows_fingerprint(scan)) is None


def test_only_the_newest_profiles_stay(tmp_path):
    kept, found = Results(tmp_path), profile(pa.table({"a": [1]}))
    for number in range(8):
        kept.keep_profile("../odd name", str(number), found)
        os.utime(next((tmp_path / "profiles").rglob(f"{number}.json")), (number, number))
    assert sorted(path.name for path in (tmp_path / "profiles").rglob("*.json")) == [f"{n}.json" for n in range(3, 8)]
    assert json.loads(next((tmp_path / "profiles").rglob("7.json")).read_text())["rows"] == 1
