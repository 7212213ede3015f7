"""Finding the greatest inner products, exactly and by the graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys_assets.errors import BrokenReleaseError, TrainingDataError
from recsys_assets.index.choose_index import build_index
from recsys_assets.index.exact_search import NormOrdered, Pairs, top_products
from recsys_assets.index.hnsw import HnswGraph
from recsys_assets.index.index_report import INDEX_FILE, REPORT_FILE, Trial, read_report
from recsys_assets.index.item_index import GraphSearch, ItemIndex
from recsys_assets.settings import IndexSettings

ONE_THREAD = IndexSettings(threads=1)


def skewed(count, width=16, seed=0):
    """Vectors like a factorisation's: a few long ones, many short ones."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, width)) * rng.pareto(1.5, size=(count, 1))).astype(np.float32)


def even(count, width=8, seed=0):
    """Vectors of equal length, where no bound helps."""
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("make", [skewed, even])
@pytest.mark.parametrize("k", [1, 10, 700, 9_999])
def test_exact_search_equals_scoring_everything(make, k):
    items_ID, x_D = make(5_000), make(1, seed=9)[0]
    nums, scores = NormOrdered.of(items_ID).search(x_D, k)

    assert len(set(nums.tolist())) == min(k, 5_000)
    np.testing.assert_allclose(scores, np.sort(items_ID @ x_D)[::-1][:k], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(items_ID[nums] @ x_D, scores, rtol=1e-4, atol=1e-5)


def test_exact_search_looks_only_at_long_items():
    items_ID = skewed(50_000)
    ordered = NormOrdered.of(items_ID)
    top = top_products(items_ID[:200], ordered, 10, left_out=Pairs.none())

    assert top.scored < 0.5 * 200 * 50_000


def test_a_zero_vector_gets_a_full_list():
    nums, scores = NormOrdered.of(skewed(3_000)).search(np.zeros(16, dtype=np.float32), 5)

    assert (len(nums), scores.tolist()) == (5, [0.0] * 5)


def test_asking_for_nothing_gives_nothing():
    nums, scores = NormOrdered.of(skewed(10)).search(np.ones(16, dtype=np.float32), 0)

    assert (len(nums), len(scores)) == (0, 0)


@given(
    vectors=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(-3, 3).map(float)
    ),
    x_ND=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 5), st.just(3)), elements=st.integers(-3, 3).map(float)
    ),
    k=st.integers(1, 45),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_batch_equals_sorting_everything_by_score_then_number(vectors, x_ND, k, data):
    pairs = st.tuples(st.integers(0, len(x_ND) - 1), st.integers(0, len(vectors) - 1))
    left_out = data.draw(st.sets(pairs, max_size=60))
    rows, items = np.array(sorted(left_out), dtype=np.int64).reshape(-1, 2).T
    top = top_products(
        x_ND, NormOrdered.of(vectors), k, left_out=Pairs(rows=rows, items=items.astype(np.int32))
    )

    for row, x_D in enumerate(x_ND):
        allowed = [num for num in range(len(vectors)) if (row, num) not in left_out]
        expected = sorted(allowed, key=lambda num: (-float(vectors[num] @ x_D), num))[:k]
        assert top.nums[row].tolist() == expected + [-1] * (k - len(expected))
        assert np.isneginf(top.scores[row, len(expected) :]).all()


@pytest.mark.parametrize("metric", ["ip", "l2sq"])
def test_a_saved_graph_finds_what_the_built_one_did(tmp_path, metric):
    items_ID = skewed(2_000)
    built = HnswGraph.build(
        items_ID, metric=metric, dtype="f32", connectivity=16, expansion_add=64, threads=1
    )
    built.expansion_search = 333
    built.save(tmp_path / INDEX_FILE)
    trial = Trial(
        kind="usearch",
        metric=metric,
        expansion_search=333,
        recall=1,
        query_us=1,
        build_seconds=1,
        items=2_000,
    )
    viewed = HnswGraph.view(tmp_path / INDEX_FILE, trial, items=2_000, embedding_size=16)

    assert viewed.expansion_search == 333
    assert viewed.nearest(items_ID[7], 20).tolist() == built.nearest(items_ID[7], 20).tolist()


@pytest.mark.parametrize("metric", ["ip", "l2sq"])
def test_a_graph_recalls_most_of_the_best(metric):
    items_ID = skewed(3_000)
    graph = HnswGraph.build(
        items_ID, metric=metric, dtype="f32", connectivity=32, expansion_add=128, threads=1
    )
    graph.expansion_search = 300
    search = GraphSearch(graph, items_ID)
    hits = [
        len(np.intersect1d(search.search(x_D, 10)[0], np.argsort(-(items_ID @ x_D))[:10]))
        for x_D in items_ID[:50]
    ]

    assert sum(hits) / 500 > 0.9


def test_one_thread_builds_the_same_file_every_time(tmp_path):
    for name in ("one", "two"):
        HnswGraph.build(
            skewed(1_000), metric="ip", dtype="f16", connectivity=16, expansion_add=64, threads=1
        ).save(tmp_path / name)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_graph_asked_for_more_than_it_holds_gives_what_it_holds():
    items_ID = even(5)
    graph = HnswGraph.build(items_ID, metric="ip", dtype="f32", connectivity=16, expansion_add=64, threads=1)
    nums, scores = GraphSearch(graph, items_ID).search_many(items_ID[:2], 8, threads=1)

    assert (np.sort(nums, axis=1) == [-1, -1, -1, 0, 1, 2, 3, 4]).all()
    assert np.isneginf(scores[:, 5:]).all()
    assert len(GraphSearch(graph, items_ID).search(items_ID[0], 8)[0]) == 5


@pytest.mark.parametrize("make", [skewed, even])
def test_the_index_reaches_the_recall_asked_for(tmp_path, make):
    items_ID = make(4_000)
    report = build_index(items_ID, tmp_path, ONE_THREAD)
    index = ItemIndex.load(tmp_path, items_ID)
    hits = [
        len(np.intersect1d(index.search(x, 100)[0], np.argsort(-(items_ID @ x))[:100])) for x in items_ID[:20]
    ]

    assert report.recall >= report.recall_target
    assert sum(hits) / 2_000 > 0.97


def test_the_report_holds_everything_tried_and_the_file_says_the_same(tmp_path):
    report = build_index(skewed(500), tmp_path, ONE_THREAD)

    assert read_report(tmp_path) == report
    assert {trial.kind for trial in report.grid} == {"exact", "usearch"}
    assert report.chosen in report.grid
    assert report.graph in report.grid


@pytest.mark.parametrize("count", [1, 2, 99])
def test_a_tiny_catalogue_has_an_index(tmp_path, count):
    items_ID = even(count)
    build_index(items_ID, tmp_path, ONE_THREAD)

    assert sorted(ItemIndex.load(tmp_path, items_ID).search(items_ID[0], 200)[0].tolist()) == list(
        range(count)
    )


@given(seed=st.integers(0, 1000), kinds=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_zeros_that_rounding_moved_are_equal_scores(tmp_path_factory, seed, kinds):
    """Users and items of a log where each kind of item has its own users: products are 1/3 or noise near 0."""
    rng = np.random.default_rng(seed)
    axes_kD = np.linalg.qr(rng.normal(size=(16, kinds)))[0].T.astype(np.float32)
    users_UD = np.repeat(axes_kD, 3, axis=0) * np.float32(0.577)
    users_UD += rng.normal(scale=1e-9, size=users_UD.shape).astype(np.float32)
    report = build_index(axes_kD, tmp_path_factory.mktemp("index"), IndexSettings(), queries=users_UD)
    assert {trial.recall for trial in report.grid if trial.dtype == "f32"} == {1.0}


def test_scores_descend(tmp_path):
    items_ID = even(1_000)
    build_index(items_ID, tmp_path, ONE_THREAD)
    _, scores = ItemIndex.load(tmp_path, items_ID).search(items_ID[0], 50)

    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("items_ID", [np.zeros((0, 4), np.float32), np.full((3, 4), np.nan, np.float32)])
def test_raises_when_embeddings_are_missing_or_not_finite(tmp_path, items_ID):
    with pytest.raises(TrainingDataError, match="train again"):
        build_index(items_ID, tmp_path, ONE_THREAD)


@pytest.mark.parametrize("broken", [INDEX_FILE, REPORT_FILE])
@pytest.mark.parametrize("kept", [0, 10, 0.5])
def test_raises_when_a_file_is_cut_short(tmp_path, broken, kept):
    build_index(even(500), tmp_path, ONE_THREAD)
    whole = (tmp_path / broken).read_bytes()
    (tmp_path / broken).write_bytes(whole[: kept if kept != 0.5 else len(whole) // 2])

    with pytest.raises(BrokenReleaseError, match="build the index again"):
        _ = ItemIndex.load(tmp_path, even(500)).graph


def test_raises_when_the_file_is_of_another_catalogue(tmp_path):
    build_index(even(500), tmp_path, ONE_THREAD)
    HnswGraph.build(even(400), metric="ip", dtype="f32", connectivity=16, expansion_add=64, threads=1).save(
        tmp_path / INDEX_FILE
    )

    with pytest.raises(BrokenReleaseError, match="count_present"):
        _ = ItemIndex.load(tmp_path, even(500)).graph
