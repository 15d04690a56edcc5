"""A Feast repository, read without running it, as a project's file: `imported` is all there is to call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock.errors import RequestError
from penstock.features.feast.carrying import Carried, Carrier
from penstock.features.feast.modules import Modules, files_of
from penstock.features.feast.objects import gathered
from penstock.features.feast.values import LeftOut
from penstock.features.feast.writing import toml_text
from penstock.lake.source import missing_package

CONFIGURATION = "feature_store.yaml"
PROJECT = "penstock.toml"


@dataclass(frozen=True)
class Imported:
    """A repository as a project in ``folder``: its file's text, how many of each kind it has, and what was left out."""

    folder: Path
    text: str
    counts: Mapping[str, int]
    left_out: tuple[LeftOut, ...] = ()
    made: tuple[Path, ...] = field(default=())

    def to_dict(self) -> dict[str, object]:
        """As JSON can say it."""
        left_out = [{"name": one.name, "at": str(one.where), "reason": one.reason} for one in self.left_out]
        made = [str(path) for path in self.made]
        return {"folder": str(self.folder), "made": made, "carried": dict(self.counts), "left_out": left_out}


def read_repository(repo: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Imported:
    """What a repository defines, as the file of a project that is to be in ``folder``. Nothing is written or run.

    ``repo`` holds ``feature_store.yaml``, or has a folder ``feature_repo`` that does. Raises ``RequestError``
    (``IMPORT_UNREADABLE``) where there is none or it is no YAML, ``SourceError`` without pyyaml. A file that is no
    Python, and whatever only running the code would tell, is left out and named.
    """
    root, into = _root(Path(repo).expanduser()), Path(folder).expanduser().absolute()
    told = _configuration(root / CONFIGURATION)
    modules = Modules(root, files_of(root))
    for file in modules.files:
        modules.read(file)
    objects, unheld = gathered(modules.scopes)
    store = told.get("offline_store")
    carrier = Carrier(
        root, into, store if isinstance(store, dict) else {}, Carried(str(told.get("project") or into.name))
    )
    carried = carrier.carry(objects)
    left_out = sorted({*modules.left_out, *unheld, *carried.left_out}, key=lambda one: (one.where, one.name))
    counts = {kind: len(sections) for kind, sections in carried.sections.items()}
    return Imported(into, toml_text(carried), counts, tuple(left_out))


def write_project(repo: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Imported:
    """Make a project of a repository in a folder that holds none yet; see `read_repository`.

    Raises ``RequestError`` (``PROJECT_EXISTS``) where there is one.
    """
    file = Path(folder).expanduser().absolute() / PROJECT
    if file.exists():
        raise RequestError("PROJECT_EXISTS", f"{file} is there already", hint="Name another folder: --out FOLDER")
    found = read_repository(repo, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    made = [file]
    ignored = file.with_name(".gitignore")
    if not ignored.exists():
        ignored.write_text("lake/\n.penstock/\n", encoding="utf-8")
        made.append(ignored)
    with file.open("x", encoding="utf-8") as opened:
        opened.write(found.text)
    return Imported(found.folder, found.text, found.counts, found.left_out, tuple(made))


def _root(repo: Path) -> Path:
    for root in (repo, repo / "feature_repo"):
        if (root / CONFIGURATION).is_file():
            return root.absolute()
    hint = "Name the folder that `feast apply` is run in."
    raise RequestError("IMPORT_UNREADABLE", f"there is no {CONFIGURATION} in {repo}", hint=hint)


def _configuration(file: Path) -> Mapping[str, object]:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing_package(f"reading {CONFIGURATION}", "pyyaml", "dbt") from error
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RequestError("IMPORT_UNREADABLE", f"{file}: {' '.join(str(error).split())}") from error
    if not isinstance(told, dict):
        raise RequestError("IMPORT_UNREADABLE", f"{file} is no configuration of Feast", hint="It holds no keys.")
    return told
