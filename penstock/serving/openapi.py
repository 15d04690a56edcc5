"""What the HTTP door takes and gives, as OpenAPI says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from penstock.serving import bodies

if TYPE_CHECKING:
    from penstock.serving.limits import Limits

_FAULTS = {
    "401": {"description": "The bearer token is missing or wrong."},
    "413": {"description": "The request asks for too much."},
    "422": {"description": "The request is wrong; the body says where."},
    "503": {"description": "The store does not answer."},
}


def described(limits: Limits) -> dict[str, Any]:
    """The document for ``/openapi.json``."""
    kinds = (bodies.Ask, bodies.Push, bodies.Write, bodies.Materialize, bodies.MaterializeIncremental)
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    ask, push, write, materialize, incremental = schemas
    return {
        "openapi": "3.1.0",
        "info": {"title": "Penstock's features", "version": "1", "description": _told(limits)},
        "paths": {
            "/get-online-features": _posts("Features of entities, now.", ask, {"200": _json("Columns.", _ANSWER)}),
            "/push": _posts("Take rows.", push, {"200": {"description": "They are taken."}}),
            "/write-to-online-store": _posts("Take rows of a view.", write, {"200": _json("Taken.", _NULL)}),
            "/materialize": _posts("Let the store follow the lake.", materialize, _MATERIALIZED, [_ASYNC]),
            "/materialize-incremental": _posts("The same.", incremental, _MATERIALIZED, [_ASYNC]),
            "/health": _gets("Whether it serves.", {"200": {"description": "It does."}}),
            "/metrics": _gets("What it counts.", {"200": {"description": "Prometheus's text format."}}),
        },
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _told(limits: Limits) -> str:
    return (
        f"A body has at most {limits.body:,} bytes; a request names at most {limits.features:,} features, "
        f"{limits.entities:,} entities and {limits.values:,} values."
    )


def _posts(
    told: str, body: dict[str, Any], answers: dict[str, Any], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    content = {"required": True, "content": {"application/json": {"schema": body}}}
    says = {"summary": told, "requestBody": content, "responses": answers | _FAULTS, "security": [{"token": []}, {}]}
    return {"post": {**says, "parameters": parameters} if parameters else says}


def _gets(told: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": told, "responses": answers}}


def _json(told: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_STATUS = {"enum": ["INVALID", "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]}
_COLUMN = _object(
    values=_list({}), statuses=_list(_STATUS), event_timestamps=_list({"type": "string", "format": "date-time"})
)
_ANSWER = _object(results=_list(_COLUMN), metadata=_object(feature_names=_list({"type": "string"})))
_NULL = {"type": "null"}
_ASYNC = {"name": "async", "in": "query", "schema": {"type": "boolean", "default": False}}
_MATERIALIZED = {
    "200": _json("The store has followed.", _NULL),
    "202": {"description": "It follows meanwhile."},
    "409": {"description": "One of the views is being materialized."},
}
