"""The release that is served instead of a broken one, where that is allowed."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recsys_assets.errors import ReleaseError
from recsys_assets.release.current import earlier
from recsys_assets.release.release_store import ReleaseStore

if TYPE_CHECKING:
    from recsys_assets.api.serving.serving_release import Serving

log = logging.getLogger("recsys.api")


def load_served_before(
    store: ReleaseStore, load: "Callable[[str], Serving]", broken: str | None
) -> "Serving":
    """Load the last release served that is whole and not recalled, else the newest; not the broken one.

    Args:
        store: the releases.
        load: opens one.
        broken: id of the release that cannot be served; None for none.

    Raises:
        ReleaseError: no other release is whole.
    """
    for release_id in _others(store, broken):
        fault = store.fault(release_id)
        if fault is None:
            try:
                serving = load(release_id)
            except ReleaseError as error:
                fault = str(error)
        if fault is not None:
            log.warning("release rejected", extra={"release": release_id, "why": fault})
            continue
        log.warning("serving another release", extra={"release": release_id, "instead_of": broken})
        return serving
    raise ReleaseError(f"{store.root}: no earlier release is whole; publish one with `recsys build`")


def _others(store: ReleaseStore, broken: str | None) -> Sequence[str]:
    served: Sequence[str] = ()
    with contextlib.suppress(ReleaseError):  # the log of moves cannot be read
        last = store.served_id()
        served = [*([last] if last else []), *earlier(store.promotions(), last)]
    newest = (manifest.release_id for manifest in store.list())
    return [found for found in dict.fromkeys([*served, *newest]) if found != broken]
