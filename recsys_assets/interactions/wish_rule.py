"""The rule that says which events are wishes and how much each weighs, and the events that hide an item.

A wish has a weight above 0: it is learnt from, and the truth of evaluation. An event of weight 0 was seen, but is no
wish; it stays among the interactions, since what was seen is not recommended again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.sources.registry import rating_positive_of
from recsys_assets.settings import DEFAULT_KINDS, InteractionsSettings, Settings

_UNLISTED: Final = 1.0
"""Weight of an event without a kind, or of a kind that the rule does not list."""
AGAINST: Final = ("dislike", "hide")
"""Kinds of an opinion against the item: they always hide it, and take an earlier wish back."""
_NEVER_HIDES: Final = "impression"
"""The kind that hides nothing by default: an item that was shown was not chosen by the user."""


@dataclass(frozen=True, kw_only=True)
class WishRule:
    """Weights of the kinds of events, and the least rating of a wish."""

    kinds: Mapping[str, float] = field(default_factory=lambda: DEFAULT_KINDS)
    """Kind -> weight, >= 0, in lower case; a kind that is not listed weighs 1."""
    rating_positive: float | None = None
    """Least rating of a wish, on the source's scale; None where every rating is one."""

    @classmethod
    def of(cls, settings: Settings) -> "WishRule":
        """Return the rule of a home: `[interactions]`, and what its source says of ratings.

        Raises:
            InputError: the source's spec is wrong.
        """
        given = settings.interactions
        from_source = rating_positive_of(settings.source.spec)
        return cls(
            kinds=given.kinds,
            rating_positive=from_source if given.rating_positive is None else given.rating_positive,
        )

    def __str__(self) -> str:
        """Return all of the rule as one line, the same for equal rules."""
        return f"{sorted(self.kinds.items())} {self.rating_positive}"

    def factor(self, frame: pl.DataFrame) -> pl.Expr | None:
        """Return the factor that an event's weight is multiplied by, Float32; None where it is 1 for all of `frame`.

        Args:
            frame: cleaned events, with `kind` in lower case and `rating`.
        """
        parts = []
        if self.kinds and frame[columns.KIND].null_count() < frame.height:
            kind = pl.col(columns.KIND)
            weight = kind.replace_strict(dict(self.kinds), default=_UNLISTED, return_dtype=pl.Float32)
            parts.append(weight)
        if self.rating_positive is not None and frame[columns.RATING].null_count() < frame.height:
            below = pl.col(columns.RATING) < pl.lit(self.rating_positive, pl.Float32)
            parts.append((~below).fill_null(value=True).cast(pl.Float32))
        return None if not parts else parts[0] if len(parts) == 1 else parts[0] * parts[1]


def hides_item(settings: InteractionsSettings) -> pl.Expr:
    """Return True for the events that hide their item from the user's lists, by `[interactions] seen`.

    An event without a kind hides, whatever its rating, and so does an opinion against the item: a dislike, a `hide`,
    a rating that is no wish.
    """
    kind = pl.col(columns.KIND)
    if settings.seen == "all":
        return kind.is_null() | kind.is_not_null()
    if settings.seen is None:
        return (kind != _NEVER_HIDES).fill_null(value=True)
    named = kind.is_in([name.strip().lower() for name in settings.seen]).fill_null(value=True)
    against = kind.is_in(AGAINST).fill_null(value=False)
    rated_low = pl.col(columns.RATING).is_not_null() & (pl.col(columns.WEIGHT) == 0)
    return named | against | rated_low
