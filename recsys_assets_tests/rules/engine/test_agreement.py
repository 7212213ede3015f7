"""The lists of a user are the same wherever they are made: by the API without rules, in the audit, as candidates."""

from dataclasses import replace

import pytest

from recsys_assets.release.list_audit import LIST_LENGTH, served_lists
from recsys_assets.rules.engine.item_facts import gather_facts
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.sources import asker_source
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import read_rules
from recsys_assets.rules.language.schema import CandidateSource
from recsys_assets.rules.rules_file import PACKAGED


@pytest.fixture(params=["rows computed ahead", "searched"])
def any_release(request, release):
    if request.param == "searched":
        return replace(release, candidates_items=None, candidates_scores=None)
    return release


def plain_lists(release, k):
    plain = PlainScenario(release)
    return [
        plain.recommend(Request(k=k, user_id=user_id, user_num=num)).nums
        for num, user_id in enumerate(release.users)
    ]


def test_the_audit_sees_the_lists_that_the_api_serves(any_release):
    items_UK, _ = served_lists(any_release, list(range(len(any_release.users))))
    assert items_UK.tolist() == plain_lists(any_release, LIST_LENGTH)


def test_the_user_source_of_the_rules_brings_the_list_that_the_api_serves(any_release):
    rules = read_rules(PACKAGED, columns=columns_of(any_release.folder / "features.sqlite"))
    facts = gather_facts(any_release, rules, any_release.folder, PlainScenario(any_release).lookups)
    bring = asker_source(CandidateSource(source="user", quota=15), facts)
    brought = [
        bring(Request(user_num=num), any_release.user_embeddings[num], True).nums.tolist()  # noqa: FBT003
        for num in range(len(any_release.users))
    ]
    assert brought == plain_lists(any_release, 15)


def test_rows_computed_ahead_and_a_search_give_the_same_lists(release):
    searched = replace(release, candidates_items=None, candidates_scores=None)
    assert plain_lists(searched, 10) == plain_lists(release, 10)
