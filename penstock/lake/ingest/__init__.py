"""Batch ingestion: one table of a source becomes rows of a lake table, exactly once in effect."""

from __future__ import annotations

from penstock.lake.ingest.ingesting import backfill, ingest
from penstock.lake.ingest.intake import Ingested, Intake
from penstock.lake.ingest.quarantine import RefusedBatch, discard, quarantined, refused_batches, release, tables_in
from penstock.lake.ingest.verdict import Check, Verdict

__all__ = [
    "Check",
    "Ingested",
    "Intake",
    "RefusedBatch",
    "Verdict",
    "backfill",
    "discard",
    "ingest",
    "quarantined",
    "refused_batches",
    "release",
    "tables_in",
]
