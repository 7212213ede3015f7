"""Which context a caller's time budget allows: the user's, a session's, or popular items.

Costs are learnt from the answers given: a slow-moving average plus two deviations, in ms.
"""

from typing import Literal

Level = Literal["user", "session", "popular"]

_ORDER: tuple[Level, ...] = ("user", "session", "popular")
_START_MS: dict[Level, float] = {"user": 1.0, "session": 2.0, "popular": 0.2}
_RATE = 0.05
_OUTLIER = 10
"""One answer counts as this many times the average at most: a cold page is no new normal."""


class Costs:
    """What each level is expected to take."""

    def __init__(self) -> None:
        self._mean = dict(_START_MS)
        self._deviation: dict[Level, float] = dict.fromkeys(_ORDER, 0.0)

    def learn(self, level: Level, seconds: float) -> None:
        """Take a measured answer into account."""
        off = min(seconds * 1000, _OUTLIER * self._mean[level]) - self._mean[level]
        self._mean[level] += _RATE * off
        self._deviation[level] += _RATE * (abs(off) - self._deviation[level])

    def expected_ms(self, level: Level) -> float:
        """What nearly all answers of this level take at most, ms."""
        return self._mean[level] + 2 * self._deviation[level]

    def choose(self, left_ms: float, *, best: Level = "user") -> tuple[Level, str | None]:
        """The richest level, from `best` down, that fits into `left_ms`, and why it is not `best`."""
        too_slow = []
        for level in _ORDER[_ORDER.index(best) :]:
            needed = self.expected_ms(level)
            if needed <= left_ms or level == "popular":
                break
            too_slow.append(f"{level} needs {needed:.2f} ms")
        if not too_slow:
            return level, None
        return level, f"{max(left_ms, 0):.2f} ms of the budget are left and {', '.join(too_slow)}"
