"""What the texts of a column show, gathered piece by piece, and the type that all of them together make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.dates import DateFacts, DoubtError, date_facts, iso_instants
from penstock.lake.landing.plain import plain_floats, plain_wholes
from penstock.lake.reading import COMMAS, FLOAT, INTEGER, NULL_WORDS

_GLANCE, _FEW, _LARGEST = 64, 1000, 2**62
FORMS = {"truth": "^(?i:true|false)$", "whole": INTEGER, "number": FLOAT, "fraction": COMMAS[0][0],
         "thousands": COMMAS[1][0]}  # fmt: skip
"""What texts may be, by name; a text is often several of them."""
_TELLING = {"fraction": COMMAS[0][1], "thousands": COMMAS[1][1]}
_NULLS = pa.array(sorted(NULL_WORDS))


@dataclass(frozen=True, slots=True)
class TextFacts:
    """Counts of a column's texts, NULLs left out: how many there are and how many have each form.

    ``told`` are the meanings of a comma that one text at least shows, ``large`` a whole number beyond 64 bits.
    ``nulls`` counts words such as ``null_word`` that mean NULL among numbers and dates. ``quick`` facts know of numbers
    that they are numbers but not which other forms they have.
    """

    texts: int = 0
    forms: Mapping[str, int] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    large: str = ""
    dates: DateFacts = field(default_factory=DateFacts)
    nulls: int = 0
    null_word: str = ""
    quick: bool = False

    def merged(self, more: TextFacts) -> TextFacts:
        """The facts of both sets of texts."""
        return TextFacts(
            self.texts + more.texts,
            {form: self.forms.get(form, 0) + more.forms.get(form, 0) for form in {*self.forms, *more.forms}},
            self.told | more.told,
            self.large or more.large,
            self.dates.merged(more.dates),
            self.nulls + more.nulls,
            self.null_word or more.null_word,
            self.quick or more.quick,
        )

    def all_are(self, form: str) -> bool:
        """Whether every text has a form."""
        return self.texts > 0 and self.forms.get(form, 0) == self.texts

    @property
    def hopeless(self) -> bool:
        """Whether these texts can be nothing but text, whatever else comes."""
        no_form = not any(self.all_are(form) for form in FORMS)
        return bool(self.texts > _FEW and no_form and not self.quick and not self.dates.dates)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a column's texts are read: what a comma means (``fraction``, ``thousands``) and whether days come first."""

    comma: str = ""
    day_first: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The type that a column of texts is given, and how it is read."""

    kind: pa.DataType
    manner: Manner = field(default_factory=Manner)
    note: str = ""


def text_facts(texts: pa.Array, *, numbers: bool = True, quick: bool = True) -> TextFacts:
    """The facts of some of a column's texts; without ``numbers`` only dates are looked for."""
    count = len(texts) - texts.null_count
    if not count:
        return TextFacts()
    if quick and numbers and plain_wholes(texts) is not None:
        return TextFacts(count, {"whole": count, "number": count}, quick=True)
    if quick and iso_instants(texts) is not None:
        return TextFacts(count, dates=DateFacts(dates=count))
    floats = plain_floats(texts) if quick and numbers else None
    if floats is not None and pc.max(pc.abs(floats)).as_py() < _LARGEST:
        return TextFacts(count, {"number": count}, quick=True)
    return _counted(texts.drop_null(), numbers=numbers)


def _counted(texts: pa.Array, *, numbers: bool) -> TextFacts:
    trimmed = pc.utf8_trim_whitespace(texts)
    null = pc.is_in(trimmed, value_set=_NULLS)
    nulls = pc.sum(null).as_py() or 0
    word = texts.filter(null)[0].as_py() if nulls else ""
    counted = pc.value_counts(trimmed.filter(pc.invert(null)))
    spoken, counts = counted.field("values"), counted.field("counts")
    if not len(spoken):
        return TextFacts(nulls=nulls, null_word=word)
    forms, told, large = _forms(spoken, counts) if numbers else ({}, frozenset(), "")
    total = pc.sum(counts).as_py()
    dates = DateFacts(others=1, other=spoken[0].as_py()) if any(n == total for n in forms.values()) else _dates(spoken)
    return TextFacts(total, forms, told, large, dates, nulls, word)


def _dates(spoken: pa.Array) -> DateFacts:
    """The facts of dates; a glance at a few spares the work where none is one."""
    glance = date_facts(spoken.slice(0, _GLANCE))
    if not glance.dates and len(spoken) > _GLANCE:
        return DateFacts(others=len(spoken), other=glance.other)
    return date_facts(spoken)


def _forms(spoken: pa.Array, counts: pa.Array) -> tuple[dict[str, int], frozenset[str], str]:
    found, told, large = {}, set(), ""
    glance = spoken.slice(0, _GLANCE)
    for form, pattern in FORMS.items():
        if len(spoken) > _GLANCE and not pc.any(pc.match_substring_regex(glance, pattern)).as_py():
            continue
        matched = pc.match_substring_regex(spoken, pattern)
        found[form] = pc.sum(counts.filter(matched)).as_py() or 0
        if form == "whole" and found[form]:
            large = _large(spoken.filter(matched))
        if form == "number" and found[form]:
            large = large or _huge(spoken.filter(matched))
        if form in _TELLING and found[form]:
            tells = pc.match_substring_regex(spoken.filter(matched), _TELLING[form])
            told |= {form} if pc.any(tells).as_py() else set()
    return found, frozenset(told), large


def _large(wholes: pa.Array) -> str:
    try:
        pc.cast(wholes, pa.int64())
    except pa.ArrowInvalid:
        lengths = pc.utf8_length(wholes)
        return str(wholes[pc.index(lengths, pc.max(lengths)).as_py()])
    return ""


def _huge(numbers: pa.Array) -> str:
    """A number that no double holds."""
    infinite = pc.is_inf(pc.cast(numbers, pa.float64()))
    return str(numbers.filter(infinite)[0]) if pc.any(infinite).as_py() else ""


def decided(facts: TextFacts, *, day_first: bool | None = None, decimal_comma: bool | None = None) -> Decision:
    """The type of a column whose texts show this: text when they agree on nothing, as `lake.reading` decides."""
    if facts.all_are("truth"):
        return Decision(pa.bool_())
    if facts.large and (facts.all_are("whole") or facts.all_are("number")):
        size = "64 bits" if facts.all_are("whole") else "a double"
        return Decision(pa.string(), note=f"numbers such as {facts.large[:40]} do not fit {size}: kept as text")
    if facts.all_are("whole"):
        return Decision(pa.int64())
    if facts.all_are("number") and not (decimal_comma and facts.all_are("fraction")):
        return Decision(pa.float64())
    return _with_commas(facts, decimal_comma) or _dated(facts, day_first)


def _with_commas(facts: TextFacts, decimal_comma: bool | None) -> Decision | None:
    fitting = [form for form in _TELLING if facts.all_are(form)]
    if decimal_comma is not None:
        fitting = [form for form in fitting if (form == "fraction") == decimal_comma]
    for form in fitting:
        if form in facts.told or decimal_comma is not None:
            word = "decimal points" if form == "fraction" else "grouping thousands"
            return Decision(pa.float64(), Manner(comma=form), f"commas read as {word}")
    if fitting:
        return Decision(pa.string(), note="a comma may mean thousands or decimals: kept as text")
    return None


def _dated(facts: TextFacts, day_first: bool | None) -> Decision:
    try:
        settled = facts.dates.settled(day_first)
    except DoubtError as doubt:
        return Decision(pa.string(), note=str(doubt))
    if settled is None:
        return Decision(pa.string())
    return Decision(pa.timestamp("us"), Manner(day_first=settled[0]), settled[1])


def manner(facts: TextFacts, *, day_first: bool | None = None, decimal_comma: bool | None = None) -> Manner:
    """How to read a column whose type is known: as most of its texts are written."""
    if decimal_comma is not None:
        comma = "fraction" if decimal_comma else "thousands"
    else:
        counts = {"": facts.forms.get("number", 0)} | {form: facts.forms.get(form, 0) for form in facts.told}
        comma = max(counts, key=lambda form: (counts[form], form == ""))
    if day_first is not None or not facts.dates.first[0]:
        return Manner(comma, day_first)
    try:
        order, note = facts.dates.order()
    except DoubtError as doubt:
        return Manner(comma, None, str(doubt).removesuffix(": kept as text"))
    return Manner(comma, order, note)
