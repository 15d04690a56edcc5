"""How long ``penstock plan`` and ``penstock run`` take where there are many tables and nothing new.

    python -m benchmarks.project [--tables 500] [--repeat 5]

Four fifths of the tables come from a SQLite file, one fifth is derived by SQL that joins two of them. *Plan* looks at
the source's schema, reads all definitions and says what would be done; *run* finds that nothing is to be done. Both are
whole commands, in processes of their own. *Floor* is a process that imports what reads the lake's catalogue.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

QUERY = "PREDICT SUM(t1.amount, 0, 3, days) FOR EACH t0.id"
SETTINGS = f"""
[sources.many]
url = "many.sqlite"

[tables.t1]
time = "at"
links = {{ parent = "t0" }}

[queries]
spent = "{QUERY}"
"""


def write(folder: Path, tables: int) -> None:
    """A project of so many tables."""
    sources, derived = tables - tables // 5, tables // 5
    with closing(sqlite3.connect(folder / "many.sqlite")) as database:
        for at in range(sources):
            database.execute(
                f"CREATE TABLE t{at} (id INTEGER PRIMARY KEY, parent INTEGER, name TEXT, amount REAL, at TIMESTAMP)"
            )
            rows = [(n, n % 3, "x", n * 1.5, f"2024-01-{n % 9 + 1:02} 00:00:00") for n in range(20)]
            database.executemany(f"INSERT INTO t{at} VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
    (folder / "penstock.toml").write_text(SETTINGS)
    (folder / "tables").mkdir()
    for at in range(derived):
        one, other = at % sources, (at * 7 + 1) % sources
        text = f"-- key: id\nSELECT a.id, a.amount + b.amount AS total FROM t{one} AS a JOIN t{other} AS b USING (id)"
        (folder / "tables" / f"d{at}.sql").write_text(text)


def seconds(command: list[str], folder: Path) -> float:
    """How long a command takes."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    penstock = [sys.executable, "-m", "penstock"]
    commands = {
        "floor: a process that imports pyiceberg": [sys.executable, "-c", "import pyiceberg.catalog.sql"],
        "plan": [*penstock, "plan"],
        "run": [*penstock, "run"],
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder, given.tables)
        print(f"{given.tables} tables; the first run of all takes {seconds([*penstock, 'run'], folder):.1f} s")
        for name, command in commands.items():
            times = [seconds(command, folder) for _ in range(given.repeat)]
            print(f"{name:42} {median(times):6.2f} s  ({min(times):.2f} to {max(times):.2f})", flush=True)


if __name__ == "__main__":
    main()
