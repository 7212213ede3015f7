"""Promotion over HTTP."""

from datetime import UTC, datetime
from pathlib import Path

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
