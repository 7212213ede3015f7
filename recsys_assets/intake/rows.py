"""The rows of `events.sqlite`: one event, one impression, one merge of two users. Times are microseconds since 1970."""

from typing import NamedTuple


class EventRow(NamedTuple):
    """One event: a user did something with an item."""

    event_id: str
    """The client's id of it, or one that was drawn at its arrival. A second event with the same id is the same one."""
    user_id: str
    item_id: str
    kind: str
    """In lower case, such as `view` or `purchase`."""
    timestamp: int
    """Time of the event, us since 1970, UTC."""
    received_at: int
    """Time of its arrival, us since 1970, UTC."""
    rating: float | None = None
    quantity: float | None = None
    value: float | None = None
    """Amount paid for all pieces."""
    answer_id: str | None = None
    """The answer that the user acted on, where the client says so."""


class ImpressionRow(NamedTuple):
    """One item of an answer, shown to a user."""

    answer_id: str
    """The answer's id. It and the item are the key: a client and a server that both report it are one impression."""
    item_id: str
    position: int
    """Place in the list as shown, from 1."""
    user_id: str | None
    timestamp: int
    """Time of its being shown, us since 1970, UTC."""
    received_at: int
    """Time of arrival, us since 1970, UTC."""


class MergeRow(NamedTuple):
    """Two users who are one: an anonymous one who logged in."""

    from_user: str
    to_user: str
    at: int
    """Time of the merge, us since 1970, UTC."""
