"""What the stages do: tables brought in and tables derived, each behind its contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path

import pyarrow.parquet as pq

from penstock.lake.ingest import Ingested, backfill, ingest, refused_batches
from penstock.lake.ingest.quarantine import folder_of, tables_in
from penstock.pipeline.change import Verdict
from penstock.pipeline.derive import Derivation, Derived, derive
from penstock.pipeline.intakes import Wanted, roles_of, without_secrets
from penstock.pipeline.journal import Outcome
from penstock.pipeline.site import Site
from penstock.pipeline.stages import Progress, Stage
from penstock.quality.contract import Contract
from penstock.quality.contractfile import read_contracts
from penstock.settings import VERSION


def ingest_stage(site: Site, wanted: Wanted, contract: Contract | None, verdict: Callable[[], Verdict]) -> Stage:
    """The stage that brings a table in, if ``verdict`` lets what changed at its source pass."""
    intake = wanted.intake

    def do(progress: Progress) -> Outcome:
        passed = verdict()
        passed.must_pass()
        unused = {change.column for change in passed.changes.dropped}
        found = ingest(
            intake,
            site.lake,
            check=site.gate(contract),
            quarantine=site.quarantine,
            progress=progress,
            now=site.now,
            allow_drops=unused | set(wanted.settings.drops),
        )
        table = site.lake.table(intake.table)
        if (roles := roles_of(intake, table.roles)) != table.roles:
            table.say(roles)
        return _ingested(found, passed.notes)

    by = f" by {intake.watermark}" if intake.watermark else ""
    place = f"{wanted.look.settings.name}.{intake.origin}"
    fingerprint = _fingerprint(wanted.look.state, without_secrets(intake), repr(wanted.settings), contract)
    return Stage("ingest", intake.table, f"bring in {place} ({intake.mode}{by})", (), fingerprint, do=do)


def _fingerprint(state: str, *told: object) -> str:
    if not state:
        return ""
    meant = [one.fingerprint if isinstance(one, Contract) else str(one) for one in told]
    return blake2b("\n".join([VERSION, state, *meant]).encode(), digest_size=16).hexdigest()


def _ingested(found: Ingested, notes: tuple[str, ...]) -> Outcome:
    facts = asdict(replace(found, table="", notes=notes + found.notes))
    return Outcome(found.version or None, found.read, bool(found.batch), {k: v for k, v in facts.items() if v})


def derive_stage(site: Site, derivation: Derivation, contract: Contract | None, state: str) -> Stage:
    """The stage that derives a table; ``state`` tells all that it rests on."""

    def do(progress: Progress) -> Outcome:
        found = derive(
            derivation,
            site.lake,
            check=site.gate(contract),
            quarantine=site.quarantine,
            progress=progress,
            now=site.now,
        )
        return _derived(found)

    sentence = f"derive from {', '.join(derivation.reads) or 'nothing'} ({derivation.file})"
    return Stage("derive", derivation.name, sentence, derivation.reads, state, do=do)


def _derived(found: Derived) -> Outcome:
    rows = found.added + found.changed + found.deleted
    facts = {"mode": found.mode, "added": found.added, "changed": found.changed, "deleted": found.deleted}
    return Outcome(found.version or None, rows, found.mode != "unchanged", facts)


def backfilled(site: Site, wanted: Wanted, start: object, end: object, known: str, progress: Progress) -> Ingested:
    """A past range of a table's source, read again behind the table's contract."""
    if wanted.error is not None:
        raise wanted.error
    contract = read_contracts(site.contracts).get(wanted.intake.table)
    return backfill(
        wanted.intake,
        site.lake,
        start,
        end,
        known=known,
        check=site.gate(contract),
        quarantine=site.quarantine,
        progress=progress,
        now=site.now,
        allow_drops=frozenset(wanted.settings.drops),
    )


def refused(quarantine: Path) -> Iterator[dict[str, object]]:
    """What is in quarantine, by table: batches that a check refused, and rows that did not fit."""
    for table in tables_in(quarantine):
        for batch in refused_batches(quarantine, table):
            told = {"table": table, "batch": batch.batch, "rows": batch.rows, "kind": "batch"}
            yield {**told, "why": "; ".join(batch.reasons)}
        for file in sorted(folder_of(quarantine, table).glob("*.parquet")):
            rows = pq.read_table(file, columns=["reason"])
            reasons = Counter(rows["reason"].to_pylist())
            why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
            yield {"table": table, "batch": file.stem, "rows": rows.num_rows, "kind": "rows", "why": why}
