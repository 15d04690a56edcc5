"""Errors as answers: a JSON text that holds JSON, from which Feast's clients make their own exceptions again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from penstock.errors import FailedError, PenstockError, RequestError
from penstock.lake.streams.asgi import AnswerError


class Answer(NamedTuple):
    """An answer: its status, its body, the body's type, and further headers."""

    status: int
    body: bytes = b""
    kind: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


_KNOWN: Mapping[str, tuple[int, str]] = {
    "SERVE_PATH": (404, "FeastError"),
    "SERVE_VIEW": (404, "FeatureViewNotFoundException"),
    "SERVE_SERVICE": (404, "FeatureServiceNotFoundException"),
    "FEATURE_UNKNOWN": (422, "SpecifiedFeaturesNotPresentError"),
    "FEATURE_COLLISION": (422, "FeatureNameCollisionError"),
    "FEATURE_TOO_MANY": (413, "FeastError"),
    "REQUEST_TOO_MANY": (413, "FeastError"),
    "SERVE_REQUESTED": (404, "RequestDataNotFoundInEntityRowsException"),
    "SERVE_PUSH_SOURCE": (422, "PushSourceNotFoundException"),
    "SERVE_DATA_SOURCE": (404, "DataSourceObjectNotFoundException"),
    "SERVE_TOO_MANY": (413, "FeastError"),
    "TAIL_BUSY": (503, "FeastError"),
    "ONLINE_NOT_SYNCED": (503, "FeastError"),
    "ONLINE_OTHER_VERSION": (503, "FeastError"),
    **{f"SOURCE_{why}": (503, "FeastError") for why in (
        "ABSENT", "BUSY", "CHANGED", "EMPTY", "UNKNOWN_COLUMN", "UNKNOWN_TABLE", "UNREACHABLE", "UNREADABLE",
        "VALUES_MISFIT",
    )},
}  # fmt: skip
"""Codes for which Feast has an exception of its own, or whose status is not that of their class."""
_SEARCHES = ("/search", "/retrieve-online-documents")
_MOST = 4_000
"""So many characters of a message are told."""
_AGAIN = ((b"retry-after", b"1"), (b"connection", b"close"))


def unknown(code: str, what: str, name: str, there: Iterable[str]) -> RequestError:
    """The error for a name that there is not."""
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    return RequestError(code, f"{what} {shown!r} does not exist", name=shown, candidates=sorted(there))


def unrouted(path: str, there: Iterable[str]) -> RequestError:
    """The error for a path that there is not; what Feast has at it and we have not is said so."""
    hint = "Vectors are not searched here." if path in _SEARCHES else None
    return RequestError("SERVE_PATH", f"there is no {path[:100]}", name=path[:100], candidates=there, hint=hint)


def detail(error: PenstockError) -> tuple[int, str]:
    """The status of an error, and what Feast's clients read of it as JSON.

    >>> detail(unknown("SERVE_VIEW", "feature view", "oders", ["orders"]))[0]
    404
    """
    status, name = _KNOWN.get(error.code, (_status(error), "FeastError"))
    said = {"module": "feast.errors", "class": name, "message": shortened(str(error)), "code": error.code}
    return status, msgspec.json.encode(said).decode()


def shortened(text: str) -> str:
    """A message without the middle of what a request made too long.

    >>> len(shortened("x" * 10**6))
    4003
    """
    half = _MOST // 2
    return text if len(text) <= _MOST else f"{text[:half]} … {text[-half:]}"


def _status(error: PenstockError) -> int:
    return 503 if isinstance(error, FailedError) else 422


def fault(error: PenstockError) -> Answer:
    """An error as an answer; who is told to come again comes by another connection, perhaps to another worker."""
    status, said = detail(error)
    return Answer(status, msgspec.json.encode(said), headers=_AGAIN if status == 503 else ())


def refusal(error: AnswerError) -> Answer:
    """A request that is no request, as an answer."""
    said = {"detail": [{"type": "value_error", "loc": ["body"], "msg": str(error), "code": error.code}]}
    headers = tuple((name.encode(), value.encode()) for name, value in error.headers.items())
    return Answer(error.status, msgspec.json.encode(said), headers=headers)


def failure(number: str) -> Answer:
    """What is told of an error that nobody foresaw: only the number under which it is logged."""
    message = f"SERVE_FAILED: this failed on the server, which has logged why under {number}"
    said = {"module": "feast.errors", "class": "FeastError", "message": message, "code": "SERVE_FAILED"}
    return Answer(500, msgspec.json.encode(msgspec.json.encode(said).decode()))
