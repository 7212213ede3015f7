"""The gate in a build: a worse model stays a candidate; a better one, an equal one and a new day get past."""

import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from recsys_assets.commands.doctor import examine
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.orchestration.build_outcome import BuildOutcome
from recsys_assets.orchestration.instance import open_instance
from recsys_assets.release.current import read_current
from recsys_assets.release.gate_report import newest_candidate, read_gate, report_file
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.tastes import (
    FAST,
    GOOD,
    WORSE,
    built,
    configured,
    release_row,
    taste_home,
    with_next_day,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Home:
    """A home built with a good model, its first release promoted."""
    home = configured(taste_home(tmp_path_factory.mktemp("gate") / "good"), GOOD, FAST)
    outcome = built(home)
    assert not outcome.failed, outcome.rows
    return home


@pytest.fixture(scope="module")
def worse(good, tmp_path_factory) -> tuple[Home, BuildOutcome]:
    """A copy of it, built again with a worse model, and the outcome of that build."""
    home = copied(good, tmp_path_factory.mktemp("gate") / "worse")
    return home, built(configured(home, WORSE, FAST))


def copied(home: Home, to: Path) -> Home:
    """A copy of a home, over the same source."""
    shutil.copytree(home.root, to, symlinks=True)
    return Home(to)


def results(home: Home, release_id: str) -> dict[str, bool]:
    return {one.name: one.passed for one in read_gate(home.releases, release_id).results}


def test_the_first_release_passes_and_says_that_there_was_none(good):
    report = read_gate(good.releases, read_current(good.releases))

    assert report.passed
    assert report.against is None
    assert "nothing is served yet" in report.results[0].detail
    move = ReleaseStore(good.releases).promotions()[-1]
    assert move.who == "recsys build"
    assert "passed the gate" in move.why


def test_a_worse_model_stays_a_candidate_with_its_reasons(good, worse):
    home, outcome = worse
    row, candidate = release_row(outcome), newest_candidate(home)

    assert outcome.failed
    assert row.status == "failed"
    assert "stays a candidate" in row.detail
    assert "held out: NDCG@10" in row.detail
    assert read_current(home.releases) == read_current(good.releases)
    assert results(home, candidate.release)["held_out"] is False
    assert (home.releases / candidate.release / "manifest.json").is_file()


def test_doctor_names_the_candidate_and_the_next_step(worse):
    found = examine(worse[0])
    assert "stays a candidate" in dict(found.facts)["kept back"]
    assert found.next_step.startswith("recsys releases list")


def test_dagster_shows_the_gate_as_blocking_checks_with_numbers(worse):
    home, _ = worse
    key = dg.AssetCheckKey(dg.AssetKey("release"), "held_out")
    with open_instance(home) as instance:
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        run = instance.get_run_by_id(record.run_id)

    assert not evaluation.passed
    assert evaluation.blocking
    assert evaluation.metadata["value"].value < evaluation.metadata["bound"].value < 0
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_the_next_build_says_it_again_without_building(worse, tmp_path):
    home = copied(worse[0], tmp_path / "home")
    outcome = built(home)

    assert release_row(outcome).status == "failed"
    assert "stays a candidate" in release_row(outcome).detail
    assert not outcome.built


def test_a_forced_candidate_is_served_and_no_longer_fails_the_build(worse, tmp_path):
    home = copied(worse[0], tmp_path / "home")
    candidate = newest_candidate(home).release
    ReleaseStore(home.releases).promote(candidate, force=True, who="ada", why="a new range")

    assert not built(home).failed
    assert read_current(home.releases) == candidate


def test_another_margin_judges_the_candidate_again(worse, tmp_path):
    home = copied(worse[0], tmp_path / "home")
    outcome = built(configured(home, WORSE, FAST + "margin = 1.0\n"))

    assert release_row(outcome).status == "built"
    assert [row.stage for row in outcome.rows if row.status == "built"] == ["release"]
    assert newest_candidate(home) is None


def test_a_gate_that_is_off_promotes_and_says_so(worse, tmp_path):
    home = copied(worse[0], tmp_path / "home")
    outcome = built(configured(home, WORSE, FAST + "enabled = false\n"))

    assert release_row(outcome).status == "built"
    report = read_gate(home.releases, read_current(home.releases))
    assert {one.detail for one in report.results} == {"not judged: [gate] enabled is false"}
    assert report.in_words().endswith("was not judged: [gate] enabled is false")


def test_a_crash_before_the_promotion_is_made_good_by_the_next_build(good, tmp_path):
    home = copied(good, tmp_path / "home")
    newest = read_current(home.releases)
    (home.releases / "current").unlink()
    (home.releases / "promotions.jsonl").unlink()
    report_file(home.releases, newest).unlink()
    (home.artifacts / ".release.inputs").unlink()  # the state of a build that was killed after publishing
    outcome = built(home)

    assert not outcome.failed
    assert read_current(home.releases) == newest
    assert read_gate(home.releases, newest).passed


def test_a_first_release_that_fails_is_served_by_nobody_and_not_built_again(tmp_path):
    home = configured(taste_home(tmp_path / "first", days=6), GOOD, FAST)
    home.golden_file.write_text('[[golden]]\nuser = "u1"\nmust = ["no such item"]\n')
    first, second = built(home), built(home)

    assert (release_row(first).status, release_row(second).status) == ("failed", "failed")
    assert not second.built
    assert read_current(home.releases) is None
    home.golden_file.unlink()
    assert not built(home).failed
    assert read_current(home.releases) is not None


def test_a_damaged_candidate_is_published_again_and_judged(worse, tmp_path):
    home = copied(worse[0], tmp_path / "home")
    candidate = newest_candidate(home).release
    (home.releases / candidate / "items.hash.npy").write_bytes(b"rot")
    outcome = built(home)

    assert release_row(outcome).status == "failed"
    assert newest_candidate(home).release == candidate
    assert ReleaseStore(home.releases).verify(candidate)


def test_exports_hold_the_lists_of_the_promoted_release_only(worse, tmp_path):
    home = copied(worse[0], tmp_path / "home")
    kept, candidate = read_current(home.releases), newest_candidate(home).release
    export = '\n[export]\nto = "lists.parquet"\nafter_build = true\ndelta = false\n'
    assert built(configured(home, WORSE, FAST, export)).failed
    assert not (home.root / "lists.parquet").exists()

    def exported() -> str:
        assert not built(home).failed
        return pl.read_parquet(home.root / "lists.parquet")["release"].unique().item()

    ReleaseStore(home.releases).promote(candidate, force=True, why="a new range")
    assert exported() == candidate
    assert ReleaseStore(home.releases).rollback() == kept
    assert exported() == kept


@pytest.mark.slow
def test_a_better_model_gets_past_a_worse_one(tmp_path):
    home = configured(taste_home(tmp_path / "shop"), WORSE, FAST)
    assert not built(home).failed
    first = read_current(home.releases)
    assert not built(configured(home, GOOD, FAST)).failed

    assert read_current(home.releases) != first


@pytest.mark.slow
def test_an_equal_model_gets_past_a_good_one(good, tmp_path):
    home = copied(good, tmp_path / "home")
    outcome = built(configured(home, GOOD + "seed = 1\n", FAST))

    assert not outcome.failed, [row.detail for row in outcome.rows]
    assert read_current(home.releases) != read_current(good.releases)


@pytest.mark.slow
def test_a_new_day_gets_past_by_the_same_recipe_without_a_judgement(good, tmp_path):
    home = copied(good, tmp_path / "home")
    before = ModelChoice.load(home.artifact("choice")).spec
    outcome = built(with_next_day(home))

    assert not outcome.failed, [row.detail for row in outcome.rows]
    newest = read_current(home.releases)
    assert newest.startswith("20240121")
    assert "no judgement" in read_gate(home.releases, newest).results[0].detail
    assert ModelChoice.load(home.artifact("choice")).spec != before  # by the data, so no other recipe


@pytest.mark.slow
def test_a_worse_recipe_hidden_behind_a_new_day_is_found(good, tmp_path):
    home = with_next_day(configured(copied(good, tmp_path / "home"), WORSE, FAST))
    outcome = built(home)

    assert release_row(outcome).status == "failed"
    assert "fitted for the held-out days" in release_row(outcome).detail
    assert "since it is another one: [training] embedding_size 16 -> 1, " in release_row(outcome).detail
