"""Results of checks and profiles of good versions, kept in a folder beside the tables.

Results are lines of JSON, one a run, in the order of runs: appending needs no catalogue and no commit, a kill tears at
most the line that was being written, and any tool reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from penstock.errors import RequestError
from penstock.lake.versioned.scan import Scan
from penstock.quality.profile import Profile
from penstock.quality.report import Report
from penstock.quality.safely import append_line, lines_backwards, replaced

_LONGEST = 200
_PROFILES_A_TABLE = 5


@dataclass(frozen=True)
class Results:
    """What was kept below ``folder``: ``results.jsonl`` and ``profiles/``."""

    folder: Path

    @property
    def _file(self) -> Path:
        return self.folder / "results.jsonl"

    def add(self, report: Report, *, batch: str = "") -> None:
        """Keep a run's results; they are on disk when this returns. Several processes may do so at once."""
        told = {**report.to_dict(), "batch": batch}
        append_line(self._file, json.dumps(_cut(told), ensure_ascii=False))

    def newest(self, table: str | None = None, *, failed: bool = False) -> Iterator[dict[str, object]]:
        """The runs that were kept, newest first: of one table, or only those in which a check failed.

        Each is a report's `to_dict` with the name of its batch. A line that a kill tore is passed over.
        """
        for line in lines_backwards(self._file):
            told = _told(line)
            if told is None or (table is not None and told["table"] != table):
                continue
            if not failed or any(not result["passed"] for result in told["results"]):  # type: ignore[attr-defined]
                yield told

    # ------------------------------------------------------------ profiles

    def keep_profile(self, table: str, rows: str, profile: Profile) -> None:
        """Keep the profile of rows (by their `rows_fingerprint`); of each table the newest five stay."""
        folder = self.folder / "profiles" / _safe(table)
        replaced(folder / f"{rows}.json", profile.to_json())
        kept = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in kept[:-_PROFILES_A_TABLE]:
            path.unlink(missing_ok=True)

    def profile(self, table: str, rows: str) -> Profile | None:
        """The kept profile of rows; None where there is none that can be read."""
        try:
            text = (self.folder / "profiles" / _safe(table) / f"{rows}.json").read_text(encoding="utf-8")
            return Profile.from_json(text)
        except (OSError, RequestError, UnicodeDecodeError):
            return None


def rows_fingerprint(scan: Scan) -> str:
    """A hash that is the same as long as a scan reads the same files under the same names."""
    told = [sorted(map(str, scan.files)), [(c.field_id, c.name, str(c.arrow)) for c in scan.columns], scan.key]
    return blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


def _safe(table: str) -> str:
    return table if table.isidentifier() else blake2b(table.encode(), digest_size=8).hexdigest()


def _told(line: bytes) -> dict[str, object] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "table" in told and "results" in told else None


def _cut(value: object) -> object:
    """The same, with long texts cut off."""
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value]
    return value[:_LONGEST] + "…" if isinstance(value, str) and len(value) > _LONGEST else value
