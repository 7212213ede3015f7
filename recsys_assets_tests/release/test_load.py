"""Opening a release, a broken one too, and the best unseen items of its users."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as replaced

from recsys_assets.embeddings.score_recipe import RelatedRows, ScoreRecipe
from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.load import load_current, load_release
from recsys_assets.release.manifest import read_manifest, write_manifest
from recsys_assets.release.release_store import ReleaseStore


@pytest.fixture
def folder(world, tmp_path):
    manifest = world.publish(tmp_path)
    return ReleaseStore(tmp_path / "releases").path(manifest.release_id)


@pytest.fixture
def release(folder):
    return load_release(folder)


def test_everything_is_there_and_fits(folder):
    release = load_release(folder)
    users, items = len(release.users), len(release.items)

    assert (release.user_embeddings.shape, release.item_embeddings.shape) == ((users, 8), (items, 8))
    assert (release.candidates_items.shape, release.neighbours_items.shape) == ((users, 20), (items, 5))
    assert len(release.titles) == len(release.categories) == len(release.index) == items
    assert release.history_indptr[-1] == len(release.history_items)
    assert release.score.fold_in.embed(release.history_items[:3]).shape == (8,)


def test_titles_and_categories_are_by_item_number(folder):
    release = load_release(folder)
    num = release.items.num("i17")

    assert (release.titles[num], release.categories[num]) == ("Thing 17", "odd")


def test_arrays_are_mapped_and_cannot_be_written(folder):
    release = load_release(folder)

    assert isinstance(release.item_embeddings.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        release.item_embeddings[0, 0] = 1


def test_users_are_recommended_their_own_half(folder):
    release = load_release(folder)
    for user in ("u0", "u1", "u2", "u3"):
        best = release.candidates_items[release.users.num(user)][:3]
        halves = [int(release.items.id(int(num))[1:]) % 2 for num in best if num >= 0]
        assert halves.count(int(user[1:]) % 2) >= 2


def test_the_feature_store_answers(folder):
    features = load_release(folder).features

    assert features.user("u0")["events_total"] == 15
    assert features.item("i64")["events_total"] == 0


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    "name", ["item_index.vectors.npy", "features.sqlite", "user_embeddings.npy", "titles.bytes.npy"]
)
def test_raises_when_a_file_is_cut_short(folder, name, verify):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenReleaseError, match=rf"{name}: \d+ bytes, expected \d+; publish .* roll back"):
        load_release(folder, verify=verify)


def test_raises_when_a_file_is_missing(folder):
    (folder / "users.hash.npy").unlink()
    with pytest.raises(BrokenReleaseError, match=r"users\.hash\.npy: missing"):
        load_release(folder, verify=False)


def test_raises_when_a_bit_flipped(folder):
    path = folder / "history_items.npy"
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)

    with pytest.raises(BrokenReleaseError, match=r"history_items\.npy: sha256 is"):
        load_release(folder)


def test_every_file_of_other_content_and_the_same_size_is_named_or_can_be_opened(folder):
    found = 0
    for name in read_manifest(folder).files:
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes(random.Random(7).randbytes(len(whole)))
        try:
            load_release(folder, verify=False)
        except BrokenReleaseError as error:
            assert name in str(error)  # noqa: PT017  most files, not all
            found += 1
        path.write_bytes(whole)
    assert found > 15


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b"\xff\xfe"])
def test_raises_when_the_manifest_is_no_manifest(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BrokenReleaseError, match="no readable manifest"):
        load_release(folder)


def test_raises_when_the_format_is_another(folder):
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 2', b'"format": 99'))
    with pytest.raises(BrokenReleaseError, match="format 99"):
        load_release(folder)


def test_raises_when_the_recipe_is_of_other_dimensions(folder):
    ScoreRecipe.of_one("ials", 9).save(folder)
    with pytest.raises(BrokenReleaseError, match=r"scoring\.json names 9 dimensions, the embeddings have 8"):
        _load_unpublished(folder)


def test_raises_when_related_items_are_of_another_catalogue(folder):
    RelatedRows(
        items_IN=np.zeros((3, 2), dtype=np.int32), weights_IN=np.zeros((3, 2), dtype=np.float32)
    ).save(folder)
    with pytest.raises(BrokenReleaseError, match=r"related_items has 3 rows, expected \d+"):
        _load_unpublished(folder)


def _load_unpublished(folder):
    """Open the folder with a manifest that says what is in it now."""
    manifest = read_manifest(folder)
    files = {
        name: replaced(entry, bytes=(folder / name).stat().st_size) for name, entry in manifest.files.items()
    }
    write_manifest(folder, replaced(manifest, files=files))
    return load_release(folder, verify=False)


def test_opening_imports_no_heavy_library(folder):
    code = (
        "import sys; from pathlib import Path; from recsys_assets.release.load import load_release;"
        f"load_release(Path({str(folder)!r}));"
        "print([m for m in sys.modules if m in ('polars', 'pandera', 'torch', 'dagster', 'pyarrow')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_user_s_best_unseen_items_are_the_beginning_of_the_row_computed_ahead(release):
    found = release.best_unseen(3, 7)
    assert found.nums.tolist() == release.candidates_items[3, :7].tolist()
    assert found.scores.tolist() == release.candidates_scores[3, :7].tolist()


def test_without_rows_computed_ahead_the_best_unseen_items_are_searched_for(release):
    searched = replace(release, candidates_items=None, candidates_scores=None)
    for num in range(len(release.users)):
        ahead = release.best_unseen(num, 10)
        assert searched.best_unseen(num, 10).scores.tolist() == pytest.approx(ahead.scores.tolist())


def test_blocked_items_are_left_out_and_the_list_stays_full(release):
    first = release.best_unseen(3, 5).nums.tolist()
    found = release.best_unseen(3, 20, blocked=first).nums.tolist()
    assert len(found) == 20
    assert set(found).isdisjoint(first)
    assert set(found).isdisjoint(release.history(3).tolist())


def test_no_release_is_current_in_an_empty_folder(tmp_path):
    with pytest.raises(ReleaseError, match=r"no release is current; run `recsys build` first"):
        load_current(tmp_path)


def test_the_current_release_is_the_promoted_one(world, tmp_path):
    manifest = world.publish(tmp_path)
    assert load_current(tmp_path / "releases").release_id == manifest.release_id
