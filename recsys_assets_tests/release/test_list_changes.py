"""Lists of two releases are compared by id, for the users that both know."""

import shutil

import numpy as np
import polars as pl
import pytest

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.embeddings.training import train
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.release.list_changes import compare_lists
from recsys_assets.release.load import load_release
from recsys_assets.release.promotion_checks import served_lists
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, SETTINGS, World


def opened(world, home):
    return load_release(home / "releases" / world.publish(home).release_id)


@pytest.fixture
def release(world, tmp_path):
    return opened(world, tmp_path / "before")


@pytest.fixture(scope="session")
def larger(tmp_path_factory):
    """Ten users and ten items more: every number means another user or item."""
    return build_world(tmp_path_factory.mktemp("larger") / "artifacts", users=50, items=70)


def with_candidates(world, folder, change):
    """Return the world with its lists changed in place by `change`."""
    for part, artifacts in world.parts.items():
        shutil.copytree(artifacts, folder / "artifacts" / part)
    path = folder / "artifacts" / "index" / "candidates_items.npy"
    items = np.load(path)
    change(items)
    np.save(path, items)
    return World(artifacts=folder / "artifacts")


def test_a_release_does_not_differ_from_itself(release):
    found = compare_lists(release, release)

    assert (found.users, found.changed, found.reordered, found.overlap) == (40, 0, 0, 1)
    assert (found.examples, found.only_before, found.only_after) == ([], 0, 0)


def test_one_changed_place_of_one_user_is_found_and_named(world, release, tmp_path):
    items = release.candidates_items[7].tolist()

    def change(rows):
        rows[7, 2], rows[7, 12] = rows[7, 12], rows[7, 2]

    found = compare_lists(release, opened(with_candidates(world, tmp_path, change), tmp_path / "after"))

    assert (found.changed, found.reordered) == (1 / 40, 0)
    assert found.overlap == pytest.approx(1 - 0.1 / 40)
    (example,) = found.examples
    assert example.user_id == release.users[7]
    assert example.gone == [release.titles[items[2]]]
    assert example.new == [release.titles[items[12]]]


def test_another_order_is_no_other_item(world, release, tmp_path):
    def change(rows):
        rows[:20, [0, 1]] = rows[:20, [1, 0]]

    found = compare_lists(release, opened(with_candidates(world, tmp_path, change), tmp_path / "after"))

    assert (found.changed, found.reordered, found.overlap, found.examples) == (0, 0.5, 1, [])


def shares_in_common(before, after):
    """The share of each common user's list that stays, from the ids of both releases in the plainest way."""
    ids = sorted(set(before.users) & set(after.users))
    lists = [
        [{one.items[num] for num in row} for row in served_lists(one, [one.users.num(key) for key in ids])[0]]
        for one in (before, after)
    ]
    return [len(one & other) / 10 for one, other in zip(*lists, strict=True)]


def test_items_are_compared_by_id_and_not_by_number(release, larger, tmp_path):
    after = opened(larger, tmp_path / "after")
    shares = shares_in_common(release, after)

    found = compare_lists(release, after)

    assert found.users == len(shares) == 40
    assert (found.only_before, found.only_after) == (0, 10)
    assert found.overlap == pytest.approx(np.mean(shares))
    assert found.changed == np.mean([share < 1 for share in shares])


def test_examples_are_those_whose_lists_changed_most(release, larger, tmp_path):
    after = opened(larger, tmp_path / "after")
    most = sorted(round(10 * (1 - share)) for share in shares_in_common(release, after))[:-6:-1]

    assert [len(one.new) for one in compare_lists(release, after).examples] == most


def test_the_same_seed_gives_the_same_users_and_result(release, larger, tmp_path):
    after = opened(larger, tmp_path / "after")

    assert compare_lists(release, after, users=12, seed=3) == compare_lists(release, after, users=12, seed=3)
    assert compare_lists(release, after, users=12).users == 12


def test_shorter_lists_are_compared_at_their_own_length(release, larger, tmp_path):
    found = compare_lists(release, opened(larger, tmp_path / "after"), k=3)

    assert found.k == 3
    assert all(len(one.new) <= 3 for one in found.examples)


def test_releases_without_a_common_user_have_nothing_to_compare(release, tmp_path):
    strangers = pl.LazyFrame(
        {
            "user_id": [f"other{num % 12}" for num in range(60)],
            "item_id": [f"i{num % 17}" for num in range(60)],
            "timestamp": [SETTINGS.source.first_day] * 60,
            "weight": 1.0,
        }
    )
    parts = tmp_path / "artifacts"
    frame = strangers.with_columns(
        pl.col("timestamp").cast(pl.Datetime(time_zone="UTC")),
        rating=pl.lit(None, pl.Float32),
        quantity=pl.lit(1.0),
        value=pl.lit(1.0),
        kind=pl.lit(None, pl.String),
    )
    matrix = InteractionMatrix.from_interactions(frame)
    save_embeddings(parts / "embeddings", matrix=matrix, factorisation=train(matrix, SETTINGS.training))
    build_features(frame, None, parts / "features", as_of=LAST_DAY)
    build_item_index(parts / "embeddings", parts / "index", SETTINGS.index)

    found = compare_lists(release, opened(World(artifacts=parts), tmp_path / "after"))

    assert (found.users, found.overlap, found.only_before, found.only_after) == (0, 1, 40, 12)
    assert "no user" in found.in_words()
