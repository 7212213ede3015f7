"""Errors as RFC 9457 problem bodies, and JSON bodies decoded strictly: a wrong one is such an error."""

import logging
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.response import Response
from litestar.status_codes import (
    HTTP_400_BAD_REQUEST,
    HTTP_404_NOT_FOUND,
    HTTP_409_CONFLICT,
    HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    HTTP_429_TOO_MANY_REQUESTS,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import ExceptionHandlersMap

from recsys_assets.api.http.bodies import encode
from recsys_assets.api.schemas.operation_schemas import Problem
from recsys_assets.errors import (
    AnswersUnavailableError,
    DatabaseUnavailableError,
    EventConflictError,
    EventsUnavailableError,
    ExperimentsError,
    ForgetError,
    IntakeFullError,
    ItemStateError,
    ItemStatesUnavailableError,
    MergeConflictError,
    OnlineMetricsError,
    RecsysError,
    ReleaseError,
    RulesError,
    ServerBusyError,
    UnknownCohortError,
    UnknownItemError,
)

log = logging.getLogger("recsys.api")

REQUEST_ID_KEY: Final = "recsys.request_id"
"""Key of the scope's state under which the request id is."""
DECODER_KEY: Final = "recsys.decoder"
"""Key of a route's options for a function of its own that decodes the body: of the body and its media type."""
PROBLEM_JSON = "application/problem+json"
_TITLES = {
    400: "The request is not valid",
    401: "An API key is needed",
    403: "The API key may not do this",
    404: "Not found",
    405: "The method is not allowed here",
    408: "The request took too long to arrive",
    409: "It cannot be done as things are",
    413: "The body is too large",
    414: "The URL is too long",
    415: "The body's media type is not supported",
    429: "Too many requests",
    500: "The server failed",
    503: "Not available now",
}
_STATUS_BY_ERROR: tuple[tuple[type[RecsysError], int], ...] = (
    (UnknownItemError, HTTP_404_NOT_FOUND),
    (UnknownCohortError, HTTP_404_NOT_FOUND),
    (RulesError, HTTP_404_NOT_FOUND),  # a request can only name a scenario that does not exist
    (EventConflictError, HTTP_409_CONFLICT),
    (IntakeFullError, HTTP_429_TOO_MANY_REQUESTS),
    (MergeConflictError, HTTP_409_CONFLICT),
    (AnswersUnavailableError, HTTP_503_SERVICE_UNAVAILABLE),
    (OnlineMetricsError, HTTP_503_SERVICE_UNAVAILABLE),
    (ExperimentsError, HTTP_503_SERVICE_UNAVAILABLE),  # a request can cause none
    (ItemStateError, HTTP_409_CONFLICT),
    (DatabaseUnavailableError, HTTP_503_SERVICE_UNAVAILABLE),
    (EventsUnavailableError, HTTP_503_SERVICE_UNAVAILABLE),
    (ItemStatesUnavailableError, HTTP_503_SERVICE_UNAVAILABLE),
    (ForgetError, HTTP_503_SERVICE_UNAVAILABLE),
    (ServerBusyError, HTTP_503_SERVICE_UNAVAILABLE),
    (ReleaseError, HTTP_503_SERVICE_UNAVAILABLE),
)


_SEND_AGAIN: Final = "; send it again later: with the same event_id what was kept already counts once"
_MISSING: Final[Mapping[type[RecsysError], str]] = {
    DatabaseUnavailableError: "the record of check results",
    EventsUnavailableError: "the event store",
    ItemStatesUnavailableError: "the store of item states",
    ForgetError: "the record of users who were forgotten",
    AnswersUnavailableError: "the record of answers",
    OnlineMetricsError: "the file of online metrics",
    ExperimentsError: "the results of the experiment",
}
"""Error that is only logged in full -> what clients read of it."""


def problem(status: int, detail: str | None, *, instance: str | None = None, errors: Any = None) -> bytes:
    """Encode a problem body."""
    title = _TITLES.get(status, "The request failed")
    return encode(
        Problem(title=title, status=status, detail=detail, instance=instance, errors=errors or None)
    )


_NO_BODY: Final = [{"message": "'data'", "key": "data", "source": "body"}]
"""Litestar's errors of an empty body."""


def from_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer a request that Litestar rejected."""
    status = error.status_code
    if status >= HTTP_500_INTERNAL_SERVER_ERROR:
        return from_bug(request, error)
    errors = error.extra if isinstance(error.extra, list) else None
    if errors == _NO_BODY:
        errors = [{**_NO_BODY[0], "message": "Expected a JSON body, got none"}]
    detail = "Parameters or body do not fit; see errors" if errors else error.detail
    return _response(request, status, detail, errors=errors, headers=error.headers)


def from_recsys_error(request: Request[Any, Any, Any], error: RecsysError) -> Response[bytes]:
    """Answer an error that this package raised on purpose; one of the server's own files is only logged in full."""
    status = next(
        (status for kind, status in _STATUS_BY_ERROR if isinstance(error, kind)), HTTP_400_BAD_REQUEST
    )
    if isinstance(error, IntakeFullError):
        return _response(request, status, str(error), headers={"retry-after": "1"})
    if isinstance(error, EventConflictError):
        errors = [
            {"message": "stored with another content", "key": event_id, "source": "body"}
            for event_id in error.event_ids
        ]
        return _response(request, status, str(error), errors=errors)
    if status != HTTP_503_SERVICE_UNAVAILABLE:
        return _response(request, status, str(error))
    if isinstance(error, ServerBusyError):
        return _response(request, status, str(error), headers={"retry-after": "1"})
    log.warning("not available", extra={"path": request.url.path, "why": str(error)})
    missing = _MISSING.get(type(error), "the release, or its rules,")
    detail = f"{missing} cannot be used now; the server's log has the reason under the id in `instance`"
    headers = {"retry-after": "1"} if isinstance(error, EventsUnavailableError) else None
    detail += _SEND_AGAIN if headers and request.method != "GET" else ""
    return _response(request, status, detail, headers=headers)


def from_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer any other exception: log it with its traceback under the request id, and show none of it."""
    log.error("unhandled error", exc_info=error, extra={"path": request.url.path})
    return _response(
        request, HTTP_500_INTERNAL_SERVER_ERROR, "See the server's log under the request id in `instance`"
    )


def _response(
    request: Request[Any, Any, Any],
    status: int,
    detail: str | None,
    *,
    errors: Any = None,
    headers: Any = None,
) -> Response[bytes]:
    instance = request.scope["state"].get(REQUEST_ID_KEY)
    return Response(
        problem(status, detail, instance=instance, errors=errors),
        status_code=status,
        media_type=PROBLEM_JSON,
        headers={**(headers or {}), "cache-control": "no-store"},
    )


HANDLERS: ExceptionHandlersMap = {
    HTTPException: from_http_exception,
    RecsysError: from_recsys_error,
    Exception: from_bug,
}


_PLACE_IN_BODY: Final = re.compile(r"(?P<message>.*) - at `\$\.?(?P<key>.*)`")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded straight into the type of the handler's `data`.

    Litestar decodes to plain values and converts these leniently, as it must for query strings: `0` would pass for
    false and a number for a time.
    """

    async def json(self) -> Any:
        """Decode the body into the type of the handler's `data`; a long one beside the event loop.

        Raises:
            HTTPException: the body is sent as another media type, or compressed (415).
            ClientDisconnect: the client went away before the body was whole.
            ValidationException: the body is JSON of another shape.
            SerializationException: the body is not JSON.
            ServerBusyError: too many long bodies wait.
        """
        encoding = self.headers.get("content-encoding", "")
        if encoding.strip().lower() not in _PLAIN_ENCODINGS:
            raise HTTPException(
                status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE,
                detail=f"the body is sent with Content-Encoding {encoding[:100]!r}; send it uncompressed",
            )
        given = self.headers.get("content-type")
        own = self.route_handler.opt.get(DECODER_KEY)
        if own is None:
            require_json(given)
        kind = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        body = await self.body()

        def decode() -> Any:
            return decoded(body, kind) if own is None else own(body, given)

        if len(body) <= _QUICK_BODY:
            return decode()
        return await self.app.state.service.slow.run("bodies", decode)


def require_json(media_type: str | None, *, wanted: str = "application/json in UTF-8") -> None:
    """Reject a body that is sent as something else than JSON; one without a media type is taken for JSON.

    Raises:
        HTTPException: 415, with the media types `wanted`.
    """
    if media_type is not None and not _is_json(media_type):
        raise HTTPException(
            status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE,
            detail=f"the body is sent as {media_type[:100]!r}; send {wanted}",
        )


_JSON_TYPE: Final = re.compile(r"application/([\w.+-]+\+)?json", re.IGNORECASE | re.ASCII)
_JSON_PARAMETERS: Final = ("", "charset=utf-8", 'charset="utf-8"', "charset=utf8", 'charset="utf8"')


def _is_json(media_type: str) -> bool:
    """Return True for JSON in UTF-8. The text is a client's, so no step takes more than its length in time."""
    kind, _, parameters = media_type.partition(";")
    return _JSON_TYPE.fullmatch(kind.strip()) is not None and is_in_utf8(parameters)


def is_in_utf8(parameters: str) -> bool:
    """Return True where the parameters of a media type name no other charset than UTF-8, and nothing else."""
    return "".join(parameters.lower().split()).removesuffix(";") in _JSON_PARAMETERS


_PLAIN_ENCODINGS: Final = ("", "identity")
_QUICK_BODY: Final = 32_768
"""Bytes that are decoded in less than a millisecond."""


def decoded(body: bytes, kind: Any) -> Any:
    """Decode a body; most can't be nested deeper than their type, as the decoder stops at the first value that differs.

    Raises:
        ValidationException: the body is JSON of another shape.
        SerializationException: the body is not JSON, or nested too deeply.
    """
    try:
        try:
            return _decoder(kind).decode(body)
        except msgspec.ValidationError as error:
            if _WHOLE_NUMBER not in str(error):
                raise
            # a whole number may be written 7.0, which the decoder does not accept for an integer
            return msgspec.convert(_whole_numbers(_decoder(_Flat).decode(body)), kind)
    except msgspec.ValidationError as error:
        found = _PLACE_IN_BODY.fullmatch(str(error))
        message, key = (found["message"], found["key"]) if found else (str(error), "")
        extra = [{"message": message, "key": key or "data", "source": "body"}]
        raise ValidationException(detail=message, extra=extra) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationException(str(error)) from None
    except RecursionError:
        raise SerializationException(
            "the body is nested too deeply; no body here needs more than 4 levels"
        ) from None


_WHOLE_NUMBER: Final = "Expected `int`, got `float`"
_Scalar = str | int | float | bool | None
_Flat = dict[str, _Scalar | list[_Scalar]]
"""JSON as deep as a body with whole numbers is."""


def _whole_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with every float that is whole as an integer."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in fields.items()
    }


@cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)
