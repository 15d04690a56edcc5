"""What every store has to do: inherited by a class for each kind of store, and run against a real one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis.stateful import run_state_machine_as_test

from penstock.errors import RequestError
from penstock.online.keys import packed
from penstock.online.store import FIRST, LONGEST_KEY, Change, OnlineStore, Part, Puts, walk
from tests import forked
from tests.online.contracts.machine import beside

LAST = 2**63 - 1
KEYS = [bytes([number]) for number in range(20)]
ODD = [
    "",
    "a",
    "a\0",
    "\0",
    "a:b",
    "a:b:",
    "{a}",
    "é",
    "e\u0301",
    "k" * 399,
    "k" * 400,
    "k" * 5_000,
    "\0" * 300,
    "\U0001f600",
]


def put(space: str, key: bytes, data: bytes, number: int = 0) -> Change:
    return Change(space, key, number, data)


def rounds(store: OnlineStore, stop: Callable[[], bool]) -> None:
    """Write each key and a note again and again, all with the number of the round."""
    number = 0
    while not stop():
        number += 1
        data = str(number).encode() * 50
        changes = [put("r", key, data, part) for key in KEYS for part in (0, 1)]
        store.write([*changes, Change("r", KEYS[number % 20], 2 + number % 2, data)], {"round": str(number)})


def one_round(store: OnlineStore) -> bytes | None:
    """What all keys say: it must be the same."""
    said = {part.data for parts in store.read("r", KEYS) for part in parts if part.number < 2}
    assert len(said) <= 1, said
    return said.pop() if said else None


def killed(work: Callable[[Callable[[], bool]], None], seconds: float) -> None:
    """Kill a child so long after it asked for the first time whether to stop."""
    read, write = os.pipe()
    pid = forked.child(lambda: work(lambda: os.write(write, b".") == 0))
    os.close(write)
    os.read(read, 1)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(read)


class StoreContract:
    """The tests; a subclass says by the fixture ``opener`` how its store is opened."""

    @pytest.fixture
    def store(self, opener: Callable[[], OnlineStore]) -> Iterator[OnlineStore]:
        opened = opener()
        yield opened
        opened.close()

    # ------------------------------------------------------------ reading and writing

    def test_parts_are_read_in_the_order_of_the_request(self, store: OnlineStore):
        store.write([put("s", b"a", b"1"), put("s", b"b", b"2"), put("t", b"a", b"3")])
        one, two = [Part(0, b"1")], [Part(0, b"2")]
        assert store.read("s", [b"b", b"a", b"no", b"b"]) == [two, one, [], two]
        assert store.read("t", [b"a", b"b"]) == [[Part(0, b"3")], []]
        assert store.read("never", [b"a"]) == [[]]
        assert store.read("s", []) == []

    def test_parts_come_by_number_and_since_one(self, store: OnlineStore):
        numbers = [FIRST, -5, -1, 0, 1, 255, 256, LAST]
        Random(1).shuffle(shuffled := list(numbers))
        store.write([put("s", b"k", str(number).encode(), number) for number in shuffled])
        expected = [Part(number, str(number).encode()) for number in numbers]
        assert store.read("s", [b"k"]) == [expected]
        assert store.read("s", [b"k", b"k"], 0) == [expected[3:], expected[3:]]
        assert store.read("s", [b"k"], LAST) == [expected[-1:]]

    def test_one_part_of_each_key_is_read_alone(self, store: OnlineStore):
        assert store.read_part("s", [b"k"], 7) == [None]
        store.write([put("s", b"k", b"7", 7), put("s", b"k", b"", -7)])
        store.write([put("s", b"l\0", b"l", 7), put("t", b"k", b"t", 7)])
        assert [store.read_part("s", [b"k"], number) for number in (7, -7, 8)] == [[b"7"], [b""], [None]]
        assert store.read_part("s", [b"l\0", b"kk", b"k", b"l", b"k"], 7) == [b"l", None, b"7", None, b"7"]
        assert store.read_part("s", [], 7) == []
        assert store.read_part("never", [b"k", b"l"], 7) == [None, None]

    def test_values_may_be_empty_and_large(self, store: OnlineStore):
        large = Random(2).randbytes(2**20)
        store.write([put("s", b"e", b""), put("s", b"l", large), put("s", b"m", large[::-1], 3)])
        assert store.read("s", [b"e", b"l", b"m"]) == [[Part(0, b"")], [Part(0, large)], [Part(3, large[::-1])]]
        assert store.read_part("s", [b"l"], 0) == [large]

    def test_many_keys_are_written_and_read_at_once(self, store: OnlineStore):
        keys = [b"%05d" % number for number in range(12_000)]
        store.write([put("s", key, key[::-1], number % 3) for number, key in enumerate(keys)])
        some = range(0, len(keys), 50)
        assert store.read("s", [keys[n] for n in some]) == [[Part(n % 3, keys[n][::-1])] for n in some]
        assert store.spaces() == {"s": 12_000}

    def test_parts_may_be_told_by_columns(self, store: OnlineStore):
        keys = [b"%04d" % (number // 2) for number in range(600)]
        store.write(Puts("s", keys, [number % 2 for number in range(600)], keys), {"n": "1"})
        assert store.read("s", keys[::2]) == [[Part(0, key), Part(1, key)] for key in keys[::2]]
        store.write(Puts("s", [b"a\0", b"a", b"a", b"0007"], [5, 2, -2, 1], [b"1", b"2", b"3", b""]))
        assert store.read("s", [b"a\0", b"a"]) == [[Part(5, b"1")], [Part(-2, b"3"), Part(2, b"2")]]
        assert store.read_part("s", [b"0007"], 1) == [b""]
        store.write(Puts("s", [], [], []), {"n": "2"})
        assert (store.spaces(), store.note("n")) == ({"s": 302}, "2")
        with pytest.raises(RequestError, match="is too long"):
            store.write(Puts("s", [b"b", b"k" * (LONGEST_KEY + 1)], [0, 0], [b"", b""]))
        assert store.read("s", [b"b"]) == [[]]

    def test_keys_of_every_kind_are_kept_apart(self, store: OnlineStore):
        columns = [pa.array(ODD), pa.array([0, 1, -1, 2**63 - 1, -(2**63)]), pa.array([0.5, None]), pa.array([True])]
        keys = [
            *(key for column in columns for key in packed(column)),
            b"z",
            b"\xff" * 8,
            b"\xff" * LONGEST_KEY,
            b"\0" * 240,
        ]
        store.write([put("s", key, b"v" + key, number % 4 - 2) for number, key in enumerate(keys)])
        assert store.read("s", keys) == [[Part(number % 4 - 2, b"v" + key)] for number, key in enumerate(keys)]
        assert list(walk(store, "s", 5)) == sorted(keys)
        assert len(set(keys)) == len(keys) == store.spaces()["s"]

    def test_a_key_that_begins_like_another_is_another(self, store: OnlineStore):
        top = b"k" + (2**63).to_bytes(8, "big")
        store.write([put("s", b"k", b"1"), put("s", b"k\0", b"2"), put("s", top, b"3"), put("s", b"", b"4")])
        store.write([Change("s", b"k", None, None)])
        assert store.read("s", [b"k", b"k\0", top, b""]) == [[], [Part(0, b"2")], [Part(0, b"3")], [Part(0, b"4")]]

    def test_keys_that_are_too_long_are_refused(self, store: OnlineStore):
        for long in (b"k" * (LONGEST_KEY + 1), b"\0" * (LONGEST_KEY // 2 + 1)):
            for do in (
                lambda long=long: store.write([put("s", b"a", b""), put("s", long, b"")]),
                lambda long=long: store.read("s", [b"a", long]),
                lambda long=long: store.read_part("s", [long], 0),
            ):
                with pytest.raises(RequestError) as caught:
                    do()
                assert caught.value.code == "KEY_LONG"
        assert store.read("s", [b"a"]) == [[]]

    def test_changes_are_made_one_after_the_other(self, store: OnlineStore):
        store.write([put("s", b"k", b"old", 1), put("s", b"k", b"old", 2)])
        store.write(
            [put("s", b"k", b"x", 3), Change("s", b"k", None, None), put("s", b"k", b"y", 4), put("s", b"k", b"z", 4)]
        )
        assert store.read("s", [b"k"]) == [[Part(4, b"z")]]
        store.write([put("s", b"k", b"5", 5), Change("s", b"k", 4, None), Change("s", b"k", 9, None)])
        assert store.read("s", [b"k"]) == [[Part(5, b"5")]]

    def test_a_key_without_parts_is_gone(self, store: OnlineStore):
        store.write([put("s", b"a", b"", 1), put("s", b"a", b"", 2), put("s", b"b", b""), put("s", b"c", b"")])
        store.write([Change("s", b"a", 1, None), Change("s", b"b", None, None), Change("s", b"no", None, None)])
        assert sorted(store.keys("s")) == [b"a", b"c"]
        store.write([Change("s", b"a", 2, None), Change("s", b"c", 0, None)])
        assert store.keys("s") == []
        assert store.spaces() == {}

    def test_nothing_is_a_write_too(self, store: OnlineStore):
        store.write([])
        store.write([], {})
        assert store.spaces() == {} and store.notes() == {}

    # ------------------------------------------------------------ notes, keys and spaces

    def test_notes_are_written_with_parts_and_removed(self, store: OnlineStore):
        assert store.note("a") is None
        store.write([put("s", b"k", b"v")], {"a:1": "é\n", "a:2": "", "b%_": "x" * 100_000})
        assert store.notes("a:") == {"a:1": "é\n", "a:2": ""}
        assert store.notes("b%_") == {"b%_": "x" * 100_000} and store.notes("b_") == {}
        store.write([], {"a:1": None, "a:2": "2", "none": None})
        assert store.notes() == {"a:2": "2", "b%_": "x" * 100_000}
        assert (store.note("a:1"), store.note("a:2")) == (None, "2")

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_keys_come_in_pages(self, store: OnlineStore, size: int):
        keys = {bytes([number]) * (number % 5) for number in range(50)}
        store.write([put("s", key, b"", number) for key in keys for number in (FIRST, 0, LAST)])
        store.write([put("r", b"a", b""), put("t", b"a", b"")])
        found = list(walk(store, "s", size))
        assert found == sorted(keys)
        assert store.keys("s") == found
        assert store.keys("s", found[10], 5) == found[11:16]
        assert store.keys("never") == []

    def test_a_space_is_dropped_and_the_others_stay(self, store: OnlineStore):
        keys = [b"%04d" % number for number in range(2_500)]
        store.write([put("s", key, b"v", part) for key in keys for part in (1, 2)])
        store.write([put("ss", b"a", b"v"), put("r", b"a", b"v")], {"note": "1"})
        for _ in range(2):
            store.drop("s")
            assert store.spaces() == {"ss": 1, "r": 1}
            assert store.keys("s") == [] and store.read("s", keys[:2]) == [[], []]
        assert store.note("note") == "1"
        store.write([put("s", b"a", b"again")])
        assert store.read("s", [b"a"]) == [[Part(0, b"again")]] and store.spaces() == {"s": 1, "ss": 1, "r": 1}

    def test_the_size_is_that_of_something(self, store: OnlineStore):
        store.write([put("s", b"k", Random(3).randbytes(2**20))])
        assert store.size() >= 2**20

    def test_what_was_written_is_there_when_opened_again(self, opener: Callable[[], OnlineStore]):
        first = opener()
        first.write([put("s", b"k", b"v")], {"n": "1"})
        first.close()
        second = opener()
        assert second.read("s", [b"k"]) == [[Part(0, b"v")]] and second.note("n") == "1"
        second.close()

    # ------------------------------------------------------------ at once

    def test_threads_see_all_of_a_write_or_nothing(self, store: OnlineStore):
        done = threading.Event()
        seen: set[bytes | None] = set()
        failed: list[BaseException] = []

        def look() -> None:
            try:
                while not done.is_set():
                    seen.add(one_round(store))
            except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
                failed.append(error)

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        enough, late = time.monotonic() + 0.4, time.monotonic() + 60
        rounds(store, lambda: time.monotonic() > (late if len(seen) <= 2 else enough))
        done.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(seen) > 2

    def test_another_process_sees_all_of_a_write_or_nothing(self, opener: Callable[[], OnlineStore]):
        writer = forked.child(lambda: rounds(opener(), lambda: False))
        store = opener()
        seen = set()
        try:
            end = time.monotonic() + 60
            while len(seen) < 20 and time.monotonic() < end:
                seen.add(one_round(store))
        finally:
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            store.close()
        assert len(seen) > 2

    def test_a_write_that_is_killed_is_made_or_not(self, opener: Callable[[], OnlineStore]):
        random, seen = Random(4), set()
        store = opener()
        for _ in range(30):
            killed(lambda stop: rounds(opener(), stop), random.uniform(0, 0.04))
            seen.add(said := one_round(store))
            self._settled(store, said)
        store.close()
        assert len(seen) > 1

    def _settled(self, store: OnlineStore, said: bytes | None) -> None:
        """The note says what the keys say, once the server has done what it was told before the kill."""
        end = time.monotonic() + 60
        while (noted := store.note("round")) is not None and (noted.encode() * 50) != said:
            assert time.monotonic() < end, (noted, said)
            said = one_round(store)

    def test_a_forked_process_stop_using_the_store(self, store: OnlineStore):
        store.write([put("s", b"k", b"1")])
        for _ in range(3):

            def work() -> None:
                assert store.read_part("s", [b"k"], 0)[0] in (b"1", b"2")
                store.write([put("s", b"k", b"2")])
                assert store.read("s", [b"k"]) == [[Part(0, b"2")]]

            assert forked.ended(work, None)["code"] == 0
            assert store.read("s", [b"k"]) == [[Part(0, b"2")]]
            store.write([put("s", b"k", b"1")])
            assert store.read_part("s", [b"k"], 0) == [b"1"]

    # ------------------------------------------------------------ the right to write

    def test_threads_feed_one_at_a_time(self, opener: Callable[[], OnlineStore]):
        stores = [opener(), opener()]
        inside, most = [], []

        def feed(store: OnlineStore) -> None:
            for _ in range(3):
                with store.feeding():
                    inside.append(1)
                    most.append(len(inside))
                    store.write([put("s", b"k", b"v")])
                    time.sleep(0.002)
                    inside.pop()

        threads = [threading.Thread(target=feed, args=(store,)) for store in stores for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for store in stores:
            store.close()
        assert most == [1] * 12

    def test_processes_feed_one_at_a_time(self, opener: Callable[[], OnlineStore], tmp_path: Path):
        began, ended = tmp_path / "began", tmp_path / "ended"

        def work() -> None:
            with opener().feeding():
                began.touch()
                time.sleep(0.3)
                ended.touch()

        pid = forked.child(work)
        _appears(began)
        store = opener()
        with store.feeding():
            assert ended.exists()
        os.waitpid(pid, 0)
        store.close()

    def test_the_right_to_write_ends_with_its_holder(self, opener: Callable[[], OnlineStore], tmp_path: Path):
        began = tmp_path / "began"

        def work() -> None:
            with opener().feeding():
                began.touch()
                time.sleep(60)

        pid = forked.child(work)
        _appears(began)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        store = opener()
        with store.feeding():
            store.write([put("s", b"k", b"v")])
        assert store.read_part("s", [b"k"], 0) == [b"v"]
        store.close()

    def test_an_error_ends_the_right_to_write(self, store: OnlineStore):
        for _ in range(2):
            with suppress(KeyError), store.feeding():
                raise KeyError

    # ------------------------------------------------------------ and all of it, at random

    def test_it_is_a_dictionary(self, store: OnlineStore):
        run_state_machine_as_test(beside(store))


def _appears(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)
