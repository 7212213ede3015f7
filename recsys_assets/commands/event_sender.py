"""Ways in which `recsys stream` sends events: into the home's own intake, or to an API by HTTP."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

import msgspec

from recsys_assets.errors import IntakeFullError, SendingError
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.rows import EventRow

_ROWS_AT_ONCE: Final = 1_000
"""Most events that the API takes at once."""
_SECONDS: Final = 60.0
"""Most seconds that one request may take, and that a full intake is tried again."""
_ANSWER_BYTES: Final = 1_000_000
_SHOWN: Final = 300
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HTTP: Final = ("http://", "https://")


class _Accepted(msgspec.Struct):
    accepted: int


def into_intake(intake: Intake) -> Callable[[Sequence[EventRow]], int]:
    """Return a function that stores events by `intake`, and returns the number of new ones."""

    def send(rows: Sequence[EventRow]) -> int:
        return sum(intake.submit(batch).result().accepted for batch in _batches(rows))

    return send


def by_http(url: str, key: str | None) -> Callable[[Sequence[EventRow]], int]:
    """Return a function that sends events to the API at `url`, and returns the number of new ones.

    Args:
        url: the API's address, such as `http://127.0.0.1:8000`.
        key: an API key with scope `write`, where the API needs one.

    Raises:
        SendingError: `url` is no address of HTTP; the function raises it where the API does not take the events.
    """
    if not url.startswith(_HTTP):
        raise SendingError(f"--url {url}: is no address; give one such as http://127.0.0.1:8000")
    address = f"{url.rstrip('/')}/v1/events"

    def send(rows: Sequence[EventRow]) -> int:
        return sum(_post(address, key, batch) for batch in _batches(rows))

    return send


def _post(address: str, key: str | None, rows: Sequence[EventRow]) -> int:
    """Send a batch, again for a while where the intake is full, and return the number of new events."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            return _post_once(address, key, rows)
        except IntakeFullError as error:
            if time.monotonic() > end:
                raise SendingError(
                    f"{address}: is full for {_SECONDS:.0f} s; try again later ({error})"
                ) from None
            time.sleep(1)


def _post_once(address: str, key: str | None, rows: Sequence[EventRow]) -> int:
    body = json.dumps({"events": list(map(_as_json, rows))}).encode()
    headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
    request = urllib.request.Request(address, data=body, headers=headers, method="POST")  # noqa: S310  http and https only
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  as above
            return msgspec.json.decode(answer.read(_ANSWER_BYTES), type=_Accepted).accepted
    except urllib.error.HTTPError as error:
        said = " ".join(error.read(_SHOWN).decode(errors="replace").split())
        if error.code == HTTPStatus.TOO_MANY_REQUESTS:
            raise IntakeFullError(said) from None
        raise SendingError(f"{address}: answered {error.code}: {said}") from None
    except (OSError, HTTPException, msgspec.MsgspecError) as error:
        raise SendingError(
            f"{address}: {error}; see that the API runs there (`recsys serve`), or leave --url out"
        ) from None


def _as_json(row: EventRow) -> dict[str, Any]:
    stamped = _EPOCH + timedelta(microseconds=row.timestamp)
    given = {
        "event_id": row.event_id,
        "user_id": row.user_id,
        "item_id": row.item_id,
        "kind": row.kind,
        "timestamp": stamped.isoformat(),
        "rating": row.rating,
        "quantity": row.quantity,
        "value": row.value,
    }
    return {name: value for name, value in given.items() if value is not None}


def _batches(rows: Sequence[EventRow]) -> Iterator[Sequence[EventRow]]:
    return (rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE))
