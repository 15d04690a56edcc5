"""Checks that set a table beside its last good version: what is seen, what is let pass, and whether it passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock.quality import drift
from penstock.quality.check import Check
from penstock.quality.kinds import Scalar
from penstock.quality.profile import ColumnProfile, Profile


@dataclass(frozen=True)
class Compared:
    """What came of a comparison, in words; ``passed`` too where there was nothing to compare, or too little."""

    passed: bool
    observed: str
    expected: str = ""


def compare(check: Check, before: Profile | None, after: Profile) -> Compared:
    """Judge a statistical check. Below its ``min_rows``, then or now, it raises no alarm (``volume``: then alone).

    Each threshold is widened by what chance alone does in samples of these sizes.
    """
    if before is None:
        return Compared(True, "nothing to compare with yet")
    if check.kind == "volume":
        return _volume(check, before.rows, after.rows)
    name = check.columns[0]
    if name not in before.columns:
        return Compared(True, f"the last good version is not known to have {name}")
    rows = (before.rows, after.rows) if check.kind == "null_rate" else (before.values(name), after.values(name))
    if min(rows) < max(check.min_rows, 2):
        return Compared(True, f"too few rows to tell: {rows[0]:,} then, {rows[1]:,} now")
    return _COMPARISONS[check.kind](check, before.columns[name], after.columns[name], rows)


Rows = tuple[int, int]


def _volume(check: Check, old: int, new: int) -> Compared:
    if old < check.min_rows:
        return Compared(True, f"too few rows to tell: {old:,} then, {new:,} now")
    drop, rise, chance = check.number("drop"), check.number("rise"), drift.Z * old**0.5
    low = 0.0 if drop is None else old * (1 - drop) - (chance if drop else 0)
    high = float("inf") if rise is None else old * (1 + rise) + (chance if rise else 0)
    expected = " and ".join(
        [f"at least {max(low, 0):,.0f}"] * (drop is not None) + [f"at most {high:,.0f}"] * (rise is not None)
    )
    return Compared(low <= new <= high, f"{new:,} rows, {old:,} then", expected)


def _at_most(seen: float, limit: float, chance: float, what: str) -> Compared:
    return Compared(seen <= limit + chance, what, f"at most {limit:g}" + (f" + {chance:.2g}" if chance else ""))


def _null_rate(check: Check, before: ColumnProfile, after: ColumnProfile, rows: Rows) -> Compared:
    rates = before.nulls / rows[0], after.nulls / rows[1]
    chance = drift.share_by_chance((before.nulls, after.nulls), rows)
    what = f"{rates[1]:.2%} NULL, {rates[0]:.2%} then"
    return _at_most(rates[1] - rates[0], check.needed("rise"), chance, what)


def _mean(check: Check, before: ColumnProfile, after: ColumnProfile, rows: Rows) -> Compared:
    means = (before.mean or 0.0, after.mean or 0.0)
    stds = (before.std or 0.0, after.std or 0.0)
    moved = abs(means[1] - means[0])
    what = f"{means[1]:.6g}, {means[0]:.6g} then"
    if not stds[0]:
        return Compared(moved <= drift.mean_by_chance(stds, rows), what, "the same")
    chance = drift.mean_by_chance(stds, rows) / stds[0]
    return _at_most(moved / stds[0], check.needed("shift"), chance, f"{what}: {moved / stds[0]:.3g} std away")


def _share(check: Check, before: ColumnProfile, after: ColumnProfile, rows: Rows) -> Compared:
    if not before.top:
        return Compared(True, "too many different values then")
    named = [_spelled(value, after.type) for value in check.values("values")] or list({**before.top, **after.top})
    _, seen, chance, value = max(_moved(value, before, after, rows) for value in named)
    what = f"{value}: {after.top.get(value, 0) / rows[1]:.2%}, {before.top.get(value, 0) / rows[0]:.2%} then"
    return _at_most(seen, check.needed("shift"), chance, what)


def _spelled(value: Scalar, kind: str) -> str:
    """A value as profiles spell it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(float(value)) if isinstance(value, int) and kind in ("double", "float") else str(value)


def _moved(value: str, before: ColumnProfile, after: ColumnProfile, rows: Rows) -> tuple[float, float, float, str]:
    """How far a value's share moved: beyond chance, in all, and by chance."""
    hits = before.top.get(value, 0), after.top.get(value, 0)
    seen, chance = abs(hits[1] / rows[1] - hits[0] / rows[0]), drift.share_by_chance(hits, rows)
    return seen - chance, seen, chance, value


def _psi(check: Check, before: ColumnProfile, after: ColumnProfile, rows: Rows) -> Compared:
    counted = histograms(before, after, rows, int(check.needed("bins")))
    if counted is None:
        return Compared(True, "too many different values then")
    chance = drift.psi_by_chance(*rows, len(counted[0]))
    seen = drift.psi(*counted)
    return _at_most(seen, check.needed("max"), chance, f"{seen:.4g}")


def histograms(
    before: ColumnProfile, after: ColumnProfile, rows: Rows, bins: int = 10
) -> tuple[list[float], list[float]] | None:
    """The counts of both over the same bins: ranges between the first's quantiles, or its most frequent values.

    None where there are neither.
    """
    if before.quantiles and after.quantiles:
        ends = drift.edges(before.quantiles, bins)
        return drift.histogram(before.quantiles, ends, rows[0]), drift.histogram(after.quantiles, ends, rows[1])
    return drift.side_by_side(before.top, after.top, *rows) if before.top else None


def _wasserstein(check: Check, before: ColumnProfile, after: ColumnProfile, rows: Rows) -> Compared:
    if not before.quantiles or not after.quantiles:
        return Compared(True, "no numbers then")
    away, chance = distance(before, after, rows)
    return _at_most(away, check.needed("max"), chance, f"{away:.4g} std away")


def distance(before: ColumnProfile, after: ColumnProfile, rows: Rows) -> tuple[float, float]:
    """The Wasserstein distance, and what it is by chance, both in standard deviations of the first.

    Where the first never varied, any distance is infinite.
    """
    away = drift.wasserstein(before.quantiles, after.quantiles)
    chance = drift.wasserstein_by_chance(before.quantiles, *rows)
    if not before.std:
        return (float("inf") if away else 0.0), 0.0
    return away / before.std, chance / before.std


_COMPARISONS: Mapping[str, Callable[[Check, ColumnProfile, ColumnProfile, Rows], Compared]] = {
    "null_rate": _null_rate,
    "mean": _mean,
    "share": _share,
    "psi": _psi,
    "wasserstein": _wasserstein,
}
