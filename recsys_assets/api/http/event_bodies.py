"""The body of `POST /v1/events` in each of its forms: one event, a list, an object with a list, or a line an event."""

from collections.abc import Collection
from typing import Any, Final, TypeVar

import msgspec
from litestar.exceptions import SerializationException, ValidationException

from recsys_assets.api.http.problems import decoded, is_in_utf8, require_json
from recsys_assets.api.schemas.event_schemas import Event, EventList, Events

NDJSON: Final = "application/x-ndjson"
_EXAMPLE: Final = {
    "event_id": "order-1093-2",
    "user_id": "1",
    "item_id": "1082185",
    "kind": "purchase",
    "timestamp": "2026-11-27T09:30:00Z",
    "quantity": 2,
    "value": 7.98,
}
_MOST: Final = 1_000
_Line = TypeVar("_Line")


def decode_events(body: bytes, media_type: str | None) -> Events:
    """Decode a body, whose first letters tell its form; lines of JSON are known by their media type.

    Args:
        body: the body.
        media_type: its `Content-Type`; None is JSON.

    Raises:
        HTTPException: it is sent as another media type, or not in UTF-8 (415).
        ValidationException: it is JSON of another shape; the message names the place, such as `events[3].item_id`.
        SerializationException: it is not JSON.
    """
    if is_ndjson(media_type):
        return Events(events=of_lines(body, Event, "an event"))
    require_json(media_type, wanted=f"application/json or {NDJSON} in UTF-8")
    if body.lstrip()[:1] == b"[":
        return Events(events=decoded(body, EventList))
    if decoded(body, dict[str, msgspec.Raw]).keys() & {"user_id", "item_id"}:
        return Events(events=[decoded(body, Event)])
    events: Events = decoded(body, Events)
    return events


def is_ndjson(media_type: str | None) -> bool:
    """Return True for lines of JSON in UTF-8."""
    kind, _, parameters = (media_type or "").partition(";")
    return kind.strip().lower() == NDJSON and is_in_utf8(parameters)


def of_lines(body: bytes, kind: type[_Line], noun: str) -> list[_Line]:
    """Decode lines of JSON, 1 to 1,000 of them, each a `kind`, which `noun` names; empty lines count for nothing.

    Raises:
        ValidationException: too few or too many lines, or one of another shape; the message names the line.
        SerializationException: a line is not JSON; the message names the line.
    """
    lines = [(number, line) for number, line in enumerate(body.splitlines(), start=1) if line.strip()]
    if not 1 <= len(lines) <= _MOST:
        message = f"Expected 1 to {_MOST} lines with {noun}, got {len(lines)}"
        raise ValidationException(message, extra=[{"message": message, "key": "data", "source": "body"}])
    found = []
    for number, line in lines:
        try:
            found.append(decoded(line, kind))
        except ValidationException as error:
            extra: list[dict[str, Any]] = [
                {**one, "key": f"line {number}: {one['key']}"}
                for one in (error.extra if isinstance(error.extra, list) else [])
            ]
            raise ValidationException(detail=error.detail, extra=extra) from None
        except SerializationException as error:
            raise SerializationException(f"line {number}: {error.detail}") from None
    return found


def document_events(operation: dict[str, Any], schemas: dict[str, Any], kinds: Collection[str]) -> None:
    """Give the operation of the OpenAPI document all forms of the body, each with an example, and the kinds taken.

    Args:
        operation: that of `POST /v1/events`, changed in place.
        schemas: of the document, by name, changed in place.
        kinds: those that this server takes.
    """
    for form in schemas["Event"]["properties"]["kind"]["anyOf"]:
        if form["type"] == "string":
            form["enum"] = sorted(kinds)
    event = {"$ref": "#/components/schemas/Event"}
    few = {"type": "array", "items": event, "minItems": 1, "maxItems": _MOST}
    as_json = {
        "schema": {"anyOf": [{"$ref": "#/components/schemas/Events"}, event, few]},
        "examples": {
            "batch": {"summary": "Several events, all or none", "value": {"events": [_EXAMPLE]}},
            "list": {"summary": "The same as a list", "value": [_EXAMPLE]},
            "one": {"summary": "One event", "value": {"user_id": "1", "item_id": "1082185"}},
        },
    }
    line = msgspec.json.encode(_EXAMPLE).decode()
    as_lines = {"schema": {"type": "string"}, "examples": {"lines": {"value": f"{line}\n"}}}
    operation["requestBody"] = {"required": True, "content": {"application/json": as_json, NDJSON: as_lines}}
