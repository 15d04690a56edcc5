"""A process that ingests in children of its own and kills them when it is told to: the other side of `test_kills`.

Each line of its input is an order (`Order` as JSON), each line of its output what came of it. Children are forked after
all modules are there, so that one costs little.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.forked import ended, say, warmed


@dataclass
class Order:
    """Ingest a table again and again, and die after so many seconds; None: once, and live."""

    source: str
    place: str
    mode: str
    watermark: str | None = None
    slice_rows: int = 2_000_000
    seconds: float | None = None

    def line(self) -> str:
        return json.dumps(asdict(self))


def work(order: Order) -> None:
    from penstock.lake.ingest import Intake, ingest
    from penstock.lake.versioned import open_lake

    place = Path(order.place)
    lake = open_lake(place / "lake")
    intake = Intake("t", order.source, "t", mode=order.mode, watermark=order.watermark, overlap=4)
    while True:
        ingest(intake, lake, quarantine=place / "quarantine", slice_rows=order.slice_rows)
        if order.seconds is None:
            return


def main() -> None:
    for number, line in enumerate(sys.stdin):
        order = Order(**json.loads(line))
        if not number:
            warmed(partial(work, order))
        say(ended(partial(work, order), order.seconds))


if __name__ == "__main__":
    main()
