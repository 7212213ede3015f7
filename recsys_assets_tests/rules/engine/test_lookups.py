"""Strangers of whom one feature is known."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from recsys_assets.errors import UnknownCohortError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.item_facts import LEAST_USERS, Cohorts, ItemLookups
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.storage.string_table import StringTable

NAME = "favourite_category:Tea"


@pytest.fixture
def plain(release: Release) -> PlainScenario:
    return PlainScenario(release)


def who_prefer(release: Release, category: str) -> list[str]:
    rows = release.features.users(list(release.users))
    return [user for user, row in rows.items() if row["favourite_category"] == category]


def test_a_stranger_gets_what_the_cohort_wants_most(plain: PlainScenario, release: Release) -> None:
    users = who_prefer(release, "Tea")
    totals = Counter[int]()
    for user in users:
        num = release.users.num(user)
        span = slice(*release.history_indptr[num : num + 2].tolist())
        for item, weight in zip(release.history_items[span], release.history_weights[span], strict=True):
            totals[int(item)] += float(weight)

    found = plain.recommend(Request(user_id="stranger", k=5, cohort=NAME))

    assert found.source == "cohort"
    assert f"{len(users)} users who are {NAME}" in (found.reason or "")
    assert found.nums == sorted(totals, key=lambda num: (-totals[num], num))[:5]


def test_the_list_is_filled_up_with_popular_items(plain: PlainScenario, release: Release) -> None:
    found = plain.recommend(Request(user_id="stranger", k=len(release.items), cohort=NAME))

    assert sorted(found.nums) == list(range(len(release.items)))
    assert "popular items" in (found.reason or "")


def test_exclusions_and_category_hold(plain: PlainScenario, release: Release) -> None:
    first = plain.recommend(Request(user_id="stranger", k=1, cohort=NAME)).nums[0]
    wanted = Request(user_id="stranger", k=100, cohort=NAME, category="Tea", exclude=[first])

    found = plain.recommend(wanted)

    assert first not in found.nums
    assert {release.categories[num] for num in found.nums} == {"Tea"}


def test_a_user_who_is_known_needs_no_cohort(plain: PlainScenario, release: Release) -> None:
    assert (
        plain.recommend(Request(user_id="u1", user_num=release.users.num("u1"), cohort=NAME)).source == "user"
    )


def test_too_few_users_are_no_cohort(plain: PlainScenario) -> None:
    found = plain.recommend(Request(user_id="stranger", cohort="favourite_category:Nothing such"))

    assert found.source == "popular"
    assert "0 users are" in (found.reason or "")
    assert LEAST_USERS > 1


@pytest.mark.parametrize(
    "name", ["", "Tea", "favourite_categorie:Tea", "user_id:u1", "events_total:1", "x;--:1"]
)
def test_raises_when_users_have_no_such_feature(release: Release, name: str) -> None:
    with pytest.raises(UnknownCohortError, match=r"expected FEATURE:VALUE.*favourite_category"):
        Cohorts(release).get(name, may_block=True)


def test_an_item_of_several_categories_is_found_by_each_and_listed_under_each(release: Release) -> None:
    names = ["Comedy", "Comedy | Drama", "Drama", "", *[""] * (len(release.items) - 4)]
    lookups = ItemLookups(replace(release, categories=StringTable.from_strings(names)))

    assert set(lookups.of_category("Comedy").tolist()) == {0, 1}
    assert set(lookups.of_category("Drama").tolist()) == {1, 2}
    assert lookups.of_category("Comedy | Drama").tolist() == [1]
    assert lookups.categories() == {"Comedy": 2, "Drama": 2}
    assert lookups.in_category(np.arange(4, dtype=np.int32), "Drama").tolist() == [False, True, True, False]
