"""Every benchmark, one after the other, each in a process of its own: ``make bench`` or ``python -m benchmarks``.

python -m benchmarks [NAME ...] [--full]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS: dict[str, tuple[list[str], ...]] = {
    "question": (["--repeat", "5"],),
    "sweep": ([],),
    "accuracy": ([],),
    "ingest": ([],),
    "lake": ([],),
    "streams": ([],),
    "checks": ([],),
    "plan": ([],),
    "project": ([],),
    "renames": ([],),
    "historical": ([],),
    "online_sync": ([],),
    "online": ([],),
    "hot": ([],),
    "online_stream": ([],),
    "program": ([],),
    "serving": ([],),
    "stores": ([],),
}
FULL = BENCHMARKS | {
    "question": (["--repeat", "9"],),
    "sweep": (["--limit", "300"], ["--scale", "10", "--no-sql"]),
    "accuracy": (["--poison"],),
    "ingest": (["--rows", "10000000"],),
    "checks": (["--rows", "10000000"], ["--rows", "10000000", "--key"]),
    "historical": ([], ["--shuffled"]),
}
"""Each benchmark's arguments, run by run."""


def machine() -> str:
    """What it runs on."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores{load}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--full", action="store_true", help="more runs, ten times the size, SQL up to five minutes")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    for name in given.names or BENCHMARKS:
        for arguments in (FULL if given.full else BENCHMARKS)[name]:
            print(f"== python -m benchmarks.{' '.join([name, *arguments])} ({machine()})", flush=True)
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=ROOT, check=True)
            print(flush=True)


if __name__ == "__main__":
    main()
