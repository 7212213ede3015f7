"""Days on which shops are closed: those named in the settings, and feasts that are known from a year ago."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Final

_REMEMBERED: Final = 64


class ClosedDays:
    """Says of days whether shops are closed on them."""

    def __init__(self, named: Iterable[str], *, were_empty: Callable[[Iterable[date]], bool]) -> None:
        """Know the days of the settings.

        Args:
            named: `MM-DD` for every year, or `YYYY-MM-DD`.
            were_empty: True if one of these past days was empty after weeks of many events.
        """
        self._named, self._were_empty = frozenset(named), were_empty
        self._known: dict[date, bool] = {}

    def on(self, day: date) -> bool:
        """Return True for a day named in the settings, and for a feast.

        A feast was closed a year ago: on the same date, or on the same weekday of that week.
        """
        if day not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[day] = self._find(day)
        return self._known[day]

    def beside(self, day: date) -> bool:
        """Return True for the day before and the day after a closed one."""
        return self.on(day - timedelta(days=1)) or self.on(day + timedelta(days=1))

    def _find(self, day: date) -> bool:
        if f"{day:%m-%d}" in self._named or day.isoformat() in self._named:
            return True
        a_year_ago = [day - timedelta(days=days) for days in (364, 365, 366)]
        return self._were_empty(
            then
            for then in a_year_ago
            if then.weekday() == day.weekday() or (then.month, then.day) == (day.month, day.day)
        )
