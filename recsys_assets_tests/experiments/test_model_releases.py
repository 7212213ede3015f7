"""Releases that experiments need: they are found by model, and pruning keeps them."""

from datetime import date
from pathlib import Path

import pytest

from recsys_assets.experiments.model_releases import needed_releases, newest_of_models
from recsys_assets.experiments.standing import RecordedEnd, record_end
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.world import make_home, publish_release
from recsys_assets_tests.experiments.writing import TWO_ARMS, write_experiments

DURING, AFTER = date(2026, 11, 5), date(2026, 12, 5)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of three releases, and their ids, oldest first."""
    home = make_home(tmp_path_factory.mktemp("three"))
    first = ReleaseStore(home.releases).current_id()
    assert first is not None
    return home.releases, [first, publish_release(home, seed=1), publish_release(home, seed=2)]


@pytest.fixture
def home(releases: tuple[Path, list[str]], tmp_path: Path) -> Home:
    (tmp_path / "releases").symlink_to(releases[0])
    return Home(tmp_path)


def test_the_newest_release_of_a_model_is_found(home: Home, releases: tuple[Path, list[str]]) -> None:
    assert newest_of_models(ReleaseStore(home.releases)) == {"ials": releases[1][-1]}


@pytest.mark.parametrize(("today", "kept"), [(DURING, True), (AFTER, False)])
def test_a_release_is_needed_while_its_experiment_is_not_over(
    home: Home, releases: tuple[Path, list[str]], today: date, *, kept: bool
) -> None:
    oldest = releases[1][0]
    write_experiments(home.root, TWO_ARMS, ('model = "popular"', f'release = "{oldest}"'))
    needed = needed_releases(home, today=today)
    old = ReleaseStore(home.releases).superseded(keep=1, needed=needed)
    assert (oldest in needed, oldest not in old) == (kept, kept)


def test_the_release_of_an_arm_that_ended_is_not_needed(home: Home, releases: tuple[Path, list[str]]) -> None:
    write_experiments(home.root, TWO_ARMS, ('model = "popular"', f'release = "{releases[1][0]}"'))
    record_end(home, RecordedEnd(at=NOW, experiment="taste", arm="popular", why="harm"))
    assert needed_releases(home, today=DURING) == set()


def test_the_newest_release_of_a_named_model_is_needed(home: Home, releases: tuple[Path, list[str]]) -> None:
    write_experiments(home.root, TWO_ARMS, ('model = "popular"', 'model = "ials"'))
    assert needed_releases(home, today=DURING) == {releases[1][-1]}
