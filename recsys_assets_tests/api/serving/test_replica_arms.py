"""The releases and rules files of arms of experiments, in a replica's cache."""

from datetime import UTC, datetime

import pytest

from recsys_assets.api.serving.replica_mirror import ReplicaMirror
from recsys_assets.embeddings.score_recipe import ScoreRecipe
from recsys_assets.storage.home import Home
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets_tests.api.replicas import promote
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.experiments.writing import TWO_ARMS
from recsys_assets_tests.release.stored_releases import put_release

RUNNING = datetime(2026, 11, 10, 12, tzinfo=UTC)
OVER = datetime(2027, 11, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> list:
    """Two releases of a home."""
    home = Home(tmp_path_factory.mktemp("builder"))
    return [home.releases / publish_release(home, seed=seed, promote=False) for seed in range(2)]


@pytest.fixture
def store(releases) -> MemoryObjects:
    store = MemoryObjects()
    put_release(store, releases[1])
    promote(store, releases[0])
    return store


def kept(store, folder, now: datetime) -> set[str]:
    """The releases in a cache after three looks."""
    seconds = [0.0]
    home = Home(folder / "cache")
    mirror = ReplicaMirror(store, home, now=lambda: now, clock=lambda: seconds[0])
    for _ in range(3):
        seconds[0] += 100.0
        mirror.look()
    assert mirror.problem is None
    return {path.name for path in home.releases.iterdir() if path.is_dir() and path.name[0] != "."}


def arm(store, line: str) -> None:
    store.put("experiments.toml", TWO_ARMS.replace('model = "popular"', line).encode())


def test_a_release_that_an_arm_names_is_kept_while_its_experiment_runs(store, releases, tmp_path):
    arm(store, f'release = "{releases[1].name}"')
    both = {folder.name for folder in releases}
    assert kept(store, tmp_path, RUNNING) == both
    assert kept(store, tmp_path / "later", OVER) == {releases[0].name}


def test_the_newest_release_of_the_model_of_an_arm_is_kept(store, releases, tmp_path):
    arm(store, f'model = "{ScoreRecipe.load(releases[1]).model}"')
    assert kept(store, tmp_path, RUNNING) == {folder.name for folder in releases}  # that was published last


def test_the_popular_items_need_no_other_release(store, releases, tmp_path):
    arm(store, 'model = "popular"')
    assert kept(store, tmp_path, RUNNING) == {releases[0].name}


def test_the_rules_file_of_an_arm_follows_with_its_lists(store, tmp_path):
    arm(store, 'rules = "rules/other.toml"')
    store.put("rules/other.toml", b'[lists]\nhouse = "lists/house.txt"\n')
    store.put("lists/house.txt", b"i1\n")
    kept(store, tmp_path, RUNNING)
    assert (tmp_path / "cache" / "lists" / "house.txt").read_bytes() == b"i1\n"


def test_experiments_that_are_not_valid_keep_no_release_from_being_served(store, releases, tmp_path):
    store.put("experiments.toml", b"[experiments.taste]\nstart = 1\n")
    assert kept(store, tmp_path, RUNNING) == {releases[0].name}


def test_a_release_that_is_missing_keeps_the_current_one(store, releases, tmp_path):
    arm(store, 'release = "20240101-0123456789"')
    home = Home(tmp_path / "cache")
    mirror = ReplicaMirror(store, home, now=lambda: RUNNING)
    mirror.look()
    assert mirror.served() == releases[0].name
    assert "a release of an experiment is rejected" in (mirror.problem or "")
