"""What was published before a day (ids, pairs, recent content), and the profile of a day against it."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import (
    Categories,
    Events,
    Ids,
    Keys,
    KnownKeys,
    Mask,
    keys_of,
    mean_of,
    pair_keys,
)
from recsys_assets.drift.day_profile import Profile

_SKETCH: Final = 256
_SKETCH_DAYS: Final = 28
_TOP_ITEMS: Final = 5
_CLASSES: Final = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "a" * 26 + "A" * 26 + "0" * 10
)


@dataclass(frozen=True, kw_only=True)
class DayTrace:
    """What remembering a day needs besides its profile; it is not kept on disk."""

    users: Keys
    """Users not known before, ascending."""
    items: Keys
    """Items not known before, ascending."""
    pairs: Keys
    """(user, item) pairs not known before, ascending."""
    user_shapes: frozenset[str]
    """Shapes of the new users' ids."""
    item_shapes: frozenset[str]
    """Shapes of the new items' ids."""
    ratings: frozenset[float]
    """Ratings that occur."""
    sketch: Keys
    """The profile's sketch."""


class Memory:
    """Ids, pairs, id shapes and ratings of every remembered day, and the content sketches of the last 28."""

    def __init__(self, catalogue: pl.DataFrame | None = None) -> None:
        """Begin with nothing remembered; `catalogue` has ITEM_CATALOGUE's columns."""
        self._users, self._items, self._pairs = KnownKeys(), KnownKeys(), KnownKeys()
        self._user_shapes: set[str] = set()
        self._item_shapes: set[str] = set()
        self._ratings: set[float] = set()
        self._sketches: deque[tuple[date, Keys]] = deque()
        self.categories = Categories(catalogue) if catalogue is not None and catalogue.height else None

    def look(self, frame: pl.DataFrame, *, day: date) -> tuple[Profile, DayTrace]:
        """Profile `day`'s raw events (RAW_INTERACTIONS' columns); remembers nothing."""
        events = Events(frame, day=day)
        users, items, rows = events.users, events.items, events.rows
        both = (users.codes >= 0) & (items.codes >= 0)
        row_pairs = pair_keys(users.keys[users.codes[both]], items.keys[items.codes[both]])
        pairs, pair_rows = np.unique(row_pairs, return_counts=True)
        new_users, new_items = ~self._users.contains(users.keys), ~self._items.contains(items.keys)
        known_pairs = self._pairs.contains(pairs)
        user_shapes, odd_users = _shapes(frame[columns.USER_ID], users, new_users, self._user_shapes)
        item_shapes, odd_items = _shapes(frame[columns.ITEM_ID], items, new_items, self._item_shapes)
        content = np.unique(events.content())
        sketch = content[:_SKETCH]
        rating, quantity, value = (
            events.number(n) for n in (columns.RATING, columns.QUANTITY, columns.VALUE)
        )
        distinct_ratings, rating_rows = np.unique(rating, return_counts=True)
        unseen = [
            n for r, n in zip(distinct_ratings.tolist(), rating_rows, strict=True) if r not in self._ratings
        ]
        shares = {
            "null_users": (rows - users.total, rows),
            "null_items": (rows - items.total, rows),
            "null_ratings": (events.nulls(columns.RATING), rows),
            "null_quantities": (events.nulls(columns.QUANTITY), rows),
            "null_values": (events.nulls(columns.VALUE), rows),
            "rows_outside_day": (rows - int(events.inside().sum()), rows),
            "duplicate_rows": (rows - len(content), rows),
            "redelivered_rows": self._redelivered(sketch, day),
            "new_users": (int(new_users.sum()), len(users.keys)),
            "new_items": (int(new_items.sum()), len(items.keys)),
            "repeated_pairs": (int(pair_rows[known_pairs].sum()), int(both.sum())),
            "odd_user_ids": (odd_users, users.total),
            "odd_item_ids": (odd_items, items.total),
            "unseen_ratings": (int(sum(unseen)), len(rating)),
            "quantities_not_positive": (int((quantity <= 0).sum()), len(quantity)),
            "negative_values": (int((value < 0).sum()), len(value)),
        }
        histograms = {"hour": events.hours(), **events.histograms()}
        if self.categories is not None:
            unknown, by_category = self.categories.count(items)
            shares["items_not_in_catalogue"] = (unknown, items.total)
            histograms |= by_category
        profile = Profile(
            counts={
                "rows": rows,
                "users": len(users.keys),
                "items": len(items.keys),
                "top_user_rows": int(users.rows.max(initial=0)),
                "top_item_rows": int(items.rows.max(initial=0)),
            },
            shares=shares,
            means={**events.means(), "log_rows_a_user": mean_of(np.log(users.rows))},
            histograms=histograms,
            quantiles=events.quantiles(),
            top_items=_top(frame[columns.ITEM_ID], items),
            lag_hours=events.lag_hours(),
            sketch=sketch.astype("<u8").tobytes(),
        )
        trace = DayTrace(
            users=users.keys[new_users],
            items=items.keys[new_items],
            pairs=pairs[~known_pairs],
            user_shapes=user_shapes,
            item_shapes=item_shapes,
            ratings=frozenset(distinct_ratings.tolist()),
            sketch=sketch,
        )
        return profile, trace

    def remember(self, trace: DayTrace, *, day: date) -> None:
        """Add a published day; `trace` must come from a look after the day before was remembered."""
        self._users.add(trace.users)
        self._items.add(trace.items)
        self._pairs.add(trace.pairs)
        self._user_shapes |= trace.user_shapes
        self._item_shapes |= trace.item_shapes
        self._ratings |= trace.ratings
        self._sketches.append((day, trace.sketch))

    def recall(self, ids: pl.LazyFrame, sketches: Iterable[tuple[date, Keys]]) -> None:
        """Remember many days at once, as if one by one; nothing may be remembered yet.

        Args:
            ids: `user_id, item_id, rating` of every event.
            sketches: those of the last 28 days, oldest first.
        """
        for column, known, shapes in (
            (columns.USER_ID, self._users, self._user_shapes),
            (columns.ITEM_ID, self._items, self._item_shapes),
        ):
            distinct = ids.select(pl.col(column).drop_nulls().unique()).collect()
            known.add(np.sort(distinct.select(keys_of(pl.col(column))).to_series().to_numpy()))
            shapes.update(map(shape_of, distinct.to_series()))
        pairs = ids.select(columns.USER_ID, columns.ITEM_ID).drop_nulls().unique().collect()
        keys = pairs.select(keys_of(pl.all()))
        self._pairs.add(
            np.unique(pair_keys(keys[columns.USER_ID].to_numpy(), keys[columns.ITEM_ID].to_numpy()))
        )
        rating = pl.col(columns.RATING).cast(pl.Float64)
        self._ratings.update(ids.select(rating.filter(rating.is_finite()).unique()).collect().to_series())
        self._sketches.extend(sketches)

    def strangers(self, share: str, frame: pl.DataFrame, *, day: date) -> Mask | None:
        """Which rows of a day not yet remembered count for `share`; None where memory doesn't decide that."""
        if share in {"new_users", "odd_user_ids"}:
            return self._unknown(frame[columns.USER_ID], self._users, self._user_shapes, odd="odd" in share)
        if share in {"new_items", "odd_item_ids"}:
            return self._unknown(frame[columns.ITEM_ID], self._items, self._item_shapes, odd="odd" in share)
        if share == "unseen_ratings":
            ratings = frame[columns.RATING].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            unseen: Mask = np.isfinite(ratings) & ~np.isin(ratings, sorted(self._ratings))
            return unseen
        if share == "items_not_in_catalogue" and self.categories is not None:
            keys = frame.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
            unknown: Mask = ~self.categories.knows(keys) & frame[columns.ITEM_ID].is_not_null().to_numpy()
            return unknown
        if share == "redelivered_rows":
            known = np.concatenate([np.empty(0, np.uint64), *(sketch for _, sketch in self._sketches)])
            return np.isin(Events(frame, day=day).content(), known)
        return None

    def _unknown(self, ids: pl.Series, known: KnownKeys, shapes: set[str], *, odd: bool) -> Mask:
        keys = ids.to_frame().select(keys_of(pl.all())).to_series().to_numpy()
        new: Mask = np.logical_not(known.contains(keys) | ids.is_null().to_numpy())
        if odd:
            new[new] = [shape_of(text) not in shapes for text in ids.filter(pl.Series(new))]
        return new

    def _redelivered(self, sketch: Keys, day: date) -> tuple[int, int]:
        """How many of the sampled rows were delivered before, on the recent day that shares most.

        A sketch holds the smallest hashes of a day, a uniform sample by content: below the smaller of two
        sketches' largest hash both are complete, so that the overlap there estimates the overlap of the days
        (bottom-k sketches: Cohen & Kaplan 2007).
        """
        while self._sketches and (day - self._sketches[0][0]).days > _SKETCH_DAYS:
            self._sketches.popleft()
        best = (0, len(sketch))
        befores = [before for _, before in self._sketches if len(before)]
        if not len(sketch) or not befores or not _meet(sketch, np.concatenate(befores)):
            return best
        for before in befores:
            full = [complete[-1] for complete in (sketch, before) if len(complete) == _SKETCH]
            sample = sketch[sketch <= min(full)] if full else sketch
            shared = int(np.isin(sample, before, assume_unique=True).sum())
            if shared * max(best[1], 1) > best[0] * len(sample):
                best = (shared, len(sample))
        return best


def shape_of(text: str) -> str:
    """An id's length and set of characters, letters and digits taken as classes.

    `B00A7` and `B0XX3` agree, `B00A7 ` and `b00a7` do not.
    """
    return f"{len(text)}{''.join(sorted(set(text.translate(_CLASSES))))}"


def _shapes(column: pl.Series, ids: Ids, new: Mask, known: set[str]) -> tuple[frozenset[str], int]:
    """Shapes of new ids, and the rows whose id is new and of a shape never seen."""
    places = np.flatnonzero(new)
    if not len(places):
        return frozenset(), 0
    shapes = [shape_of(text) for text in column.gather(ids.first[places])]
    odd = sum(int(ids.rows[place]) for place, shape in zip(places, shapes, strict=True) if shape not in known)
    return frozenset(shapes), odd


def _meet(ascending: Keys, others: Keys) -> bool:
    places = np.searchsorted(ascending, others)
    places[places == len(ascending)] = 0
    return bool((ascending[places] == others).any())


def _top(column: pl.Series, items: Ids) -> list[tuple[str, int]]:
    if not len(items.keys):
        return []
    order = np.lexsort((items.first, -items.rows))[:_TOP_ITEMS]
    return list(zip(column.gather(items.first[order]).to_list(), items.rows[order].tolist(), strict=True))
