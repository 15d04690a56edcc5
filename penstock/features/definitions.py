"""A feature is an expression about an entity's past; a feature set is an ordered list of them for one entity table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from penstock.expression import Expr
from penstock.features.phrases import phrase
from penstock.plan import Age, Calendar, Field, Stream, aggregates, fields_of


@dataclass(frozen=True)
class Feature:
    """A bound expression that looks back; its name is its text in PQL.

    ``past`` marks what the target itself was in an earlier window. ``family`` says in plain words what sort of feature
    it is, and ``rank`` how likely such features are to matter: 0 first.
    """

    expression: Expr
    past: bool = False
    family: str = field(default="", compare=False, repr=False)
    rank: int = field(default=0, compare=False, repr=False)

    @cached_property
    def name(self) -> str:
        """The expression as PQL."""
        return str(self.expression)

    @property
    def static(self) -> bool:
        """Whether it reads only the entity's own row or the cutoff: what a single table could tell."""
        leaf = self.expression.field if isinstance(self.expression, Age) else self.expression
        return isinstance(leaf, Calendar) or (isinstance(leaf, Field) and not leaf.hops)

    @property
    def about(self) -> str:
        """Whose rows it is about, as the way to them: ``users <- orders``, ``items <- orders OF LAST(…)``."""
        found = aggregates(self.expression)
        if found:
            stream = max((aggregate.stream for aggregate in found), key=_distance)
            of = f" OF {stream.anchor}" if stream.anchor is not None else ""
            return " <- ".join([stream.root, *(link.table for link in stream.hops)]) + of
        leaves = fields_of(self.expression)
        if not leaves or isinstance(leaves[0], Calendar):
            return "the cutoff"
        row = leaves[0].field if isinstance(leaves[0], Age) else leaves[0]
        assert isinstance(row, Field)
        return row.table


def _distance(stream: Stream) -> tuple[bool, int]:
    return stream.anchor is not None, len(stream.hops)


@dataclass(frozen=True)
class FeatureSet:
    """Features of one entity table, each once, in order; ``notes`` say what was not made, and why.

    >>> from penstock.plan import Calendar
    >>> print(FeatureSet("users", "id", (Feature(Calendar("MONTH")),)))
    users.id: 1 feature
      MONTH(CUTOFF)
    """

    table: str
    key: str
    features: tuple[Feature, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, table: str, key: str, features: Iterable[Feature], notes: Iterable[str] = ()) -> FeatureSet:
        """A set of these features, without repeats: the first of each name stays."""
        first: dict[str, Feature] = {}
        for feature in features:
            first.setdefault(feature.name, feature)
        return cls(table, key, tuple(first.values()), tuple(notes))

    @property
    def expressions(self) -> dict[str, Expr]:
        """Each feature's expression by its name."""
        return {feature.name: feature.expression for feature in self.features}

    @property
    def fingerprint(self) -> str:
        """Equal for sets that mean the same."""
        text = repr((self.table, self.key, self.features))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def names(self, keep: Callable[[Feature], bool]) -> list[str]:
        """The names of the features for which ``keep`` is true."""
        return [feature.name for feature in self.features if keep(feature)]

    def only(self, names: Iterable[str]) -> FeatureSet:
        """The set with just these features, in the set's order."""
        chosen = set(names)
        return FeatureSet(self.table, self.key, tuple(f for f in self.features if f.name in chosen), self.notes)

    def to_dicts(self) -> list[dict[str, str]]:
        """Each feature's expression, what it says in English, whose rows it is about and what sort it is."""
        return [
            {"feature": f.name, "phrase": phrase(f.expression), "about": f.about, "family": f.family}
            for f in self.features
        ]

    def described(self) -> str:
        """The features for a person, by whose rows they are about: each expression, and below it what it says."""
        groups: dict[str, list[str]] = {}
        for one in self.to_dicts():
            groups.setdefault(one["about"], []).append(f"  {one['feature']}\n      {one['phrase']}")
        parts = [f"{about} ({len(told)})\n" + "\n".join(told) for about, told in groups.items()]
        return "\n\n".join([*parts, *self.notes])

    def __len__(self) -> int:
        return len(self.features)

    def __str__(self) -> str:
        head = f"{self.table}.{self.key}: {len(self)} feature{'' if len(self) == 1 else 's'}"
        return "\n".join([head, *(f"  {feature.name}" for feature in self.features)])
