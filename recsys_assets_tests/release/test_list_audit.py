"""The lists of a release against the contract of `recommendations`."""

import numpy as np
import polars as pl
import pytest

from recsys_assets.errors import ContractError
from recsys_assets.quality.contract import validate
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.release.list_audit import (
    RECOMMENDATIONS,
    RECOMMENDATIONS_EXPECTATIONS,
    recommendations_table,
)
from recsys_assets.release.load import load_release
from recsys_assets.release.release_store import ReleaseStore


@pytest.fixture
def table(world, tmp_path):
    """Every list of a small release."""
    manifest = world.publish(tmp_path)
    release = load_release(ReleaseStore(tmp_path / "releases").path(manifest.release_id))
    nums = list(range(len(release.users)))
    return recommendations_table(
        release, nums, np.array(release.candidates_items), np.array(release.candidates_scores)
    )


def refused(table):
    results = evaluate(RECOMMENDATIONS_EXPECTATIONS, table, table="recommendations")
    return {result.check for result in results if result.verdict == "block"}


def test_the_lists_of_a_release_keep_the_contract(table):
    assert table.height > 0
    assert validate(RECOMMENDATIONS, table).equals(table)
    assert refused(table) == set()


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (pl.lit("same").alias("item_id"), "user_id_item_id_unique"),
        ((pl.col("rank") - 1).alias("rank"), "rank_least"),
        (pl.lit("").alias("item_id"), "item_id_length"),
    ],
)
def test_pandera_and_the_checks_refuse_the_same(table, change, check):
    broken = table.with_columns(change)
    assert check in refused(broken)
    with pytest.raises(ContractError, match="recommendations"):
        validate(RECOMMENDATIONS, broken)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (pl.lit(float("nan"), pl.Float32).alias("score"), "score_finite"),
        ((-pl.col("score")).alias("score"), "score_descending"),
    ],
)
def test_scores_are_finite_and_descend(table, change, check):
    assert check in refused(table.with_columns(change))
