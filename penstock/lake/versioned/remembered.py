"""What was worked out once for something that never changes, found again by its name."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """The answers for the ``most`` names that were new last. Threads may share it.

    >>> seen = Remembered[int](most=1)
    >>> seen.get("a", lambda: 1), seen.get("a", lambda: 2), seen.get("b", lambda: 3), seen.get("a", lambda: 4)
    (1, 1, 3, 4)
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._answers: dict[object, T] = {}

    def get(self, name: object, work: Callable[[], T]) -> T:
        """The answer for a name, worked out when it is not remembered; an error is not."""
        try:
            return self._answers[name]
        except KeyError:
            return self.put(name, work())

    def __contains__(self, name: object) -> bool:
        return name in self._answers

    def put(self, name: object, answer: T) -> T:
        """Remember an answer."""
        with self._lock:
            self._answers[name] = answer
            while len(self._answers) > self._most:
                del self._answers[next(iter(self._answers))]
        return answer
