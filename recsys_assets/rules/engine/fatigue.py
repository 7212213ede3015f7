"""Fatigue: items that a user was shown often and did not touch go down the list.

score -> score - (1 - factor) x |score|, which is factor x score where that is positive.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from recsys_assets.intake.shown_counts import Shown
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.language.evaluator import Nums
from recsys_assets.rules.language.reading import CheckedScenario
from recsys_assets.rules.language.schema import Fatigue
from recsys_assets.storage.arrays import EPOCH, Float32


@dataclass(frozen=True, kw_only=True)
class Tired:
    """The items that one stage demotes for one request."""

    name: str
    """The stage's name."""
    spec: Fatigue
    """The stage as written in the file."""
    shown: dict[int, Shown]
    """Item number -> its showings, of each that was shown often enough and not touched."""

    @property
    def rule(self) -> str:
        """The stage in words."""
        spec = self.spec
        return (
            f"x {spec.factor:g} where shown {spec.shown} times or more in {spec.window_days} days, untouched"
        )

    def effect_on(self, num: int) -> str | None:
        """Return the effect on an item in words; None where there is none."""
        found = self.shown.get(num)
        if found is None:
            return None
        first = datetime.combine(EPOCH, datetime.min.time(), UTC) + timedelta(microseconds=found.since)
        return f"shown {found.times} times since {first:%Y-%m-%d}: x {self.spec.factor:g}"


class FatigueStages:
    """A scenario's fatigue stages."""

    def __init__(self, scenario: CheckedScenario) -> None:
        specs = [(stage.name, stage.spec) for stage in scenario.scoring]
        self._stages = [(name, spec) for name, spec in specs if isinstance(spec, Fatigue)]

    def __bool__(self) -> bool:
        return bool(self._stages)

    def tired(self, request: Request) -> list[Tired]:
        """Return the items that each stage demotes, the showings read once for each window.

        An item with an event of the user since the release is touched.

        Raises:
            EventsUnavailableError: the impressions cannot be read.
        """
        if request.shown is None or not self._stages:
            return []
        touched = frozenset(request.session)
        windows = {days: request.shown(days) for days in {spec.window_days for _, spec in self._stages}}
        return [
            Tired(
                name=name,
                spec=spec,
                shown={
                    num: found
                    for num, found in windows[spec.window_days].items()
                    if found.times >= spec.shown and num not in touched
                },
            )
            for name, spec in self._stages
        ]


def demoted(scores_n: Float32, nums: Nums, tired: list[Tired]) -> Float32:
    """Return (n,): the scores of `nums` after all stages; the argument stays as it is."""
    found = scores_n
    for one in tired:
        if one.shown:
            hit_n = np.isin(nums, list(one.shown))
            share = np.float32(1 - one.spec.factor)
            found = np.where(hit_n, found - share * np.abs(found), found).astype(np.float32)
    return found
