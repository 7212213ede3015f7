"""JSON bodies, decoded at once into what a handler takes, and strictly.

Litestar decodes to plain values and converts these leniently, as it must for query strings: `0` passed for false
and a number for a time.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Protocol

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


_KEPT = 32_768
"""Items whose JSON is kept in memory, at most; about 200 bytes each."""

_encoder = msgspec.json.Encoder()


class Strings(Protocol):
    """Strings by position."""

    def __getitem__(self, num: int, /) -> str: ...


def quoted(text: str | None) -> str:
    """JSON for a string, or `null`."""
    return _encoder.encode(text).decode()


class ItemJson:
    """JSON of items by number."""

    def __init__(self, ids: Strings, titles: Strings, categories: Strings) -> None:
        self._ids, self._titles, self._categories = ids, titles, categories
        self._kept: dict[int, str] = {}

    def open(self, num: int) -> str:
        """The item's object without its closing brace, so that fields can follow."""
        found = self._kept.get(num)
        if found is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            found = self._kept[num] = (
                f'{{"item_id":{quoted(self._ids[num])},"title":{quoted(self._titles[num] or None)}'
                f',"category":{quoted(self._categories[num] or None)}'
            )
        return found

    def scored(self, nums: Sequence[int], scores: Sequence[float]) -> str:
        """A JSON array of scored items, six significant digits a score."""
        kept = self._kept
        try:
            rows = [f'{kept[num]},"score":{score:.6g}}}' for num, score in zip(nums, scores, strict=True)]
        except KeyError:
            rows = [
                f'{self.open(num)},"score":{score:.6g}}}' for num, score in zip(nums, scores, strict=True)
            ]
        return f"[{','.join(rows)}]"

    def because(self, nums: Sequence[int], scores: Sequence[float], reasons: Sequence[int | None]) -> str:
        """Like `scored`, and each item names the item of the history that it is nearest to."""
        rows = []
        for num, score, reason in zip(nums, scores, reasons, strict=True):
            because = "null" if reason is None else self.open(reason) + "}"
            rows.append(f'{self.open(num)},"score":{score:.6g},"because":{because}}}')
        return f"[{','.join(rows)}]"

    def plain(self, nums: Sequence[int]) -> str:
        """A JSON array of items."""
        return f"[{','.join([self.open(num) + '}' for num in nums])}]"
