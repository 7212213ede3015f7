"""Arms of experiments over HTTP: who gets which list, and what happens when an arm cannot answer."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.serving.followed_experiments import FollowedExperiments
from recsys_assets.errors import ExperimentsError
from recsys_assets.experiments.arms import ArmDraw
from recsys_assets.experiments.experiments_file import read_experiments
from recsys_assets.experiments.standing import RecordedEnd, record_end, stop
from recsys_assets.experiments.teams import read_teams
from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.release.answer_series import series_of
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.world import make_home, publish_release
from recsys_assets_tests.experiments.writing import TWO_ARMS, write_experiments

Client = TestClient[Litestar]
APRIL = (("2026-11-01", "2024-04-01"), ("2026-11-30", "2024-04-30"))
USERS = [f"u{number}" for number in range(30)]


@pytest.fixture
def running(own: Home) -> Iterator[Client]:
    """An application over a home whose experiment of two arms runs."""
    write_experiments(own.root, TWO_ARMS, *APRIL)
    with TestClient(create_app(own, clock=lambda: NOW)) as opened:
        yield opened


def follow(client: Client) -> FollowedExperiments:
    found: FollowedExperiments = client.app.state.service.live.experiments
    return found


def ask(client: Client, user: str = "u1", **params: Any) -> Mapping[str, Any]:
    answer = client.get(f"/v1/users/{user}/recommendations", params=params)
    assert answer.status_code == 200, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


def user_of(home: Home, arm: str) -> str:
    """A user of the release whose arm it is."""
    (one,) = read_experiments(home)
    return next(user for user in USERS if (found := ArmDraw(one).of(user)) and found.name == arm)


def test_without_an_experiment_no_answer_names_one(client: Client) -> None:
    assert {"experiment", "arm"}.isdisjoint(ask(client))


def test_each_user_gets_the_list_of_the_users_arm(running: Client, own: Home) -> None:
    (one,) = read_experiments(own)
    for user in USERS:
        found, arm = ask(running, user), ArmDraw(one).of(user)
        assert arm is not None
        assert (found["experiment"], found["arm"]) == ("taste", arm.name)
        assert found["source"] == ("popular" if arm.name == "popular" else "user")


def test_an_answers_id_says_its_arm(running: Client, own: Home) -> None:
    found = ask(running)
    parsed = parse_answer_id(found["id"])
    assert parsed is not None
    row = series_of(own.answers_db)[parsed.series]
    assert (row.experiment, row.arm) == (found["experiment"], found["arm"])


def test_a_popular_arm_leaves_out_what_the_user_has(running: Client, own: Home) -> None:
    user = user_of(own, "popular")
    owned = {item["item_id"] for item in running.get(f"/v1/users/{user}/history").json()["items"]}
    assert owned.isdisjoint(item["item_id"] for item in ask(running, user, k=60)["items"])


def test_sessions_and_explained_requests_take_no_part(running: Client) -> None:
    session = running.post("/v1/recommendations", json={"item_ids": ["i5"]}).json()
    assert "arm" not in session
    assert "arm" not in ask(running, explain=True)
    assert "arm" not in ask(running, diversity=0.5)


def test_the_entity_tag_changes_with_the_experiment(running: Client, own: Home) -> None:
    path = f"/v1/users/{user_of(own, 'now')}/recommendations"
    before = running.get(path)
    assert running.get(path, headers={"If-None-Match": before.headers["etag"]}).status_code == 304
    own.experiments_file.unlink()
    follow(running).refresh()
    assert running.get(path, headers={"If-None-Match": before.headers["etag"]}).status_code == 200


def test_an_experiment_ends_with_its_last_day(own: Home) -> None:
    write_experiments(own.root, TWO_ARMS, *APRIL)
    times = [datetime(2024, 4, 30, 23, 59, tzinfo=UTC)]
    with TestClient(create_app(own, clock=lambda: times[-1])) as client:
        assert "arm" in ask(client)
        times.append(datetime(2024, 5, 1, tzinfo=UTC))
        follow(client).refresh()
        assert "arm" not in ask(client)


def test_a_stopped_experiment_gives_everybody_the_same_again(running: Client, own: Home) -> None:
    stop(own, "taste", why="enough", who="me", now=NOW)
    follow(running).refresh()
    assert "arm" not in ask(running)


def test_users_of_an_ended_arm_get_the_controls_list_without_its_name(running: Client, own: Home) -> None:
    record_end(own, RecordedEnd(at=NOW, experiment="taste", arm="popular", why="harm"))
    follow(running).refresh()
    moved, control = ask(running, user_of(own, "popular")), ask(running, user_of(own, "now"))
    assert "arm" not in moved
    assert moved["source"] == "user"
    assert control["arm"] == "now"


def test_a_file_that_is_not_valid_leaves_the_last_good_one_in_force(running: Client, own: Home) -> None:
    own.experiments_file.write_text("[experiments.taste]\nstart = 1\n")
    with pytest.raises(ExperimentsError, match="toml:"):
        follow(running).refresh()
    assert ask(running)["experiment"] == "taste"
    assert follow(running).file_problem is not None


@pytest.mark.usefixtures("running")
def test_a_server_that_starts_while_the_file_is_broken_has_the_last_good_one(own: Home) -> None:
    own.experiments_file.write_text("[experiments.taste]\nstart = 1\n")
    with TestClient(create_app(own, clock=lambda: NOW)) as second:
        assert ask(second)["experiment"] == "taste"
        assert follow(second).file_problem is not None


def test_a_home_whose_file_was_removed_has_no_experiment_after_a_restart(running: Client, own: Home) -> None:
    own.experiments_file.unlink()
    follow(running).refresh()
    with TestClient(create_app(own, clock=lambda: NOW)) as second:
        assert "experiment" not in ask(second)


def test_an_arm_by_a_rules_file_answers_by_its_scenario(own: Home) -> None:
    (own.root / "mine.toml").write_bytes(PACKAGED.read_bytes())
    write_experiments(own.root, TWO_ARMS, *APRIL, ('model = "popular"', 'rules = "mine.toml"'))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        found = ask(client, user_of(own, "popular"))
        assert found["scenario"]
        assert "scenario" not in ask(client, user_of(own, "now"))


@pytest.mark.parametrize("named", ['rules = "mine.toml"', 'release = "20240330-0123456789"', 'model = "x"'])
def test_an_experiment_whose_arm_cannot_answer_is_not_in_force(own: Home, named: str) -> None:
    (own.root / "mine.toml").write_text("version = 1\n")
    write_experiments(own.root, TWO_ARMS, *APRIL, ('model = "popular"', named))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        assert all("arm" not in ask(client, user) for user in USERS)
        assert "taste" in follow(client).problems


def test_interleaved_lists_have_each_item_once_and_their_teams_are_kept(own: Home) -> None:
    write_experiments(own.root, TWO_ARMS, *APRIL, ('"ctr"', '"ctr"\nkind = "interleave"'))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        found = ask(client, k=10)
        client.app.state.service.live.teams.flush()
    items = [item["item_id"] for item in found["items"]]
    teams = {row.item_id: row.arm for row in read_teams(own.answers_db) if row.answer_id == found["id"]}
    assert found["arm"] == "interleaved"
    assert len(set(items)) == 10
    assert set(teams) == set(items)
    assert Counter(teams.values()) == {"now": 5, "popular": 5}


@pytest.fixture
def two_releases(tmp_path: Path) -> tuple[Home, str, str]:
    """A home with an earlier release, and a current one with other vectors and more items."""
    place = make_home(tmp_path / "two")
    earlier = ReleaseStore(place.releases).current_id()
    assert earlier is not None
    return place, earlier, publish_release(place, seed=1, items=90)


def test_an_arm_by_a_release_answers_from_that_release(two_releases: tuple[Home, str, str]) -> None:
    place, earlier, current = two_releases
    named = ('model = "popular"', f'release = "{earlier}"')
    write_experiments(place.root, TWO_ARMS, *APRIL, named)
    with TestClient(create_app(place, clock=lambda: NOW)) as client:
        assert ask(client, user_of(place, "popular"))["release"] == earlier
        assert ask(client, user_of(place, "now"))["release"] == current


def test_releases_of_two_arms_can_be_interleaved(two_releases: tuple[Home, str, str]) -> None:
    place, earlier, current = two_releases
    changes = (
        ('model = "popular"', f'release = "{earlier}"'),
        ('"ctr"', '"ctr"\nkind = "interleave"'),
    )
    write_experiments(place.root, TWO_ARMS, *APRIL, *changes)
    with TestClient(create_app(place, clock=lambda: NOW)) as client:
        found = ask(client, k=8)
    assert found["release"] == current
    assert len({item["item_id"] for item in found["items"]}) == 8


def test_a_recalled_release_answers_no_arm_any_more(two_releases: tuple[Home, str, str]) -> None:
    place, earlier, _ = two_releases
    write_experiments(place.root, TWO_ARMS, *APRIL, ('model = "popular"', f'release = "{earlier}"'))
    with TestClient(create_app(place, clock=lambda: NOW)) as client:
        store = ReleaseStore(place.releases)
        (day, *_) = store.manifest(earlier).lineage
        store.recall([day], why="wrong", who="me")
        with pytest.raises(ExperimentsError, match="recalled"):
            follow(client).refresh()
        assert "arm" not in ask(client, user_of(place, "popular"))
        assert "recalled" in follow(client).problems["taste"]
