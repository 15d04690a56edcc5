"""A store of labels with a clock that is set by hand, and a shop whose frauds are known to the tests alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import penstock as ps
from penstock.database import Database
from penstock.lake.versioned import open_lake
from penstock.learning.labelling import LabelStore
from tests.small import DAY, START, shop

ENDS = START + 240 * DAY


def moment(text: str) -> dt.datetime:
    """A time without a zone, which is UTC, as Arrow gives it."""
    return dt.datetime.fromisoformat(text)


@dataclass
class Clock:
    """The time, in microseconds, as told."""

    at: int = ENDS + DAY

    def __call__(self) -> int:
        return self.at


@dataclass
class Place:
    """A store in a folder of its own, and its clock."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    store: LabelStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = LabelStore(open_lake(self.folder), self.clock)

    def later(self, days: float = 1) -> int:
        """Some time passes."""
        self.clock.at += int(days * DAY)
        return self.clock.at


def busy(users: int = 300) -> tuple[Database, np.ndarray]:
    """A shop, and who is a fraud: those who ordered more than most."""
    tables = shop(users=users)
    orders = np.bincount(tables["orders"]["user_id"].to_numpy(), minlength=users + 1)[1:]
    return ps.connect(tables), orders > np.median(orders)
