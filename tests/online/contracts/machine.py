"""A store beside a dictionary: whatever is done to both, they say the same."""

from __future__ import annotations

from itertools import count

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from penstock.online.store import FIRST, Change, OnlineStore, Part, Puts, walk

KEYS = st.sampled_from([b"", b"a", b"a\0", b"a\0\0", b"a\0\xff", b"ab", b"b" * 480, b"\xff" * 9])
NUMBERS = st.sampled_from([FIRST, -1, 0, 1, 2**63 - 1])
SPACES = st.sampled_from(["one", "two"])
NAMES = st.sampled_from(["n", "n:1", "m"])
CHANGES = st.builds(Change, SPACES, KEYS, NUMBERS, st.binary(max_size=3)) | st.builds(
    Change, SPACES, KEYS, st.none() | NUMBERS, st.none()
)
_RUNS = count()


def beside(store: OnlineStore) -> type[RuleBasedStateMachine]:
    """A machine over this store, whose every run has spaces of its own."""
    made: type[RuleBasedStateMachine] = type("Machine", (Machine,), {"store": store})
    made.TestCase.settings = hypothesis.settings(stateful_step_count=20)
    return made


class Machine(RuleBasedStateMachine):
    store: OnlineStore

    def __init__(self) -> None:
        super().__init__()
        self.run = f"run{next(_RUNS)}-"
        self.parts: dict[tuple[str, bytes], dict[int, bytes]] = {}
        self.notes: dict[str, str] = {}

    @rule(changes=st.lists(CHANGES, max_size=8), notes=st.dictionaries(NAMES, st.none() | st.text("aé\n", max_size=3)))
    def write(self, changes: list[Change], notes: dict[str, str | None]) -> None:
        self.store.write(
            [change._replace(space=self.run + change.space) for change in changes],
            {self.run + name: text for name, text in notes.items()},
        )
        for change in changes:
            self.change(change)
        self.notes = {name: text for name, text in (self.notes | notes).items() if text is not None}

    @rule(space=SPACES, parts=st.dictionaries(st.tuples(KEYS, NUMBERS), st.binary(max_size=3)), sort=st.booleans())
    def put(self, space: str, parts: dict[tuple[bytes, int], bytes], sort: bool) -> None:
        told = sorted(parts) if sort else list(parts)
        keys, numbers = [key for key, _ in told], [number for _, number in told]
        self.store.write(Puts(self.run + space, keys, numbers, [parts[one] for one in told]))
        for key, number in told:
            self.change(Change(space, key, number, parts[key, number]))

    def change(self, change: Change) -> None:
        parts = self.parts.setdefault((change.space, change.key), {})
        if change.number is None:
            parts.clear()
        elif change.data is None:
            parts.pop(change.number, None)
        else:
            parts[change.number] = change.data
        if not parts:
            del self.parts[change.space, change.key]

    def kept(self, space: str, key: bytes, since: int = FIRST) -> list[Part]:
        parts = self.parts.get((space, key), {})
        return [Part(number, data) for number, data in sorted(parts.items()) if number >= since]

    @rule(space=SPACES, keys=st.lists(KEYS, max_size=5), since=NUMBERS)
    def read(self, space: str, keys: list[bytes], since: int) -> None:
        assert self.store.read(self.run + space, keys, since) == [self.kept(space, key, since) for key in keys]

    @rule(space=SPACES, keys=st.lists(KEYS, max_size=5), number=NUMBERS)
    def read_part(self, space: str, keys: list[bytes], number: int) -> None:
        kept = [self.parts.get((space, key), {}).get(number) for key in keys]
        assert self.store.read_part(self.run + space, keys, number) == kept

    @rule(space=SPACES, size=st.integers(1, 4))
    def walk(self, space: str, size: int) -> None:
        found = list(walk(self.store, self.run + space, size))
        assert found == sorted(key for of, key in self.parts if of == space)

    @rule()
    def look(self) -> None:
        spaces = [space for space, _ in self.parts]
        counts = {self.run + space: spaces.count(space) for space in spaces}
        assert {name: n for name, n in self.store.spaces().items() if name.startswith(self.run)} == counts
        assert self.store.notes(self.run) == {self.run + name: text for name, text in self.notes.items()}

    @rule(name=NAMES)
    def note(self, name: str) -> None:
        assert self.store.note(self.run + name) == self.notes.get(name)

    @rule(space=SPACES)
    def drop(self, space: str) -> None:
        self.store.drop(self.run + space)
        self.parts = {key: parts for key, parts in self.parts.items() if key[0] != space}

    def teardown(self) -> None:
        for space in ("one", "two"):
            self.store.drop(self.run + space)
        self.store.write([], dict.fromkeys(self.store.notes(self.run)))
