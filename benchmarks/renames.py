"""How well renamed columns are told from dropped and added ones, on real tables.

    python -m benchmarks.renames [--data DIR] [--rounds 20] [--rows 100000] [--seed 2] [--wrong]

Each round takes a table, splits its rows in two so that contents differ (*again*: the same rows and a tenth more;
*fresh*: other rows of the same time; *later*: the later half; *batch*: the latest 200), renames some columns as people
do, drops some, and adds some that have nothing to do with them: columns of other tables, and columns of the table that
were not there before.
The databases are those below DIR (the detector's weights were fitted on changes of their tables made from another seed)
and the demonstration's (never seen in fitting).
Precision is the share of proposed renames that are right, recall the share of renames that were proposed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

import penstock as ps
from penstock import demo
from penstock.pipeline.change.compare import compare
from penstock.pipeline.change.prints import ColumnPrint, prints

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
SPLITS = ("again", "fresh", "later", "batch")
BATCH = 200
LEAST, MOST = 40, 100_000
SYNONYMS = {
    "amount": "sum", "price": "cost", "name": "title", "date": "day", "time": "when", "customer": "client",
    "user": "member", "type": "kind", "country": "nation", "city": "town", "quantity": "units", "score": "points",
    "household": "family", "product": "article", "store": "branch", "week": "calweek", "description": "text",
    "team": "side", "company": "firm", "age": "years", "income": "earnings", "title": "heading", "body": "content",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A table before and after, and which of its columns (ours) are which afterwards (theirs)."""

    table: str
    split: str
    before: tuple[ColumnPrint, ...]
    after: tuple[ColumnPrint, ...]
    truth: dict[str, str]
    patterns: dict[str, str]


# ---------------------------------------------------------------- names as people change them


def split_words(name: str) -> list[str]:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word.lower() for word in re.split(r"[\W_]+", spaced) if word]


def snake(words: Sequence[str]) -> str:
    return "_".join(words)


def camel(words: Sequence[str]) -> str:
    return words[0] + "".join(word.title() for word in words[1:])


def spelled_like(name: str, words: Sequence[str]) -> str:
    """The words joined as the name joins its own."""
    if "_" in name or name == name.lower():
        return snake(words)
    return "".join(word.title() for word in words) if name[0].isupper() else camel(words)


@dataclass(frozen=True)
class Old:
    """A name to change, of a column of a table."""

    name: str
    table: str
    rng: np.random.Generator


def recase(old: Old) -> str:
    words = split_words(old.name)
    return str(old.rng.choice([snake(words), camel(words), "".join(w.title() for w in words), snake(words).upper()]))


def prefixed(old: Old) -> str:
    owner = split_words(old.table)[-1].rstrip("s")
    return spelled_like(
        old.name, [str(old.rng.choice([owner, "src", "customer", "payment", "raw"])), *split_words(old.name)]
    )


def suffixed(old: Old) -> str:
    return spelled_like(
        old.name, [*split_words(old.name), str(old.rng.choice(["usd", "utc", "v2", "new", "cd", "value", "1"]))]
    )


def shortened(old: Old) -> str:
    """One of several words gone."""
    words = split_words(old.name)
    if len(words) > 1:
        del words[int(old.rng.integers(len(words)))]
    return spelled_like(old.name, words)


def abbreviated(old: Old) -> str:
    words = split_words(old.name)
    at = int(np.argmax([len(word) for word in words]))
    word = words[at]
    words[at] = word[:4] if old.rng.random() < 0.5 else word[0] + re.sub("[aeiou]", "", word[1:])
    return spelled_like(old.name, words)


def synonym(old: Old) -> str:
    return spelled_like(old.name, [SYNONYMS.get(word, word) for word in split_words(old.name)])


def reordered(old: Old) -> str:
    words = split_words(old.name)
    return spelled_like(old.name, words[1:] + words[:1])


def slipped(old: Old) -> str:
    at = int(old.rng.integers(max(1, len(old.name) - 1)))
    return old.name[:at] + old.name[at + 1 : at + 2] + old.name[at : at + 1] + old.name[at + 2 :]


def unlike(old: Old) -> str:
    return str(old.rng.choice(["field", "col", "attr", "x"])) + f"_{old.rng.integers(1, 40)}"


PATTERNS: dict[Callable[[Old], str], float] = {
    recase: 3, prefixed: 3, suffixed: 2, shortened: 2, abbreviated: 3, synonym: 2, reordered: 1, slipped: 1, unlike: 1,
}  # fmt: skip


def renamed(name: str, table: str, taken: set[str], rng: np.random.Generator) -> tuple[str, str] | None:
    """A new name that nothing has, and how it was made."""
    weights = np.array(list(PATTERNS.values())) / sum(PATTERNS.values())
    for at in rng.choice(len(PATTERNS), 12, p=weights):
        pattern = list(PATTERNS)[at]
        new = pattern(Old(name, table, rng))
        if new and new not in taken:
            return new, pattern.__name__
    return None


# ---------------------------------------------------------------- cases


def tables(data: Path, most: int = MOST) -> dict[str, dict[str, pa.Table]]:
    """The tables of each database, read as Penstock reads them; none where there is no such folder."""
    found = {}
    for folder in sorted(path for path in data.iterdir() if path.is_dir()) if data.is_dir() else ():
        db = ps.connect(folder)
        read = {t.name: db.rows.read(t.name, [c.name for c in t.columns]) for t in db.graph}
        found[folder.name] = {name: rows.slice(0, most) for name, rows in read.items() if rows.num_rows >= LEAST}
    return found


def generated(subscribers: int = 2000) -> dict[str, dict[str, pa.Table]]:
    """The demonstration's tables, on which the detector was not fitted."""
    return {
        "generated": {
            name: rows for name, rows in demo.generate(subscribers=subscribers).tables.items() if rows.num_rows >= LEAST
        }
    }


def halves(rows: pa.Table, split: str, rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Rows before and after."""
    count = rows.num_rows
    if split == "again":
        return rows.slice(0, count * 9 // 10), rows
    if split == "later":
        return rows.slice(0, count // 2), rows.slice(count // 2)
    if split == "batch":
        fresh = max(1, min(BATCH, count // 4))
        return rows.slice(0, count - fresh), rows.slice(count - fresh)
    first = rng.random(count) < 0.5
    return rows.filter(pa.array(first)), rows.filter(pa.array(~first))


def cases(databases: dict[str, dict[str, pa.Table]], rounds: int, seed: int) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    for database, held in databases.items():
        for name, rows in held.items():
            for turn in range(rounds if rows.num_columns > 2 else 0):
                others = [table for other, table in held.items() if other != name]
                yield case(f"{database}.{name}", rows, others, SPLITS[turn % len(SPLITS)], rng)


def case(table: str, rows: pa.Table, others: list[pa.Table], split: str, rng: np.random.Generator) -> Case:
    names = list(rng.permutation(rows.column_names))
    hidden = names[: int(rng.integers(0, 1 + min(2, len(names) // 4)))]
    present = [name for name in rows.column_names if name not in hidden]
    chosen = list(rng.permutation(present))
    dropped = chosen[: int(rng.integers(0, 1 + min(2, len(present) // 4)))]
    changing = chosen[len(dropped) :][: int(rng.integers(1, 2 + min(3, len(present) // 3)))]
    before, after = halves(rows, split, rng)
    truth, patterns, columns = {}, {}, []
    for name in present:
        if name in dropped:
            continue
        new = renamed(name, table.partition(".")[2], set(rows.column_names) | set(truth.values()), rng)
        if name in changing and new is not None:
            truth[name], patterns[name] = new
        columns.append((truth.get(name, name), after.column(name)))
    for name in list(truth)[:1] if rng.random() < 0.2 else []:
        moved = next(column for column in columns if column[0] == truth[name])
        columns.remove(moved)
        columns.insert(int(rng.integers(len(columns) + 1)), moved)
    for name, values in [*((name, after.column(name)) for name in hidden), *strangers(others, after.num_rows, rng)]:
        if name not in present and name not in dict(columns):
            columns.insert(len(columns) if rng.random() < 0.6 else int(rng.integers(len(columns) + 1)), (name, values))
    return Case(table, split, prints(before.select(present)), prints(table_of(columns)), truth, patterns)


def table_of(columns: list[tuple[str, pa.ChunkedArray]]) -> pa.Table:
    return pa.Table.from_arrays([values for _, values in columns], names=[name for name, _ in columns])


def strangers(others: list[pa.Table], rows: int, rng: np.random.Generator) -> list[tuple[str, pa.ChunkedArray]]:
    """Columns of other tables, repeated or cut to so many rows."""
    found = []
    for _ in range(int(rng.integers(0, 3)) if others else 0):
        table = others[int(rng.integers(len(others)))]
        name = str(rng.choice(table.column_names))
        found.append((name, table.column(name).take(pa.array(np.arange(rows) % table.num_rows))))
    return found


# ---------------------------------------------------------------- judging


@dataclass
class Tally:
    """How many renames were right, wrong and missed, and how many of the missed were told as doubtful."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    doubtful: int = 0

    def add(self, case: Case) -> list[str]:
        """Count a case; what was wrong or missed, in words."""
        changes = compare(case.before, case.after, table=case.table.partition(".")[2])
        found = {one.ours: one.theirs for one in changes.renamed}
        doubts = {one.column for one in changes.doubtful}
        wrong = [f"{one}" for one in changes.renamed if case.truth.get(one.ours) != one.theirs]
        missed = [name for name in case.truth if found.get(name) != case.truth[name]]
        self.right += len(found) - len(wrong)
        self.wrong += len(wrong)
        self.missed += len(missed)
        self.doubtful += sum(name in doubts for name in missed)
        where = f"{case.table} ({case.split})"
        return [f"wrong  {where}: {one}; truth {case.truth}" for one in wrong] + [
            f"missed {where}: {name} -> {case.truth[name]} ({case.patterns[name]})" for name in missed
        ]

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    def __str__(self) -> str:
        count = self.right + self.missed
        return (
            f"{count:7,} {self.precision:10.3f} {self.recall:8.3f} {self.wrong:7} "
            f"{self.doubtful:9} {self.missed - self.doubtful:7}"
        )


def judged(given: Iterator[Case]) -> tuple[dict[str, Tally], list[str]]:
    """Tallies by database, by split and of all, and what went wrong."""
    tallies: dict[str, Tally] = {}
    errors: list[str] = []
    for one in given:
        told = [tallies.setdefault(key, Tally()).add(one) for key in (one.table.partition(".")[0], one.split, "all")]
        errors += told[-1]
    return tallies, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="a folder of databases (default ../shared/data)")
    parser.add_argument("--rounds", type=int, default=20, help="changes made to each table (default 20)")
    parser.add_argument("--rows", type=int, default=MOST, help=f"the most rows of a table (default {MOST:,})")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--wrong", action="store_true", help="list what was wrong or missed")
    given = parser.parse_args()
    tallies, errors = judged(cases(generated() | tables(given.data, given.rows), given.rounds, given.seed))
    print(f"{'':12}{'renames':>7} {'precision':>10} {'recall':>8} {'wrong':>7} {'doubtful':>9} {'missed':>7}")
    for name, tally in sorted(tallies.items(), key=lambda item: (item[0] == "all", item[0] in SPLITS, item[0])):
        print(f"{name:12}{tally}")
    if given.wrong:
        print(*sorted(errors), sep="\n")


if __name__ == "__main__":
    main()
