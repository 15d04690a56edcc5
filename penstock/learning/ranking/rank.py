"""Stage two of ranking: LightGBM's lambdarank orders the candidates of each row (Burges 2010).

A score orders the items of one row and is no probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RefusedError
from penstock.learning.fitting.booster import Booster, Examples
from penstock.learning.fitting.models import Options, Progress, both, grow, regrow
from penstock.learning.judging import metrics
from penstock.learning.ranking.candidates import FEATURES, Candidates, Ints, Log, candidates, places
from penstock.learning.rows.dataset import Array, Samples, capped

Floats: TypeAlias = npt.NDArray[np.float64]
Best: TypeAlias = tuple[Ints, Ints, Floats, Ints]

_TRAINING_ROWS = {"fast": 3_000, "normal": 20_000, "best": 100_000}
_CUTOFFS = {"fast": 6, "normal": 12, "best": 100}
_AT_ONCE = 20_000
_JUDGED, _SURE = 10, 2.0
"""How many items count when the model is compared with rules, and by how many standard errors one must be better."""
_TOLD: Mapping[str, Any] = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.15,
}


@dataclass(frozen=True)
class Ranker:
    """A fitted ranking: the booster that orders candidates, and the horizon (microseconds) they are counted by.

    ``rule`` names what orders them instead where that was better on validation rows: one of `RULES`.
    """

    booster: Booster
    horizon: int
    rule: str = ""
    kind = "ranker"

    def rank(self, samples: Samples, top_k: int, threads: int = 0) -> pa.Table:
        """``row``, ``item``, ``score``, ``rank`` (from 1): for each row its best items; fewer where fewer are known."""
        log = Log.of(_log(samples))
        found = [self._best(log, part, top_k, threads) for part in _by_cutoff(samples)]
        return _tabled(log, found)

    def _best(self, log: Log, part: _Part, top_k: int, threads: int) -> Best:
        seen = log.until(part.cutoff, self.horizon)
        chosen = candidates(seen, part.entities(log))
        score = RULES[self.rule](chosen) if self.rule else self.booster.predict(chosen.values, threads=threads)
        row, item, score, rank = best(chosen, score, top_k)
        return part.rows[row], item, score, rank

    def importance(self, columns: int) -> Floats:
        """Total gain of each of `FEATURES`."""
        return self.booster.importance(columns)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "booster": self.booster.text, "horizon": self.horizon, "rule": self.rule}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Ranker:
        """What `to_dict` wrote."""
        return cls(Booster(plain["booster"]), plain["horizon"], plain["rule"])


@dataclass(frozen=True)
class _Part:
    """Some rows of samples, all with one cutoff."""

    samples: Samples
    cutoff: int
    rows: Ints

    def entities(self, log: Log) -> Ints:
        """The codes of the rows' entities."""
        return places(self.samples.entity.take(pa.array(self.rows)), log.entities)


def _by_cutoff(samples: Samples) -> list[_Part]:
    parts = []
    for cutoff in np.unique(samples.cutoff).tolist():
        rows = np.flatnonzero(samples.cutoff == cutoff)
        parts += [_Part(samples, cutoff, rows[i : i + _AT_ONCE]) for i in range(0, len(rows), _AT_ONCE)]
    return parts


def _log(samples: Samples) -> pa.Table:
    if samples.log is None:
        raise ValueError("samples of a ranking need their log")
    return samples.log


def best(chosen: Candidates, score: Floats, top_k: int) -> Best:
    """(row, item, score, rank) of each row's ``top_k`` best candidates; a tie goes to the item that sorts first."""
    order = np.lexsort((chosen.item, -score, chosen.row))
    row = chosen.row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = order[rank < top_k]
    return chosen.row[kept], chosen.item[kept], score[kept], rank[rank < top_k] + 1


# ---------------------------------------------------------------- fitting


def fit(train: Samples, validation: Samples, options: Options, progress: Progress) -> Ranker:
    """Learn to order candidates, from rows whose list of items to come is known."""
    log, horizon = Log.of(_log(train)), options.horizon or spacing(train, validation)
    most = _TRAINING_ROWS[options.effort]
    newest = np.unique(train.cutoff)[-_CUTOFFS[options.effort] :]
    train = train.take(np.flatnonzero(train.cutoff >= newest[0]))
    rows, stop = (_examples(log, capped(part, most, options.seed), horizon) for part in (train, validation))
    if not len(rows.target) or not len(stop.target):
        raise RefusedError(
            "DATA_ONE_CLASS",
            "no training row meets any item that could have been foreseen: none of them was seen before its cutoff",
            hint="Lengthen the window, or ask at cutoffs with more history before them.",
        )
    grown = grow(rows, stop, _TOLD, options, lambda done: progress(0.6 * done))
    final = grown.booster
    if options.refit:
        final = regrow(both(rows, stop), grown.rounds, _TOLD, options, lambda done: progress(0.6 + 0.4 * done))
    return Ranker(final, horizon, _better_rule(Ranker(grown.booster, horizon), validation, options))


def _better_rule(ranker: Ranker, validation: Samples, options: Options) -> str:
    """The rule that puts what came nearer to the top of validation rows than the model does; none if none surely does.

    Surely: by more than two standard errors of the difference.
    """
    rows = capped(validation, _TRAINING_ROWS[options.effort], options.seed)
    said = {"": lambda chosen: ranker.booster.predict(chosen.values, threads=options.threads)}
    found = ranked_by({**RULES, **said}, rows, ranker.horizon, _JUDGED)
    reached = {name: metrics.by_row(*placed_hits(ranked, rows, _JUDGED))["map"] for name, ranked in found.items()}
    rule = max(RULES, key=lambda name: float(np.nanmean(reached[name])))
    better = reached[rule] - reached[""]
    return rule if np.nanmean(better) > _SURE * np.nanstd(better) / np.sqrt(max(1, len(better))) else ""


def spacing(train: Samples, validation: Samples) -> int:
    """The distance between cutoffs, which lie a horizon apart; a tenth of the log's span where there is but one."""
    gaps = np.diff(np.unique(np.concatenate([train.cutoff, validation.cutoff])))
    if len(gaps):
        return int(gaps.min())
    happened = np.asarray(_log(train)["happened"].cast(pa.int64()), np.int64)
    return max(1, int(np.ptp(happened)) // 10)


def _examples(log: Log, samples: Samples, horizon: int) -> Examples:
    """The candidates of rows of which at least one came true, each row a group."""
    values, hits, groups = [], [], []
    for part in _by_cutoff(samples):
        chosen = candidates(log.until(part.cutoff, horizon), part.entities(log))
        hit = np.isin(chosen.row * len(log.items) + chosen.item, _truth(log, samples.target, part.rows))
        useful = np.bincount(chosen.row, hit, minlength=len(part.rows))[chosen.row] > 0
        values.append(chosen.values[useful])
        hits.append(hit[useful].astype(float))
        groups.append(np.unique(chosen.row[useful], return_counts=True)[1])
    sizes = np.concatenate(groups).astype(np.int32)
    return Examples(np.concatenate(values), np.concatenate(hits), groups=sizes)


def _truth(log: Log, target: Array, rows: Ints) -> Ints:
    """Keys row × items + item of what came, rows counted from 0; items the log does not hold are left out."""
    lists = target.take(pa.array(rows))
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    item = places(pc.list_flatten(lists), log.items)
    row = np.asarray(pc.list_parent_indices(lists), np.int64)
    return np.unique((row * len(log.items) + item)[item >= 0])


# ---------------------------------------------------------------- measuring


def baselines(samples: Samples, horizon: int, top_k: int) -> dict[str, pa.Table]:
    """What popularity and the entity's own history (then popularity) would give: as `Ranker.rank`."""
    return ranked_by(RULES, samples, horizon, top_k)


def ranked_by(
    scores: Mapping[str, Callable[[Candidates], Floats]], samples: Samples, horizon: int, top_k: int
) -> dict[str, pa.Table]:
    """The best items of each row by several scores, as `Ranker.rank`; candidates are found once for all of them."""
    log = Log.of(_log(samples))
    found: dict[str, list[Best]] = {name: [] for name in scores}
    for part in _by_cutoff(samples):
        chosen = candidates(log.until(part.cutoff, horizon), part.entities(log))
        for name, score in scores.items():
            row, item, value, rank = best(chosen, score(chosen), top_k)
            found[name].append((part.rows[row], item, value, rank))
    return {name: _tabled(log, parts) for name, parts in found.items()}


def _tabled(log: Log, parts: list[Best]) -> pa.Table:
    row, item, score, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((rank, row))
    items = log.items.take(pa.array(item[order]))
    return pa.table({"row": row[order], "item": items, "score": score[order], "rank": rank[order]})


def _by_popularity(chosen: Candidates) -> Floats:
    return -chosen.values[:, FEATURES.index("place by entities")].astype(float)


def _by_history(chosen: Candidates) -> Floats:
    return chosen.values[:, FEATURES.index("own count, fading")] + 1e-6 * _by_popularity(chosen)


RULES: Mapping[str, Callable[[Candidates], Floats]] = {"popularity": _by_popularity, "own history": _by_history}
"""Orders that need no learning."""


def hits(ranked: pa.Table, samples: Samples) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Whether each ranked item came true for its ``row``, and how many different items came for each row."""
    lists: Any = samples.target
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    items: Any = pc.unique(pc.list_flatten(lists))
    width = max(1, len(items))
    came = np.asarray(pc.list_parent_indices(lists), np.int64) * width + places(pc.list_flatten(lists), items)
    truth = np.unique(came)
    item = places(ranked["item"], items)
    hit = (item >= 0) & np.isin(np.asarray(ranked["row"], np.int64) * width + item, truth)
    return hit, np.bincount(truth // width, minlength=len(samples)).astype(np.int64)


def placed_hits(ranked: pa.Table, samples: Samples, top_k: int) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Rows × places: whether the item there came true; and how many different items came for each row."""
    hit, relevant = hits(ranked, samples)
    row, rank = np.asarray(ranked["row"], np.int64), np.asarray(ranked["rank"], np.int64)
    grid = np.zeros((len(samples), top_k), bool)
    grid[row[hit], rank[hit] - 1] = True
    return grid, relevant


def measures(ranked: pa.Table, samples: Samples, top_k: int) -> dict[str, float]:
    """MAP, NDCG and recall at ``top_k`` over the rows to which anything came."""
    grid, relevant = placed_hits(ranked, samples, top_k)
    return {
        f"map@{top_k}": metrics.map_at(grid, relevant),
        f"ndcg@{top_k}": metrics.ndcg_at(grid, relevant),
        f"recall@{top_k}": metrics.recall_at(grid, relevant),
    }
