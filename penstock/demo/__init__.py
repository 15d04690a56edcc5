"""A database of our own, with the truth it was drawn from, and what Penstock makes of it."""

from __future__ import annotations

from penstock.demo.telecom import (
    KEYS,
    LINKS,
    PERIOD,
    QUESTION,
    Demo,
    generate,
    outcome,
    population,
    true_probability,
    write,
)

__all__ = [
    "KEYS",
    "LINKS",
    "PERIOD",
    "QUESTION",
    "Demo",
    "generate",
    "outcome",
    "population",
    "true_probability",
    "write",
]
