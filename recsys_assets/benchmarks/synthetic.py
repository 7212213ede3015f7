"""Synthetic interactions and embeddings of any size: power-law users and items, planted tastes, seeded.

Each day is drawn from (seed, day): a partition is the same with or without the others, and memory doesn't grow
with the number of days.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.storage.arrays import EPOCH, Float32
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets.storage.string_table import Vocabulary

_SECONDS_A_DAY = 86_400
_FIRST_DAY = date(2024, 1, 1)
_PENDING_EVENTS = 25_000_000
"""Events that are merged into the matrix at once."""
_SPREAD_AROUND_TASTE = 0.7


@dataclass(frozen=True, kw_only=True)
class SyntheticWorld:
    """Sizes, shares and seed of a synthetic set of interactions."""

    users: int
    """Users; the r-th most active has an activity in proportion to 1 / (r + users / 100)^0.7."""
    items: int
    """Items; the r-th most popular has a popularity in proportion to 1 / (r + items / 500)."""
    interactions: int
    """Events over all days."""
    tastes: int = 50
    """Planted taste groups; each user and each item belongs to one."""
    loyalty: float = 0.7
    """Share of a user's events drawn from the items of the user's own taste, 0-1."""
    days: int = 100
    """Days from 2024-01-01 on; the events are spread evenly over them."""
    seed: int = 0
    """Seed of everything."""

    @cached_property
    def user_tastes(self) -> npt.NDArray[np.int32]:
        """Taste of each user."""
        rng = np.random.default_rng([self.seed, 1])
        return rng.integers(0, self.tastes, self.users).astype(np.int32)

    @cached_property
    def item_tastes(self) -> npt.NDArray[np.int32]:
        """Taste of each item, ascending; within a taste the popularity is in random order."""
        return (np.arange(self.items) * self.tastes // self.items).astype(np.int32)

    def day_nums(self, day: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return user and item number of each event of the `day`-th day, in the order of time."""
        rng = np.random.default_rng([self.seed, 2, day])
        events = self.interactions * (day + 1) // self.days - self.interactions * day // self.days
        users_n = _inverse(self._activity, rng.random(events))
        taste_n = self.user_tastes[users_n]
        loyal_n = rng.random(events) < self.loyalty
        low_n = np.where(loyal_n, self._taste_edges[taste_n], 0.0)
        high_n = np.where(loyal_n, self._taste_edges[taste_n + 1], 1.0)
        items_n = _inverse(self._popularity, low_n + rng.random(events) * (high_n - low_n))
        return users_n, items_n

    def day_frame(self, day: int) -> pl.DataFrame:
        """Return the `day`-th day as INTERACTIONS rows."""
        users_n, items_n = self.day_nums(day)
        start = datetime.combine(_FIRST_DAY + timedelta(days=day), datetime.min.time(), UTC)
        micros = np.arange(len(users_n)) * (_SECONDS_A_DAY * 1_000_000) // max(1, len(users_n))
        frame = pl.DataFrame({columns.USER_ID: users_n, columns.ITEM_ID: items_n, columns.TIMESTAMP: micros})
        typed = frame.with_columns(
            _id("u", columns.USER_ID),
            _id("i", columns.ITEM_ID),
            (pl.duration(microseconds=columns.TIMESTAMP) + pl.lit(start, UTC_MICROSECONDS)).alias(
                columns.TIMESTAMP
            ),
            pl.lit(1.0).alias(columns.WEIGHT),
            *(
                pl.lit(None).alias(name)
                for name in (columns.RATING, columns.QUANTITY, columns.VALUE, columns.KIND)
            ),
        )
        return typed.select(*INTERACTIONS.columns).cast(INTERACTIONS.polars_schema())

    def frames(self) -> Iterator[tuple[date, pl.DataFrame]]:
        """Return every day and its rows."""
        return ((_FIRST_DAY + timedelta(days=day), self.day_frame(day)) for day in range(self.days))

    @cached_property
    def _activity(self) -> npt.NDArray[np.float64]:
        rng = np.random.default_rng([self.seed, 3])
        return _cumulative(rng.permutation(1 / (np.arange(self.users) + 1 + self.users / 100) ** 0.7))

    @cached_property
    def _popularity(self) -> npt.NDArray[np.float64]:
        rng = np.random.default_rng([self.seed, 4])
        return _cumulative(rng.permutation(1 / (np.arange(self.items) + 1 + self.items / 500)))

    @cached_property
    def _taste_edges(self) -> npt.NDArray[np.float64]:
        starts = np.searchsorted(self.item_tastes, np.arange(self.tastes + 1))
        return np.concatenate([[0.0], self._popularity])[starts]


def world(interactions: int, *, seed: int = 0, days: int = 100) -> SyntheticWorld:
    """Return a world in MovieLens 20M's proportions: 20 million events of 140,000 users and 27,000 items.

    Users grow with the events, items with their square root.
    """
    scale = interactions / 20_000_000
    return SyntheticWorld(
        users=max(2, round(140_000 * scale)),
        items=max(2, round(27_000 * scale**0.5)),
        interactions=interactions,
        tastes=min(50, max(2, round(27_000 * scale**0.5))),
        days=days,
        seed=seed,
    )


def write_partitions(found: SyntheticWorld, store: PartitionStore) -> int:
    """Write every day and return the number of rows written."""
    rows = 0
    for day, frame in found.frames():
        store.write(day, frame)
        rows += len(frame)
    return rows


def matrix(found: SyntheticWorld) -> InteractionMatrix:
    """Return the matrix that `from_interactions` makes of the world's partitions, without writing them.

    Every user has a row and every item a column, also without an event.
    """
    keys, last = np.empty(0, np.int64), np.empty(0, np.int32)
    counts = np.empty(0, np.float32)
    first = (_FIRST_DAY - EPOCH).days
    pending: list[npt.NDArray[np.int64]] = []
    for day in range(found.days):
        users_n, items_n = found.day_nums(day)
        pending.append((users_n.astype(np.int64) * found.items + items_n) * found.days + day)
        if day + 1 == found.days or sum(map(len, pending)) > _PENDING_EVENTS:
            keys, counts, last = _merge(keys, counts, last, np.concatenate(pending), days=found.days)
            pending = []
    rows = np.bincount(keys // found.items, minlength=found.users)
    return InteractionMatrix(
        users=Vocabulary.from_strings(f"u{num:08}" for num in range(found.users)),
        items=Vocabulary.from_strings(f"i{num:08}" for num in range(found.items)),
        indptr=np.concatenate([[0], np.cumsum(rows)]).astype(np.int64),
        item_nums=(keys % found.items).astype(np.int32),
        weights=counts,
        last_day=last + np.int32(first),
    )


def taste_centres(count: int, *, size: int, rng: np.random.Generator) -> Float32:
    """Draw centres for `vectors_around`, (count, size)."""
    return rng.normal(size=(count, size)).astype(np.float32)


def vectors_around(centres: Float32, rows: int, *, spread: float, rng: np.random.Generator) -> Float32:
    """Draw embeddings around random centres, (rows, D).

    Args:
        centres: of the tastes, (tastes, D).
        rows: vectors to draw.
        spread: standard deviation of the logarithm of their lengths, which popularity makes log-normal.
        rng: source of randomness.
    """
    found = centres[rng.integers(0, len(centres), rows)]
    found += _SPREAD_AROUND_TASTE * rng.standard_normal(found.shape, dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found *= rng.lognormal(0, spread, (rows, 1)).astype(np.float32)
    return found


def _merge(
    keys: npt.NDArray[np.int64],
    counts: npt.NDArray[np.float32],
    last: npt.NDArray[np.int32],
    events: npt.NDArray[np.int64],
    *,
    days: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Merge new events (pair * days + day) into the pairs so far: pairs ascending, their counts and last days."""
    events.sort()
    pairs = events // days
    ends = np.flatnonzero(np.append(pairs[1:] != pairs[:-1], True))
    new = pairs[ends], np.diff(ends, prepend=-1).astype(np.float32), (events[ends] % days).astype(np.int32)
    if len(keys) == 0:
        return new
    both, place = np.unique(np.concatenate([keys, new[0]]), return_inverse=True)
    summed = np.bincount(place, weights=np.concatenate([counts, new[1]]), minlength=len(both))
    latest = np.zeros(len(both), np.int32)
    latest[place[: len(keys)]] = last
    latest[place[len(keys) :]] = new[2]
    return both, summed.astype(np.float32), latest


def _id(prefix: str, column: str) -> pl.Expr:
    return pl.format(prefix + "{}", pl.col(column).cast(pl.String).str.zfill(8)).alias(column)


def _cumulative(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total: npt.NDArray[np.float64] = np.cumsum(shares) / shares.sum()
    total[-1] = 1.0
    return total


def _inverse(cumulative: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    found = np.searchsorted(cumulative, drawn, side="right")
    return np.minimum(found, len(cumulative) - 1).astype(np.int32)
