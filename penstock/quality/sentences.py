"""Each check as one English sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.quality.check import Check
    from penstock.quality.kinds import Option

LISTED = 8


def sentence(check: Check) -> str:
    """What a check asks, for people.

    >>> from penstock.quality.check import check
    >>> sentence(check("range", "amount", min=0, below=10, where="paid", mostly=0.99))
    'amount is at least 0 and below 10, in 99 % of the rows, where paid'
    """
    parts = [_SENTENCES[check.kind](check, ", ".join(check.columns))]
    if check.mostly < 1:
        parts.append(f"in {check.mostly * 100:g} % of the rows")
    if check.where:
        parts.append(f"where {check.where}")
    return ", ".join(parts)


def shown(value: Option | None) -> str:
    """A value, or the first few of a list, as people read them."""
    if not isinstance(value, tuple):
        return str(value)
    rest = f", … ({len(value)} in all)" if len(value) > LISTED else ""
    return ", ".join(map(str, value[:LISTED])) + rest


_BOUNDS = {"min": "at least", "above": "above", "max": "at most", "below": "below"}


def bounds(check: Check) -> str:
    """The bounds of a check, in words."""
    given = dict(check.options)
    return " and ".join(f"{says} {shown(given[name])}" for name, says in _BOUNDS.items() if name in given)


def _foreign_key(check: Check, columns: str) -> str:
    to = check.names("to")
    return f"each {columns} is in {check.text('table')}{f' ({shown(to)})' if to else ''}"


def _volume(check: Check, _: str) -> str:
    limits = {"shrinks": check.number("drop"), "grows": check.number("rise")}
    told = " nor ".join(f"{says} by more than {limit * 100:g} %" for says, limit in limits.items() if limit is not None)
    return f"the number of rows neither {told}" if " nor " in told else f"the number of rows never {told}"


def _regex(check: Check, columns: str) -> str:
    return f"{columns} {'matches' if check.flag('matches') else 'does not match'} {check.text('pattern')}"


def _share(check: Check, columns: str) -> str:
    which = check.values("values")
    of = f"of {shown(which)} in {columns}" if which else f"of each value of {columns}"
    return f"the share {of} moves by at most {check.needed('shift'):g}"


_SENTENCES: Mapping[str, Callable[[Check, str], str]] = {
    "row_count": lambda check, _: f"the number of rows is {bounds(check)}",
    "not_null": lambda check, columns: f"{columns} is never NULL",
    "unique": lambda check, columns: (
        f"no two rows have the same {columns}{', NULL included' * check.flag('nulls_equal')}"
    ),
    "accepted": lambda check, columns: f"{columns} is one of {shown(check.values('values'))}",
    "range": lambda check, columns: f"{columns} is {bounds(check)}",
    "regex": _regex,
    "foreign_key": _foreign_key,
    "freshness": lambda check, columns: f"the newest {columns} is at most {check.text('at_most')} old",
    "expression": lambda check, _: f"in each row {' '.join(check.text('condition').split())}",
    "sql": lambda check, _: f"no row comes of {' '.join(check.text('query').split())}",
    "volume": _volume,
    "null_rate": lambda check, columns: f"the share of NULL in {columns} rises by at most {check.needed('rise'):g}",
    "mean": lambda check, columns: (
        f"the mean of {columns} moves by at most {check.needed('shift'):g} standard deviations"
    ),
    "share": _share,
    "psi": lambda check, columns: f"the population stability index of {columns} is at most {check.needed('max'):g}",
    "wasserstein": lambda check, columns: (
        f"the distribution of {columns} moves by at most {check.needed('max'):g} standard deviations (Wasserstein)"
    ),
}
