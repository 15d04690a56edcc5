"""Views that are brought up to date on request, in a thread of their own: at once, or while others are answered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.errors import PenstockError, RequestError
from penstock.serving.service import FeatureService
from penstock.window import instant

_log = logging.getLogger("penstock.serving")


@dataclass
class Materializing:
    """The views that are under way."""

    service: FeatureService
    _underway: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, views: Sequence[str]) -> list[str]:
        """Take views for one run; those that another run has, and then none is taken."""
        with self._lock:
            taken = sorted(self._underway.intersection(views))
            if not taken:
                self._underway.update(views)
            return taken

    def run(self, views: Sequence[str]) -> None:
        """Bring views that `begin` took up to date."""
        try:
            self.service.sync(views)
        finally:
            with self._lock:
                self._underway.difference_update(views)

    def run_alone(self, views: Sequence[str]) -> None:
        """The same where nobody waits for it: what fails is logged."""
        try:
            self.run(views)
        except PenstockError as error:
            _log.error("materializing %s failed: %s", ", ".join(views), error)
        except Exception:  # noqa: BLE001  # nobody else would tell
            _log.exception("materializing %s failed", ", ".join(views))


def check_window(start: str | None, end: str | None) -> None:
    """Whether a window is one: both ends are instants, the first before the second. Raises ``RequestError``.

    The store follows the lake as a whole, so that nothing else is done with it.
    """
    if start is None or end is None:
        raise RequestError("SERVE_WINDOW", "start_ts and end_ts are needed", hint="Or set disable_event_timestamp.")
    if instant(start) >= instant(end):
        raise RequestError("SERVE_WINDOW", f"start_ts ({start[:40]}) must be before end_ts ({end[:40]})")
