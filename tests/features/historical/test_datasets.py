"""Training sets come back as they were saved, whole or not at all, and are never lost by accident."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import FailedError, RequestError
from penstock.features.datasets import Datasets, How

TABLE = pa.table(
    {
        "id": pa.array([1, None, 3], pa.int32()),
        "cutoff": pa.array([0, 1, 2], pa.timestamp("us", "America/New_York")),
        "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
    }
)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = Datasets(tmp_path / "training")
    how = How.of(("stats:v",), {"stats": "abc"}, TABLE.select(["id"]), "orders 7")
    made = kept.save(TABLE, "churn-2026.1", how)
    assert kept.load("churn-2026.1").equals(TABLE)
    assert kept.about("churn-2026.1") == made
    assert (made.rows, made.how, list(made.columns)) == (3, how, ["id", "cutoff", "tags"])
    assert [one.name for one in kept.all()] == ["churn-2026.1"]


def test_the_spine_tells_what_was_asked() -> None:
    hashes = [How.of((), {}, table).spine for table in (TABLE, TABLE.slice(0, 2), TABLE)]
    assert hashes[0] == hashes[2] != hashes[1]


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    kept = Datasets(tmp_path)
    kept.save(TABLE, "one")
    with pytest.raises(RequestError, match="there is a training set 'one' already"):
        kept.save(TABLE.slice(1), "one")
    assert kept.load("one").num_rows == 3
    kept.save(TABLE.slice(1), "one", replace=True)
    assert kept.load("one").num_rows == 2
    assert len(list((tmp_path / "one").iterdir())) == 2


def test_a_name_can_be_asked_about_before_anything_is_worked_out(tmp_path: Path) -> None:
    kept = Datasets(tmp_path)
    kept.check("one")
    kept.save(TABLE, "one")
    kept.check("one", replace=True)
    for name, words in (("one", "already"), ("../up", "cannot be called"), (5, "cannot be called 5")):
        with pytest.raises(RequestError, match=words):
            kept.check(name)  # type: ignore[arg-type]


def test_what_a_kill_left_half_written_is_no_training_set(tmp_path: Path) -> None:
    kept = Datasets(tmp_path)
    made = kept.save(TABLE, "one")
    (tmp_path / "one" / "about.json").unlink()
    (tmp_path / "one" / f".{made.content}.draft").write_bytes(b"PAR1")
    assert kept.all() == []
    kept.save(TABLE.slice(1), "one")
    assert kept.load("one").equals(TABLE.slice(1))
    assert len(list((tmp_path / "one").iterdir())) == 2


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "/etc", ".hidden", "a\0b", "a\n", "ä", "x" * 101])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    kept = Datasets(tmp_path)
    for use in (lambda: kept.save(TABLE, name), lambda: kept.load(name), lambda: kept.delete(name)):
        with pytest.raises(RequestError, match="a training set cannot be called"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_what_is_deleted_is_gone(tmp_path: Path) -> None:
    kept = Datasets(tmp_path)
    kept.save(TABLE, "one")
    kept.delete("one")
    assert (kept.all(), list(tmp_path.iterdir())) == ([], [])
    with pytest.raises(RequestError, match="there is no training set 'one'"):
        kept.delete("one")


def test_an_unknown_name_is_told_what_exists(tmp_path: Path) -> None:
    kept = Datasets(tmp_path)
    assert Datasets(tmp_path / "none").all() == []
    kept.save(TABLE, "churn")
    with pytest.raises(RequestError) as caught:
        kept.load("chrun")
    assert (caught.value.code, caught.value.suggestion) == ("DATASET_UNKNOWN", "churn")


@pytest.mark.parametrize("file", ["*.parquet", "about.json"])
def test_a_damaged_set_is_said_to_be(tmp_path: Path, file: str) -> None:
    kept = Datasets(tmp_path)
    kept.save(TABLE, "one")
    next((tmp_path / "one").glob(file)).write_bytes(b"{")
    with pytest.raises(FailedError, match="the training set 'one' cannot be read"):
        kept.load("one")


def test_a_folder_that_is_none_fails_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FailedError, match="file"):
        Datasets(tmp_path / "file").save(TABLE, "one")
