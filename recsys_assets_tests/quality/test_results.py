"""Faults in embeddings, lists, recall and features are found."""

from datetime import date

import numpy as np
import pytest

from recsys_assets.embeddings.embedding_audit import embedding_results
from recsys_assets.features.feature_database import freshness_result
from recsys_assets.index.choose_index import recall_result
from recsys_assets.release.list_audit import list_results


def verdicts(results):
    return {r.check: r.verdict for r in results}


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)


def test_sound_embeddings_pass(vectors):
    assert set(verdicts(embedding_results("item_embeddings", vectors)).values()) == {"ok"}


def test_one_nan_blocks(vectors):
    vectors[3, 2] = np.nan
    assert verdicts(embedding_results("item_embeddings", vectors))["norm_finite"] == "block"


def test_dead_dimensions_warn_and_many_block(vectors):
    vectors[:, :2] = 0.5
    assert verdicts(embedding_results("item_embeddings", vectors))["deviation_alive"] == "warn"
    vectors[:, :10] = 0.5
    assert verdicts(embedding_results("item_embeddings", vectors))["deviation_alive"] == "block"


def test_a_giant_norm_warns(vectors):
    vectors[0] *= 1000
    assert verdicts(embedding_results("item_embeddings", vectors))["norm_no_giants"] == "warn"


def judged(items, **changes):
    items = np.array(items)
    given = {
        "seen": [np.array([90])] * len(items),
        "popular": np.array([80, 81]),
        "catalogue_size": 20,
    } | changes
    return verdicts(list_results(items, **given))


def test_sound_lists_pass():
    assert set(judged([[1, 2], [3, 4]], previous_UK=np.array([[1, 9], [3, 9]])).values()) == {"ok"}


@pytest.mark.parametrize(
    ("items", "changes", "check", "verdict"),
    [
        ([[1, 90], [3, 4]], {}, "seen_none", "block"),
        ([[-1, -1], [3, 4]], {}, "listed_any", "block"),
        ([[1, -1], [3, 4]], {}, "listed_full", "warn"),
        ([[80, 81], [81, 80]], {}, "popular_share_mean", "warn"),
        ([[1, 2]] * 60, {"catalogue_size": 1000}, "distinct_share_mean", "warn"),
        (
            [[1, 2], [3, 4]],
            {"previous_UK": np.array([[8, 9], [8, 9]])},
            "overlap_with_previous_mean",
            "block",
        ),
    ],
)
def test_finds(items, changes, check, verdict):
    assert judged(items, **changes)[check] == verdict


@pytest.mark.parametrize(("recall", "verdict"), [(0.995, "ok"), (0.98, "warn"), (0.9, "block")])
def test_recall_is_judged_against_its_target(recall, verdict):
    assert recall_result(recall, target=0.99).verdict == verdict


@pytest.mark.parametrize(("day", "verdict"), [(31, "ok"), (30, "warn"), (1, "block")])
def test_features_must_be_as_new_as_the_events(day, verdict):
    as_of = date(2017, 12, day)
    assert freshness_result("user_features", as_of=as_of, through_day=date(2017, 12, 31)).verdict == verdict
