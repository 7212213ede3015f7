"""What the API serves, as an external asset, so that the lineage is complete."""

import dagster as dg

from recsys_assets.wiring import OWNER

recommendation_api = dg.AssetSpec(
    "recommendation_api",
    deps=["release"],
    group_name="serving",
    owners=[OWNER],
    kinds={"litestar"},
    description="What `recsys serve` answers over HTTP: always the release that `current` points at.",
)

ASSETS = [recommendation_api]
CHECKS: list[dg.AssetChecksDefinition] = []
