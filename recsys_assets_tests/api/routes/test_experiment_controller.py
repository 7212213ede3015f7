"""Experiments over HTTP: the list, one with its curve, and the problems of a file."""

from collections.abc import Iterator
from datetime import date

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.schemas.experiment_schemas import ExperimentDetail, ExperimentList
from recsys_assets.experiments.experiments_file import read_experiments
from recsys_assets.experiments.results import ArmLook, DayLook, add_look
from recsys_assets.experiments.standing import RecordedEnd, record_end
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.experiments.writing import TWO_ARMS, write_experiments

Client = TestClient[Litestar]
LOOK = DayLook(
    day=date(2024, 4, 1),
    arms=[
        ArmLook(arm="now", users=120, shown=500, value=0.1),
        ArmLook(
            arm="popular",
            users=130,
            shown=510,
            value=0.12,
            difference=0.02,
            low=-0.01,
            high=0.05,
            verdict="not decided",
        ),
    ],
    words=["popular: not decided after 1 day, 250 users."],
)


@pytest.fixture
def client(own: Home) -> Iterator[Client]:
    """An application whose experiment runs, with one look at it."""
    write_experiments(own.root, TWO_ARMS, ("2026-11-01", "2024-04-01"), ("2026-11-30", "2024-04-30"))
    (one,) = read_experiments(own)
    add_look(own, one, LOOK, now=NOW)
    with TestClient(create_app(own, clock=lambda: NOW)) as opened:
        yield opened


def test_the_list_has_state_and_verdict(client: Client) -> None:
    found = msgspec.json.decode(client.get("/v1/experiments").content, type=ExperimentList)
    (one,) = found.experiments
    assert (one.name, one.state, one.metric, one.words) == ("taste", "running", "ctr", LOOK.words)
    assert found.problem is None


def test_one_experiment_has_its_arms_and_its_curve(client: Client) -> None:
    found = msgspec.json.decode(client.get("/v1/experiments/taste").content, type=ExperimentDetail)
    assert [(arm.name, arm.model) for arm in found.arms] == [("now", None), ("popular", "popular")]
    assert found.days == [LOOK]
    assert found.judged_at == NOW


def test_an_arm_that_a_guard_rail_ended_says_why(client: Client, own: Home) -> None:
    record_end(own, RecordedEnd(at=NOW, experiment="taste", arm="popular", why="it did harm"))
    client.app.state.service.live.experiments.refresh()
    found = msgspec.json.decode(client.get("/v1/experiments/taste").content, type=ExperimentDetail)
    assert [arm.why for arm in found.arms] == [None, "it did harm"]


def test_an_unknown_experiment_is_not_found(client: Client) -> None:
    answer = client.get("/v1/experiments/other")
    assert answer.status_code == 404
    assert "see GET /v1/experiments" in answer.json()["detail"]


def test_a_broken_file_is_a_problem_without_the_homes_path(client: Client, own: Home) -> None:
    own.experiments_file.write_text("[experiments.taste]\nstart = 1\n")
    follower = next(one for one in client.app.state.service.live.followers if one.name == "experiments")
    follower.look()
    found = client.get("/v1/experiments").json()
    assert found["problem"].startswith("experiments.toml:")
    assert [one["name"] for one in found["experiments"]] == ["taste"]


def test_results_that_cannot_be_read_are_a_problem_of_the_server(client: Client, own: Home) -> None:
    (own.experiment_results / "taste.json").write_text("{")
    answer = client.get("/v1/experiments/taste")
    assert answer.status_code == 503
    assert "the results of the experiment" in answer.json()["detail"]
