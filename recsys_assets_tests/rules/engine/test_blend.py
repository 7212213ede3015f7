"""Lists of a release whose score has every part, against brute force: ahead of serving, live, and by rules."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.release.load import Release, load_current
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.rules_file import load_engine
from recsys_assets.rules.testing.invariants import check_invariants
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.rules.blends import best, save_blend, scores_of, wishes_of

USERS, ITEMS = 40, 80
once_released = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
sessions = st.lists(st.integers(0, ITEMS - 1), max_size=5, unique=True)


@pytest.fixture(scope="module")
def plain(blend) -> PlainScenario:
    return PlainScenario(blend)


@pytest.fixture(scope="module")
def engine(blend, blend_home) -> Engine:
    return load_engine(blend, home=blend_home)


def seen(release: Release, user: int) -> set[int]:
    return set(release.seen(user).tolist())


def test_a_row_ahead_of_serving_is_the_best_of_the_whole_score(blend):
    for user in range(USERS):
        scores_I = scores_of(blend, blend.user_embeddings[user], wishes_of(blend, user))
        expected = best(scores_I, seen(blend, user), 20)
        assert blend.candidates_items[user].tolist() == expected
        np.testing.assert_allclose(blend.candidates_scores[user], scores_I[expected], atol=1e-5)


@once_released
@given(user=st.integers(0, USERS - 1), k=st.integers(1, ITEMS), since=sessions)
def test_a_user_gets_the_best_of_the_whole_score_also_after_new_events(blend, plain, user, k, since):
    found = plain.recommend(Request(k=k, user_id="u", user_num=user, session=since))
    x_D = blend.vectors_since.of_user(user, since) if since else blend.user_embeddings[user]
    scores_I = scores_of(blend, x_D, wishes_of(blend, user, tuple(since)))
    assert found.nums == best(scores_I, seen(blend, user) | set(since), k)
    np.testing.assert_allclose(found.scores, scores_I[found.nums], atol=1e-5)


@once_released
@given(session=sessions.filter(len), k=st.integers(1, ITEMS), category=st.sampled_from([None, "Tea"]))
def test_a_session_gets_the_best_of_the_whole_score(blend, plain, session, k, category):
    found = plain.recommend(Request(k=k, session=session, category=category))
    x_D = blend.score.fold_in.embed(np.asarray(session))
    scores_I = scores_of(blend, x_D, dict.fromkeys(session, 1.0))
    others = {num for num in range(ITEMS) if category is not None and blend.categories[num] != category}
    assert found.nums == best(scores_I, set(session) | others, k)


@once_released
@given(user=st.integers(0, USERS - 1), k=st.integers(1, ITEMS), since=sessions)
def test_what_was_seen_and_is_no_wish_is_never_recommended(engine, user, k, since):
    release = engine.release
    unwanted = seen(release, user).difference(release.history(user).tolist())
    request = Request(k=k, user_id=release.users[user], user_num=user, session=since)
    hurried = Request(k=k, user_id="u", user_num=user, session=since, budget_ms=0.0)
    assert unwanted.isdisjoint(engine.plain.recommend(request).nums)
    assert unwanted.isdisjoint(engine.plain.recommend(hurried).nums)
    for pipeline in engine.pipelines.values():
        assert unwanted.isdisjoint(pipeline.recommend(request).nums)


def test_what_is_no_wish_is_not_taken_for_recent(blend, engine):
    pipeline = next(iter(engine.pipelines.values()))
    for user in range(USERS):
        _, trace = pipeline.explain(Request(user_id=blend.users[user], user_num=user))
        wishes = blend.history(user)
        near = set(blend.neighbours_items[wishes].ravel().tolist())
        recent = {num for num, record in trace.items.items() if record.sources == ["recent"]}
        assert recent <= near


def test_every_invariant_of_the_rules_holds(engine):
    assert check_invariants(engine, users=USERS) == []


def test_the_prior_takes_no_part_in_the_likeness_of_items(blend, plain):
    factors = blend.item_embeddings[:, :-1]
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    for num in range(0, ITEMS, 9):
        cosines = unit @ unit[num]
        cosines[num] = -np.inf
        np.testing.assert_allclose(blend.neighbours_scores[num], np.sort(cosines)[::-1][:10], atol=1e-5)
        beyond = plain.similar(num, Request(k=40))
        np.testing.assert_allclose(beyond.scores, cosines[beyond.nums], atol=1e-5)


def test_scores_by_rules_are_shares_of_the_best_whole_score(blend, engine):
    request = Request(k=10, user_id=blend.users[3], user_num=3)
    _, trace = engine.scenario().explain(request)
    scores_I = scores_of(blend, blend.user_embeddings[3], wishes_of(blend, 3))
    ranked = {num: record.relevance for num, record in trace.items.items() if record.rank is not None}
    greatest = max(scores_I[num] for num in ranked)
    for num, relevance in ranked.items():
        assert relevance == pytest.approx(max(scores_I[num] / greatest, 0), abs=1e-5)


def test_a_session_is_answered_where_factors_have_no_weight(tmp_path):
    home = Home(tmp_path)
    publish_release(home, save=lambda folder, **trained: save_blend(folder, factor_weight=0.0, **trained))
    release = load_current(home.releases)
    found = PlainScenario(release).recommend(Request(k=20, session=[5, 6]))
    x_D = np.zeros(9, dtype=np.float32)
    x_D[-1] = 0.5
    assert found.nums == best(scores_of(release, x_D, {5: 1.0, 6: 1.0}), {5, 6}, 20)
