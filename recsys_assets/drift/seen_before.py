"""Ids, pairs, ratings and recent content that were published before a day, and the profile of the day against them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import DayEvents, pair_keys, read_days
from recsys_assets.drift.day_profile import Profile
from recsys_assets.drift.distinct_keys import DistinctKeys, KnownKeys, keys_of
from recsys_assets.drift.item_categories import ItemCategories
from recsys_assets.drift.regulars import Regulars, Visitors
from recsys_assets.storage.arrays import Bools, UInt64

_SKETCH: Final = 256
_SKETCH_DAYS: Final = 28
_CLASSES: Final = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "a" * 26 + "A" * 26 + "0" * 10
)


@dataclass(frozen=True, kw_only=True)
class Known:
    """Everything of a day, or of many, that is remembered for good; keys ascend without repetition."""

    users: UInt64
    """Keys of users."""
    items: UInt64
    """Keys of items."""
    pairs: UInt64
    """Keys of (user, item) pairs."""
    user_shapes: frozenset[str]
    """Shapes of the users' ids."""
    item_shapes: frozenset[str]
    """Shapes of the items' ids."""
    ratings: frozenset[float]
    """Ratings that occur."""


@dataclass(frozen=True, kw_only=True)
class FirstSeen(Known):
    """A day's part of it that was not known before, and what is remembered of the day for some weeks."""

    sketch: UInt64
    """The profile's sketch."""
    visitors: Visitors
    """Users and items from which the regular ones are found."""

    def only(self, *, users: bool, items: bool) -> Known:
        """Return the ids of a day that is no example of a normal one: of users, of items, of both or of neither."""
        none, no_shapes = np.empty(0, np.uint64), frozenset[str]()
        return Known(
            users=self.users if users else none,
            items=self.items if items else none,
            pairs=self.pairs if users and items else none,
            user_shapes=self.user_shapes if users else no_shapes,
            item_shapes=self.item_shapes if items else no_shapes,
            ratings=frozenset(),
        )


class SeenBefore:
    """Ids, pairs, id shapes and ratings of all days added, and the content sketches of the last 28."""

    def __init__(self, catalogue: pl.DataFrame | None = None) -> None:
        """Begin without days; `catalogue` has ITEM_CATALOGUE's columns."""
        self._users, self._items, self._pairs = KnownKeys(), KnownKeys(), KnownKeys()
        self._user_shapes: set[str] = set()
        self._item_shapes: set[str] = set()
        self._ratings: set[float] = set()
        self._sketches: deque[tuple[date, UInt64]] = deque()
        self._regulars = Regulars()
        self.categories = ItemCategories(catalogue) if catalogue is not None and catalogue.height else None

    def profile_day(self, events: DayEvents, *, day: date) -> tuple[Profile, FirstSeen]:
        """Profile a day, without adding it."""
        first_seen, compared = self._compare(events, day)
        shares = {**events.shares, **compared}
        histograms = events.histograms
        if self.categories is not None:
            unknown, by_category = self.categories.count(events.items.keys, events.items.rows)
            shares["items_not_in_catalogue"] = (unknown, events.items.total)
            histograms = {**histograms, **by_category}
        profile = Profile(
            counts=events.counts,
            shares=shares,
            means=events.means,
            histograms=histograms,
            sketch=first_seen.sketch.astype("<u8").tobytes(),
        )
        return profile, first_seen

    def add(self, first_seen: FirstSeen, *, day: date) -> None:
        """Add a published day, profiled after the day before it was added."""
        self.add_known(first_seen)
        self._sketches.append((day, first_seen.sketch))
        self._regulars.add(first_seen.visitors, day=day)

    def add_exception(self, first_seen: FirstSeen, *, day: date, users: bool, items: bool) -> None:
        """Add a published day that is no example of a normal one, profiled after the day before it was added.

        Its content counts as delivered, and the ids of its `users` and `items` as seen where these are real. Nobody is
        a regular, no rating and no item a usual one because of it.
        """
        self.add_known(first_seen.only(users=users, items=items))
        self._sketches.append((day, first_seen.sketch))

    def add_known(self, known: Known) -> None:
        """Add ids, pairs, shapes and ratings of a day or of many; the keys are not known yet."""
        self._users.add(known.users)
        self._items.add(known.items)
        self._pairs.add(known.pairs)
        self._user_shapes |= known.user_shapes
        self._item_shapes |= known.item_shapes
        self._ratings |= known.ratings

    def known(self) -> Known:
        """Return everything that `add_known` restores."""
        return Known(
            users=self._users.all(),
            items=self._items.all(),
            pairs=self._pairs.all(),
            user_shapes=frozenset(self._user_shapes),
            item_shapes=frozenset(self._item_shapes),
            ratings=frozenset(self._ratings),
        )

    def load(
        self,
        ids: pl.LazyFrame,
        sketches: Iterable[tuple[date, UInt64]],
        latest: Iterable[tuple[date, pl.DataFrame]],
    ) -> None:
        """Add many days at once, with the same result as one by one; what is known already is left out.

        Args:
            ids: `user_id, item_id, rating` of every event.
            sketches: those of the last 28 days, oldest first.
            latest: the events of the last `KEPT_VISITORS` days, oldest first.
        """
        for day, frame in latest:
            (events,) = read_days([(day, frame)])
            self._regulars.add(Visitors.of(events.users, events.items), day=day)
        rating = pl.col(columns.RATING).cast(pl.Float64)
        users, items, pairs, ratings = pl.collect_all(  # together, so that thousands of files are opened once
            [
                ids.select(pl.col(columns.USER_ID).drop_nulls().unique()),
                ids.select(pl.col(columns.ITEM_ID).drop_nulls().unique()),
                ids.select(columns.USER_ID, columns.ITEM_ID).drop_nulls().unique(),
                ids.select(rating.filter(rating.is_finite()).unique()),
            ]
        )
        user_keys, item_keys = (
            np.unique(one.select(keys_of(pl.all())).to_series()) for one in (users, items)
        )
        keys = pairs.select(keys_of(pl.all()))
        pair = np.unique(pair_keys(keys[columns.USER_ID].to_numpy(), keys[columns.ITEM_ID].to_numpy()))
        self.add_known(
            Known(
                users=user_keys[~self._users.contains(user_keys)],
                items=item_keys[~self._items.contains(item_keys)],
                pairs=pair[~self._pairs.contains(pair)],
                user_shapes=frozenset(map(shape_of, users.to_series())),
                item_shapes=frozenset(map(shape_of, items.to_series())),
                ratings=frozenset(ratings.to_series()),
            )
        )
        self._sketches.extend(sketches)

    def mask_of(self, share: str, events: DayEvents, *, day: date) -> Bools | None:
        """Mark the rows of a day, not added yet, that count for `share`; None for a share that needs no history."""
        frame, items = events.frame, events.items
        if share in {"new_users", "odd_user_ids", "new_items", "odd_item_ids"}:
            of_users = "user" in share
            known = self._users if of_users else self._items
            shapes = self._user_shapes if of_users else self._item_shapes
            ids = frame[columns.USER_ID if of_users else columns.ITEM_ID]
            return _new_rows(ids, known, shapes, odd="odd" in share)
        if share == "unseen_ratings":
            unseen = [rating not in self._ratings for rating in events.ratings.keys.view(np.float64).tolist()]
            return events.ratings.rows_of(np.array(unseen, dtype=bool))
        if share == "items_not_in_catalogue" and self.categories is not None:
            return items.rows_of(~self.categories.contains(items.keys))
        if share == "redelivered_rows":
            delivered = np.concatenate([np.empty(0, np.uint64), *(sketch for _, sketch in self._sketches)])
            return events.content.rows_of(np.isin(events.content.keys, delivered))
        return self._regulars.mask_of(share, events.users, items, day=day)

    def _compare(self, events: DayEvents, day: date) -> tuple[FirstSeen, dict[str, tuple[int, int]]]:
        """Split the day into known and new; return the new part, and the shares (k of n) of both."""
        users, items, pairs = events.users, events.items, events.pairs
        new_users, new_items = ~self._users.contains(users.keys), ~self._items.contains(items.keys)
        frame = events.frame
        user_shapes, odd_users = _shapes(frame[columns.USER_ID], users, new_users, self._user_shapes)
        item_shapes, odd_items = _shapes(frame[columns.ITEM_ID], items, new_items, self._item_shapes)
        known_pairs = self._pairs.contains(pairs.keys)
        ratings = events.ratings.keys.view(np.float64).tolist()
        unseen = np.array([rating not in self._ratings for rating in ratings], dtype=bool)
        sketch = events.content.keys[:_SKETCH]
        first_seen = FirstSeen(
            users=users.keys[new_users],
            items=items.keys[new_items],
            pairs=pairs.keys[~known_pairs],
            user_shapes=user_shapes,
            item_shapes=item_shapes,
            ratings=frozenset(ratings),
            sketch=sketch,
            visitors=Visitors.of(users, items),
        )
        return first_seen, {
            "redelivered_rows": self._redelivered(sketch, day),
            "new_users": (int(new_users.sum()), len(users.keys)),
            "new_items": (int(new_items.sum()), len(items.keys)),
            "repeated_pairs": (int(pairs.rows[known_pairs].sum()), pairs.total),
            "odd_user_ids": (odd_users, users.total),
            "odd_item_ids": (odd_items, items.total),
            "unseen_ratings": (int(events.ratings.rows[unseen].sum()), events.ratings.total),
            **self._regulars.count(users, items, day=day),
        }

    def _redelivered(self, sketch: UInt64, day: date) -> tuple[int, int]:
        """Return (k, n): k of the n sampled rows were delivered before, on the recent day that shares most.

        A sketch holds the smallest hashes of a day, a uniform sample by content: below the smaller of two
        sketches' largest hash both are complete, so that the overlap there estimates the overlap of the days
        (bottom-k sketches: Cohen & Kaplan 2007).
        """
        while self._sketches and (day - self._sketches[0][0]).days > _SKETCH_DAYS:
            self._sketches.popleft()
        best = (0, len(sketch))
        earlier = [before for _, before in self._sketches if len(before)]
        if not len(sketch) or not earlier or not _share_any(sketch, np.concatenate(earlier)):
            return best
        for before in earlier:
            full = [complete[-1] for complete in (sketch, before) if len(complete) == _SKETCH]
            sample = sketch[sketch <= min(full)] if full else sketch
            shared = int(np.isin(sample, before, assume_unique=True).sum())
            if shared * max(best[1], 1) > best[0] * len(sample):
                best = (shared, len(sample))
        return best


def shape_of(text: str) -> str:
    """Return an id's length and its set of characters, with letters and digits taken as classes.

    `B00A7` and `B0XX3` agree, `B00A7 ` and `b00a7` do not.
    """
    return f"{len(text)}{''.join(sorted(set(text.translate(_CLASSES))))}"


def _shapes(column: pl.Series, ids: DistinctKeys, new: Bools, known: set[str]) -> tuple[frozenset[str], int]:
    """Return the shapes of new ids, and the number of rows whose id is new and of a shape never seen."""
    places = np.flatnonzero(new)
    if not len(places):
        return frozenset(), 0
    shapes = [shape_of(text) for text in column[ids.first[places]].to_list()]
    odd = sum(int(ids.rows[place]) for place, shape in zip(places, shapes, strict=True) if shape not in known)
    return frozenset(shapes), odd


def _new_rows(ids: pl.Series, known: KnownKeys, shapes: set[str], *, odd: bool) -> Bools:
    """Mark the rows whose id is new; with `odd` only those whose id is of a shape never seen too."""
    keys = ids.to_frame().select(keys_of(pl.all())).to_series().to_numpy()
    new: Bools = np.logical_not(known.contains(keys) | ids.is_null().to_numpy())
    if odd:
        new[new] = [shape_of(text) not in shapes for text in ids.filter(pl.Series(new))]
    return new


def _share_any(ascending: UInt64, others: UInt64) -> bool:
    places = np.searchsorted(ascending, others)
    places[places == len(ascending)] = 0
    return bool((ascending[places] == others).any())
