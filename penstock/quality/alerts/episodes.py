"""Episodes of failure: a check that fails is told once, and again only after it has passed in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from penstock.quality.alerts.alert import Alert, alert_id
from penstock.quality.alerts.send import Notice, send
from penstock.quality.report import Report, Result
from penstock.quality.safely import locked, replaced


class Episode(TypedDict):
    """A check that fails since an instant, what was seen first, and the alerts that have told of it."""

    since: int
    failure: dict[str, object]
    told: list[str]


State = dict[str, dict[str, Episode]]
"""Episodes by table and check."""


@dataclass(frozen=True)
class Told:
    """A notice that was sent, or why it could not be (then it is tried again next time)."""

    alert: str
    table: str
    checks: tuple[str, ...]
    problem: str = ""

    @property
    def sent(self) -> bool:
        """Whether the receiver took it."""
        return not self.problem


@dataclass(frozen=True)
class Alerts:
    """Whom to tell, and the folder where it is kept what was told (``alerts.json``)."""

    folder: Path
    alerts: tuple[Alert, ...]

    @property
    def _file(self) -> Path:
        return self.folder / "alerts.json"

    def tell(self, report: Report) -> tuple[Told, ...]:
        """Tell of failures that nobody was told of yet, those of earlier runs that could not be told included.

        All receivers are told at the same time, within a minute. Never raises for what a receiver does; what could not
        be sent is in the answer, is kept, and is tried again by the next call. After a kill between sending and keeping
        it is sent once more.
        """
        with locked(self.folder / ".alerts.lock"):
            state = self.state()
            _update(state, report)
            replaced(self._file, json.dumps(state, indent=1))
        return self.retry()

    def retry(self) -> tuple[Told, ...]:
        """Send what waits to be told."""
        with locked(self.folder / ".sending.lock") as mine:
            waiting = self.waiting()
            if not mine or not waiting:
                return tuple(_told(*one, "another process is sending") for one in waiting if not mine)
            with ThreadPoolExecutor(len(waiting)) as pool:
                problems = list(pool.map(lambda one: send(*one), waiting))
            came = tuple(_told(*one, problem) for one, problem in zip(waiting, problems, strict=True))
            self._keep([one for one, problem in zip(waiting, problems, strict=True) if not problem])
        return came

    def waiting(self) -> list[tuple[Alert, Notice]]:
        """The notices that are not sent yet: one for each receiver and table."""
        state = self.state()
        found = ((alert, _notice(table, state[table], alert)) for alert in self.alerts for table in sorted(state))
        return [(alert, notice) for alert, notice in found if notice.failures]

    def state(self) -> State:
        """The episodes that last; none where the file cannot be read (then failures are told once more)."""
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _keep(self, sent: list[tuple[Alert, Notice]]) -> None:
        with locked(self.folder / ".alerts.lock"):
            state = self.state()
            for alert, notice in sent:
                for failure in notice.failures:
                    episode = state.get(notice.table, {}).get(str(failure["name"]))
                    if episode is not None and alert_id(alert) not in episode["told"]:
                        episode["told"].append(alert_id(alert))
            replaced(self._file, json.dumps(state, indent=1))


def _told(alert: Alert, notice: Notice, problem: str) -> Told:
    return Told(alert.label, notice.table, tuple(str(failure["name"]) for failure in notice.failures), problem)


def _update(state: State, report: Report) -> None:
    """Begin episodes of what fails now, and end those of what passes or is no longer asked."""
    before = state.get(report.table, {})
    lasting = {}
    for result in report.results:
        if not result.passed:
            begun = Episode(since=report.instant, failure=_failure(result), told=[])
            lasting[result.check.name] = before.get(result.check.name, begun)
    state[report.table] = lasting
    if not lasting:
        del state[report.table]


def _failure(result: Result) -> dict[str, object]:
    """What is told of a failure; no row of the table is, nor what an engine says, which may quote one."""
    check = result.check
    if "SQL_FAILED" in result.error:
        result = replace(result, error="it could not be run (SQL_FAILED)")
    return {
        "name": check.name,
        "severity": check.severity,
        "sentence": check.sentence,
        "observed": result.observed or result.error,
        "expected": result.expected,
        "failed_rows": result.failed_rows,
        "rows": result.rows,
        "reason": result.reason,
    }


def _notice(table: str, episodes: Mapping[str, Episode], alert: Alert) -> Notice:
    mine = [
        episode
        for episode in episodes.values()
        if alert_id(alert) not in episode["told"] and alert.severity in ("warn", episode["failure"]["severity"])
    ]
    failures = tuple(episode["failure"] for episode in mine)
    return Notice(table, max((episode["since"] for episode in mine), default=0), failures)
