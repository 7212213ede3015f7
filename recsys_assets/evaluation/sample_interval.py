"""The interval of a difference on all users, from a sample of them and from both halves of that sample.

With fewer users an item has fewer entries, so that both recipes rank worse, and a difference is another one: mostly a
smaller one. The bootstrap over users does not know of it. How much a difference changes from a half of the sample to
the whole of it is measured, and so is the chance in it, that of the fits included. A learning curve is concave: the
next doubling changes less than the last one did, so that the last one's change is taken as the standard error of the
next. Pure: what is compared is measured elsewhere. Shapes: R users.
"""

import math
from typing import Final

from recsys_assets.evaluation.evaluated_users import mean_intervals
from recsys_assets.storage.arrays import Float64

_TWO_SIDED: Final = 1.96


def interval_on_all(
    sample_R: Float64, halves_R: Float64, *, share: float, seed: int
) -> tuple[float, float, float]:
    """Return the mean difference, and the 95 % interval of the one that fitting to all users would show.

    Args:
        sample_R: difference of each user, by recipes fitted to the sample; R > 0.
        halves_R: the same by recipes fitted to the half of the sample that the user is in.
        share: share of all users in the sample, above 0.
        seed: of the bootstrap's draws.

    Returns:
        The mean, its lower and its upper bound. The half-width of the paired bootstrap, 1.96 times the change of one
        doubling, and 1.96 times the standard error of that change are independent errors; both latter ones count once
        for each doubling up to all users.
    """
    difference, low, high = mean_intervals({"difference": sample_R}, seed=seed)["difference"]
    growth_R = sample_R - halves_R
    by_chance = float(growth_R.std()) / len(growth_R) ** 0.5
    more = _TWO_SIDED * math.log2(1 / share) * math.hypot(float(growth_R.mean()), by_chance)
    return (
        difference,
        difference - math.hypot(difference - low, more),
        difference + math.hypot(high - difference, more),
    )
