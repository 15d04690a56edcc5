"""Definitions that cannot be used, each with why; the others stand without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from penstock.errors import PenstockError, RefusedError, RequestError, system_error

UNTABLED = "FEATURE_NO_TABLES"
"""The code of what cannot be read before the first table has been brought in."""

What: TypeAlias = Literal["entity", "view", "service", "file"]


@dataclass(frozen=True)
class BrokenDefinition:
    """A definition that cannot be read, or does not fit the tables, and the error that says why.

    A ``file`` is one of which nobody can tell what it declares: Python that does not run.
    """

    what: What
    name: str
    error: PenstockError

    def __str__(self) -> str:
        return f"{self.what} {self.name}"

    @property
    def waits(self) -> bool:
        """Whether it only waits for the first tables: nobody can say yet whether anything is wrong with it."""
        return self.error.code == UNTABLED

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"what": self.what, "name": self.name, "error": self.error.to_dict()}


@dataclass
class Sieve:
    """What is broken, gathered while everything else is made; of each definition the first error."""

    _broken: dict[tuple[What, str], BrokenDefinition] = field(default_factory=dict)

    @classmethod
    def of(cls, broken: Iterable[BrokenDefinition]) -> Sieve:
        """A sieve that holds these already."""
        return cls({(one.what, one.name): one for one in broken})

    @property
    def broken(self) -> tuple[BrokenDefinition, ...]:
        """All that was held back, in the order in which it was found."""
        return tuple(self._broken.values())

    def hold(self, what: What, name: str, error: PenstockError) -> None:
        """Hold a definition back."""
        self._broken.setdefault((what, name), BrokenDefinition(what, name, error))

    def holds(self, what: What, name: str) -> bool:
        """Whether a definition is held back."""
        return (what, name) in self._broken

    @contextmanager
    def over(self, what: What, name: str) -> Iterator[None]:
        """Around the making of a definition: it is held back where that raises an error of Penstock's or the system's.

        Nothing else is caught: any other exception is a mistake of ours.
        """
        try:
            yield
        except PenstockError as error:
            self.hold(what, name, error)
        except OSError as error:
            self.hold(what, name, system_error(error))

    def must_be_sound(self, what: What, name: str, message: str) -> None:
        """Raise ``RequestError`` (``FEATURE_BROKEN``) with this message where what something rests on is held back."""
        if self.holds(what, name):
            raise rests_on(self._broken[what, name], message)


def left_alone(broken: Iterable[BrokenDefinition]) -> RefusedError | None:
    """What a store is told of views that are broken: what it holds of them stays as it is. None where none is."""
    views = [one for one in broken if one.what in ("view", "file")]
    if not views:
        return None
    names, one = ", ".join(map(str, views)), len(views) == 1
    message = f"{names} {'is' if one else 'are'} broken, and left as the store holds {'it' if one else 'them'}"
    reasons = [broken.error.message for broken in views if broken.error.code != "FEATURE_BROKEN"]
    hint = "\n  ".join([*reasons, "See them: penstock features list"])
    return RefusedError("FEATURE_BROKEN", message, name=views[0].name, hint=hint)


def untabled(message: str) -> RequestError:
    """What a definition is told that names tables while there is none."""
    return RequestError(UNTABLED, f"{message}: no table has been brought in yet", hint="Bring them in: penstock run")


def rests_on(broken: BrokenDefinition, message: str) -> RequestError:
    """The error of a definition that rests on a broken one; its hint says what is to be mended first."""
    error = broken.error
    if broken.waits:
        return RequestError(UNTABLED, error.message, hint=error.hint)
    hint = error.hint if error.code == "FEATURE_BROKEN" else f"Mend first: {error.message}"
    return RequestError("FEATURE_BROKEN", message, name=broken.name, hint=hint)
