"""A watched folder: each complete file is read once, by name and content."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.lake.streams import Limits, Stream, open_stream
from penstock.lake.versioned import Lake
from tests.lake.streams.streaming import count, log, running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in box"
    made.mkdir()
    return made


def stream(folder: Path, **how) -> Stream:
    return Stream("files", f"folder:{folder}?quiet=0.1", "t", **how)


def lines(*ids: int) -> str:
    return "".join(f'{{"id": {n}}}\n' for n in ids)


def put(folder: Path, name: str, content: str | bytes) -> None:
    """Written beside and renamed in."""
    draft = folder / f".{name}"
    draft.write_bytes(content if isinstance(content, bytes) else content.encode())
    draft.rename(folder / name)


def ids(lake: Lake) -> list[object]:
    return sorted(row["id"] for row in log(lake, "t")) if "t" in lake else []


def test_files_of_each_format_become_rows(folder: Path, lake: Lake):
    put(folder, "a.jsonl", lines(1, 2))
    put(folder, "b.csv", "id,amount,at\n3,1.5,2024-01-02\n4,,2024-01-03\n")
    pq.write_table(
        pa.table({"id": [5], "amount": [2.5], "at": pa.array([0], pa.timestamp("us"))}), folder / "c.parquet"
    )
    put(folder, "d.ndjson.gz", gzip.compress(lines(6).encode()))
    put(folder, "notes.txt", "not for us")
    with running([stream(folder, happened="at")], lake) as runs:
        runs.until(lambda: count(lake, "t") == 6)
        status = runs.finish()
    assert (ids(lake), status.dead) == ([1, 2, 3, 4, 5, 6], 0)
    assert lake.table("t").schema.field("at").type == pa.timestamp("us")


def test_a_file_is_read_once_across_restarts_and_a_new_content_anew(folder: Path, lake: Lake):
    put(folder, "a.jsonl", lines(1))
    for expected, name, content in [
        ([1], "a.jsonl", lines(1)),
        ([1, 2], "b.jsonl", lines(2)),
        ([1, 2, 3], "a.jsonl", lines(3)),
    ]:
        put(folder, name, content)
        with running([stream(folder)], lake) as runs:
            runs.until(lambda wanted=expected: ids(lake) == wanted)
            runs.until(lambda: len(runs.told) > 1)
            runs.finish()
        assert ids(lake) == expected


def test_a_file_that_grows_is_left_until_it_is_complete(folder: Path):
    reader = open_stream(f"folder:{folder}?quiet=0.05", {})
    with (folder / "a.jsonl").open("w", encoding="utf-8") as file:
        for n in range(12):
            file.write(lines(n))
            file.flush()
            assert reader.read(10, 0.06) == ()
    found = [message for _ in range(6) for message in reader.read(100, 0.06)]
    assert [json.loads(m.payload)["id"] for m in found if isinstance(m.payload, bytes)] == list(range(12))
    reader.close()


def test_a_file_half_read_goes_on_at_its_row(folder: Path, lake: Lake):
    put(folder, "a.jsonl", lines(*range(100)))
    reader = open_stream(f"folder:{folder}?quiet=0.01", {})
    first = [m for _ in range(4) for m in reader.read(10, 0.02)]
    reader.close()
    assert 0 < len(first) < 100
    reader = open_stream(f"folder:{folder}?quiet=0.01", {first[0].partition: first[-1].offset})
    rest = [m for _ in range(30) for m in reader.read(10, 0.02)]
    reader.close()
    found = [json.loads(m.payload)["id"] for m in [*first, *rest] if isinstance(m.payload, bytes)]
    assert found == list(range(100))


def test_a_file_that_cannot_be_read_is_a_dead_letter(folder: Path, lake: Lake):
    put(folder, "a.parquet", b"PAR1 this is no footer PAR1")
    put(folder, "b.csv", "id,v\n1,2\n3,4,5\n")
    put(folder, "c.csv", "")
    put(folder, "d.jsonl", lines(1) + "broken\n" + lines(2))
    with running([stream(folder)], lake) as runs:
        runs.until(lambda: bool(runs.told) and runs.told[-1].dead == 4 and runs.told[-1].written == 2)
        runs.finish()
    letters = {row["raw"]: row["reason"] for row in log(lake, "t__dead")}
    assert letters.keys() == {"a.parquet", "b.csv", "c.csv", "broken"}
    assert "row 3 has 3 values where the header has 2" in letters["b.csv"]
    assert "c.csv is empty" in letters["c.csv"]


def test_a_segment_limit_of_one_row_keeps_files_whole(folder: Path, lake: Lake):
    put(folder, "a.jsonl", lines(*range(25)))
    with running([stream(folder, limits=Limits(read=3, segment_rows=1))], lake) as runs:
        runs.until(lambda: count(lake, "t") == 25)
        runs.finish()
    assert ids(lake) == list(range(25))


def test_a_folder_that_is_not_there_is_told(folder: Path):
    with pytest.raises(SourceError, match="STREAM_UNKNOWN: there is no folder") as raised:
        open_stream(f"folder:{folder.parent / 'in bix'}", {})
    assert "Did you mean 'in box'?" in str(raised.value)
