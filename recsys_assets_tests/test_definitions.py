"""The code location as Dagster sees it."""

import subprocess
import sys
from collections import Counter

import dagster as dg
import pytest

from recsys_assets.definitions import defs

GROUPS = {
    "raw_interactions": "lake",
    "item_catalogue": "lake",
    "interactions": "interactions",
    "increment_report": "interactions",
    "model_choice": "embeddings",
    "user_embeddings": "embeddings",
    "item_embeddings": "embeddings",
    "evaluation": "embeddings",
    "user_features": "features",
    "item_features": "features",
    "item_index": "index",
    "release": "release",
    "recalled_days": "lake",
    "recommendation_api": "serving",
    "impressions": "online",
    "online_metrics": "online",
}
DAILY = {"raw_interactions", "interactions", "increment_report"}


@pytest.fixture(scope="module")
def specs():
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_assets_and_their_groups_are_those_of_the_design(specs):
    assert {name: spec.group_name for name, spec in specs.items()} == GROUPS


def test_every_asset_says_what_it_is_who_owns_it_and_of_what_kind(specs):
    for name, spec in specs.items():
        assert spec.description, name
        assert spec.owners, name
        assert spec.kinds, name


def test_every_asset_that_is_made_here_has_a_code_version(specs):
    assert {name for name, spec in specs.items() if not spec.code_version} == {
        "recalled_days",
        "recommendation_api",
    }


def test_only_the_daily_assets_are_partitioned_and_by_the_same_days(specs):
    partitioned = {name: spec.partitions_def for name, spec in specs.items() if spec.partitions_def}
    assert set(partitioned) == DAILY
    assert len(set(partitioned.values())) == 1


def test_a_backfill_of_the_daily_assets_is_one_run():
    graph = defs.resolve_asset_graph()
    for name in DAILY:
        policy = graph.get(dg.AssetKey(name)).backfill_policy
        assert policy is not None
        assert policy.max_partitions_per_run is None, name


def test_every_stage_has_at_least_two_checks():
    keys = defs.resolve_asset_graph().asset_check_keys
    by_group: dict[str, int] = {}
    for key in keys:
        group = GROUPS[key.asset_key.to_user_string()]
        by_group[group] = by_group.get(group, 0) + 1
    assert all(by_group.get(group, 0) >= 2 for group in set(GROUPS.values()) - {"serving"}), by_group


def test_everything_leads_to_what_the_api_serves():
    graph = defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey("recommendation_api")).parent_keys == {dg.AssetKey("release")}
    upstream = dg.AssetSelection.assets("release").upstream().resolve(graph)
    assert {key.to_user_string() for key in upstream} == set(GROUPS) - {
        "increment_report",
        "recalled_days",
        "recommendation_api",
        "impressions",
        "online_metrics",
    }


def test_a_recall_makes_all_stale_that_is_learnt_from_days():
    graph = defs.resolve_asset_graph()
    learnt = graph.get(dg.AssetKey("recalled_days")).child_keys
    made = {name for name, group in GROUPS.items() if group in {"embeddings", "features", "index", "release"}}
    assert made <= {key.to_user_string() for key in learnt}


def test_the_jobs_are_named_for_what_they_do():
    names = {job.name for job in defs.resolve_all_job_defs()}
    assert {"daily_increment", "retrain_and_release", "full_build"} <= names


def test_definitions_import_neither_torch_nor_pandera():
    script = (
        "import sys; import recsys_assets.definitions; print(sorted({'torch', 'pandera'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_asset_has_at_most_ten_checks_and_each_says_what_why_and_what_to_do():
    graph = defs.resolve_asset_graph()
    by_asset = Counter(key.asset_key.to_user_string() for key in graph.asset_check_keys)
    assert max(by_asset.values()) <= 10
    for key in graph.asset_check_keys:
        description = graph.get(key).description
        assert description, key
        assert "?" in description, key
        assert "If not:" in description, key


def test_loading_the_build_loads_nothing_heavy():
    heavy = "{'torch', 'matplotlib', 'pandas', 'sqlite_utils', 'pandera', 'papermill', 'IPython'}"
    script = f"import sys, recsys_assets.orchestration.build; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
