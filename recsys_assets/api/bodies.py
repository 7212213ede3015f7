"""JSON bodies, decoded at once into what a handler takes, and strictly.

Litestar decodes to plain values and converts these leniently, as it must for query strings: `0` passed for false
and a number for a time.
"""

import re
from functools import cache
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import SerializationException, ValidationException

_AT: Final = re.compile(r"(?P<message>.*) - at `\$\.?(?P<key>.*)`")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON is of the type of the handler's `data`."""

    async def json(self) -> Any:
        """The body as the handler's `data`.

        Raises:
            ValidationException: it is JSON and does not fit.
            SerializationException: it is no JSON.
        """
        kind = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        body = await self.body()
        try:
            try:
                return _decoder(kind).decode(body)
            except msgspec.ValidationError:
                # a whole number may be written 7.0, which the decoder takes for no integer
                return msgspec.convert(_whole(msgspec.json.decode(body)), kind)
        except msgspec.ValidationError as error:
            found = _AT.fullmatch(str(error))
            message, key = (found["message"], found["key"]) if found else (str(error), "")
            extra = [{"message": message, "key": key or "data", "source": "body"}]
            raise ValidationException(detail=message, extra=extra) from None
        except msgspec.DecodeError as error:
            raise SerializationException(str(error)) from None


def _whole(value: Any) -> Any:
    """The value with every float that is whole as an integer."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {key: _whole(one) for key, one in value.items()}
        case _:
            return value


@cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)
