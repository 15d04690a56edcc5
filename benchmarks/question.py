"""A question from the command line, each time in a process of its own, beside what no such process could do without.

    python -m benchmarks.question [--repeat 5] [--source FOLDER]

Asked of the retail database where it lies beside the repository, else of the demonstration's own. *Cold* is a new
process and an empty PENSTOCK_CACHE; kernels and bytecode are compiled by a first run that does not count, and the
files are in the operating system's memory. The floors: Python that starts, the same Python reading every file, and one
fit of the model that the question needs (which it fits three times: to be judged, beside it on one table, and to
answer), without the work of loading and computing what it learns from.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
RETAIL = ROOT.parent / "shared" / "data" / "retail"
CHURN = (
    "PREDICT COUNT(invoices.*, 0, 90, days) = 0 FOR EACH customers.CustomerID"
    " WHERE COUNT(invoices.*, -365, 0, days) > 0"
)
TEN = "12347,12348,12349,12350,12352,12353,12354,12355,12356,12357"
PENSTOCK = [sys.executable, "-m", "penstock"]
READ = """
import sys, pathlib, pyarrow.parquet as pq
for path in pathlib.Path(sys.argv[1]).glob("*.parquet"):
    pq.read_table(path)
"""


@dataclass(frozen=True)
class Asked:
    """A source, a question about it, and ten entities."""

    source: str
    query: str
    entities: str

    @property
    def command(self) -> list[str]:
        """The command that asks about everybody."""
        return [*PENSTOCK, "predict", self.source, self.query]


@dataclass(frozen=True)
class Cost:
    """What a process took: wall-clock seconds, processor seconds, and its peak resident memory in GB."""

    seconds: float
    work: float
    memory: float


def run(command: Sequence[str], cache: Path) -> Cost:
    """Run a command to its end and take its costs; a failure ends the benchmark."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**kept, "PENSTOCK_CACHE": str(cache)}, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read().decode()}")
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def measure(
    name: str, command: Sequence[str], cache: Path, repeat: int, *, target: str = "", cold: bool = False
) -> None:
    """Print the median of several runs, their range, and the greatest memory of any."""
    costs = []
    for _ in range(repeat):
        if cold:
            shutil.rmtree(cache, ignore_errors=True)
        costs.append(run(command, cache))
    seconds = [cost.seconds for cost in costs]
    work, memory = median(cost.work for cost in costs), max(cost.memory for cost in costs)
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    print(f"{name:34} {median(seconds):8.2f} s   {spread:16} {work:8.2f} s {memory:8.2f} GB   {target}", flush=True)


# ---------------------------------------------------------------- work done in processes of their own


def make(folder: str) -> None:
    """Write the demonstration's database and print what to ask of it, as JSON."""
    from penstock import demo

    made = demo.generate()
    path = demo.write(made, Path(folder) / "demo.duckdb")
    keys = made.tables["subscribers"][demo.KEYS["subscribers"]][:10].to_pylist()
    print(json.dumps({"source": str(path), "query": demo.QUESTION, "entities": ",".join(map(str, keys))}))


def fit_alone(source: str, query: str) -> None:
    """Gather the question's examples, then print how many seconds one fit of them takes, and the rows and features."""
    import penstock
    from penstock.engine.execute import quiet
    from penstock.learning import ask
    from penstock.learning.fitting.models import Options
    from penstock.learning.fitting.train import fit
    from penstock.learning.rows.spines import Given

    db = penstock.connect(source)
    asked = db.query(query)
    gathered = ask.gather(asked, db.relational, Given(), ask.How(), quiet)
    options, kinds = Options(threads=db.settings.threads), ask.kinds(gathered.features)
    started = time.perf_counter()
    fit(asked.task.value, gathered.train, gathered.validation, options=options, kinds=kinds)
    rows = len(gathered.train) + len(gathered.validation)
    print(f"{time.perf_counter() - started} {rows} {len(gathered.features)}")


def child(*arguments: str) -> str:
    """What this file prints in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.question", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


# ---------------------------------------------------------------- the benchmark


def question(folder: Path, source: str | None) -> Asked:
    """What to ask: of the given source or the retail database, else of the demonstration's, made in the folder."""
    if source is not None or RETAIL.is_dir():
        return Asked(source or str(RETAIL), CHURN, TEN)
    return Asked(**json.loads(child("--make", str(folder))))


def report(asked: Asked, cache: Path, repeat: int) -> None:
    """Measure everything and print it."""
    print(f'penstock predict {Path(asked.source).name} "{asked.query}"')
    print(f"{repeat} runs of each, {os.cpu_count()} cores\n")
    print(f"{'':34} {'median':>8}     {'range':16} {'processor':>10} {'peak':>11}   target")
    run(asked.command, cache)
    cold, kept = ("15 s, 2 GB", "1.5 s") if asked.query == CHURN else ("", "")
    measure("predict, nothing kept", asked.command, cache, repeat, target=cold, cold=True)
    ten = [*asked.command, "--entities", asked.entities]
    measure("predict for ten, answer kept", ten, cache, repeat, target=kept)
    measure("penstock --help", [*PENSTOCK, "--help"], cache, repeat, target="0.3 s")
    print("the floors")
    measure("Python starts", [sys.executable, "-c", "pass"], cache, repeat)
    if Path(asked.source).is_dir():
        measure("Python starts and reads the files", [sys.executable, "-c", READ, asked.source], cache, repeat)
    fits = [child("--fit", asked.source, asked.query).split() for _ in range(repeat)]
    seconds = [float(fit[0]) for fit in fits]
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    print(f"{'one fit alone':34} {median(seconds):8.2f} s   {spread:16}   ({fits[0][1]} rows, {fits[0][2]} features)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median counts (default 5)")
    parser.add_argument("--source", help="another copy of the retail database")
    parser.add_argument("--make", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--fit", nargs=2, metavar=("SOURCE", "QUERY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.make)
    elif given.fit:
        fit_alone(*given.fit)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report(question(Path(folder), given.source), Path(folder) / "cache", given.repeat)


if __name__ == "__main__":
    main()
