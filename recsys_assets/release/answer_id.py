"""The id of an answer: it says which release answered and when, so that nothing is stored about single answers.

`20171231-3f9a1c0b7e.19ac5d0f3a2.5f3a9c1e2b`: the release, the time, and the worker with its number of the answer.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

WORKER_DIGITS: Final = 8
"""Hexadecimal digits of a worker's own number, drawn at its start."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, ms since 1970."""
_FORM: Final = re.compile(
    rf"(?P<release>\d{{8}}-[0-9a-f]{{10}})\.(?P<ms>0|[1-9a-f][0-9a-f]{{0,11}})"
    rf"\.(?P<worker>[0-9a-f]{{{WORKER_DIGITS}}})(?P<number>0|[1-9a-f][0-9a-f]{{0,15}})",
    re.ASCII,
)


class AnswerId(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an answer's id."""

    release: str
    """Id of the release that answered."""
    ms: int
    """Time of the answer by the server's clock, ms since 1970, UTC."""
    worker: str
    """Number that the worker drew at its start, eight hexadecimal digits."""
    number: int
    """Number of the answer among those of the worker, from 1."""

    def __str__(self) -> str:
        """Return the id as answers have it."""
        return f"{self.release}.{self.ms:x}.{self.worker}{self.number:x}"

    @property
    def at(self) -> datetime:
        """Time of the answer, UTC."""
        return _EPOCH + timedelta(milliseconds=self.ms)


def parse_answer_id(text: str) -> AnswerId | None:
    """Return the parts of an answer's id; None where the text is none.

    Two texts never have the same parts: what is not written as answers have it is no id.
    """
    found = _FORM.fullmatch(text)
    if found is None or int(found["ms"], 16) > _LAST_MS:
        return None
    return AnswerId(
        release=found["release"],
        ms=int(found["ms"], 16),
        worker=found["worker"],
        number=int(found["number"], 16),
    )
