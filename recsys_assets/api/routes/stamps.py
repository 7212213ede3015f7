"""Times and users in bodies of events and impressions, and the error of a field that cannot be used."""

from datetime import UTC, datetime, timedelta
from typing import Final

from litestar.exceptions import ValidationException

from recsys_assets.intake.events_database import microseconds
from recsys_assets.storage.string_table import Vocabulary

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(given: datetime | None, received_at: int, *, earliest: int, latest: int, key: str) -> int:
    """Return the time of what happened, us since 1970.

    Args:
        given: as the client sent it; None takes the time of arrival.
        received_at: time of arrival, us since 1970.
        earliest: the earliest time allowed, us since 1970.
        latest: the latest time allowed, us since 1970.
        key: the field, for the error.

    Raises:
        ValidationException: it is in the future, long before any event, or no time of the years 1-9999.
    """
    if given is None:
        return received_at
    try:
        when = microseconds(given)
    except OverflowError:
        raise wrong(key, f"Expected a time within the years 1-9999 UTC, got `{given}`") from None
    if when > latest:
        raise wrong(key, f"Expected a time that is not in the future, got `{given}`")
    if when < earliest:
        first = _EPOCH + timedelta(microseconds=earliest)
        raise wrong(key, f"Expected a time from {first.date()} on, got `{given}`; see the sender's clock")
    return when


def user_of(users: Vocabulary, given: str, *, key: str) -> str:
    """Return the id of a user in the form that the lake gives it, so that lists and a forget find its rows.

    Args:
        users: those of the release, which may hold the id as it is given.
        given: as the client sent it.
        key: the field, for the error.

    Raises:
        ValidationException: it says that there is no user, such as `NaN`.
    """
    found = users.form_of(given)
    if found is None:
        raise wrong(key, f"Expected the id of a user, got `{given}`")
    return found


def wrong(key: str, message: str) -> ValidationException:
    """Return the error of a field of a body.

    Args:
        key: its place, such as `events[3].kind`.
        message: the value expected, and the one found.
    """
    return ValidationException(message, extra=[{"message": message, "key": key, "source": "body"}])
