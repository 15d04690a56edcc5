"""Texts as numbers: which words and pairs of words they hold, boiled down to a few themes.

A text is lowered and cut into words; words and pairs of neighbours are terms (of short texts, such as names, also runs
of three and four characters), each known by a 32-bit hash alone. Of the terms of the training texts the commonest are
kept and weighted by how rare they are (TF-IDF; Spärck Jones 1972); a truncated singular value decomposition
(Deerwester et al. 1990, by the block power method of Halko et al. 2011) finds the themes. All weights are whole
numbers, so that a text has the same themes to the bit on every machine, alone or among others. One column of text
takes 0.3 MB of JSON at most.
"""

from __future__ import annotations

import base64
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.encoding.encoders import Column, Values, texts

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]
Hashes: TypeAlias = npt.NDArray[np.uint64]

MOST_CHARACTERS = 2_000
"""How much of a text is read."""
MOST_TERMS = 4_096
MOST_TEXTS = 8_000
THEMES = 16
FEWEST_TEXTS = 30
SHORT_TEXT = 40
"""Texts of fewer characters on the average are also cut into runs of characters."""
_AT_ONCE = 1_024
_COMMON = 0.9
_RUNS = (3, 4)
_WORD = re.compile(r"\w+")
_WORDS = r"[\pL\pN_]+"  # what counts words in Arrow, which has its own spelling
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_IDF, _TF, _WEIGHT = 256, 64, 32_767
_DAMPED = np.round(_TF * (1 + np.log(np.arange(1, 257)))).astype(np.int64)
_ROUNDS, _SPARE = 6, 8


# ---------------------------------------------------------------- terms


class _Hashes(dict[str, int]):
    """CRC-32 of each word, worked out once."""

    def __missing__(self, word: str) -> int:
        self[word] = found = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return found


def words_of(text: str) -> list[str]:
    """The words of a text, lowered, in order; what is spelt alike in Unicode is one word.

    >>> words_of("Don't PANIC, naïve Ⅳ")
    ['don', 't', 'panic', 'naïve', 'iv']
    """
    text = text[:MOST_CHARACTERS]
    return _WORD.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())


def _terms(some: Sequence[str], runs: bool, hashes: _Hashes) -> tuple[Whole, Hashes]:
    """(place of the text, hash of the term) for every occurrence of a term."""
    words = [words_of(text) for text in some]
    text = np.repeat(np.arange(len(some)), np.fromiter(map(len, words), np.int64, len(some)))
    single = np.fromiter((hashes[word] for mine in words for word in mine), np.uint64, len(text))
    found = [(text, single), _neighbours(text, single, 2)]
    if runs:
        found += list(_runs(words))
    return np.concatenate([text for text, _ in found]), np.concatenate([term for _, term in found])


def _neighbours(text: Whole, parts: Hashes, size: int) -> tuple[Whole, Hashes]:
    """The hash of each run of so many neighbours in one text."""
    last = len(parts) - size + 1
    if last <= 0:
        return text[:0], parts[:0]
    mixed = np.full(last, size, np.uint64)
    for number in range(size):
        mixed = mixed * _MIX[0] + parts[number : number + last] * _MIX[1]
        mixed ^= mixed >> np.uint64(29)
    within = text[:last] == text[size - 1 :]
    return text[:last][within], (mixed >> np.uint64(32))[within]


def _runs(words: Sequence[Sequence[str]]) -> Iterator[tuple[Whole, Hashes]]:
    padded = [f" {' '.join(mine)} " if mine else "" for mine in words]
    text = np.repeat(np.arange(len(padded)), np.fromiter(map(len, padded), np.int64, len(padded)))
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    for size in _RUNS:
        yield _neighbours(text, points, size)


# ---------------------------------------------------------------- encoders


@dataclass(frozen=True)
class Counts:
    """How much of each term each text holds: term and weight of each pair, and where each text's pairs start.

    ``length`` is the Euclidean length of a text's weights (1 where it has none); ``whole`` says of each row of the
    column which of the distinct texts it has, -1 for NULL.
    """

    terms: Whole
    weights: Whole
    starts: Whole
    length: Floats
    whole: Whole

    def of_rows(self, distinct: Floats) -> Values:
        """What each row gets of one number a distinct text; NaN for NULL."""
        return np.append(distinct, np.nan)[self.whole].astype(np.float32)


@dataclass(frozen=True)
class Words:
    """The terms known of a feature: their hashes in order (uint32), how rare each is (uint16), both as bytes."""

    feature: str
    hashes: bytes
    rarity: bytes
    runs: bool

    @cached_property
    def _known(self) -> tuple[Hashes, Whole]:
        hashes, rarity = np.frombuffer(self.hashes, "<u4"), np.frombuffer(self.rarity, "<u2")
        return hashes.astype(np.uint64), rarity.astype(np.int64)

    def count(self, column: Column) -> Counts:
        """The terms of each distinct text of a column."""
        coded: Any = pc.dictionary_encode(texts(column).combine_chunks())
        distinct, whole = coded.dictionary.to_pylist(), pc.fill_null(coded.indices, -1).to_numpy().astype(np.int64)
        found = list(self._counted(distinct))
        text, term, weight = (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else _NONE
        starts = np.searchsorted(text, np.arange(len(distinct) + 1))
        squares = np.diff(_running(weight * weight)[starts])
        return Counts(term, weight, starts, np.sqrt(np.maximum(squares, 1).astype(float)), whole)

    def _counted(self, distinct: Sequence[str]) -> Iterator[tuple[Whole, Whole, Whole]]:
        hashes, rarity = self._known
        seen = _Hashes()
        for start in range(0, len(distinct), _AT_ONCE):
            text, term = _terms(distinct[start : start + _AT_ONCE], self.runs, seen)
            place = np.minimum(np.searchsorted(hashes, term), len(hashes) - 1)
            known = hashes[place] == term
            pairs, often = np.unique(text[known] * len(hashes) + place[known], return_counts=True)
            text, place = pairs // len(hashes), pairs % len(hashes)
            yield text + start, place, _DAMPED[np.minimum(often, 256) - 1] * rarity[place]

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON, the bytes as base64."""
        return {"hashes": _written(self.hashes), "rarity": _written(self.rarity), "runs": self.runs}

    @classmethod
    def from_dict(cls, feature: str, plain: Mapping[str, Any]) -> Words:
        """What `to_dict` wrote."""
        return cls(feature, _read(plain["hashes"]), _read(plain["rarity"]), plain["runs"])


_NONE = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Theme:
    """How much of a theme a text has: ``scale`` times the sum of its terms' ``weights`` (int16, as bytes).

    0 for a text without a known term, NaN for NULL. ``outcome`` is which outcome the theme leans to; -1 for themes
    that were found in the texts alone.
    """

    words: Words
    weights: bytes
    scale: float
    outcome: int = -1
    kind = "theme"

    @property
    def feature(self) -> str:
        """The feature that holds the text."""
        return self.words.feature

    def encode(self, column: Column) -> Values:
        """The theme of each row's text."""
        return self.of(self.words.count(column))

    def of(self, counts: Counts) -> Values:
        """The theme of each row, from the terms counted already."""
        weights = np.frombuffer(self.weights, "<i2").astype(np.int64)
        sums = np.diff(_running(counts.weights * weights[counts.terms])[counts.starts])
        return counts.of_rows(self.scale * (sums / counts.length))

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; the words are written once for all themes."""
        return {
            "feature": self.feature,
            "weights": _written(self.weights),
            "scale": self.scale,
            "outcome": self.outcome,
        }

    @classmethod
    def from_dict(cls, words: Words, plain: Mapping[str, Any]) -> Theme:
        """What `to_dict` wrote."""
        return cls(words, _read(plain["weights"]), plain["scale"], plain["outcome"])

    @classmethod
    def weighing(cls, words: Words, weights: Floats, outcome: int = -1) -> Theme:
        """The theme with these weights (one a term), rounded to 16 bits."""
        scale = float(np.abs(weights).max()) / _WEIGHT or 1.0
        return cls(words, np.round(weights / scale).astype("<i2").tobytes(), scale, outcome)


@dataclass(frozen=True)
class Size:
    """How many ``unit`` ("characters" or "words") a text has."""

    feature: str
    unit: str
    kind = "size"

    def encode(self, column: Column) -> Values:
        """The size of each row's text; NaN for NULL."""
        plain = texts(column)
        sizes: Any = pc.utf8_length(plain) if self.unit == "characters" else pc.count_substring_regex(plain, _WORDS)
        return np.array(sizes.cast(pa.float64()).to_numpy(), np.float32)


def _written(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _read(text: str) -> bytes:
    return base64.b64decode(text)


def _running(numbers: Whole) -> Whole:
    return np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)])


# ---------------------------------------------------------------- learning


def words(feature: str, column: Column) -> Words | None:
    """The terms worth knowing of a column of texts; None where it has too few texts or none that share a term."""
    some = _drawn(column)
    if len(some) < FEWEST_TEXTS:
        return None
    runs = sum(map(len, some)) < SHORT_TEXT * len(some)
    found, often = _document_counts(some, runs)
    kept = (often >= 2 + (len(some) >= 1_000)) & (often <= max(2, _COMMON * len(some)))
    found, often = found[kept], often[kept]
    if not len(found):
        return None
    chosen = np.sort(np.lexsort((found, -often))[:MOST_TERMS])
    rarity = np.round(_IDF * (1 + np.log((1 + len(some)) / (1 + often[chosen]))))
    return Words(feature, found[chosen].astype("<u4").tobytes(), rarity.astype("<u2").tobytes(), runs)


def _drawn(column: Column) -> list[str]:
    """The distinct texts, or as many as are enough to learn from, in an order of their own."""
    distinct: list[str] = pc.unique(texts(column).drop_null()).to_pylist()
    if len(distinct) > MOST_TEXTS:
        lot = [(zlib.crc32(text.encode("utf-8", "surrogatepass")), text) for text in distinct]
        distinct = [text for _, text in sorted(lot)[:MOST_TEXTS]]
    return sorted(distinct)


def _document_counts(some: Sequence[str], runs: bool) -> tuple[Hashes, Whole]:
    """Each term, in order, and how many of the texts have it."""
    found, seen = [], _Hashes()
    for start in range(0, len(some), _AT_ONCE):
        text, term = _terms(some[start : start + _AT_ONCE], runs, seen)
        found.append(np.unique(text.astype(np.uint64) << np.uint64(32) | term) & np.uint64(0xFFFFFFFF))
    terms, often = np.unique(np.concatenate(found), return_counts=True)
    return terms, often.astype(np.int64)


def themes(known: Words, column: Column, most: int = THEMES) -> list[Theme]:
    """The strongest themes of a column of texts, at most ``most``, strongest first; fewer where texts are few."""
    some = _drawn(column)
    matrix = sparse(known.count(pa.chunked_array([pa.array(some, pa.string())])), len(known.rarity) // 2)
    most = min(most, max(1, len(some) // 10), *matrix.shape)
    return [Theme.weighing(known, _turned(weights)) for weights in _directions(matrix, most)]


def sparse(counts: Counts, terms: int) -> Any:
    """The distinct texts as a sparse matrix (texts × terms), each row of length 1."""
    from scipy.sparse import csr_array

    lengths = np.repeat(counts.length, np.diff(counts.starts))
    shape = (len(counts.starts) - 1, terms)
    return csr_array((counts.weights / lengths, counts.terms, counts.starts), shape=shape)


def _directions(matrix: Any, most: int) -> list[Floats]:
    """The right singular vectors of the largest singular values.

    Products are summed without BLAS, whose order of addition depends on the number of threads.
    """
    width = min(most + _SPARE, *matrix.shape)
    basis = np.random.default_rng(0).normal(size=(matrix.shape[1], width))
    across = matrix.T.tocsr()
    for _ in range(_ROUNDS):
        basis, sizes = _orthogonal(across @ (matrix @ basis))
    image = matrix @ basis
    sizes, turn = np.linalg.eigh(np.einsum("ij,ik->jk", image, image))
    kept = [place for place in np.argsort(-sizes)[:most] if sizes[place] > 1e-9 * max(sizes.max(), 1e-300)]
    return [np.einsum("ij,j->i", basis, turn[:, place]) for place in kept]


def _orthogonal(columns: Floats) -> tuple[Floats, Floats]:
    """An orthonormal basis of what the columns span, by way of their products."""
    sizes, turn = np.linalg.eigh(np.einsum("ij,ik->jk", columns, columns))
    kept = sizes > 1e-12 * max(sizes.max(), 1e-300)
    return np.einsum("ij,jk->ik", columns, turn[:, kept] / np.sqrt(sizes[kept])), sizes[kept]


def _turned(weights: Floats) -> Floats:
    """The same direction with its largest weight above 0."""
    return weights if weights[np.abs(weights).argmax()] > 0 else -weights
