"""What a server counts of itself, as Prometheus reads it: plain numbers in memory that its processes share."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass

from penstock.online.answer import Status

ENDPOINTS = (
    "/get-online-features", "/push", "/write-to-online-store", "/materialize", "/materialize-incremental", "/health",
    "/metrics", "/openapi.json", "other",
)  # fmt: skip
ANSWERS = (200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 500, 503)
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the histogram's buckets, in seconds."""

_PLACES = {name: place for place, name in enumerate(ENDPOINTS)}
_ANSWERS = {status: place for place, status in enumerate(ANSWERS)}
_BUCKETS = len(BOUNDS) + 1
_SECONDS = len(ENDPOINTS) * len(ANSWERS)
_WIDTH = _BUCKETS + 1  # the last one is the sum
_STATUSES = _SECONDS + len(ENDPOINTS) * _WIDTH
_ENTITIES = _STATUSES + len(Status)
SIZE = _ENTITIES + 2
"""How many numbers one process counts: with the entities asked about, and the rows pushed."""


@dataclass
class Metrics:
    """Counters of all processes of a server, a sequence of `SIZE` numbers each; ``own`` is this process's."""

    counters: Sequence[MutableSequence[float]]
    own: int = 0

    @classmethod
    def alone(cls) -> Metrics:
        """The counters of a single process."""
        return cls([[0.0] * SIZE])

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request."""
        numbers = self.counters[self.own]
        place = _PLACES.get(endpoint, len(ENDPOINTS) - 1)
        numbers[place * len(ANSWERS) + _ANSWERS.get(status, _ANSWERS[500])] += 1
        first = _SECONDS + place * _WIDTH
        numbers[first + bisect_left(BOUNDS, seconds)] += 1
        numbers[first + _BUCKETS] += seconds

    def read(self, entities: int, statuses: Sequence[int]) -> None:
        """Count what was read: entities, and values by status."""
        numbers = self.counters[self.own]
        numbers[_ENTITIES] += entities
        for status, count in enumerate(statuses):
            if count:
                numbers[_STATUSES + status] += count

    def pushed(self, rows: int) -> None:
        """Count rows that were taken."""
        self.counters[self.own][_ENTITIES + 1] += rows

    def text(self) -> bytes:
        """All processes' counters in Prometheus's text format."""
        totals = [sum(numbers) for numbers in zip(*self.counters, strict=True)]
        return "\n".join([*_lines(totals), ""]).encode()


def _lines(totals: Sequence[float]) -> Iterator[str]:
    yield from _head("penstock_http_requests_total", "counter", "Requests by endpoint and status.")
    for place, endpoint in enumerate(ENDPOINTS):
        for at, status in enumerate(ANSWERS):
            if count := totals[place * len(ANSWERS) + at]:
                yield f'penstock_http_requests_total{{endpoint="{endpoint}",status="{status}"}} {count:.0f}'
    yield from _head("penstock_http_request_seconds", "histogram", "From a request's first byte read to its answer.")
    for place, endpoint in enumerate(ENDPOINTS):
        yield from _histogram(endpoint, totals[_SECONDS + place * _WIDTH : _SECONDS + (place + 1) * _WIDTH])
    yield from _head("penstock_online_values_total", "counter", "Values served, by status.")
    for status in Status:
        yield f'penstock_online_values_total{{status="{status.name}"}} {totals[_STATUSES + status]:.0f}'
    yield from _head("penstock_online_entities_total", "counter", "Entities asked about.")
    yield f"penstock_online_entities_total {totals[_ENTITIES]:.0f}"
    yield from _head("penstock_pushed_rows_total", "counter", "Rows pushed.")
    yield f"penstock_pushed_rows_total {totals[_ENTITIES + 1]:.0f}"


def _head(name: str, kind: str, told: str) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"


def _histogram(endpoint: str, numbers: Sequence[float]) -> Iterator[str]:
    *counts, seconds = numbers
    if not any(counts):
        return
    name, below = "penstock_http_request_seconds", 0.0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
        below += count
        yield f'{name}_bucket{{endpoint="{endpoint}",le="{bound}"}} {below:.0f}'
    yield f'{name}_sum{{endpoint="{endpoint}"}} {seconds:.6f}'
    yield f'{name}_count{{endpoint="{endpoint}"}} {below:.0f}'
