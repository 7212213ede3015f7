"""The draw of arms: balanced, sticky, independent, and steady while arms are added."""

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.experiments.arms import ArmDraw
from recsys_assets.experiments.experiments_file import Arm, Experiment

USERS = [f"user-{number}" for number in range(20_000)]


def experiment(*shares: float, salt: str | None = None, name: str = "taste") -> Experiment:
    arms = tuple(Arm(name=f"arm_{number}", share=share) for number, share in enumerate(shares))
    return Experiment(
        name=name, start=date(2026, 1, 1), end=date(2026, 2, 1), metric="ctr", arms=arms, salt=salt
    )


def arms_of(one: Experiment) -> list[str | None]:
    draw = ArmDraw(one)
    return [None if (arm := draw.of(user)) is None else arm.name for user in USERS]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.9), (0.2, 0.3, 0.4), (0.01, 0.02)])
def test_each_arm_gets_its_share_of_the_users(shares: tuple[float, ...]) -> None:
    counts = Counter(arms_of(experiment(*shares)))
    for number, share in enumerate(shares):
        expected = share * len(USERS)
        assert abs(counts[f"arm_{number}"] - expected) < 4.5 * expected**0.5


@given(user=st.text(min_size=1), salt=st.none() | st.text(min_size=1))
def test_a_user_keeps_the_arm(user: str, salt: str | None) -> None:
    one = experiment(0.3, 0.3, salt=salt)
    draw = ArmDraw(one)
    assert draw.of(user) == draw.of(user) == ArmDraw(one).of(user)


@given(user=st.text(min_size=1), share=st.floats(0.01, 0.9))
def test_an_arm_that_is_added_moves_users_only_into_itself(user: str, share: float) -> None:
    before, shrunk = (0.5, 0.3, 0.2), 1 - share
    was = ArmDraw(experiment(*before)).of(user)
    now = ArmDraw(experiment(*(one * shrunk for one in before), share)).of(user)
    assert was is not None
    assert now is not None
    assert now.name in {was.name, "arm_3"}


@given(user=st.text(min_size=1), first=st.floats(0.01, 0.49), second=st.floats(0.01, 0.49))
def test_more_users_in_an_experiment_move_nobody_between_its_arms(
    user: str, first: float, second: float
) -> None:
    few, many = sorted((first, second))
    was, now = ArmDraw(experiment(few, few)).of(user), ArmDraw(experiment(many, many)).of(user)
    assert was is None or (now is not None and now.name == was.name)


def test_the_arms_of_two_experiments_are_independent() -> None:
    together = Counter(
        zip(
            arms_of(experiment(0.5, 0.5, name="one")),
            arms_of(experiment(0.5, 0.5, name="two")),
            strict=True,
        )
    )
    expected = len(USERS) / 4
    assert len(together) == 4
    assert all(abs(count - expected) < 4.5 * expected**0.5 for count in together.values())


def test_the_order_of_the_arms_in_the_file_moves_nobody() -> None:
    one = experiment(0.3, 0.5)
    turned = Experiment(name=one.name, start=one.start, end=one.end, metric=one.metric, arms=one.arms[::-1])
    assert arms_of(one) == arms_of(turned)
