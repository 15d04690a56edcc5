"""Bytes of delimited text cut into blocks of whole records, by the rules of quotes and in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_QUOTE, _LF, _CR = b'"', b"\n", b"\r"
_CLOSING = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')
_LINE_END = re.compile(rb"\r\n|\n|\r")
UNCLOSED = "a quote is not closed"
STRAY = "text follows a closing quote"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records; in a ``plain`` one each quote opens or closes a value, or is doubled.

    With a ``reason`` it is a single record that was not kept whole: ``data`` is how it begins.
    """

    data: bytes
    plain: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One record's place in a block; with a ``reason`` it cannot be read, and a ``blank`` one is no row."""

    start: int
    end: int
    reason: str = ""
    blank: bool = False


class OpenQuoteError(Exception):
    """A quote that is open for longer than the longest row."""


def split(chunks: Iterator[bytes], separator: bytes, longest: int) -> Iterator[Block]:
    """The stream's records in blocks about as large as its chunks; a record longer than ``longest`` is skipped unread.

    Raises ``OpenQuoteError`` where a record is longer than that because a quote is never closed as it should be.
    """
    held = b""
    for chunk in chunks:
        held = held + chunk if held else chunk
        end, plain = _whole(held, separator)
        if end:
            yield Block(held[:end], plain)
            held = held[end:]
        if len(held) > longest:
            start, held = held[:800], _after_long(held, chunks, separator)
            yield Block(start, reason=f"longer than {longest} bytes")
    if held:
        yield Block(held, _toggles(held, _quotes(held), separator) and held.count(_QUOTE) % 2 == 0)


def split_lines(chunks: Iterator[bytes], longest: int) -> Iterator[Block]:
    """The stream's lines in blocks about as large as its chunks; a line longer than ``longest`` is skipped unread."""
    held = b""
    for chunk in chunks:
        held = held + chunk if held else chunk
        end = held.rfind(_LF) + 1
        if end:
            yield Block(held[:end])
            held = held[end:]
        if len(held) > longest:
            start, held = held[:800], _after_line(chunks)
            yield Block(start, reason=f"longer than {longest} bytes")
    if held:
        yield Block(held)


def _after_line(chunks: Iterator[bytes]) -> bytes:
    for chunk in chunks:
        _, ended, rest = chunk.partition(_LF)
        if ended:
            return rest
    return b""


def records(data: bytes, separator: bytes, *, final: bool = True) -> Iterator[Record]:
    """The records of a block one by one, by the exact rules. Unless ``final``, the last may be missing its end."""
    start, stop = 0, len(data)
    while start < stop:
        end, reason = _record_end(data, start, separator, final=final)
        if end < 0 and not final:
            return
        end = stop if end < 0 else end
        yield Record(start, end, reason, blank=not data[start:end].strip(b"\r\n"))
        start = end


def _record_end(data: bytes, start: int, separator: bytes, *, final: bool) -> tuple[int, str]:
    """Where the record that begins here ends, its line end included (-1: not in here), and why it cannot be read."""
    at, field_end = start, _field_end(separator)
    while True:
        if data.startswith(_QUOTE, at):
            closing = _CLOSING.match(data, at + 1)
            if closing is None:
                return _line_end(data, start) if final else -1, UNCLOSED
            at = closing.end()
            if at < len(data) and data[at : at + 1] not in (separator, _LF, _CR):
                return _line_end(data, start), STRAY if not _LINE_END.search(data, start, at) else UNCLOSED
        found = field_end.search(data, at)
        if found is None or (found[0] == _CR and found.end() == len(data) and not final):
            return -1, ""
        if found[0] != separator:
            return found.end(), ""
        at = found.end()


def _line_end(data: bytes, start: int) -> int:
    found = _LINE_END.search(data, start)
    return -1 if found is None else found.end()


@lru_cache
def _field_end(separator: bytes) -> re.Pattern[bytes]:
    return re.compile(re.escape(separator) + rb"|\r\n|\n|\r")


def _whole(held: bytes, separator: bytes) -> tuple[int, bool]:
    """Where the last whole record ends (0: none does), and whether the block up to there is plain."""
    if _QUOTE not in held:
        return _last_line(held), True
    quotes = _quotes(held)
    if not _toggles(held, quotes, separator):
        whole = [record.end for record in records(held, separator, final=False)]
        return whole[-1] if whole else 0, False
    end = _last_line(held)
    if np.searchsorted(quotes, end) % 2 == 0:
        return end, True
    sure, line_end = (held, _LF) if _LF in held else (held[:-1], _CR)  # a last CR may be half of a line end
    ends = np.flatnonzero(np.frombuffer(sure, np.uint8) == ord(line_end))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return (int(outside[-1]) + 1 if len(outside) else 0), True


def _last_line(held: bytes) -> int:
    """The place behind the last line end; 0 where there is none."""
    end = held.rfind(_LF) + 1
    return end or held.rfind(_CR, 0, len(held) - 1) + 1


def _quotes(held: bytes) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.frombuffer(held, np.uint8) == ord(_QUOTE))


def _toggles(held: bytes, quotes: npt.NDArray[np.intp], separator: bytes) -> bool:
    """Whether every quote opens a value, closes one or is one of a doubled pair, so that counting them is enough."""
    if not len(quotes):
        return True
    text = np.frombuffer(held, np.uint8)
    ends = np.array([separator[0], ord(_LF), ord(_CR)], np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    before = text[np.maximum(opening - 1, 0)]
    begins = np.isin(before, ends) | (opening == 0)
    begins[1:] |= opening[1:] == closing[: len(opening) - 1] + 1
    after = text[np.minimum(closing + 1, len(text) - 1)]
    finishes = np.isin(after, ends) | (closing == len(text) - 1)
    doubled = min(len(closing), len(opening) - 1)
    finishes[:doubled] |= opening[1 : doubled + 1] == closing[:doubled] + 1
    return bool(begins.all() and finishes.all())


def _after_long(held: bytes, chunks: Iterator[bytes], separator: bytes) -> bytes:
    """What follows a record that is too long to hold: it is read on, and thrown away, up to its end."""
    at, quoted = _state_at_end(held, separator)
    held = held[at:]
    while True:
        quoted, held, ended = _read_on(held, separator, quoted=quoted)
        if ended:
            return held
        chunk = next(chunks, b"")
        if not chunk and quoted and held != _QUOTE:
            raise OpenQuoteError
        if not chunk:
            return b""
        held += chunk


def _read_on(held: bytes, separator: bytes, *, quoted: bool) -> tuple[bool, bytes, bool]:
    """Whether inside quotes at the end of ``held``, what of it is still needed, and whether the record has ended."""
    opener = re.compile(re.escape(separator) + rb'"|\r\n|\n|\r(?!$)')
    while True:
        if quoted:
            closing = _CLOSING.match(held)
            if closing is None or closing.end() == len(held):
                return True, _QUOTE * ((len(held) - len(held.rstrip(_QUOTE))) % 2), False
            if held[closing.end() : closing.end() + 1] not in (separator, _LF, _CR):
                raise OpenQuoteError
            held, quoted = held[closing.end() :], False
        else:
            found = opener.search(held)
            if found is None:
                return False, held[-1:], False
            held, quoted = held[found.end() :], found[0].endswith(_QUOTE)
            if not quoted:
                return False, held, True


def _state_at_end(held: bytes, separator: bytes) -> tuple[int, bool]:
    """Where to read on in a record that begins ``held`` and does not end in it, and whether inside quotes."""
    at, field_end = 0, _field_end(separator)
    while True:
        if held.startswith(_QUOTE, at):
            closing = _CLOSING.match(held, at + 1)
            if closing is None or closing.end() == len(held):
                return at + 1, True
            if held[closing.end() : closing.end() + 1] not in (separator, _LF, _CR):
                raise OpenQuoteError
            at = closing.end()
        found = field_end.search(held, at)
        if found is None:
            return max(at - 1, 0), False
        at = found.end()
