"""How much one request may ask for, and how many may wait."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import RequestError


@dataclass(frozen=True)
class Limits:
    """What one request may ask for: bytes of its body, features, entities, and values (their product).

    Of more than ``at_once`` values it waits its turn in a thread. So do all requests where a server elsewhere is asked,
    in so many ``readers``, and rows that are pushed, in ``writers``; for each kind ``waiting`` requests may wait.
    """

    body: int = 16 * 2**20
    features: int = 10_000
    entities: int = 100_000
    values: int = 5_000_000
    at_once: int = 20_000
    readers: int = 16
    writers: int = 8
    waiting: int = 256

    def patience(self, seconds: float | None, values: int) -> float | None:
        """How many seconds a request for so many values may take, where one for a few may take ``seconds``.

        >>> Limits().patience(2.0, 1), Limits().patience(2.0, 100_000), Limits().patience(None, 1)
        (2.0, 10.0, None)
        """
        return None if seconds is None else seconds * max(1.0, values / self.at_once)


USUAL = Limits()


def at_most(count: int, most: int, what: str) -> None:
    """Refuse a request (``SERVE_TOO_MANY``) that asks for more."""
    if count > most:
        message = f"a request asks for {count:,} {what}, and {most:,} are the most"
        raise RequestError("SERVE_TOO_MANY", message, hint="Ask in several requests.")
