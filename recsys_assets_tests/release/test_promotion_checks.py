"""A release whose lists break their rules is published, and does not become current."""

import shutil

import numpy as np
import pytest

from recsys_assets.errors import BrokenReleaseError
from recsys_assets.release.load import load_release
from recsys_assets.release.promotion_checks import check_lists
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE, World


def change(name, make):
    def damage(artifacts):
        (path,) = artifacts.glob(f"*/{name}.npy")
        array = np.load(path)
        make(array)
        np.save(path, array)

    return damage


def write(place, value):
    return lambda array: array.__setitem__(place, value)


def swap_first_two(array):
    array[:, [0, 1]] = array[:, [1, 0]]


def seen_items(artifacts):
    """The item listed first becomes one that the user has."""
    (rows,) = artifacts.glob("*/candidates_items.npy")
    indptr, seen = (np.load(next(artifacts.glob(f"*/{name}.npy"))) for name in ("seen_indptr", "seen_items"))
    items = np.load(rows)
    items[:, 0] = seen[indptr[:-1]]
    np.save(rows, items)


FAULTS = {
    "an embedding holds NaN": change("item_embeddings", write((3, 2), np.nan)),
    "an embedding holds NaN or an infinite": change("user_embeddings", write((7, 0), np.inf)),
    "a score that is no finite number": change("candidates_scores", write((5, 3), np.nan)),
    "scores that rise": change("candidates_scores", swap_first_two),
    "an item listed twice": change("candidates_items", write((5, 3), 1)),
    "an item that the catalogue does not have": change("candidates_items", write((9, 0), 10_000)),
    "an item that the user has": seen_items,
}


@pytest.fixture
def faulty(world, tmp_path, request):
    """A world of which one artifact is wrong, as a faulty build would leave it."""
    for part, folder in world.parts.items():
        shutil.copytree(folder, tmp_path / "artifacts" / part)
    FAULTS[request.param](tmp_path / "artifacts")
    return World(artifacts=tmp_path / "artifacts")


@pytest.mark.parametrize("faulty", FAULTS, indirect=True)
def test_current_stays_where_the_lists_of_a_new_release_break_a_rule(world, faulty, tmp_path, request):
    good = world.publish(tmp_path, lineage=LINEAGE | {LAST_DAY: "a" * 64}).release_id
    fault = request.node.callspec.params["faulty"]
    if fault == "an item listed twice":  # whatever is listed there
        rows = next((tmp_path / "artifacts").glob("*/candidates_items.npy"))
        items = np.load(rows)
        items[5, 3] = items[5, 2]
        np.save(rows, items)

    with pytest.raises(BrokenReleaseError, match=f"{fault}.*stays unpromoted"):
        faulty.publish(tmp_path)
    store = ReleaseStore(tmp_path / "releases")
    assert store.current_id() == good
    (new,) = {manifest.release_id for manifest in store.list()} - {good}
    store.verify(new)
    with pytest.raises(BrokenReleaseError, match=fault):
        store.promote(new)


def test_the_lists_of_a_good_release_pass(world, tmp_path):
    manifest = world.publish(tmp_path, promote=False)
    check_lists(load_release(tmp_path / "releases" / manifest.release_id))
