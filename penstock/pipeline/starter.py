"""The first `penstock.toml` of a project: what was found in a source, written down to be read and corrected."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from penstock.errors import RequestError
from penstock.language.example import example
from penstock.pipeline.projectfile import FILE
from penstock.schema import Graph, Table

_IGNORED = "lake/\n.penstock/\n"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def start(folder: Path, source: str, graph: Graph) -> tuple[Path, ...]:
    """Make a project in a folder: its file, places for derived tables and contracts; the paths that were made.

    Raises ``RequestError`` when there is a project already.
    """
    file = folder / FILE
    if file.exists():
        raise RequestError("PROJECT_EXISTS", f"{file} is there already", hint="Edit it, or name another folder.")
    made = [folder / "tables", folder / "contracts"]
    for place in made:
        place.mkdir(parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text(_IGNORED, encoding="utf-8")
        made.append(ignored)
    file.write_text(project_text(_name(folder), source_name(source), without_secret(source, folder), graph), "utf-8")
    return (file, *made)


def _name(folder: Path) -> str:
    return folder.absolute().name or "project"


def source_name(source: str) -> str:
    """What a source is called in the file.

    >>> source_name("postgresql://ada:secret@db.example/shop?sslmode=require"), source_name("data/shop.duckdb")
    ('shop', 'shop')
    """
    path = urlsplit(source).path if "://" in source else source
    return re.sub(r"\W+", "_", Path(path.rstrip("/")).stem).strip("_") or "source"


def without_secret(source: str, folder: Path) -> str:
    """The source as it may stand in a file: a password becomes a variable, a path is told from the file's folder."""
    if "://" not in source:
        return _told_from(Path(source).expanduser(), folder)
    parts = urlsplit(source)
    if not parts.password:
        return source
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:${{{secret_of(source)}}}@{host}").geturl()


def secret_of(source: str) -> str:
    """The environment variable that holds a source's password."""
    return f"{source_name(source).upper()}_PASSWORD"


def secret(source: str) -> str | None:
    """The password that a URL holds, as it is to stand in the environment."""
    password = urlsplit(source).password if "://" in source else None
    return quote(unquote(password), safe="") if password else None


def _told_from(path: Path, folder: Path) -> str:
    return os.path.relpath(path.absolute(), folder.absolute())


def project_text(name: str, source: str, url: str, graph: Graph) -> str:
    """The file's text."""
    head = [f"name = {_text(name)}", "", f"[sources.{_key(source)}]", f"url = {_text(url)}"]
    tables = [line for table in graph for line in _table(table, graph)]
    asked = example(graph)
    queries = ["", "[queries]", *([] if asked is None else [f"churn = {_text(asked)}"])]
    return "\n".join([*head, *tables, *queries]) + "\n"


def _table(table: Table, graph: Graph) -> Iterator[str]:
    yield ""
    yield f"[tables.{_key(table.name)}]"
    yield f'mode = "{"compare" if table.keys else "full"}"' + (
        "  # or: incremental, with watermark = a column that grows" if table.keys else ""
    )
    if table.keys:
        yield f"key = {_texts(table.keys)}"
    if table.happened:
        yield f"time = {_text(table.happened)}"
    if table.known:
        yield f"known = {_text(table.known)}"
    links = {"+".join(link.columns): link.to for link in graph.links_from(table.name)}
    if links:
        yield f"links = {{ {', '.join(f'{_key(column)} = {_text(to)}' for column, to in links.items())} }}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _texts(values: tuple[str, ...]) -> str:
    return _text(values[0]) if len(values) == 1 else f"[{', '.join(map(_text, values))}]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)
