"""The gate's reports: what they keep back, who forces it, and their end with the release."""

import pytest

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.gate_report import (
    GateReport,
    GateResult,
    check_gate,
    newest_candidate,
    read_gate,
    report_file,
    write_gate,
)
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE, NOW


def report(release_id: str, *, passed: bool) -> GateReport:
    result = GateResult(name="held_out", passed=passed, value=-0.1, bound=-0.02, detail="NDCG@10 0.1 not 0.2")
    return GateReport(release=release_id, against=None, at=NOW, passed=passed, results=[result])


@pytest.fixture
def kept_back(world, tmp_path):
    """A store whose second release did not pass the gate, and both ids."""
    first = world.publish(tmp_path).release_id
    second = world.publish(tmp_path, lineage=LINEAGE | {LAST_DAY: "f" * 64}, promote=False).release_id
    write_gate(tmp_path / "releases", report(second, passed=False))
    return ReleaseStore(tmp_path / "releases", clock=lambda: NOW), first, second


def test_a_report_is_read_as_it_was_written(tmp_path):
    write_gate(tmp_path, report("20240101-0123456789", passed=True))

    assert read_gate(tmp_path, "20240101-0123456789") == report("20240101-0123456789", passed=True)
    assert read_gate(tmp_path, "20240101-9876543210") is None


def test_a_report_that_cannot_be_read_is_named(tmp_path):
    write_gate(tmp_path, report("20240101-0123456789", passed=True))
    report_file(tmp_path, "20240101-0123456789").write_bytes(b"{")
    with pytest.raises(BrokenReleaseError, match=r"20240101-0123456789\.json"):
        read_gate(tmp_path, "20240101-0123456789")


def test_what_was_kept_back_is_not_promoted_and_the_reasons_are_said(kept_back):
    store, first, second = kept_back
    with pytest.raises(ReleaseError, match=r"(?s)held out: NDCG@10 0\.1 not 0\.2.*--force --why"):
        store.promote(second)

    assert store.current_id() == first
    assert "stays a candidate" in str(store.fault(second))


def test_a_release_that_was_never_judged_may_be_promoted(kept_back):
    store, first, _ = kept_back
    check_gate(store.root, first)
    store.promote(first)


def test_forcing_needs_a_reason_and_is_kept_on_record(kept_back):
    store, first, second = kept_back
    with pytest.raises(ReleaseError, match="--why"):
        store.promote(second, force=True, why=" ")
    store.promote(second, force=True, who="ada", why="the shop changed its range")
    move = store.promotions()[-1]

    assert store.current_id() == second
    assert (move.move, move.before, move.who, move.why) == (
        "promote",
        first,
        "ada",
        "the shop changed its range",
    )


def test_one_that_was_forced_can_be_gone_back_to(kept_back):
    store, first, second = kept_back
    store.promote(second, force=True, why="x")
    store.promote(first)

    assert store.fault(second) is None
    assert store.rollback() == second


def test_a_recall_passes_over_what_was_kept_back(world, tmp_path):
    earlier = {day: checksum for day, checksum in LINEAGE.items() if day != LAST_DAY}
    first = world.publish(tmp_path, lineage=earlier).release_id
    changed = earlier | {max(earlier): "f" * 64}
    second = world.publish(tmp_path, lineage=changed, promote=False).release_id
    write_gate(tmp_path / "releases", report(second, passed=False))
    third = world.publish(tmp_path).release_id
    outcome = ReleaseStore(tmp_path / "releases").recall([LAST_DAY], why="twice")

    assert (outcome.before, outcome.current) == (third, first)


def test_pruning_removes_the_report_with_the_release(kept_back, world):
    store, _, second = kept_back
    world.publish(store.root.parent, lineage=LINEAGE | {LAST_DAY: "e" * 64})
    store.prune(keep=1)

    assert not report_file(store.root, second).exists()


def test_the_newest_candidate_is_that_of_the_last_build_until_it_was_served(kept_back):
    store, _, second = kept_back
    home = Home(store.root.parent)
    assert newest_candidate(home) is None
    home.artifact("release").parent.mkdir(exist_ok=True)
    home.artifact("release").write_text(f"{second}\n")
    assert newest_candidate(home) == report(second, passed=False)
    store.promote(second, force=True, why="x")
    assert newest_candidate(home) is None
