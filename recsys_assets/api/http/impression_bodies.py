"""The body of `POST /v1/impressions` in each of its forms: one answer, a list, an object with a list, or lines."""

from typing import Any, Final

import msgspec
from litestar.exceptions import ValidationException

from recsys_assets.api.http.event_bodies import NDJSON, is_ndjson, of_lines
from recsys_assets.api.http.problems import decoded, require_json
from recsys_assets.api.schemas.online_schemas import ShownAnswer, ShownAnswerList, ShownAnswers

MOST_ITEMS: Final = 10_000
"""Most items of a batch's answers together."""
_EXAMPLE: Final = {
    "answer_id": "20171231-3f9a1c0b7e.19ac5d0f3a2.5f3a9c1e2b",
    "items": ["1082185", "981760"],
    "user_id": "1",
    "timestamp": "2026-11-27T09:30:00Z",
}
_AT_PLACES: Final = {
    "answer_id": "20171231-3f9a1c0b7e.19ac5d0f3a2.5f3a9c1e2b",
    "items": [{"item_id": "1082185", "position": 3}],
}
_MOST: Final = 1_000


def decode_impressions(body: bytes, media_type: str | None) -> ShownAnswers:
    """Decode a body, whose first letters tell its form; lines of JSON are known by their media type.

    Args:
        body: the body.
        media_type: its `Content-Type`; None is JSON.

    Raises:
        HTTPException: it is sent as another media type, or not in UTF-8 (415).
        ValidationException: it is JSON of another shape, or has too many items; the message names the place.
        SerializationException: it is not JSON.
    """
    found = _decoded(body, media_type)
    total = sum(len(one.items) for one in found.impressions)
    if total > MOST_ITEMS:
        message = f"Expected at most {MOST_ITEMS} items in all, got {total}"
        raise ValidationException(
            message, extra=[{"message": message, "key": "impressions", "source": "body"}]
        )
    return found


def _decoded(body: bytes, media_type: str | None) -> ShownAnswers:
    if is_ndjson(media_type):
        return ShownAnswers(impressions=of_lines(body, ShownAnswer, "an answer"))
    require_json(media_type, wanted=f"application/json or {NDJSON} in UTF-8")
    if body.lstrip()[:1] == b"[":
        return ShownAnswers(impressions=decoded(body, ShownAnswerList))
    if decoded(body, dict[str, msgspec.Raw]).keys() & {"answer_id", "items"}:
        return ShownAnswers(impressions=[decoded(body, ShownAnswer)])
    shown: ShownAnswers = decoded(body, ShownAnswers)
    return shown


def document_impressions(operation: dict[str, Any]) -> None:
    """Give the operation of the OpenAPI document all forms of the body, each with an example."""
    answer = {"$ref": "#/components/schemas/ShownAnswer"}
    few = {"type": "array", "items": answer, "minItems": 1, "maxItems": _MOST}
    as_json = {
        "schema": {"anyOf": [answer, {"$ref": "#/components/schemas/ShownAnswers"}, few]},
        "examples": {
            "one": {"summary": "One answer, shown from its top", "value": _EXAMPLE},
            "places": {"summary": "An item that was scrolled into view", "value": _AT_PLACES},
            "batch": {"summary": "Several answers, all or none", "value": {"impressions": [_EXAMPLE]}},
            "list": {"summary": "The same as a list", "value": [_EXAMPLE]},
        },
    }
    line = msgspec.json.encode(_EXAMPLE).decode()
    as_lines = {"schema": {"type": "string"}, "examples": {"lines": {"value": f"{line}\n"}}}
    operation["requestBody"] = {"required": True, "content": {"application/json": as_json, NDJSON: as_lines}}
