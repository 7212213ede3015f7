"""A graph's search on all items, foreseen from graphs of two samples, so that none is built only to lose.

Exact search is measured on all items, for that costs milliseconds. A graph's time grows about with the logarithm of
the items as long as it visits as many nodes (Malkov & Yashunin 2018, section 4.2.2), and the number of nodes that the
recall needs grows by a power that depends on the vectors. Both are read off two samples. Pure functions.
"""

import math
from typing import Final

from recsys_assets.index.index_report import Forecast, Trial

MOST_EXPANSION: Final = 1500
"""Greatest `expansion_search` that is tried."""
_CLEAR_TIME: Final = 0.67
"""A graph loses clearly if the time foreseen is at least N times that of the exact search: one that is a little faster
finds less, and on the default takes 5 s to build, to save some µs a search."""
_LEAST_GROWTH: Final = 0.1
"""Share by which a graph's time grows at least from the smaller to the larger sample, whatever noise measured: on
the default it is 0.2 to 0.4."""
_CLEAR_EXPANSION: Final = 1.5
"""A graph misses the recall clearly if it would have to visit N times `MOST_EXPANSION` nodes."""
_CLEAR_RECALL: Final = 0.005
"""A graph misses the recall clearly if its best on the larger sample is less than the target by this much."""


_SEARCHES: Final = 1_000_000
"""Searches that a release is expected to answer before the next one: a graph whose building takes longer than it saves
by these is not worth it."""


def foresee(smaller: Trial, larger: Trial, *, items: int) -> Forecast:
    """Extrapolate from graphs of two samples to all `items`.

    Args:
        smaller: trial on the smaller sample.
        larger: trial on the larger one, of the same setting or a better one.
        items: number of items, at least those of `larger`.
    """
    steps = 0.0
    if larger.items > smaller.items > 0:
        steps = math.log(items / larger.items) / math.log(larger.items / smaller.items)
    widening = max(1.0, larger.expansion_search / max(1, smaller.expansion_search))
    wider = widening**steps
    growth_us = max(larger.query_us - smaller.query_us, _LEAST_GROWTH * larger.query_us)
    return Forecast(
        samples=[smaller, larger],
        query_us=max(larger.query_us + steps * growth_us, larger.query_us * wider),
        expansion_search=larger.expansion_search * wider,
        recall=larger.recall,
        build_seconds=larger.build_seconds * items / larger.items * _log(items) / _log(larger.items),
    )


def _log(items: int) -> float:
    return math.log(max(items, 2))


def worthwhile_seconds(query_us: float, *, exact_us: float) -> float:
    """Return the seconds that building a graph may take: those that its searches save.

    Args:
        query_us: time of a search by the graph, microseconds.
        exact_us: time of an exact search of the same items.
    """
    return max(0.0, exact_us - query_us) * _SEARCHES / 1e6


def exact_wins(forecast: Forecast, *, exact_us: float, recall_target: float) -> bool:
    """Tell whether exact search wins clearly; false means that a graph is worth building and measuring.

    Args:
        forecast: what `foresee` returned.
        exact_us: time of an exact search of all items, microseconds.
        recall_target: least recall of a graph, 0-1.
    """
    too_slow = forecast.query_us >= _CLEAR_TIME * exact_us
    too_wide = forecast.expansion_search >= _CLEAR_EXPANSION * MOST_EXPANSION
    too_dear = forecast.build_seconds > worthwhile_seconds(forecast.query_us, exact_us=exact_us)
    return too_slow or too_wide or too_dear or forecast.recall < recall_target - _CLEAR_RECALL
