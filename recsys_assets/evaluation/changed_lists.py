"""Two lists of every user compared: how many users get other items, how different, and examples by name.

A diff of releases and a plan both say it in these words. The API imports this: no torch, no polars.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

import msgspec

Item = TypeVar("Item", bound=Hashable)
Titles = Callable[[str], str]
"""Maps an item's id to its title, or to nothing where it has none."""

EXAMPLES: Final = 5
"""Users that are given as examples."""


class ListExample(msgspec.Struct, frozen=True, kw_only=True):
    """The list of one user, by the titles of what changed in it; an item without a title is given by its id."""

    user_id: str
    """The user."""
    gone: list[str]
    """Items that are no longer in the list, in the order of the list before."""
    new: list[str]
    """Items that were not in it, in the order of the list after."""


class ListChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of the same users before and after a change."""

    k: int
    """Places of a list."""
    users: int
    """Users whose lists were compared."""
    changed: float
    """Share of them whose list has other items, 0-1."""
    reordered: float
    """Share of them whose list has the same items in another order, 0-1."""
    overlap: float
    """Mean share of a list's items that both lists have, 0-1; 1 where no lists were compared."""
    examples: list[ListExample] = []
    """At most five users, those with the most changed items first; only users whose list has other items."""
    only_before: int = 0
    """Users that only the earlier side knows."""
    only_after: int = 0
    """Users that only the later side knows."""

    def in_words(self) -> str:
        """Return one line without the examples."""
        if not self.users:
            return "no user is known to both, so no lists were compared"
        return (
            f"{self.changed:.1%} of {self.users:,} users get other items in their first {self.k},"
            f" {self.reordered:.1%} the same in another order; on average {self.overlap:.0%} of a list stays"
        )


def in_common(one: Sequence[Item], other: Sequence[Item]) -> float:
    """Return the share of the longer list's items that both lists have, 0-1; 1 for two empty lists."""
    left, right = set(one), set(other)
    longer = max(len(left), len(right))
    return len(left & right) / longer if longer else 1.0


def changes_of(
    user_ids: Sequence[str],
    before: Sequence[Sequence[str]],
    after: Sequence[Sequence[str]],
    *,
    k: int,
    titles: tuple[Titles, Titles],
    only: tuple[int, int] = (0, 0),
) -> ListChanges:
    """Compare two lists of each user.

    Args:
        user_ids: the users.
        before: ids of the items of each user's list, best first.
        after: the same after the change.
        k: places of a list.
        titles: titles of the items before and after.
        only: users that only the earlier and only the later side know.
    """
    rows = list(zip(user_ids, before, after, strict=True))
    shares = [in_common(one, other) for _, one, other in rows]
    others = [set(one) != set(other) for _, one, other in rows]
    orders = [list(one) != list(other) for _, one, other in rows]
    most_changed = sorted((share, place) for place, share in enumerate(shares) if others[place])
    count = max(1, len(rows))
    return ListChanges(
        k=k,
        users=len(rows),
        changed=sum(others) / count,
        reordered=(sum(orders) - sum(others)) / count,
        overlap=sum(shares) / count if rows else 1.0,
        examples=[_example(*rows[place], titles) for _, place in most_changed[:EXAMPLES]],
        only_before=only[0],
        only_after=only[1],
    )


def _example(
    user_id: str, before: Sequence[str], after: Sequence[str], titles: tuple[Titles, Titles]
) -> ListExample:
    title_before, title_after = titles
    return ListExample(
        user_id=user_id,
        gone=[title_before(item) or item for item in before if item not in after],
        new=[title_after(item) or item for item in after if item not in before],
    )
