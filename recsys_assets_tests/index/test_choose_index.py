"""The chosen search reaches its recall target, and the report says how it was chosen."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys_assets.index.choose_index as chooser
from recsys_assets.errors import TrainingDataError
from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.index_report import INDEX_FILE, read_report
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.settings import IndexSettings
from recsys_assets_tests.index.vectors import even, skewed

ONE_THREAD = IndexSettings(threads=1)


def slower(found, *, times):
    return replace(found, query_us=times * found.query_us)


@pytest.mark.parametrize("make", [skewed, even])
def test_the_index_reaches_the_recall_target(tmp_path, make):
    items_ID = make(4_000)
    report = choose_index(items_ID, tmp_path, ONE_THREAD)
    index = ItemIndex.load(tmp_path, items_ID)
    hits = [
        len(np.intersect1d(index.search(x, 100)[0], np.argsort(-(items_ID @ x))[:100])) for x in items_ID[:20]
    ]

    assert report.recall >= report.recall_target
    assert sum(hits) / 2_000 > 0.97


def test_the_report_holds_every_trial_and_is_read_back_from_its_file(tmp_path):
    report = choose_index(skewed(2_000), tmp_path, ONE_THREAD)

    assert read_report(tmp_path) == report
    assert {trial.kind for trial in report.grid} == {"exact", "usearch"}
    assert report.chosen in report.grid
    assert report.forecast is not None
    assert all(trial in report.grid for trial in report.forecast.samples)


def test_no_graph_is_built_where_exact_search_is_foreseen_to_win(tmp_path):
    (tmp_path / INDEX_FILE).write_bytes(b"of an earlier index")
    items_ID = skewed(12_000)
    report = choose_index(items_ID, tmp_path, ONE_THREAD)

    assert (report.kind, report.graph, (tmp_path / INDEX_FILE).exists()) == ("exact", None, False)
    assert all(trial.items < len(items_ID) for trial in report.grid if trial.kind == "usearch")
    assert report.why.startswith("foreseen: exact search takes")
    assert report.as_dict()["why"] == report.why
    assert len(ItemIndex.load(tmp_path).search(items_ID[0], 10)[0]) == 10


def test_the_graph_is_built_measured_and_the_only_file_where_it_wins(tmp_path, monkeypatch):
    measured = chooser._exact_trial
    monkeypatch.setattr(  # a clear win, whatever else the machine does
        chooser, "_exact_trial", lambda found, *, items: measured(slower(found, times=20), items=items)
    )
    items_ID = even(30_000, width=16)
    report = choose_index(items_ID, tmp_path, msgspec.structs.replace(ONE_THREAD, recall_target=0.9))

    assert report.kind == "usearch"
    assert report.chosen == report.graph
    assert report.chosen.items == len(items_ID)
    assert report.why.startswith("measured: exact search takes")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["item_index.json", "item_index.usearch"]
    assert ItemIndex.load(tmp_path, items_ID).search(items_ID[7], 1)[0].tolist() == [7]


def test_the_smallest_sample_is_the_only_one_where_graphs_lose_on_it_already(tmp_path, monkeypatch):
    measured = chooser._exact_trial
    monkeypatch.setattr(  # a clear loss, whatever else the machine does
        chooser, "_exact_trial", lambda found, *, items: measured(slower(found, times=0.01), items=items)
    )
    report = choose_index(skewed(12_000), tmp_path, ONE_THREAD)

    graphs = [trial for trial in report.grid if trial.kind == "usearch"]
    assert (report.kind, report.graph) == ("exact", None)
    assert {trial.items for trial in graphs} == {1_500}
    assert report.forecast.samples[0] == report.forecast.samples[1]
    assert report.why.count("visiting") == 1


def test_of_few_items_no_graph_is_tried(tmp_path):
    report = choose_index(even(1_500), tmp_path, ONE_THREAD)

    assert [trial.kind for trial in report.grid] == ["exact"]
    assert (report.kind, report.forecast) == ("exact", None)
    assert report.why.startswith("exact search takes")


@pytest.mark.parametrize("count", [1, 2, 99])
def test_a_tiny_catalogue_has_an_index(tmp_path, count):
    items_ID = even(count)
    choose_index(items_ID, tmp_path, ONE_THREAD)

    assert sorted(ItemIndex.load(tmp_path, items_ID).search(items_ID[0], 200)[0].tolist()) == list(
        range(count)
    )


@given(seed=st.integers(0, 1000), kinds=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_zeros_with_rounding_errors_are_equal_scores(tmp_path_factory, seed, kinds):
    """Users and items of a log where each kind of item has its own users: products are 1/3 or noise near 0."""
    rng = np.random.default_rng(seed)
    axes_kD = np.linalg.qr(rng.normal(size=(16, kinds)))[0].T.astype(np.float32)
    users_UD = np.repeat(axes_kD, 3, axis=0) * np.float32(0.577)
    users_UD += rng.normal(scale=1e-9, size=users_UD.shape).astype(np.float32)
    report = choose_index(axes_kD, tmp_path_factory.mktemp("index"), IndexSettings(), queries=users_UD)
    assert {trial.recall for trial in report.grid if trial.dtype == "f32"} == {1.0}


@pytest.mark.parametrize("items_ID", [np.zeros((0, 4), np.float32), np.full((3, 4), np.nan, np.float32)])
def test_raises_when_embeddings_are_missing_or_not_finite(tmp_path, items_ID):
    with pytest.raises(TrainingDataError, match="train again"):
        choose_index(items_ID, tmp_path, ONE_THREAD)
