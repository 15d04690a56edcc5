"""Bodies of requests: JSON of a fixed shape. What is no JSON, or of another shape, is refused with its place."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec

from penstock.lake.streams.asgi import AnswerError
from penstock.serving.service import Destination

Body = TypeVar("Body", bound=msgspec.Struct)
Columns = dict[str, list[Any]]


class Ask(msgspec.Struct):
    """``/get-online-features``: a service or features, and columns that name entities or belong to the request."""

    entities: Columns
    features: list[str] | None = None
    feature_service: str | None = None
    full_feature_names: bool = False
    include_feature_view_version_metadata: bool = False


class Push(msgspec.Struct):
    """``/push``: rows as columns, and where they go."""

    push_source_name: str
    df: dict[str, list[Any]]
    to: Destination = "online"


class Write(msgspec.Struct):
    """``/write-to-online-store``: rows of a view as columns."""

    feature_view_name: str
    df: dict[str, list[Any]]


class Materialize(msgspec.Struct):
    """``/materialize``: views (all, where none are named) that the store should follow."""

    start_ts: str | None = None
    end_ts: str | None = None
    feature_views: list[str] | None = None
    disable_event_timestamp: bool = False


class MaterializeIncremental(msgspec.Struct):
    """``/materialize-incremental``: the same, from where the store is."""

    end_ts: str
    feature_views: list[str] | None = None


def read(body: bytes, kind: type[Body]) -> Body:
    """A body as what it should be. Raises `AnswerError` (422).

    >>> read(b'{"entities": {"id": [1]}}', Ask).entities
    {'id': [1]}
    """
    try:
        found: Body = _decoder(kind).decode(body)
    except RecursionError:
        raise AnswerError(422, "SERVE_BODY", "the body is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AnswerError(422, "SERVE_BODY", _reason(error)) from None
    return found


@functools.cache
def _decoder(kind: type[Body]) -> msgspec.json.Decoder[Body]:
    return msgspec.json.Decoder(kind)


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return str(error)
    return f"the body is no JSON: {error}"
