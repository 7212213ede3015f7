"""`recsys plan`: its exit codes, and a plan in words."""

from datetime import UTC, date, datetime

import msgspec
from click.testing import CliRunner
from rich.console import Console

from recsys_assets.cli import main
from recsys_assets.commands.plan_words import PRESENT_MODEL, duration, headline, markdown, print_plan
from recsys_assets.evaluation.changed_lists import ListChanges, ListExample
from recsys_assets.orchestration.planning.applying import StoredPlan
from recsys_assets.orchestration.planning.build_plan import (
    BuildPlan,
    DayVerdict,
    PlannedStep,
    ProposedChange,
)
from recsys_assets.orchestration.planning.preview import CaseFailure, Preview, limits_of_sample
from recsys_assets.rules.testing.golden import GoldenResult
from recsys_assets.training_settings import TrainingSettings

DAY = date(2024, 1, 2)
STEP = PlannedStep(
    stage="choice",
    assets=["model_choice"],
    why=["[training] epochs 3 → 5", "days added: 1 day, 2024-01-02"],
    days=[],
    seconds=90,
    peak_mb=800,
    written=2_000_000,
    measured=True,
)
BUILD = BuildPlan(
    steps=[STEP],
    left_out=["release"],
    verdicts=[
        DayVerdict(
            table="raw_interactions",
            day=DAY,
            verdict="rejected",
            rows=0,
            before=90,
            reasons=["quantity_positive: a | b"],
        )
    ],
    seconds=94,
    peak_mb=800,
    written=2_000_000,
    free=9_000_000,
)
LISTS = ListChanges(
    k=10,
    users=40,
    changed=0.5,
    reordered=0.1,
    overlap=0.8,
    examples=[ListExample(user_id="u1", gone=["Tea"], new=["Milk"])],
)


def stored(build: BuildPlan) -> StoredPlan:
    preview = Preview(lists=LISTS, cases=2, failed_cases=[CaseFailure(name="no tea", failures=["found Tea"])])
    at = datetime(2024, 1, 5, tzinfo=UTC)
    return StoredPlan(at=at, proposal=ProposedChange(), build=build, preview=preview, state={})


def test_a_plan_without_steps_says_that_there_is_nothing_to_do():
    assert headline(BuildPlan(steps=[])) == "Nothing to do: a build would change nothing."


def test_the_headline_has_time_memory_and_disk():
    assert headline(BUILD) == (
        "1 stage to build: about 94 s, at most 800 MB of memory, 2 MB of disk (9 MB are free)."
    )
    assert duration(150) == "2.5 min"


def test_markdown_has_a_table_of_stages_and_a_list_of_all_else():
    text = markdown(stored(BUILD), home="shop")
    assert "| model_choice | [training] epochs 3 → 5<br>days added: 1 day, 2024-01-02 |  | 90 s |" in text
    assert (
        "- raw_interactions 2024-01-02: rejected, its 90 rows stay in use: quantity_positive: a \\| b" in text
    )
    assert "- the build ends before release: " in text
    assert "- user u1: Milk instead of Tea" in text
    assert "- 1 of 2 hold\n- no tea: found Tea" in text


def test_titles_of_any_characters_stay_on_one_line_and_are_no_markup():
    titles = ["Tea\nGreen", "\x1b[31mred", "<b>*x*</b>", "[a](b)", "@ops", "NDCG@10 1 | 2"]
    examples = [ListExample(user_id="u1", gone=["Tea"], new=titles)]
    build = BuildPlan(steps=[])
    plan = msgspec.structs.replace(
        stored(build), preview=Preview(lists=msgspec.structs.replace(LISTS, examples=examples))
    )
    assert markdown(plan, home="shop").splitlines()[-1] == (
        r"- user u1: Tea Green, \\u001b[31mred, \<b\>\*x\*\</b\>, [a\](b), @"
        "\u2060" + r"ops, NDCG@10 1 \| 2 instead of Tea"
    )


def test_a_plan_says_that_the_build_may_choose_another_model_than_the_sample_has():
    (line,) = limits_of_sample(TrainingSettings(), BUILD)
    assert "may choose another" in line
    fixed = TrainingSettings(model="ials")
    assert limits_of_sample(fixed, BUILD) == limits_of_sample(TrainingSettings(), BuildPlan(steps=[])) == []


def test_a_plan_says_that_golden_users_are_by_the_present_model_where_the_build_replaces_it():
    preview = Preview(
        golden=[GoldenResult(user="u1", scenario="home", k=10, after=[])], by_present_model=True
    )
    text = markdown(msgspec.structs.replace(stored(BUILD), preview=preview), home="shop")
    assert f"**Golden users**\n\n- {PRESENT_MODEL}\n- u1: as expected" in text


def test_a_pipe_gets_a_line_a_stage_and_a_terminal_a_table(capsys):
    print_plan(Console(markup=False), stored(BUILD))
    said = capsys.readouterr().out
    assert "  model_choice: [training] epochs 3 → 5; days added: 1 day, 2024-01-02, 90 s\n" in said
    print_plan(Console(markup=False, force_terminal=True, width=100), stored(BUILD))
    assert "stage" in capsys.readouterr().out


def test_every_error_ends_with_one_since_two_says_changes(tmp_path):
    home = ["--home", str(tmp_path / "home")]
    for arguments in (
        ["--through", "soon"],
        ["--json", "--markdown"],
        ["--apply", "--json"],
        ["--settings", str(tmp_path / "none.toml")],
        ["--apply"],
    ):
        done = CliRunner().invoke(main, ["plan", *home, *arguments])
        assert done.exit_code == 1, (arguments, done.output)
