"""The feature tables: one pass over the landed days makes both, in one SQLite file."""

from typing import Any

import dagster as dg

from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.feature_database import build_features
from recsys_assets.features.kind_columns import with_kinds
from recsys_assets.lake.item_catalogue import read_catalogue
from recsys_assets.orchestration.checks.features import FEATURE_CHECKS
from recsys_assets.orchestration.fingerprints import CODE_VERSIONS, Inputs
from recsys_assets.orchestration.metadata import OWNER, column_schema
from recsys_assets.orchestration.recalled_days import RECALLED_DAYS
from recsys_assets.orchestration.repair.made_artifacts import making
from recsys_assets.orchestration.resources import Artifacts, Lake
from recsys_assets.quality.contract import Contract


def _feature_spec(contract: Contract) -> dg.AssetSpec:
    return dg.AssetSpec(
        contract.name,
        deps=["interactions", "item_catalogue", RECALLED_DAYS],
        group_name="features",
        owners=[OWNER],
        kinds={"polars", "sqlite"},
        code_version=CODE_VERSIONS["features"],
        description=f"{contract.description} A SQLite row each, as of the end of the last landed day.",
        metadata={"dagster/column_schema": column_schema(contract)},
    )


@dg.multi_asset(specs=[_feature_spec(USER_FEATURES), _feature_spec(ITEM_FEATURES)])
def feature_tables(
    lake: Lake, artifacts: Artifacts
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Compute both tables as of the end of the last landed day."""
    store, folder = lake.interactions(), artifacts.folder("features")
    days = store.days()
    with making(folder, inputs=Inputs(lake.home, lake.settings()).features):
        report = build_features(store.scan(days), read_catalogue(lake.home.catalogue), folder, as_of=days[-1])
    shared: dict[str, Any] = {"as_of": report.as_of.isoformat(), "folder": dg.MetadataValue.path(str(folder))}
    rows = ((USER_FEATURES, report.users), (ITEM_FEATURES, report.items))
    users, items = (
        dg.MaterializeResult[Any](
            contract.name,
            metadata={
                "dagster/row_count": count,
                "dagster/column_schema": column_schema(with_kinds(contract, report.kinds)),
                **shared,
            },
        )
        for contract, count in rows
    )
    return users, items


ASSETS = [feature_tables]
CHECKS = FEATURE_CHECKS
