"""Team-draft interleaving: two lists as one, in which each item is of the team that picked it.

Radlinski, Kurup & Joachims 2008, "How does clickthrough data reflect retrieval quality?", algorithm 2: in each round a
coin decides the team that picks first, and each team picks its best item that is not in the list yet. A click counts
for the team of its item, so a user compares the two lists without knowing, and far fewer users are needed.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple


class Picked(NamedTuple):
    """One item of an interleaved list."""

    item: int
    """Number of the item."""
    place: int
    """Its place in the list of its team, from 0."""
    team: int
    """0 or 1: the list that it was picked from."""
    counts: bool
    """False for items after one of the lists had ended: a click on them says nothing about the lists."""


def team_draft(first: Sequence[int], second: Sequence[int], k: int, *, seed: str) -> list[Picked]:
    """Return one list of k items at most, each once.

    Args:
        first: items of the first list, best first, each once.
        second: items of the second list.
        k: most items, >= 0.
        seed: decides the coins; the same lists and seed give the same list.
    """
    coins = Random(seed)  # noqa: S311  no secret
    given: set[int] = set()
    waiting = [_left(first, given), _left(second, given)]
    sizes, found = [0, 0], list[Picked]()
    while len(found) < k:
        tossed = coins.getrandbits(1)
        team = tossed if sizes[0] == sizes[1] else int(sizes[0] > sizes[1])
        picked = next(waiting[team], None)
        if picked is None:
            return [*found, *_rest(waiting[1 - team], k - len(found), 1 - team)]
        place, item = picked
        given.add(item)
        sizes[team] += 1
        found.append(Picked(item, place, team, counts=True))
    return found


def _left(items: Sequence[int], given: set[int]) -> Iterator[tuple[int, int]]:
    """Yield place and number of the items that are not given yet, as they are wanted."""
    for place, item in enumerate(items):
        if item not in given:
            yield place, item


def _rest(waiting: Iterator[tuple[int, int]], count: int, team: int) -> Iterator[Picked]:
    for (place, item), _ in zip(waiting, range(count), strict=False):
        yield Picked(item, place, team, counts=False)
