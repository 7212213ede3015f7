"""The newest catalogue over a release that was built before it landed."""

from datetime import UTC, datetime
from typing import NamedTuple

from recsys_assets.intake.newest_catalogue import NewestCatalogue, read_newest
from recsys_assets.release.bound_states import NOTHING_NEWER, CatalogueOver
from recsys_assets.release.load import Release
from recsys_assets.storage.home import Home


class _Compared(NamedTuple):
    release_id: str
    stamp: int
    over: CatalogueOver


class FollowedCatalogue:
    """The newest catalogue as a process follows it. It is compared with a release once, in a second a million items."""

    def __init__(self, home: Home) -> None:
        self._folder = home.catalogue_now
        self._last: _Compared | None = None

    def over(self, release: Release) -> CatalogueOver:
        """Return its values over a release; nothing where the release was made after it landed.

        Raises:
            ItemStatesUnavailableError: it cannot be read.
        """
        stamp = self._stamp()
        last = self._last
        if last is None or (last.release_id, last.stamp) != (release.release_id, stamp):
            landed = datetime.fromtimestamp(stamp / 1e9, UTC)
            newer = stamp > 0 and landed > release.manifest.created_at
            found = read_newest(self._folder) if newer else None
            over = NOTHING_NEWER if found is None else _values(found, release)
            self._last = last = _Compared(release.release_id, stamp, over)
        return last.over

    def last_over(self, release: Release) -> CatalogueOver:
        """Return the values that were read last over a release; nothing where there are none."""
        last = self._last
        return NOTHING_NEWER if last is None or last.release_id != release.release_id else last.over

    def _stamp(self) -> int:
        """Return the time of the last landing, ns; 0 where there was none."""
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return 0


def _values(catalogue: NewestCatalogue, release: Release) -> CatalogueOver:
    return CatalogueOver(
        number=catalogue.number,
        categories=catalogue.categories_over(release.items, release.categories),
        prices=catalogue.prices_over(release.items),
    )
