"""What is longer than memory should hold: rows and files that are read on without being held."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.lake.landing import LandingSettings
from tests.lake.landing.reading import landed_rows

MEASURED = """
import resource, sys
from pathlib import Path
import pyarrow.csv, pyarrow.json, pyarrow.compute
from penstock.lake.landing import land, LandingSettings
settings = LandingSettings(longest_row=1 << 20, chunk=1 << 20)
small = Path(sys.argv[1])
def read(path):
    landing = land(path, settings=settings)
    rows = sum(batch.num_rows for batch in landing.batches())
    return rows, landing.rejected().to_pylist()
read(small)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows, rejected = read(Path(sys.argv[2]))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
print(rows, [(r["row"], r["reason"], len(r["text"])) for r in rejected], grown)
"""


@pytest.mark.parametrize(
    ("name", "head", "filling", "tail", "megabytes"),
    [
        ("a.csv", b"id,x\n1,a\n2,", b"y", b"\n3,c\n", 100),
        ("a.csv", b'id,x\n1,a\n2,"', b"y\n,", b'"\n3,c\n', 100),
        ("a.csv", b'id,x\n1,a\n2,"', b'""', b'"\n3,c\n', 8),
        ("a.csv", b"id,x\n1,a\n2,", b",", b"\n3,c\n", 30),
        ("a.jsonl", b'{"id": 1}\n{"id": "', b"y", b'"}\n{"id": 3}\n', 100),
    ],
    ids=["bare", "line ends inside quotes", "quotes inside quotes", "separators", "JSON"],
)
def test_a_row_of_many_megabytes_is_told_without_being_held(tmp_path: Path, name, head, filling, tail, megabytes):
    long, small = tmp_path / name, tmp_path / f"small-{name}"
    small.write_bytes(head[: head.rindex(b"\n") + 1])
    with long.open("wb") as file:
        file.write(head)
        for _ in range(megabytes):
            file.write(filling * ((1 << 20) // len(filling)))
        file.write(tail)
    command = [sys.executable, "-c", MEASURED, str(small), str(long)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, _, grown = done.stdout.strip().rpartition(" ")
    row = 2 if name == "a.jsonl" else 3
    assert told == f"2 [({row}, 'longer than 1048576 bytes', 201)]"
    assert int(grown) < min(40, 5 * megabytes)


@pytest.mark.parametrize("chunk", [7, 20, 33])
@pytest.mark.parametrize(
    "long",
    [
        b"y" * 300,
        b'"' + b"y\r\n" * 99 + b'"',
        b'"' + b'""' * 150 + b'"',
        b'y"z' * 90,
        b"," * 300,
        b'"a",' * 80 + b'"b"',
    ],
)
def test_a_row_that_is_too_long_costs_only_itself(tmp_path: Path, long, chunk):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,x\r\n1,a\r\n2," + long + b"\r\n3,c\r\n4,\r\n")
    kept, rejected, _ = landed_rows(path, settings=LandingSettings(longest_row=100, chunk=chunk))
    assert kept == {"id": [1, 3, 4], "x": ["a", "c", None]}
    assert [r[1:3] for r in rejected] == [(3, "longer than 100 bytes")]
