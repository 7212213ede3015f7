"""The judgement of the gate: a loss beyond margin and chance fails, and nothing else does."""

from datetime import date

import numpy as np
import pytest

from recsys_assets.evaluation.evaluated_users import EvaluatedUsers
from recsys_assets.release.gate import (
    ModelOnUsers,
    is_below_baselines,
    judge_baseline,
    judge_held_out,
    paired_loss,
)

MARGIN = 0.02


def measured(values, *, users=None, **baselines) -> ModelOnUsers:
    """One model called `ials` on users, with baselines beside it."""
    ndcg = {"ials": list(values), **{name: list(found) for name, found in baselines.items()}}
    ids = [f"u{n}" for n in range(len(ndcg["ials"]))] if users is None else users
    found = EvaluatedUsers(
        first_day=date(2024, 1, 1), last_day=date(2024, 1, 9), user_ids=ids, ndcg=ndcg, recall=ndcg
    )
    return ModelOnUsers(model="ials", users=found)


def judged(before, after, **more):
    return judge_held_out(paired_loss(before, after), margin=MARGIN, how="", **{"other_days": False, **more})


@pytest.fixture
def values():
    return np.random.default_rng(0).random(400)


def test_a_loss_of_every_user_beyond_the_margin_fails_with_its_numbers(values):
    found = judged(measured(values), measured(values * 0.9))

    assert not found.passed
    assert found.value == pytest.approx(-0.1 * values.mean())
    assert found.bound == pytest.approx(-MARGIN * values.mean())
    assert "for 400 users" in found.detail


def test_a_sure_loss_within_the_margin_passes(values):
    assert judged(measured(values), measured(values * 0.99)).passed


def test_a_loss_that_may_be_chance_passes_however_large(values):
    one, other = values[:10], np.roll(values[:10], 3) * 0.9
    loss = paired_loss(measured(one), measured(other))

    assert loss.difference < loss.bound(MARGIN)
    assert loss.low < 0 < loss.high
    assert judged(measured(one), measured(other)).passed


def test_an_equal_and_a_better_release_pass(values):
    assert judged(measured(values), measured(values)).passed
    assert judged(measured(values), measured(np.minimum(values * 1.1, 1))).passed


def test_other_held_out_days_prove_nothing_and_never_fail(values):
    found = judged(measured(values), measured(values * 0.5), other_days=True)

    assert found.passed
    assert found.value < found.bound


def test_users_are_paired_by_id_whatever_their_order(values):
    users = [f"u{n}" for n in range(400)]
    found = paired_loss(measured(values), measured(values[::-1], users=users[::-1]))

    assert (found.users, found.difference) == (400, 0)


def test_without_a_common_user_nothing_is_compared(values):
    found = judged(measured(values), measured(values, users=[f"other {n}" for n in range(400)]))

    assert found.passed
    assert found.value is None


def test_a_release_below_the_best_of_its_baselines_fails(values):
    found = judge_baseline(
        measured(values, popularity=values * 0.5, ease=np.minimum(values * 1.2, 1)), margin=MARGIN, excuse=""
    )

    assert not found.passed
    assert "the best baseline is ease" in found.detail


def test_it_passes_with_words_where_nothing_better_is_served(values):
    found = judge_baseline(
        measured(values, ease=np.minimum(values * 1.2, 1)), margin=MARGIN, excuse="nothing is served yet"
    )

    assert found.passed
    assert "it passes all the same: nothing is served yet" in found.detail


def test_without_a_baseline_or_a_user_nothing_is_compared():
    assert judge_baseline(measured([0.5]), margin=MARGIN, excuse="").value is None
    assert judge_baseline(measured([], ease=[]), margin=MARGIN, excuse="").passed


def test_a_manifest_says_whether_a_release_was_below_its_baselines():
    metrics = {"ials_ndcg@10": 0.1, "ials_recall@10": 0.9, "ease_ndcg@10": 0.11}

    assert is_below_baselines(metrics, model="ials", margin=MARGIN)
    assert not is_below_baselines(metrics | {"ials_ndcg@10": 0.109}, model="ials", margin=MARGIN)
    assert not is_below_baselines({}, model="ials", margin=MARGIN)
