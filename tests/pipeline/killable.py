"""A process that runs a project in children of its own and kills them when told to: the other side of `test_kills`.

Each line of its input is an order: the project's folder and after how many seconds it dies (null: it runs once and
lives). Each line of its output says how it ended. Children are forked after all modules are there, so that one costs
little.
"""

from __future__ import annotations

import json
import sys
from functools import partial

from tests.forked import ended, say, warmed


def work(folder: str, *, once: bool) -> None:
    """Run the project, once or until something ends the process."""
    from penstock.project import open_project

    while True:
        open_project(folder).run()
        if once:
            return


def main() -> None:
    """Obey until there are no more orders."""
    for number, line in enumerate(sys.stdin):
        order = json.loads(line)
        if not number:
            warmed(partial(work, order["folder"], once=True))
        say(ended(partial(work, order["folder"], once=order["seconds"] is None), order["seconds"]))


if __name__ == "__main__":
    main()
