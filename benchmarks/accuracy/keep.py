"""What took long and cannot change is kept in a folder outside the repository, under what it was made from.

The folder is ``PENSTOCK_CACHE`` (default the user's cache folder); where that is set to nothing, nothing is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.accuracy.judge import Array
from penstock.settings import Settings


def folder() -> Path | None:
    """Where benchmarks keep things."""
    cache = Settings.from_environment().cache
    return None if cache is None else cache / "benchmarks"


def kept(key: str, make: Callable[[], Array]) -> Array:
    """The array under a key, made if it is not there."""
    place = folder()
    if place is None:
        return make()
    path = place / f"{key}.npy"
    if path.is_file():
        found: Array = np.load(path)
        return found
    made = make()
    place.mkdir(parents=True, exist_ok=True)
    np.save(path, made)
    return made


def fingerprint(*parts: Array | str) -> str:
    """Equal for equal arrays and texts."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        plain = (
            part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes() + str(part.shape).encode()
        )
        digest.update(hashlib.blake2b(plain).digest())
    return digest.hexdigest()
