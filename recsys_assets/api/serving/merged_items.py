"""The items of users who were merged into one: what counts for a request beside the user's own events."""

from collections.abc import Callable, Sequence

from recsys_assets.release.load import Release

ItemsOf = Callable[[str], Sequence[int]]
"""Of a user's id the numbers of the items of its events since the release, the most recent first."""


def with_items_of(
    others: Sequence[str], own: Sequence[int], items_of: ItemsOf, release: Release
) -> Sequence[int]:
    """Return a user's items since the release with all those that the users merged into it have.

    Their histories in the release come last: for this user they are news too, so they hide items and are folded in.

    Args:
        others: ids that were merged into the user; at least one.
        own: numbers of the user's own items since the release, the most recent first.
        items_of: those of another user.
        release: the release.

    Returns:
        Item numbers, each once.
    """
    since = [num for user in others for num in items_of(user)]
    known = [num for user in others if (num := release.users.num_of(user)) is not None]
    earlier = [item for num in known for item in release.history(num).tolist()]
    return list(dict.fromkeys([*own, *since, *earlier]))


def with_hidden_of(
    others: Sequence[str], own: Sequence[int], hidden_by: ItemsOf, release: Release
) -> Sequence[int]:
    """Return the items hidden from a user with those hidden from users merged into it, and what these have seen.

    Args:
        others: ids that were merged into the user; at least one.
        own: numbers of the items that are hidden from the user.
        hidden_by: those that another user's events since the release hide.
        release: the release.

    Returns:
        Item numbers, each once.
    """
    since = [num for user in others for num in hidden_by(user)]
    known = [num for user in others if (num := release.users.num_of(user)) is not None]
    seen = [item for num in known for item in release.seen(num).tolist()]
    return list(dict.fromkeys([*own, *since, *seen]))


def mark_with(others: Sequence[str], own: int, mark_of: Callable[[str], int]) -> int:
    """Return a number that grows with each event of a user and with each merge into it.

    Args:
        others: ids that were merged into the user.
        own: the number of the user's own events, or any number that grows with them.
        mark_of: that of another user.
    """
    return own + sum(1 + mark_of(user) for user in others)
