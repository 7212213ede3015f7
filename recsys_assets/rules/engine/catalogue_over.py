"""The newest catalogue over a release that was built before it landed."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from recsys_assets import columns
from recsys_assets.intake.newest_catalogue import NewestCatalogue, read_newest
from recsys_assets.release.bound_states import NOTHING_NEWER, CatalogueOver
from recsys_assets.release.load import Release
from recsys_assets.rules.language.expression_tree import columns_of, load_items
from recsys_assets.storage.arrays import Float64
from recsys_assets.storage.home import FEATURE_DATABASE, Home


class _Compared(NamedTuple):
    release_id: str
    stamp: int
    over: CatalogueOver


class FollowedCatalogue:
    """The newest catalogue as a process follows it. It is compared with a release once, which takes a moment."""

    def __init__(self, home: Home) -> None:
        self._folder = home.catalogue_now
        self._last: _Compared | None = None

    def over(self, release: Release) -> CatalogueOver:
        """Compare it with a release, and return its values over that; nothing where the release is the later one.

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
    rows = {item_id: row for row, item_id in enumerate(catalogue.items)}
    rows_I = np.fromiter((rows.get(item_id, -1) for item_id in release.items), np.int32, len(release.items))
    names = list(catalogue.categories)
    pairs = enumerate(zip(rows_I.tolist(), release.categories, strict=True))
    categories = {
        num: names[row] for num, (row, before) in pairs if row >= 0 and names[row] and names[row] != before
    }
    prices_I = np.where(rows_I >= 0, catalogue.prices_C[np.maximum(rows_I, 0)], np.nan)
    changed = np.flatnonzero(~np.isnan(prices_I) & (prices_I != _released_prices(release)))
    prices = dict(zip(changed.tolist(), prices_I[changed].tolist(), strict=True))
    return CatalogueOver(number=catalogue.number, categories=categories, prices=prices)


def _released_prices(release: Release) -> Float64:
    """Return (I,): the prices of a release's items, NaN where unknown."""
    database = release.folder / FEATURE_DATABASE
    if columns_of(database).items.get(columns.PRICE) != "number":
        return np.full(len(release.items), np.nan)
    return load_items(database, release.items, [columns.PRICE]).number(columns.PRICE)
