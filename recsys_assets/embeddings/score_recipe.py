"""The recipe of a score, `scoring.json`, and the sparse part of it: the items that a wish speaks for.

score of item i for user u = x_u · y_i + the sum over u's wishes h of a_uh R[h, i]

x_u · y_i is one inner product: slices of factors, each of its own factorisation, then the recency prior. R is
`RelatedRows`. The API imports this module: numpy and msgspec only. Shapes: I items, D embedding_size, N items a row.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.storage.arrays import NO_ITEM, Float32, Int32, map_array

_RECIPE: Final = "scoring.json"
_RELATED_ITEMS: Final = "related_items.npy"
_RELATED_WEIGHTS: Final = "related_weights.npy"

Nums = npt.NDArray[np.integer[Any]]


class FactorSlice(msgspec.Struct, frozen=True, kw_only=True):
    """The dimensions of one factorisation."""

    first: int = msgspec.field(name="from")
    """Its first dimension."""
    end: int = msgspec.field(name="to")
    """The dimension after its last."""
    weight: float = 1.0
    """Its weight in the score, >= 0; the users' coordinates hold it already. 0: its vectors are for likeness only."""


class Prior(msgspec.Struct, frozen=True, kw_only=True):
    """The recency prior, the last dimension: the user's coordinate x the item's = weight x log popularity.

    The items' coordinates have mean 0 over the items with users, so that a typical item has a prior of 0 and
    `relevance`, a share of the best score, means the same with and without a prior.
    """

    half_life_days: float
    """Days after which a touch counts half in the popularity, > 0."""
    weight: float
    """Weight of log popularity in the score, >= 0."""
    user_coordinate: float
    """Last coordinate of every user and session; the typical length of the factor part keeps exact search short."""


class ScoreRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a score."""

    model: str
    """Name of the model: `ials`, `softmax+item_item`, `popular`, …"""
    factors: dict[str, FactorSlice]
    """Factorisation -> its dimensions, one after another from 0."""
    prior: Prior | None = None
    """The last dimension; None where all dimensions are factors."""
    related_weight: float | None = None
    """Weight of the related items, which `related_weights.npy` holds already; None where there are none."""
    own_half_life_days: float | None = None
    """Days after which a user's own wish counts half among the related items; None: all count the same."""
    purchases: bool = False
    """True where every wish is a purchase, so that words may say `bought`."""

    @classmethod
    def of_one(cls, model: str, size: int) -> "ScoreRecipe":
        """Return the recipe of one factorisation of `size` dimensions and nothing else."""
        return cls(model=model, factors={model: FactorSlice(first=0, end=size)})

    @property
    def factor_size(self) -> int:
        """Number of dimensions that are factors: those that a likeness of two items is taken from."""
        return max((part.end for part in self.factors.values()), default=0)

    @property
    def scored_factors(self) -> slice:
        """The dimensions that are factors with a weight: a user's are 0 in the others."""
        weighed = [part for part in self.factors.values() if part.weight]
        return slice(weighed[0].first, weighed[-1].end) if weighed else slice(0)

    @property
    def size(self) -> int:
        """Number of all dimensions, D."""
        return self.factor_size + (self.prior is not None)

    @property
    def is_one(self) -> bool:
        """True where the vectors are those of one factorisation as they are."""
        return self.prior is None and [part.weight for part in self.factors.values()] == [1.0]

    def own_weights(self, days_n: Nums) -> Float32:
        """Return a_n, the weights of a user's wishes, by the day of each: 1 for those of the last day, > 0."""
        if self.own_half_life_days is None or not len(days_n):
            return np.ones(len(days_n), dtype=np.float32)
        ages_n = (days_n.max() - days_n).astype(np.float32)
        weights_n: Float32 = np.exp2(ages_n / np.float32(-self.own_half_life_days))
        return weights_n

    def save(self, folder: Path) -> None:
        """Write `scoring.json`."""
        (folder / _RECIPE).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def load(cls, folder: Path) -> "ScoreRecipe":
        """Read what `save` wrote.

        Raises:
            BrokenReleaseError: the file is missing, or no recipe.
        """
        path = folder / _RECIPE
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenReleaseError(f"{path}: no recipe of a score ({error}); run `recsys build`") from error


class _Scratch(threading.local):
    """Arrays by item number, one set a thread, that are kept between requests."""

    def __init__(self) -> None:
        self.sums_I = np.zeros(0, dtype=np.float32)
        self.places_I = np.zeros(0, dtype=np.int32)

    def grow(self, items: int) -> None:
        """Make place for `items` items."""
        if len(self.sums_I) < items:
            self.sums_I = np.zeros(items, dtype=np.float32)
            self.places_I = np.zeros(items, dtype=np.int32)


_SCRATCH: Final = _Scratch()
_LOOKED_THROUGH: Final = 8
"""Items of the catalogue that are looked through in the time in which one entry of the rows is found to be new."""


class ItemSums:
    """A sparse row of scores by item number, each item once. Shape: m items."""

    __slots__ = ("_items", "nums", "scores")

    def __init__(self, nums: Int32, scores: Float32, items: int) -> None:
        """Take m item numbers and their scores, of a catalogue of `items`."""
        self.nums = nums
        self.scores = scores
        self._items = items

    def at(self, nums: Nums) -> Float32:
        """Return the score of each of `nums`, 0 where the row holds none; O(m + n)."""
        _SCRATCH.grow(self._items)
        sums_I = _SCRATCH.sums_I
        sums_I[self.nums] = self.scores
        found: Float32 = sums_I.take(nums)
        sums_I[self.nums] = 0
        return found

    def holds(self, nums: Nums) -> npt.NDArray[np.bool_]:
        """Return whether the row holds each of `nums`, (n,); O(m + n)."""
        if not len(self.nums):
            return np.zeros(len(nums), dtype=np.bool_)
        _SCRATCH.grow(self._items)
        places_I = _SCRATCH.places_I
        places_I[self.nums] = np.arange(len(self.nums), dtype=np.int32)
        # what other rows left behind in the scratch points at another number
        held: npt.NDArray[np.bool_] = self.nums.take(places_I.take(nums), mode="clip") == nums
        return held


def _each_once(nums: Int32) -> Int32:
    """Return the different numbers; of an item's places one is kept, so that no sort is needed."""
    places_I = _SCRATCH.places_I
    order = np.arange(len(nums), dtype=np.int32)
    places_I[nums] = order
    different: Int32 = nums[places_I.take(nums) == order]
    return different


@dataclass(frozen=True, kw_only=True)
class RelatedRows:
    """The items that a wish for an item speaks for, or against: sparse rows of R."""

    items_IN: Int32
    """(I, N): item numbers, `NO_ITEM` where a row ends."""
    weights_IN: Float32
    """(I, N): their weights, of any sign; 0 where a row ends."""

    def __len__(self) -> int:
        return len(self.items_IN)

    def sum_rows(self, nums: Nums, weights: Float32) -> ItemSums:
        """Add up the rows of wishes.

        Args:
            nums: the wishes' item numbers, each once.
            weights: a_n, one a wish.

        Returns:
            The sums, each item once; an item whose weights cancel out may be among them.
        """
        flat = self.items_IN.take(nums, axis=0).ravel()
        values = (self.weights_IN.take(nums, axis=0) * weights[:, None]).ravel()
        if len(flat) and flat.min() < 0:
            there = flat != NO_ITEM
            flat, values = flat[there], values[there]
        _SCRATCH.grow(len(self))
        sums_I = _SCRATCH.sums_I
        np.add.at(sums_I, flat, values)
        few = _LOOKED_THROUGH * len(flat) < len(self)
        each = _each_once(flat) if few else (sums_I != 0).nonzero()[0].astype(np.int32)
        scores = sums_I.take(each)
        sums_I[each] = 0
        return ItemSums(each, scores, len(self))

    def strongest(self, wishes: Nums, weights: Float32, nums: Nums) -> Int32:
        """Return for each of n items the wish of the greatest weight for it, (n,), `NO_ITEM` where none is above 0.

        `wishes` and `weights` are the `nums` and `weights` of `sum_rows`.
        """
        values = self.weights_IN.take(wishes, axis=0) * weights[:, None]
        places = (values > 0).nonzero()  # where a row ends, the weight is 0
        order = values[places].argsort(kind="stable")
        found_I = np.full(len(self), NO_ITEM, dtype=np.int32)
        # of repeated items the last assignment holds, which is the greatest weight
        found_I[self.items_IN.take(wishes, axis=0)[places][order]] = wishes[places[0][order]]
        strongest_n: Int32 = found_I.take(nums)
        return strongest_n

    def save(self, folder: Path) -> None:
        """Write `related_items.npy` and `related_weights.npy`."""
        weights_IN = np.where(self.items_IN == NO_ITEM, np.float32(0), self.weights_IN)
        np.save(folder / _RELATED_ITEMS, self.items_IN.astype(np.int32), allow_pickle=False)
        np.save(folder / _RELATED_WEIGHTS, weights_IN.astype(np.float32), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "RelatedRows | None":
        """Memory-map what `save` wrote; None where the model has no related items.

        Raises:
            BrokenReleaseError: one of the two files is missing or cut short, or they differ in shape.
        """
        if not (folder / _RELATED_ITEMS).is_file() and not (folder / _RELATED_WEIGHTS).is_file():
            return None
        try:
            items_IN, weights_IN = (map_array(folder / name) for name in (_RELATED_ITEMS, _RELATED_WEIGHTS))
        except (OSError, ValueError) as error:
            raise BrokenReleaseError(
                f"{folder}: related items cannot be mapped ({error}); run `recsys build`"
            ) from error
        if items_IN.shape != weights_IN.shape:
            raise BrokenReleaseError(
                f"{folder / _RELATED_WEIGHTS}: shape {weights_IN.shape}, expected that of the items,"
                f" {items_IN.shape}; run `recsys build`"
            )
        return cls(items_IN=items_IN, weights_IN=weights_IN)
