"""How far back and how densely training cutoffs lie: enough rows to learn from, and no more than time allows.

Cutoffs a horizon apart give labels that do not overlap. Where few entities are asked about, that leaves few rows, and
cutoffs in between tell more of the same past; far more of them would only repeat it.
"""

from __future__ import annotations

from penstock.window import Unit

ENOUGH_ROWS = 30_000
"""(entity, cutoff) rows beyond which neither more nor denser cutoffs are sought."""
FEWEST_CUTOFFS = 24
"""As many cutoffs are taken, where there are, however many entities each has."""
MOST_CUTOFFS = 240
DENSEST = 4
"""The most cutoffs in a horizon."""

_DAY = Unit.DAYS.microseconds


def placed(cutoffs: tuple[int, ...], apart: int, entities: int) -> tuple[int, ...]:
    """The training cutoffs out of the usable ones (ascending, ``apart`` microseconds from each other).

    The newest that give `ENOUGH_ROWS`; where all of them give fewer, others in between, at whole days if they can be.
    None is newer than the newest given.

    >>> day = 86_400_000_000
    >>> [t // day for t in placed((0, 30 * day, 60 * day), 30 * day, entities=5_000)]
    [0, 15, 30, 45, 60]
    >>> len(placed(tuple(range(100)), 1, entities=1_000_000))
    24
    """
    wanted = min(MOST_CUTOFFS, -(-ENOUGH_ROWS // max(1, entities)))
    if len(cutoffs) < 2 or len(cutoffs) >= wanted:
        return cutoffs[-max(FEWEST_CUTOFFS, wanted) :]
    parts = min(DENSEST, wanted // len(cutoffs))
    steps = [_whole(apart * part // parts) for part in range(parts)]
    return tuple(sorted({t - step for t in cutoffs for step in steps if t - step >= cutoffs[0]}))


def _whole(length: int) -> int:
    """A length in whole days, if it has any."""
    return length - length % _DAY if length > _DAY else length
