"""How much one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import RequestError


@dataclass(frozen=True)
class Limits:
    """What one request may ask for: bytes of its body, features, entities, and values (their product).

    Of more than ``at_once`` values it waits its turn in a thread.
    """

    body: int = 16 * 2**20
    features: int = 10_000
    entities: int = 100_000
    values: int = 5_000_000
    at_once: int = 20_000


USUAL = Limits()


def at_most(count: int, most: int, what: str) -> None:
    """Refuse a request (``SERVE_TOO_MANY``) that asks for more."""
    if count > most:
        message = f"a request asks for {count:,} {what}, and {most:,} are the most"
        raise RequestError("SERVE_TOO_MANY", message, hint="Ask in several requests.")
