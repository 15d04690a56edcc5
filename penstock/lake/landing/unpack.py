"""Files as streams of bytes, unpacked within limits and, from UTF-16, turned into UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.landing.settings import LandingSettings

_PACKED = {".gz", ".bz2", ".zst", ".lz4"}


def chunks(path: Path, settings: LandingSettings) -> Iterator[bytes]:
    """The unpacked bytes of a file, a bounded piece at a time, without a byte-order mark.

    Raises ``SourceError`` for what cannot be unpacked (``SOURCE_UNREADABLE``) or grows too much
    (``LANDING_TOO_LARGE``).
    """
    stream = _limited(path, settings)
    first = next(stream, b"")
    other = settings.encoding or wide_encoding(first)
    if other is not None and not _is_name_of_utf8(other):
        yield from _narrowed(path, first, stream, other)
        return
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from stream


def says_encoding(path: Path, settings: LandingSettings) -> bool:
    """Whether the settings or a file's first bytes say how it is encoded, so that nothing else can be meant.

    Raises ``SourceError`` (``LANDING_ENCODING``) for an encoding that nobody knows.
    """
    if settings.encoding is not None:
        _is_name_of_utf8(settings.encoding)
        return True
    start = next(_limited(path, settings), b"")
    return start.startswith(codecs.BOM_UTF8) or wide_encoding(start) is not None


def wide_encoding(start: bytes) -> str | None:
    """The UTF-16 or UTF-32 that a file's first bytes speak of; None for encodings in which ASCII is ASCII.

    >>> wide_encoding("id,x".encode("utf-16-le")), wide_encoding(b"id,x")
    ('utf-16-le', None)
    """
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and len(start) % 4 == 0:
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = start[:16]
    high, low = head[::2].count(0), head[1::2].count(0)
    if 3 * (high + low) < len(head) or high == low:
        return None
    return "utf-16-le" if low > high else "utf-16-be"


def is_utf8(data: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_name_of_utf8(name: str) -> bool:
    try:
        return codecs.lookup(name).name == "utf-8"
    except LookupError as error:
        hint = "Write it like utf-8, cp1252 or latin-1."
        raise SourceError("LANDING_ENCODING", f"there is no encoding {name!r}", name=name, hint=hint) from error


def _narrowed(path: Path, first: bytes, rest: Iterator[bytes], wide: str) -> Iterator[bytes]:
    """UTF-8 of another encoding; what cannot be decoded stays invalid, so that the row it stands in can be named."""
    faults = "surrogatepass" if wide.startswith(("utf-16", "utf-32")) else "surrogateescape"
    decoder = codecs.getincrementaldecoder(wide)(faults)
    try:
        yield decoder.decode(first).encode("utf-8", "surrogatepass")
        for chunk in rest:
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        message = f"{path.name} is cut off, or is no {wide.upper()}: {error.reason}"
        raise SourceError("SOURCE_UNREADABLE", message) from error


def _limited(path: Path, settings: LandingSettings) -> Iterator[bytes]:
    packed = path.suffix.lower() in _PACKED
    allowed = min(settings.most_unpacked, max(settings.free_growth, _size(path) * settings.most_growth))
    found = 0
    try:
        with pa.input_stream(str(path)) as stream:
            while chunk := stream.read(settings.chunk):
                found += len(chunk)
                if packed and found > allowed:
                    message = f"{path.name} grows past {allowed} bytes when unpacked, from {_size(path)}"
                    hint = "If it is meant to, allow more: most_growth, free_growth or most_unpacked."
                    raise SourceError("LANDING_TOO_LARGE", message, hint=hint)
                yield chunk
    except (OSError, pa.ArrowException) as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} cannot be read: {error}") from error


def _size(path: Path) -> int:
    return path.stat().st_size
