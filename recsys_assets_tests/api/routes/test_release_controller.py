"""Promotion, history and differences of releases over HTTP."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.release.gate_report import GateReport, GateResult, write_gate
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import key_header
from recsys_assets_tests.api.world import make_home, publish_release


def test_promoting_needs_an_admin_and_a_release_that_is_kept(own: Home, client: TestClient[Litestar]) -> None:
    current = ReleaseStore(own.releases).current_id()
    writer, admin = key_header(own, client, "write"), key_header(own, client, "admin")

    def promote(release: str | None, headers: dict[str, str]) -> int:
        return client.post("/v1/releases:promote", json={"release": release}, headers=headers).status_code

    assert promote(current, writer) == 403
    assert promote("../../etc", admin) == 404
    assert promote(current, admin) == 200


def test_a_release_that_cannot_be_served_is_not_promoted_and_no_path_is_shown(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    current = ReleaseStore(home.releases).current_id()
    other = publish_release(home, seed=1, promote=False)
    (home.releases / other / "items.hash.npy").write_bytes(b"rot")
    with TestClient(create_app(home)) as client:
        answer = client.post(
            "/v1/releases:promote", json={"release": other}, headers=key_header(home, client, "admin")
        )
    assert answer.status_code == 409
    assert f"releases/{other}/items.hash.npy: 3 bytes" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert ReleaseStore(home.releases).current_id() == current


Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str, str]:
    """A home of two releases, the first of them current, and their ids."""
    home = make_home(tmp_path_factory.mktemp("two"))
    current = ReleaseStore(home.releases).current_id()
    assert current is not None
    return home, current, publish_release(home, seed=1, promote=False)


def test_the_difference_of_two_releases_names_what_changed(two: tuple[Home, str, str]) -> None:
    home, one, other = two
    with TestClient(create_app(home)) as client:
        answer = client.get(f"/v1/releases/{one}/diff/{other}")
    assert (answer.status_code, answer.headers["x-release-id"]) == (200, one)
    found = answer.json()["difference"]
    assert (found["before"]["release"], found["after"]["release"]) == (one, other)
    assert found["settings"] == [{"name": "training.seed", "before": 0, "after": 1}]
    assert found["lists"]["users"] == 40
    assert found["lists"]["changed"] > 0.5
    assert len(found["days"]["rebuilt"]) == 30
    assert answer.json()["golden"] == []


def test_a_release_that_is_not_kept_is_a_problem(two: tuple[Home, str, str]) -> None:
    home, one, _ = two
    with TestClient(create_app(home)) as client:
        for path in (f"{one}/diff/20200101-0000000000", f"..%2F{one}/diff/{one}", f"{one}/diff/%00"):
            answer = client.get(f"/v1/releases/{path}")
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        assert "see GET /v1/releases" in client.get(f"/v1/releases/x/diff/{one}").json()["detail"]


def test_a_damaged_release_is_a_problem_without_a_path(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    one = ReleaseStore(home.releases).current_id()
    other = publish_release(home, seed=1, promote=False)
    (home.releases / other / "features.sqlite").write_bytes(b"rot")
    with TestClient(create_app(home)) as client:
        answer = client.get(f"/v1/releases/{one}/diff/{other}")
    assert answer.status_code == 409
    assert f"releases/{other}/features.sqlite: 3 bytes" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text


def test_golden_users_have_both_lists_and_a_mistake_in_their_file_is_reported(
    two: tuple[Home, str, str],
) -> None:
    home, one, other = two
    with TestClient(create_app(home)) as client:
        home.golden_file.write_text(
            '[[golden]]\nuser = "u3"\nscenario = "plain"\nk = 4\nleast_overlap = 1.0\n'
        )
        body = client.get(f"/v1/releases/{one}/diff/{other}").json()
        home.golden_file.write_text("[[gold]]\n")
        wrong = client.get(f"/v1/releases/{one}/diff/{other}").json()
        home.golden_file.unlink()
    (found,) = body["golden"]
    assert (found["user"], len(found["before"]), len(found["after"])) == ("u3", 4, 4)
    assert "of the list is as before, expected at least 100%" in found["failures"][0]
    assert (body["golden_problem"], wrong["golden"]) == (None, [])
    assert wrong["golden_problem"].startswith("golden.toml:1: no golden users")


def test_the_path_of_a_source_is_not_shown(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    one = ReleaseStore(home.releases).current_id()
    other = publish_release(home, spec="csv:/secret/place.csv", promote=False)
    with TestClient(create_app(home)) as client:
        answer = client.get(f"/v1/releases/{one}/diff/{other}")
    assert answer.json()["difference"]["settings"] == [
        {"name": "source.spec", "before": "tabular", "after": "csv"}
    ]
    assert "secret" not in answer.text


def test_history_names_who_moved_the_current_release_and_why(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    store = ReleaseStore(home.releases)
    one = store.current_id()
    other = publish_release(home, seed=1, promote=False)
    store.promote(other, who="ada", why="better")
    store.rollback(who="bob", why="worse")
    with TestClient(create_app(home)) as client:
        moves = client.get("/v1/releases/history").json()["moves"]
        (last,) = client.get("/v1/releases/history?limit=1").json()["moves"]
    assert [(move["move"], move["before"], move["after"], move["who"], move["why"]) for move in moves] == [
        ("rollback", other, one, "bob", "worse"),
        ("promote", one, other, "ada", "better"),
        ("promote", None, one, "", ""),
    ]
    assert last == moves[0]


def test_a_candidate_that_failed_the_gate_is_listed_with_its_reasons(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    one = ReleaseStore(home.releases).current_id()
    other = publish_release(home, seed=1, promote=False)
    result = GateResult(name="held_out", passed=False, value=-0.2, bound=-0.02, detail="a fifth worse")
    at = datetime(2024, 4, 2, tzinfo=UTC)
    write_gate(home.releases, GateReport(release=other, against=one, at=at, passed=False, results=[result]))
    with TestClient(create_app(home)) as client:
        listed = {found["release"]: found for found in client.get("/v1/releases").json()["releases"]}
    assert (listed[one]["gate"], listed[one]["fault"]) == (None, None)
    assert listed[other]["gate"]["results"][0]["detail"] == "a fifth worse"
    assert "held out: a fifth worse" in listed[other]["fault"]


def test_a_candidate_is_promoted_by_force_only_and_the_keys_name_is_on_record(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    candidate = publish_release(home, seed=1, promote=False)
    result = GateResult(name="held_out", passed=False, detail="NDCG@10 0.1 against 0.2")
    report = GateReport(release=candidate, against=None, at=datetime.now(UTC), passed=False, results=[result])
    write_gate(home.releases, report)
    with TestClient(create_app(home)) as client:
        headers = key_header(home, client, "admin")

        def promote(**body: object) -> tuple[int, str]:
            answer = client.post("/v1/releases:promote", json={"release": candidate, **body}, headers=headers)
            return answer.status_code, answer.text

        status, said = promote()
        assert status == 409
        assert "held out: NDCG@10 0.1 against 0.2" in said
        assert promote(force=True)[0] == 409
        assert promote(force=True, why="a new range")[0] == 200
    move = ReleaseStore(home.releases).promotions()[-1]
    assert (move.after, move.who, move.why) == (candidate, "admin", "a new range")
