"""The profile of a day: a fixed set of counts, shares, means and histograms, small enough to keep for ever.

All that drift is judged by is in the profile. Its shares of new and repeated ids compare the day with what was
published before it, which `seen_before` knows.
"""

from typing import Final

import msgspec
import numpy as np

from recsys_assets.storage.arrays import Float64, Int64, UInt64

VERSION: Final = 2
"""Raise it when the profile of the same rows changes; stored profiles of other versions are then rebuilt."""

COUNTS: Final = ("rows", "users", "items")
"""Plain counts of a day."""

SHARES: Final = (
    "null_users",
    "null_items",
    "null_ratings",
    "null_quantities",
    "null_values",
    "rows_outside_day",
    "top_user_rows",
    "top_items_rows",
    "top_user_visits",
    "repeat_visits",
    "duplicate_rows",
    "visits_with_duplicates",
    "redelivered_rows",
    "regular_users",
    "bestseller_rows",
    "new_users",
    "new_items",
    "repeated_pairs",
    "items_not_in_catalogue",
    "odd_user_ids",
    "odd_item_ids",
    "untrimmed_user_ids",
    "untrimmed_item_ids",
    "unseen_ratings",
    "numbers_not_finite",
    "quantities_not_positive",
    "negative_values",
)
"""(k, n): k of n events, visits or ids; binomial where these are independent.

A visit is a user's events within one hour; without a user's id, the events of one moment.
"""

MEANS: Final = ("rating", "log_value", "log_quantity", "log_price", "log_rows_a_user")
"""Mean and standard deviation within the day."""

HISTOGRAMS: Final = ("hour", "rating", "value", "quantity", "price")
"""Bin -> rows; of `hour`, whose bins are hours of the UTC day, visits. The other bins are those of `log_bins`."""

BINS_PER_OCTAVE: Final = {"rating": 8, "value": 2, "quantity": 2, "price": 2}
"""Resolution of `log_bins`: neighbouring ratings (4 and 4.5) are in different bins, money by factors of 1.4."""

CATEGORIES: Final = ("department", "category")
"""Bin -> rows. The bins are numbers of the catalogue's categories."""

_LEAST_OCTAVE: Final = -32
_MOST_OCTAVE: Final = 64


class Profile(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Counts, shares, means, histograms and a content sketch of one day."""

    version: int = VERSION
    """VERSION of the definition it was made by."""
    counts: dict[str, int]
    """COUNTS."""
    shares: dict[str, tuple[int, int]]
    """SHARES: (k, n)."""
    means: dict[str, tuple[float, float, int]]
    """MEANS: (mean, standard deviation, n); n is 0 where there is nothing to average."""
    histograms: dict[str, dict[int, int]]
    """HISTOGRAMS and CATEGORIES: bin -> rows, empty bins left out."""
    sketch: bytes
    """The smallest hashes of the rows' content, dates left out: little-endian uint64, ascending."""

    @property
    def rows(self) -> int:
        """Number of rows of the day."""
        return self.counts["rows"]

    def sketch_keys(self) -> UInt64:
        """Return `sketch` as an array."""
        return np.frombuffer(self.sketch, dtype="<u8")


def encode(profile: Profile) -> bytes:
    """Encode as MessagePack, for the ledger."""
    return msgspec.msgpack.encode(profile)


def decode(encoded: bytes) -> Profile | None:
    """Decode a profile; None where it was made by another version of the definition."""
    try:
        profile = msgspec.msgpack.decode(encoded, type=Profile)
    except msgspec.ValidationError:
        return None
    return profile if profile.version == VERSION else None


def log_bins(values: Float64, *, per_octave: int) -> Int64:
    """Put numbers into bins of equal ratio: floor(per_octave * log2 |v|) shifted to > 0, with the sign of v.

    Such bins need no knowledge of the scale, and a change of unit moves every number by the same number of bins.
    """
    with np.errstate(divide="ignore"):
        octaves = np.floor(np.log2(np.abs(values)) * per_octave + 1e-9)
    magnitude = np.clip(octaves, _LEAST_OCTAVE * per_octave, _MOST_OCTAVE * per_octave)
    return np.where(values == 0, 0, np.sign(values) * (magnitude - _LEAST_OCTAVE * per_octave + 1)).astype(
        np.int64
    )


def bin_edges(number: int, *, per_octave: int) -> tuple[float, float]:
    """Return the least and greatest number of a bin of `log_bins`."""
    if number == 0:
        return 0.0, 0.0
    octave = (abs(number) - 1) / per_octave + _LEAST_OCTAVE
    near, far = 2**octave, 2 ** (octave + 1 / per_octave)
    return (near, far) if number > 0 else (-far, -near)
