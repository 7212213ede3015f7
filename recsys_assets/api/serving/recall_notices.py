"""The header `Recall`: answers name the days that were recalled, for a time, or while their release was built on them.

It is made when the files of recalls change, or a release is loaded, and not in a request.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from recsys_assets.api.http.bodies import Headers
from recsys_assets.api_settings import ApiSettings
from recsys_assets.release.current import RECALLED_FILE, RecalledDay, read_recalled
from recsys_assets.release.recalls import RecordedRecall, read_recalls
from recsys_assets.storage.home import Home

_SHOWN_SPANS: Final = 8
"""Spans of days that the header names; with more, their number follows."""


class RecallNotices:
    """The recalls of a home in a serving process."""

    def __init__(
        self,
        home: Home,
        *,
        days: float = ApiSettings().recall_header_days,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Name recalls for a number of days after them, from whatever release an answer is."""
        self._home = home
        self._time = timedelta(days=days)
        self._clock = clock
        self._stamps: Sequence[tuple[int, int, int]] = ()
        self._recalled: Sequence[RecalledDay] = ()
        self.recalls: Sequence[RecordedRecall] = ()
        """Every recall, oldest first, as read last."""

    def refresh(self) -> None:
        """Take up the recalls that the files hold now.

        Raises:
            BrokenReleaseError: a file cannot be read; the recalls read before stay.
        """
        stamps = [_stamp(file) for file in (self._home.releases / RECALLED_FILE, self._home.recalls)]
        if stamps != self._stamps:
            self._recalled, self.recalls = read_recalled(self._home.releases), read_recalls(self._home)
            self._stamps = stamps

    def headers(self, lineage: Mapping[date, str]) -> Headers:
        """Return the header of answers from a release, or none.

        Args:
            lineage: day -> checksum of its partition that the release was built on.
        """
        if not (self._recalled or self.recalls):
            return ()
        used = {entry.day: entry.at for entry in self._recalled if lineage.get(entry.day) == entry.checksum}
        since = self._clock() - self._time
        recent = [(entry.day, entry.at) for entry in self._recalled if entry.at > since]
        kept = {entry.day for entry in self._recalled}  # others were taken back
        recent += [(d, one.at) for one in self.recalls if one.at > since for d in one.days if d in kept]
        days = {*used, *(day for day, _ in recent)}
        if not days:
            return ()
        at = max((*used.values(), *(at for _, at in recent))).astimezone(UTC)
        value = f'days="{spans(days)}", at="{at:%Y-%m-%dT%H:%M:%SZ}", built-on=?{int(bool(used))}'
        return ((b"recall", value.encode("ascii")),)


def spans(days: Iterable[date]) -> str:
    """Return days in the form `2017-03-05..2017-03-07 2017-03-11`; `+3` at the end stands for 3 more spans."""
    found: list[list[date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1][1:] = [day]
        else:
            found.append([day])
    shown = [f"{span[0]}..{span[-1]}" if len(span) > 1 else str(span[0]) for span in found]
    more = [f"+{len(shown) - _SHOWN_SPANS}"] if len(shown) > _SHOWN_SPANS else []
    return " ".join([*shown[:_SHOWN_SPANS], *more])


def _stamp(file: Path) -> tuple[int, int, int]:
    """Return inode, size and time of the last change of a file; zeros where there is none."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
