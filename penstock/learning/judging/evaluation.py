"""An evaluation: how good predictions have been, beside what one could say without a model, and how sure that is."""

from __future__ import annotations

import datetime as dt
import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from penstock import lake
from penstock.errors import RequestError
from penstock.learning.judging.difference import Difference, arrow
from penstock.learning.judging.reliability import Bin
from penstock.learning.judging.reliability import table as reliability_table
from penstock.learning.leaks.findings import Finding
from penstock.learning.reasons.insight import Insight
from penstock.learning.rows.dataset import dates

Metrics: TypeAlias = dict[str, float]
Interval: TypeAlias = tuple[float, float]


_KEPT = b"penstock.evaluation"
_VERDICTS = {
    "better": "is beaten by more than noise",
    "as good": "is not beaten by more than noise",
    "worse": "is better than this model by more than noise",
}


@dataclass(frozen=True)
class Evaluation:
    """The evidence for a model: its metrics on rows that came later than all it learnt from, beside the baselines'.

    ``regime`` says what test rows could see: *seed-time*, what was known at their own cutoff, or *frozen*, nothing
    after the first test cutoff. ``predictions`` has ``entity``, ``cutoff``, (``step``,) ``target`` (beside a label or
    a ranked item: whether it came; then, beside an item, ``relevant``: how many items came) and the answer's columns.
    ``cutoffs`` are instants by part; ``seconds`` is the training time.

    ``importance`` is each feature's share of the gain, most first. ``reliability`` sets what was said beside what
    came. ``intervals`` are 90 % bootstrap intervals of metrics, clustered by entity, and ``lead`` is how far the model
    is ahead of the best baseline. ``findings`` are what may have leaked. ``windows`` are the metrics of each test
    window of a rolling evaluation, newest first, whose cutoffs are ``cutoffs["windows"]``. ``insight`` is what
    there is to see inside the model. It prints itself as a table.
    """

    task: str
    regime: str
    metrics: Metrics
    baselines: dict[str, Metrics]
    predictions: pa.Table
    rows: dict[str, int]
    cutoffs: dict[str, tuple[int, ...]]
    features: int
    seconds: float
    notes: tuple[str, ...] = field(default=())
    importance: tuple[tuple[str, float], ...] = ()
    reliability: tuple[Bin, ...] = ()
    intervals: dict[str, Interval] = field(default_factory=dict)
    lead: Difference | None = None
    findings: tuple[Finding, ...] = ()
    windows: tuple[Metrics, ...] = ()
    insight: Insight | None = None

    def __str__(self) -> str:
        told = [*self._lead_line(), *self._windows_lines(), *(f"note: {note}" for note in self.notes)]
        return "\n".join([self._heading(), "", *self._table(), *told])

    def _heading(self) -> str:
        tests = dates(self.cutoffs["test"])
        rows = ", ".join(f"{count:,} {name}" for name, count in self.rows.items())
        return (
            f"{self.task} at {tests} ({self.regime}): {rows} rows; "
            f"{self.features} features; trained in {self.seconds:.1f} s"
        )

    def _table(self) -> list[str]:
        """The metrics, one row a predictor, and which way is better; below the model's how sure they are."""
        names = list(self.metrics)
        lines = [("", *(f"{name} {arrow(name)}".strip() for name in names))]
        scored = {"this model": self.metrics, **self.baselines}
        lines += [(who, *(_shown(said.get(name)) for name in names)) for who, said in scored.items()]
        if self.intervals:
            lines.insert(2, ("  90 % interval", *(_span(self.intervals.get(name)) for name in names)))
        widths = [max(len(line[i]) for line in lines) for i in range(len(names) + 1)]
        return [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]

    def _lead_line(self) -> list[str]:
        """Whether the best baseline is beaten by more than noise."""
        if self.lead is None or math.isnan(self.lead.low):
            return []
        verdict = _VERDICTS.get(self.lead.verdict, "is not told apart from this model")
        return [f"The best baseline, {self.lead.rival}, {verdict}: {self.lead}."]

    def _windows_lines(self) -> list[str]:
        """Mean and spread of each metric over the test windows."""
        if not self.windows:
            return []
        when = dates(tuple(sorted(self.cutoffs.get("windows", ()))) or self.cutoffs["test"])
        each = ", ".join(f"{name} {_shown(mean)} ± {_shown(spread)}" for name, (mean, spread) in self.spread.items())
        return [f"Over {len(self.windows)} test windows ({when}), mean ± standard deviation: {each}."]

    @property
    def spread(self) -> dict[str, Interval]:
        """Mean and standard deviation of each metric over the test windows where it is defined; {} without windows."""
        found = {
            name: [w[name] for w in self.windows if not math.isnan(w.get(name, math.nan))] for name in self.metrics
        }
        told = {
            name: (statistics.fmean(v), statistics.stdev(v) if len(v) > 1 else 0.0) for name, v in found.items() if v
        }
        return told if self.windows else {}

    def reliability_text(self) -> str:
        """The reliability table: what was said and how often it came, in equally filled bins. Empty for a ranking."""
        numbers = self.task in ("regression", "forecasting")
        head = ("mean prediction", "share in interval") if numbers else ("mean probability", "share that came")
        return "\n".join(reliability_table(self.reliability, head)) if self.reliability else ""

    def write(self, destination: str) -> None:
        """Write the test predictions to ``file.parquet``, ``file.csv`` or ``url#table``."""
        keys = ("entity", "cutoff", "step", "class", "rank")
        lake.write(self.predictions, destination, [k for k in keys if k in self.predictions.column_names])

    def save(self, path: str | Path) -> None:
        """Write all of it to one Parquet file: the predictions, and the rest as JSON in the file's metadata."""
        text = json.dumps(self.to_dict())
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.predictions.replace_schema_metadata({_KEPT: text.encode()}), path)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """The evaluation that `save` wrote. Raises ``RequestError`` for a file that is none."""
        try:
            table = pq.read_table(path)
            plain = json.loads((table.schema.metadata or {})[_KEPT])
        except (OSError, KeyError, ValueError) as error:
            what = "holds no evaluation" if Path(path).exists() else "does not exist"
            hint = "Evaluations are written by evaluation.save(path), or penstock evaluate … --save FILE.parquet."
            raise RequestError("REQUEST_EVALUATION", f"{path} {what}", hint=hint) from error
        return cls.from_dict(plain, table.replace_schema_metadata(None))

    def to_dict(self) -> dict[str, Any]:
        """All but the predictions, as plain values for JSON; what is undefined is None."""
        return {
            "task": self.task,
            "regime": self.regime,
            "metrics": _plain(self.metrics),
            "baselines": {name: _plain(said) for name, said in self.baselines.items()},
            "rows": self.rows,
            "cutoffs": {part: [_text(t) for t in instants] for part, instants in self.cutoffs.items()},
            "features": self.features,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "importance": [list(pair) for pair in self.importance],
            "reliability": [part.to_dict() for part in self.reliability],
            "intervals": {name: [*map(_or_none, ends)] for name, ends in self.intervals.items()},
            "lead": None if self.lead is None else self.lead.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
            "windows": [_plain(window) for window in self.windows],
            "insight": None if self.insight is None else self.insight.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], predictions: pa.Table) -> Evaluation:
        """The evaluation that `to_dict` wrote, with its predictions, which are kept apart."""
        told = {name: plain[name] for name in ("task", "regime", "rows", "features", "seconds")}
        lead, insight = plain.get("lead"), plain.get("insight")
        return cls(
            metrics=_measured(plain["metrics"]),
            baselines={name: _measured(said) for name, said in plain["baselines"].items()},
            predictions=predictions,
            cutoffs={part: tuple(map(_instant, instants)) for part, instants in plain["cutoffs"].items()},
            notes=tuple(plain["notes"]),
            importance=tuple((name, share) for name, share in plain.get("importance", ())),
            reliability=tuple(map(Bin.from_dict, plain.get("reliability", ()))),
            intervals={name: (_number(low), _number(high)) for name, (low, high) in plain.get("intervals", {}).items()},
            lead=None if lead is None else Difference.from_dict(lead),
            findings=tuple(map(Finding.from_dict, plain.get("findings", ()))),
            windows=tuple(map(_measured, plain.get("windows", ()))),
            insight=None if insight is None else Insight.from_dict(insight),
            **told,
        )


def _text(instant: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=instant)
    return moment.replace(tzinfo=None).isoformat(" ")


def _instant(text: str) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _shown(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _span(ends: Interval | None) -> str:
    return "–" if ends is None or math.isnan(ends[0]) else " to ".join(map(_shown, ends))


def _plain(said: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _or_none(value) for name, value in said.items()}


def _measured(plain: Mapping[str, float | None]) -> Metrics:
    return {name: _number(value) for name, value in plain.items()}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
