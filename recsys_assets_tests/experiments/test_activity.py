"""From lists that people saw, by the lake, to a verdict: arms of users, and teams of interleaved lists."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from recsys_assets.experiments.activity import activity_of
from recsys_assets.experiments.experiments_file import INTERLEAVED
from recsys_assets.experiments.interleaving import team_draft
from recsys_assets.experiments.judgement import judge
from recsys_assets.experiments.teams import AnswerTeams, TeamRow
from recsys_assets.release.answer_counts import AnswerCounts
from recsys_assets.release.answer_series import ArmName
from recsys_assets_tests.clicking import planted, store, visit
from recsys_assets_tests.experiments.shown_home import FIRST_DAY, ITEMS, RELEASE, day_of_visits, land_all
from recsys_assets_tests.experiments.writing import TWO_ARMS, write_experiments

PRICES = TWO_ARMS.replace("taste", "prices").replace("2026-11", "2026-01")


def test_answers_that_people_saw_reach_a_look_at_their_arms(tmp_path: Path) -> None:
    home = write_experiments(tmp_path, PRICES)
    day_of_visits(home, FIRST_DAY, users=60, arms=("now", "popular"))
    land_all(home)
    now = datetime.combine(FIRST_DAY + timedelta(days=1), datetime.min.time(), UTC)
    (found,) = judge(home, now, days_of=partial(activity_of, home, attribution_days=7.0))
    assert [arm.users for arm in found.result.days[-1].arms] == [30, 30]


def test_clicks_on_interleaved_lists_decide_for_the_better_team(tmp_path: Path) -> None:
    home = write_experiments(tmp_path, PRICES, ('"ctr"', '"ctr"\nkind = "interleave"'))
    rng, answers, teams = (
        np.random.default_rng(1),
        AnswerCounts(home.answers_db),
        AnswerTeams(home.answers_db),
    )
    attracts = planted(seed=1, share=0.2, liked=0.4)
    visits = []
    for number in range(400):
        user = f"u{number}"
        random = rng.permutation(len(ITEMS)).tolist()
        liked = sorted(random, key=lambda item, user=user: -attracts(user, ITEMS[item]))
        answer = answers.give(RELEASE, "plain", ArmName("prices", INTERLEAVED))
        picked = team_draft(random, liked, 10, seed=answer)
        teams.add(TeamRow(answer, ITEMS[one.item], ("now", "popular")[one.team]) for one in picked)
        at = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC) + timedelta(
            seconds=number
        )
        visits.append(
            visit(answer, [ITEMS[one.item] for one in picked], user, at=at, attracts=attracts, rng=rng)
        )
    answers.flush()
    teams.flush()
    store(home, visits)
    land_all(home)
    now = datetime.combine(FIRST_DAY + timedelta(days=1), datetime.min.time(), UTC)
    (found,) = judge(home, now, days_of=partial(activity_of, home, attribution_days=7.0))
    assert [arm.users for arm in found.result.days[-1].arms] == [400, 400]
    assert found.result.days[-1].arms[1].verdict == "better"
