"""A snapshot as a folder that stands alone: Parquet files, a manifest with checksums, and a pointer that DVC reads."""

from __future__ import annotations

import json
from hashlib import file_digest, md5
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from penstock.errors import RequestError
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake
from penstock.lake.versioned.scan import quoted
from penstock.pipeline.datasets.dataset import Dataset

MANIFEST = "manifest.json"


def export(dataset: Dataset, lake: Lake, folder: Path) -> Path:
    """Write the snapshot's tables (all row versions) to a new folder, and ``folder.dvc`` beside it; return the folder.

    The folder appears complete or not at all. Raises ``RequestError`` when it is there already.
    """
    if folder.exists():
        raise RequestError("EXPORT_EXISTS", f"{folder} is there already", hint="Name a new folder, or remove it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        draft = Path(place) / folder.name
        draft.mkdir()
        tables = {name: _write_table(lake, name, pinned.version, draft) for name, pinned in dataset.tables.items()}
        manifest = {**dataset.to_dict(), "files": tables}
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, default=str) + "\n", encoding="utf-8")
        pointer = _pointer(draft)
        draft.rename(folder)
    folder.with_name(f"{folder.name}.dvc").write_text(pointer, encoding="utf-8")
    return folder


def _write_table(lake: Lake, name: str, version: int, folder: Path) -> dict[str, object]:
    """One file a table; what the manifest says of it."""
    table, file = lake.table(name), folder / f"{name.replace('/', '_')}.parquet"
    with Sql({name: table.scan(version)}, "log") as sql:
        batches = sql.batches(f"SELECT * FROM {quoted(name)}")
        with pq.ParquetWriter(file, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    roles = table.roles
    columns = {field.name: str(field.type) for field in batches.schema}
    told = {"key": list(roles.key), "happened": roles.happened, "links": dict(roles.links or {}), "columns": columns}
    return {"file": file.name, "md5": _md5(file), "bytes": file.stat().st_size, **told}


def _md5(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, lambda: md5(usedforsecurity=False)).hexdigest()


def _pointer(folder: Path) -> str:
    """The text of a ``.dvc`` file for a folder: the hash of its listing, as DVC 3 computes it."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    listing = [{"md5": _md5(file), "relpath": file.name} for file in files]
    whole = md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    size = sum(file.stat().st_size for file in files)
    out = {"md5": f"{whole}.dir", "size": size, "nfiles": len(files), "hash": "md5", "path": folder.name}
    lines = [f"{'- ' if at == 0 else '  '}{key}: {value}" for at, (key, value) in enumerate(out.items())]
    return "\n".join(["outs:", *lines]) + "\n"
