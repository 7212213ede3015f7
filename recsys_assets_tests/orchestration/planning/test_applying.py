"""A plan is applied only as it was shown."""

from datetime import UTC, datetime

import msgspec
import pytest

from recsys_assets.errors import BuildInterruptedError, PlanError, RecsysError
from recsys_assets.orchestration.planning.applying import (
    StoredPlan,
    apply_plan,
    make_plan,
    read_plan,
    state_of,
)
from recsys_assets.orchestration.planning.build_plan import BuildPlan, ProposedChange
from recsys_assets.orchestration.planning.preview import Preview
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets.rules.testing.cases import CASES_FILE
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home
from recsys_assets_tests.orchestration.planning.shops import FIRST, build_again


@pytest.fixture
def home(tmp_path) -> Home:
    return small_home(tmp_path / "shop", first=FIRST, days=2)[0]


def show(home: Home, **proposal: object) -> None:
    """Keep a plan as if it had been shown now."""
    change = ProposedChange(**proposal)
    plan = StoredPlan(
        at=datetime(2024, 1, 5, tzinfo=UTC),
        proposal=change,
        build=BuildPlan(steps=[]),
        preview=Preview(),
        state=state_of(home, change),
    )
    home.plan.write_bytes(msgspec.json.encode(plan, enc_hook=str))


def another_setting(home: Home) -> None:
    with home.settings_file.open("a") as file:
        file.write("\n[training]\nepochs = 3\n")


def another_rule(home: Home) -> None:
    home.rules_file.write_text(PACKAGED.read_text().replace('default = "home"', 'default = "plain"'))


def another_golden_user(home: Home) -> None:
    home.golden_file.write_text('[[golden]]\nuser = "u1"\n')


def another_case(home: Home) -> None:
    home.rules_file.with_name(CASES_FILE).write_text("# none yet\n")


def another_event(home: Home) -> None:
    with (home.root.parent / "events.csv").open("a") as file:
        file.write("u1,i1,2024-01-02T11:00:00Z\n")


CHANGES = {
    "the settings": another_setting,
    "the rules": another_rule,
    "the golden users": another_golden_user,
    "the cases of the rules": another_case,
    "the files of the source": another_event,
}


def test_nothing_is_applied_where_nothing_was_shown(home):
    with pytest.raises(PlanError, match="no plan was shown; run `recsys plan"):
        apply_plan(home, SilentWatcher())


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_is_rejected_where_an_input_changed_since(home, name):
    show(home)
    CHANGES[name](home)
    with pytest.raises(PlanError, match=f"2024-01-05 00:00:00 UTC, something else changed: {name}; look at"):
        apply_plan(home, SilentWatcher())


def test_a_plan_is_rejected_where_its_proposal_changed_since(home, tmp_path):
    proposal = tmp_path / "draft.toml"
    proposal.write_text("version = 1\n")
    show(home, rules_file=proposal)
    proposal.write_text("version = 2\n")
    with pytest.raises(PlanError, match="something else changed: the proposed rules;"):
        apply_plan(home, SilentWatcher())
    assert not home.rules_file.exists()


def test_nothing_is_applied_after_a_plan_that_ended_in_an_error(home, tmp_path):
    show(home)
    (tmp_path / "draft.toml").write_text("[[scenarios\n")
    with pytest.raises(RecsysError):
        make_plan(home, ProposedChange(rules_file=tmp_path / "draft.toml"), seconds=0)
    with pytest.raises(PlanError, match="no plan was shown"):
        apply_plan(home, SilentWatcher())


def test_a_plan_that_cannot_be_read_says_so(home):
    home.plan.write_text("garbage")
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(home)


class Stopped(SilentWatcher):
    """Stops a build where a stage begins, as Ctrl-C does."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def begin(self, stage: str, detail: str) -> None:  # noqa: ARG002  as the watcher's
        if stage == self.stage:
            raise BuildInterruptedError("stopped")


@pytest.fixture
def stopped(home, tmp_path) -> Home:
    """A home where a plan of other settings was stopped after it had landed the days."""
    proposal = tmp_path / "proposal.toml"
    proposal.write_text(home.settings_file.read_text() + "\n[training]\nepochs = 3\n")
    with home.settings_file.open("a") as file:
        file.write("\n[gate]\nsmoke_test = false\n")
    make_plan(home, ProposedChange(settings_file=proposal), seconds=0)
    with pytest.raises(BuildInterruptedError):
        apply_plan(home, Stopped("model_choice"))
    assert load_settings(home).training.epochs == 3
    return home


def test_a_plan_that_was_stopped_goes_on_where_it_is_applied_again(stopped):
    outcome = apply_plan(stopped, SilentWatcher())
    states = {row.stage: row.status for row in outcome.rows}
    assert not outcome.failed
    assert (states["raw_interactions"], states["release"]) == ("fresh", "built")
    assert not stopped.plan.exists()
    assert not build_again(stopped).built


@pytest.mark.parametrize("name", ["the settings", "the files of the source"])
def test_a_plan_that_was_stopped_is_rejected_where_another_input_changed_meanwhile(stopped, name):
    {**CHANGES, "the settings": other_epochs}[name](stopped)
    with pytest.raises(PlanError, match=f"something else changed: {name}; look at"):
        apply_plan(stopped, SilentWatcher())


def other_epochs(home: Home) -> None:
    home.settings_file.write_text(home.settings_file.read_text().replace("epochs = 3", "epochs = 4"))


def test_a_plan_is_rejected_where_the_proposed_source_changed_since(home, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text((home.root.parent / "events.csv").read_text())
    proposal = tmp_path / "proposal.toml"
    proposal.write_text(
        home.settings_file.read_text().replace(str(home.root.parent / "events.csv"), str(other))
    )
    show(home, settings_file=proposal)
    with other.open("a") as file:
        file.write("u1,i1,2024-01-02T11:00:00Z\n")
    with pytest.raises(PlanError, match="something else changed: the files of the source; look at"):
        apply_plan(home, SilentWatcher())
