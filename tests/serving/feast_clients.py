"""Environments with Feast in them, made on demand and kept: real clients, apart from all that is tested.

They lie below ``PENSTOCK_FEAST_ENVS`` (default: ``.feast`` in the project's root), one folder a version. Making one
takes a minute or two and about 600 MB.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, _absent

VERSIONS = ("0.60.0", "0.67.0")
"""Both kinds of offline clients: 0.66 and older come back for their answers, newer ones exchange."""

_LAST_PYTHON = {"0.60.0": (3, 13)}
"""Where there is one: it wants dill 0.3, which calls what Python 3.14 made otherwise."""

_SCRIPT = Path(__file__).with_name("feast_script.py")
_SECONDS = 900


def python_of(version: str) -> Path:
    """The Python of an environment with this version, made where it is not there; skips the test where it cannot be."""
    if sys.version_info[:2] > (last := _LAST_PYTHON.get(version, sys.version_info[:2])):
        pytest.skip(f"Feast {version} runs up to Python {last[0]}.{last[1]}")
    folder = Path(os.environ.get("PENSTOCK_FEAST_ENVS") or ROOT / ".feast") / f"feast-{version}"
    python = folder / "bin" / "python"
    with _alone(folder):
        if not (folder / "made").exists():
            _make(folder, python, version)
    return python


def _make(folder: Path, python: Path, version: str) -> None:
    install = [python, "-m", "pip", "install", "-q", f"feast=={version}"]
    for step in ([sys.executable, "-m", "venv", "--clear", folder], install):
        try:
            done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            _absent(f"there is no Feast {version}: {error}")
        if done.returncode:
            told = (done.stderr or done.stdout).strip().splitlines()[-1:]
            _absent(f"there is no Feast {version}, and it cannot be installed: {' '.join(told)[:300]}")
    (folder / "made").touch()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes an environment."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def asked(version: str, folder: Path, http: str, flight: str, **environment: str) -> Mapping[str, Any]:
    """What a real client of this version is answered, step by step."""
    host, _, port = flight.removeprefix("grpc://").rpartition(":")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PENSTOCK"))}
    done = subprocess.run(
        [python_of(version), _SCRIPT, folder, http, host, port],
        capture_output=True, text=True, check=False, timeout=_SECONDS,
        env={**kept, "FEAST_USAGE": "False", **environment}, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
