"""Settings of releases: the gate that a new one passes before it is promoted."""

from typing import Annotated

import msgspec
from msgspec import Meta

from recsys_assets.storage.bounds import Share


class GateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checks that a new release must pass to be served; one that fails stays a candidate."""

    enabled: bool = True
    """Judge each new release. Without, it is promoted as soon as it is published."""
    margin: Share = 0.02
    """Share of NDCG@10 that a release may lose against the current one, and against the best baseline, before it
    fails; a loss that may be chance (paired 95 % interval) never fails."""
    smoke_test: bool = True
    """Serve the new release in a server process of its own, on a free port of this machine only, and compare its
    answers."""
    smoke_users: Annotated[int, Meta(ge=1, le=1_000)] = 20
    """Users whose lists the smoke test compares."""
    smoke_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    """Time that the smoke test may take before it fails."""
