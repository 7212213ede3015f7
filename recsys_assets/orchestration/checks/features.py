"""Checks on the feature tables: as their contracts say, complete, and of the last landed day."""

from datetime import date
from typing import Final

import dagster as dg
import msgspec

from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.feature_database import freshness_result, read_features, read_ids
from recsys_assets.features.kind_columns import MOST_KINDS, kind_name, kinds_of, with_kinds
from recsys_assets.lake.wish_defaults import unknown_kinds_in_words
from recsys_assets.orchestration.resources import Artifacts, Lake
from recsys_assets.quality.contract import Contract
from recsys_assets.quality.run_expectations import contract_expectations, evaluate
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.settings import DEFAULT_KINDS, InteractionsSettings
from recsys_assets.storage.home import FEATURE_DATABASE

_CONTRACT_KEPT: Final = (
    "Are types, nulls, bounds and key as the contract says? Rules and the API rely on them. "
    "If not: look at `broken`; this is a fault of the features' code, please report it."
)


def _keeps_its_contract(artifacts: Artifacts, contract: Contract) -> dg.AssetCheckResult:
    frame = read_features(artifacts.folder("features") / FEATURE_DATABASE, contract)
    expected = contract_expectations(with_kinds(contract, kinds_of(frame.columns)))
    results = evaluate(expected, frame, table=contract.name)
    broken = [result.detail for result in results if result.verdict != "ok"]
    return dg.AssetCheckResult(
        passed=not broken and frame.height > 0, metadata={"rows": frame.height, "broken": broken}
    )


@dg.asset_check(asset="user_features", blocking=True, description=_CONTRACT_KEPT)
def user_features_keep_their_contract(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Read the table back from SQLite."""
    return _keeps_its_contract(artifacts, USER_FEATURES)


@dg.asset_check(asset="item_features", blocking=True, description=_CONTRACT_KEPT)
def item_features_keep_their_contract(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Read the table back from SQLite."""
    return _keeps_its_contract(artifacts, ITEM_FEATURES)


@dg.asset_check(
    asset="user_features",
    blocking=True,
    description="Has every user with an interaction a row? Rules that read a missing one fall back to defaults. "
    "If not: `recsys build` makes the features again.",
)
def every_user_has_features(lake: Lake, artifacts: Artifacts) -> dg.AssetCheckResult:
    """Compare the ids with those of the landed days."""
    store = lake.interactions()
    known = store.scan(store.days()).select("user_id").unique().collect()
    rows = read_ids(artifacts.folder("features") / FEATURE_DATABASE, USER_FEATURES)
    missing = known.join(rows, on="user_id", how="anti")["user_id"]
    return dg.AssetCheckResult(
        passed=missing.is_empty(), metadata={"users": known.height, "missing": missing.head(20).to_list()}
    )


@dg.asset_check(
    asset="user_features",
    description="Are the features as of the last landed day? Older ones say what was. "
    "If not: `recsys build` makes them again.",
)
def features_are_fresh(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """Compare the day that the tables were computed for with the last landed one."""
    made = context.instance.get_latest_materialization_event(dg.AssetKey(USER_FEATURES.name))
    if made is None or made.asset_materialization is None:
        return dg.AssetCheckResult(passed=False, description="the features were never materialised")
    as_of = date.fromisoformat(str(made.asset_materialization.metadata["as_of"].value))
    result = freshness_result(USER_FEATURES.name, as_of=as_of, through_day=lake.interactions().days()[-1])
    return dg.AssetCheckResult(
        passed=result.verdict == "ok",
        severity=dg.AssetCheckSeverity.ERROR if result.verdict == "block" else dg.AssetCheckSeverity.WARN,
        metadata={"as_of": as_of.isoformat(), "days_behind": result.value or 0.0},
    )


@dg.asset_check(
    asset="user_features",
    description="Is every kind that the settings name in the data? A mistyped one changes nothing. "
    "If not: mend it under `[interactions]` in recsys.toml.",
)
def kinds_of_the_settings_are_there(lake: Lake) -> dg.AssetCheckResult:
    """Compare them with the kinds that have columns, as long as each has."""
    found = kinds_of(columns_of(lake.home.feature_database).users)
    given = lake.settings().interactions
    unknown = "" if len(found) == MOST_KINDS else unknown_kinds_in_words(_as_columns(given), found)
    return dg.AssetCheckResult(
        passed=not unknown, severity=dg.AssetCheckSeverity.WARN, description=unknown or None
    )


def _as_columns(given: InteractionsSettings) -> InteractionsSettings:
    """Return the settings with each kind as it is named in columns, but for the kinds of the defaults."""

    def named(kind: str) -> str:
        return kind if kind in DEFAULT_KINDS else kind_name(kind)

    seen = (
        [named(kind.strip().lower()) for kind in given.seen] if isinstance(given.seen, list) else given.seen
    )
    return msgspec.structs.replace(given, kinds={named(kind): 0.0 for kind in given.kinds}, seen=seen)


FEATURE_CHECKS = [
    user_features_keep_their_contract,
    item_features_keep_their_contract,
    every_user_has_features,
    features_are_fresh,
    kinds_of_the_settings_are_there,
]
