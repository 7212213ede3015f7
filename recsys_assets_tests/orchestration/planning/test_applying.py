"""A plan is applied only as it was shown."""

from datetime import UTC, datetime

import msgspec
import pytest

from recsys_assets.errors import PlanError
from recsys_assets.orchestration.planning.applying import StoredPlan, apply_plan, read_plan, state_of
from recsys_assets.orchestration.planning.build_plan import BuildPlan, ProposedChange
from recsys_assets.orchestration.planning.preview import Preview
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home
from recsys_assets_tests.orchestration.planning.shops import FIRST


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


def another_event(home: Home) -> None:
    with (home.root.parent / "events.csv").open("a") as file:
        file.write("u1,i1,2024-01-02T11:00:00Z\n")


CHANGES = {
    "the settings": another_setting,
    "the rules": another_rule,
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


def test_a_plan_that_cannot_be_read_says_so(home):
    home.plan.write_text("garbage")
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(home)
