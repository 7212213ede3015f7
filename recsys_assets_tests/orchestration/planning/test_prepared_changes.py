"""Ten prepared changes: a plan says the right thing of each, and applying it does exactly that."""

import shutil
from pathlib import Path

import pytest

from recsys_assets.orchestration import fingerprints
from recsys_assets.orchestration.planning.applying import StoredPlan, apply_plan, make_plan
from recsys_assets.orchestration.planning.artifact_parts import ASSETS
from recsys_assets.orchestration.planning.build_plan import ProposedChange
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher
from recsys_assets_tests.orchestration.planning.shops import DAYS, day, open_shop, write_day

SETTINGS = """
[report]
days = 0

[gate]
enabled = false

[training]
model = "ials"
embedding_size = 8
epochs = 3
regularization = 0.01
"""
MODEL = ["choice", "embeddings", "evaluation"]
AFTER_DAYS = [*MODEL, "features", "index", "release"]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Home:
    return open_shop(tmp_path_factory.mktemp("shop"), SETTINGS)


@pytest.fixture
def home(shop, tmp_path) -> Home:
    """Copy the shop; its settings name the files of the copy."""
    copy = tmp_path / "shop"
    shutil.copytree(shop.root.parent, copy, symlinks=True)
    home = Home(copy / "home")
    text = home.settings_file.read_text().replace(str(shop.root.parent), str(copy))
    home.settings_file.write_text(text)
    return home


def source(home: Home) -> Path:
    return home.root.parent / "source"


def planned(home: Home, **proposal: Path) -> StoredPlan:
    return make_plan(home, ProposedChange(**proposal), seconds=0)


def why(plan: StoredPlan) -> dict[str, list[str]]:
    return {step.stage: step.why for step in plan.build.steps}


def applied(home: Home) -> list[str]:
    """Apply the plan, and return the stages that were built or failed, named as in a plan."""
    names = {" + ".join(assets): name for name, assets in ASSETS.items()}
    outcome = apply_plan(home, SilentWatcher())
    return [names.get(row.stage, row.stage) for row in outcome.rows if row.status != "fresh"]


def test_nothing_is_nothing_to_do(home):
    assert planned(home).build.steps == []


def test_a_comment_in_settings_or_rules_is_nothing_to_do(home):
    home.settings_file.write_text(f"# a comment\n{home.settings_file.read_text()}")
    home.rules_file.write_text(f"# a comment\n{PACKAGED.read_text()}")
    assert planned(home).build.steps == []


def test_a_renamed_or_moved_file_is_nothing_to_do(home):
    (source(home) / "03.csv").rename(source(home) / "03_again.csv")
    assert planned(home).build.steps == []
    moved = source(home).rename(source(home).with_name("moved"))
    text = home.settings_file.read_text().replace(str(source(home)), str(moved))
    home.settings_file.write_text(text)
    assert planned(home).build.steps == []


@pytest.mark.slow
def test_code_with_effect_is_named_with_its_versions(home, monkeypatch):
    monkeypatch.setitem(fingerprints.CODE_VERSIONS, "features", "99")
    plan = planned(home)
    assert why(plan) == {
        "features": ["code: version 3 → 99"],
        "release": ["built again: features"],
    }
    assert applied(home) == ["features", "release"]
    assert planned(home).build.steps == []


@pytest.mark.slow
def test_code_that_makes_the_same_days_leaves_what_comes_after_them(home, monkeypatch):
    monkeypatch.setitem(fingerprints.CODE_VERSIONS, "raw_interactions", "99")
    plan = planned(home)
    assert why(plan) == {
        "raw_interactions": [f"code: version 3 → 99: {DAYS} days, {day(0)} to {day(DAYS - 1)}"]
    }
    assert applied(home) == ["raw_interactions"]
    assert planned(home).build.steps == []


@pytest.mark.slow
def test_three_times_lambda_is_named_and_written(home, tmp_path):
    proposal = tmp_path / "proposal.toml"
    before = home.settings_file.read_text()
    proposal.write_text(before.replace("regularization = 0.01", "regularization = 0.03"))
    plan = planned(home, settings_file=proposal)
    assert list(why(plan)) == [*MODEL, "index", "release"]
    assert why(plan)["choice"] == ["[training] regularization 0.01 → 0.03"]
    assert home.settings_file.read_text() == before
    assert applied(home) == [*MODEL, "index", "release"]
    assert home.settings_file.read_text() == proposal.read_text()
    assert (home.before_plan / "recsys.toml").read_text() == before
    assert planned(home).build.steps == []


@pytest.mark.slow
def test_a_rule_makes_a_release_and_nothing_else(home, tmp_path):
    proposal = tmp_path / "draft.toml"
    proposal.write_text(PACKAGED.read_text().replace('default = "home"', 'default = "plain"'))
    plan = planned(home, rules_file=proposal)
    assert why(plan) == {"release": ["the rules changed"]}
    assert plan.preview.lists is not None
    assert plan.preview.lists.users == 40
    assert applied(home) == ["release"]
    assert home.rules_file.read_text() == proposal.read_text()


@pytest.mark.slow
def test_a_new_day_is_audited_and_built_into_all(home):
    write_day(source(home), DAYS)
    plan = planned(home)
    assert why(plan)["raw_interactions"] == [f"came to the source: 1 day, {day(DAYS)}"]
    assert why(plan)["choice"] == [f"days added: 1 day, {day(DAYS)}"]
    assert [(one.table, one.day, one.verdict) for one in plan.build.verdicts] == [
        ("raw_interactions", day(DAYS), "ok"),
        ("interactions", day(DAYS), "ok"),
    ]
    assert day(DAYS) not in days_under(home.raw)
    assert applied(home) == [step.stage for step in plan.build.steps]
    assert planned(home).build.steps == []


@pytest.mark.slow
def test_a_corrected_day_is_landed_again(home):
    write_day(source(home), 5, rows=80)
    plan = planned(home)
    assert why(plan)["raw_interactions"] == [f"changed in the source: 1 day, {day(5)}"]
    assert why(plan)["interactions"] == [f"the raw day changed: 1 day, {day(5)}"]
    assert why(plan)["features"] == [f"days changed: 1 day, {day(5)}"]
    assert (plan.build.verdicts[0].before, plan.build.verdicts[0].rows) == (90, 80)
    assert applied(home) == [step.stage for step in plan.build.steps]
    assert planned(home).build.steps == []


@pytest.mark.slow
def test_a_bad_day_is_shown_as_rejected_and_stops_the_build(home):
    write_day(source(home), DAYS, quantity=0)
    plan = planned(home)
    built = [step.stage for step in plan.build.steps]
    assert set(built) <= {"item_catalogue", "raw_interactions"}
    assert plan.build.left_out == [*AFTER_DAYS, "increment_report"]
    (verdict,) = plan.build.verdicts
    assert (verdict.day, verdict.verdict, verdict.before) == (day(DAYS), "rejected", None)
    assert verdict.reasons[0].startswith("quantity_positive: ")
    assert days_under(home.quarantine) == []
    assert applied(home) == built
    assert days_under(home.quarantine) == [day(DAYS)]


@pytest.mark.slow
def test_a_missing_catalogue_is_read_again_and_nothing_else(home):
    home.catalogue.unlink()
    plan = planned(home)
    assert why(plan) == {"item_catalogue": ["missing"]}
    assert applied(home) == ["item_catalogue"]
    assert planned(home).build.steps == []
