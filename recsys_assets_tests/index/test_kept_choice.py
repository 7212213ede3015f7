"""A warm replay keeps an exact search that was chosen on nearly the same vectors, and measures all others."""

import msgspec
import numpy as np
import pytest

from recsys_assets.index.choose_index import choose_index
from recsys_assets.index.index_report import REPORT_FILE, VECTORS_FILE, read_report, write_report
from recsys_assets.index.item_index import ItemIndex
from recsys_assets.index.kept_choice import keep_exact
from recsys_assets.settings import IndexSettings
from recsys_assets_tests.index.vectors import skewed

ONE_THREAD = IndexSettings(threads=1)


@pytest.fixture
def earlier(tmp_path):
    """The folder of an index that searches exactly."""
    folder = tmp_path / "earlier"
    report = choose_index(skewed(500), folder, ONE_THREAD)
    assert report.kind == "exact"
    return folder


def test_the_search_is_that_of_the_new_vectors(earlier, tmp_path):
    items_ID = skewed(502, seed=1)
    report = keep_exact(items_ID, tmp_path / "new", ONE_THREAD, earlier=earlier)
    index = ItemIndex.load(tmp_path / "new")
    x_D = items_ID[7]

    assert (report.items, len(index)) == (502, 502)
    assert report == read_report(tmp_path / "new")
    assert index.search(x_D, 20)[0].tolist() == np.argsort(-(items_ID @ x_D), kind="stable")[:20].tolist()


def test_its_files_are_those_of_a_measured_index(earlier, tmp_path):
    keep_exact(skewed(500), tmp_path / "new", ONE_THREAD, earlier=earlier)
    names = {file.name for file in earlier.iterdir()}

    assert {file.name for file in (tmp_path / "new").iterdir()} == names
    for name in names - {REPORT_FILE}:
        assert (tmp_path / "new" / name).read_bytes() == (earlier / name).read_bytes()
    before, after = read_report(earlier), read_report(tmp_path / "new")
    assert msgspec.structs.replace(after, seconds=before.seconds) == before


@pytest.mark.parametrize(
    ("items_ID", "settings"),
    [
        (skewed(520), ONE_THREAD),
        (skewed(500, width=8), ONE_THREAD),
        (skewed(500), IndexSettings(threads=2)),
        (skewed(500), IndexSettings(threads=1, recall_target=0.5)),
        (np.full((500, 16), np.nan, np.float32), ONE_THREAD),
    ],
    ids=["more items", "other width", "other threads", "other target", "not finite"],
)
def test_others_are_measured(items_ID, settings, earlier, tmp_path):
    assert keep_exact(items_ID, tmp_path / "new", settings, earlier=earlier) is None
    assert not (tmp_path / "new").exists()


def test_a_graph_is_measured_again(earlier, tmp_path):
    report = read_report(earlier)
    write_report(
        earlier,
        msgspec.structs.replace(report, chosen=msgspec.structs.replace(report.chosen, kind="usearch")),
    )
    assert keep_exact(skewed(500), tmp_path / "new", ONE_THREAD, earlier=earlier) is None


@pytest.mark.parametrize("content", [None, b"{"])
def test_without_an_earlier_report_all_is_measured(content, earlier, tmp_path):
    (earlier / REPORT_FILE).unlink()
    if content is not None:
        (earlier / REPORT_FILE).write_bytes(content)
    assert (earlier / VECTORS_FILE).is_file()
    assert keep_exact(skewed(500), tmp_path / "new", ONE_THREAD, earlier=earlier) is None
