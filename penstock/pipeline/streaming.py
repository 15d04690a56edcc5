"""The streams that a project's file names."""

from __future__ import annotations

from penstock.errors import RequestError
from penstock.lake.streams import Stream
from penstock.pipeline.projectfile import ProjectFile, StreamSettings
from penstock.pipeline.settled import Place, filled

_EXAMPLE = '[streams.clicks] url = "redis://127.0.0.1:6379/clicks"'


def streams_of(file: ProjectFile) -> tuple[Stream, ...]:
    """The project's streams with their secrets. Raises ``RequestError`` where there are none."""
    if not file.streams:
        raise RequestError("PROJECT_NO_STREAMS", f"{file.path.name} names no streams", hint=f"Name one: {_EXAMPLE}")
    return tuple(_stream(file, told) for told in file.streams.values())


def _stream(file: ProjectFile, told: StreamSettings) -> Stream:
    place = Place(file.path.name, f"streams.{told.name}", "url")
    url = filled(told.url, place)
    if url.startswith("folder:"):
        url = f"folder:{file.located(url.removeprefix('folder:'), place)}"
    links = dict(told.links) or None
    return Stream(told.name, url, told.table or told.name, told.key, told.time, links=links, known=told.known)
