"""A graph finds most of the best items, and an index is read back as it was written."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.index_report import (
    INDEX_FILE,
    REPORT_FILE,
    VECTORS_FILE,
    IndexReport,
    Trial,
    write_report,
)
from recsys_assets.index.item_index import GraphSearch, HnswGraph, ItemIndex
from recsys_assets.settings import IndexSettings
from recsys_assets_tests.index.vectors import even, skewed

ONE_THREAD = IndexSettings(threads=1)


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


def test_a_graph_with_fewer_items_than_k_gives_all_of_them():
    items_ID = even(5)
    graph = HnswGraph.build(items_ID, metric="ip", dtype="f32", connectivity=16, expansion_add=64, threads=1)
    nums, scores = GraphSearch(graph, items_ID).search_many(items_ID[:2], 8, threads=1)

    assert (np.sort(nums, axis=1) == [-1, -1, -1, 0, 1, 2, 3, 4]).all()
    assert np.isneginf(scores[:, 5:]).all()
    assert len(GraphSearch(graph, items_ID).search(items_ID[0], 8)[0]) == 5


def test_scores_descend(tmp_path):
    items_ID = even(1_000)
    choose_index(items_ID, tmp_path, ONE_THREAD)
    _, scores = ItemIndex.load(tmp_path, items_ID).search(items_ID[0], 50)

    assert (np.diff(scores) <= 0).all()


@pytest.fixture
def graph_index(tmp_path):
    """An index of 500 items whose chosen search is a graph."""
    graph = HnswGraph.build(even(500), metric="ip", dtype="f32", connectivity=16, expansion_add=64, threads=1)
    graph.save(tmp_path / INDEX_FILE)
    trial = Trial(kind="usearch", expansion_search=100, recall=1, query_us=1, build_seconds=1, items=500)
    exact = Trial(kind="exact", recall=1, query_us=2, build_seconds=0, items=500)
    report = IndexReport(
        chosen=trial, graph=trial, grid=[trial, exact], k=100, queries=9, recall_target=0.99, items=500,
        embedding_size=8, threads=1, usearch_version="2", seconds=1,
    )  # fmt: skip
    write_report(tmp_path, report)
    return tmp_path


def test_an_index_that_is_a_graph_is_searched_with_exact_scores(graph_index):
    items_ID = even(500)
    nums, scores = ItemIndex.load(graph_index, items_ID).search(items_ID[3], 5)

    assert nums[0] == 3
    np.testing.assert_allclose(scores, items_ID[nums] @ items_ID[3], rtol=1e-6)


@pytest.mark.parametrize("broken", [INDEX_FILE, REPORT_FILE])
@pytest.mark.parametrize("kept", [0, 10, 0.5])
def test_raises_when_a_file_of_a_graph_is_cut_short(graph_index, broken, kept):
    whole = (graph_index / broken).read_bytes()
    (graph_index / broken).write_bytes(whole[: kept if kept != 0.5 else len(whole) // 2])

    with pytest.raises(BrokenReleaseError, match="build the index again"):
        ItemIndex.load(graph_index, even(500))


@pytest.mark.parametrize("kept", [0, 10, 0.5])
def test_raises_when_the_vectors_of_an_exact_index_are_cut_short(tmp_path, kept):
    choose_index(even(500), tmp_path, ONE_THREAD)
    whole = (tmp_path / VECTORS_FILE).read_bytes()
    (tmp_path / VECTORS_FILE).write_bytes(whole[: kept if kept != 0.5 else len(whole) // 2])

    with pytest.raises(BrokenReleaseError, match="build the index again"):
        ItemIndex.load(tmp_path, even(500))


def test_raises_when_the_graph_is_of_another_catalogue(graph_index):
    HnswGraph.build(even(400), metric="ip", dtype="f32", connectivity=16, expansion_add=64, threads=1).save(
        graph_index / INDEX_FILE
    )

    with pytest.raises(BrokenReleaseError, match="count_present"):
        ItemIndex.load(graph_index, even(500))


def test_an_exact_index_of_an_earlier_version_has_a_graph_too_and_no_forecast(tmp_path):
    report = choose_index(even(500), tmp_path, ONE_THREAD)
    graph = msgspec.structs.replace(report.grid[0], items=500)
    write_report(tmp_path, msgspec.structs.replace(report, graph=graph))
    content = json.loads((tmp_path / REPORT_FILE).read_bytes())
    del content["forecast"]
    (tmp_path / REPORT_FILE).write_text(json.dumps(content))
    (tmp_path / INDEX_FILE).write_bytes(b"never opened")
    index = ItemIndex.load(tmp_path)

    assert index.search(even(500)[3], 1)[0].tolist() == [3]
    assert index.report.why.startswith("measured: exact search takes")


def test_an_exact_index_is_searched_without_usearch(tmp_path):
    choose_index(even(50), tmp_path, ONE_THREAD)
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        " from recsys_assets.index.item_index import ItemIndex;"
        f" index = ItemIndex.load(Path({str(tmp_path)!r}));"
        " index.search(np.ones(8, np.float32), 3);"
        " print(index.report.kind, [m for m in ('usearch', 'polars', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "exact []"
