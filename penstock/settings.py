"""What a user may set for the whole process, read from the environment once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import RequestError

VERSION = "0.1.0"
"""The version of Penstock; what one version learnt is not used by another."""

_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Settings:
    """Memory in bytes, threads, and the folder where answers are kept between runs.

    ``PENSTOCK_MEMORY`` (such as ``2GB``; default half of what the machine has), ``PENSTOCK_THREADS`` (default one a
    core) and ``PENSTOCK_CACHE`` (default ``~/.cache/penstock``; an empty value keeps nothing) set them.
    """

    memory: int
    threads: int
    cache: Path | None

    @classmethod
    def from_environment(cls) -> Settings:
        """The settings that the environment asks for.

        Raises ``RequestError`` on a value that is no size or no count.
        """
        return cls(
            memory=parse_size(os.environ.get("PENSTOCK_MEMORY", "")) or _half_of_memory(),
            threads=_threads(os.environ.get("PENSTOCK_THREADS", "")),
            cache=_cache(os.environ),
        )


def parse_size(text: str) -> int:
    """Bytes in a size such as ``512MB`` or ``2 GiB``; 0 for an empty text.

    >>> parse_size("2 GiB"), parse_size("1.5kb"), parse_size("")
    (2147483648, 1500, 0)
    """
    if not text.strip():
        return 0
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if match is None or match[2].lower() not in _SIZES:
        raise RequestError("SETTING_SIZE", f"PENSTOCK_MEMORY is no size: {text!r}", hint="Write it like 512MB or 2GB.")
    return int(float(match[1]) * _SIZES[match[2].lower()])


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _threads(text: str) -> int:
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise RequestError("SETTING_THREADS", f"PENSTOCK_THREADS is no count: {text!r}", hint="Write a number from 1.")
    return int(text)


def _cache(environment: os._Environ[str]) -> Path | None:
    chosen = environment.get("PENSTOCK_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "penstock"
