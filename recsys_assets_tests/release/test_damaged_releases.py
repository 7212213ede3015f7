"""Releases that are damaged, edited or of elsewhere are named, and nothing points at them."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets_tests.release.world import LINEAGE

DAYS = sorted(LINEAGE)


def test_a_folder_that_is_no_readable_release_is_named_with_its_reason(four):
    store, ids = four
    shutil.copytree(store.root / ids[0], store.root / "copy")
    (store.root / "empty").mkdir()
    old = store.root / ids[1] / "manifest.json"
    old.write_bytes(old.read_bytes().replace(b'"format": 2', b'"format": 1'))

    assert [manifest.release_id for manifest in store.list()] == [ids[3], ids[2], ids[0]]
    reasons = store.unreadable()
    assert list(reasons) == sorted([ids[1], "copy", "empty"])
    assert "format 1, this version reads 2" in reasons[ids[1]]
    assert f"holds release {ids[0]}" in reasons["copy"]


def cut(folder):
    path = folder / "user_embeddings.npy"
    path.write_bytes(path.read_bytes()[:-4])


def flip(folder):
    path = folder / "items.bytes.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def edit(field, value):
    def change(folder):
        path = folder / "manifest.json"
        found = json.loads(path.read_text())
        found[field] = value(found[field])
        path.write_text(json.dumps(found))

    return change


DAMAGES = {
    "a file cut short": (cut, "user_embeddings.npy"),
    "a changed file of the same size": (flip, "items.bytes.npy: sha256"),
    "a file that is gone": (lambda folder: (folder / "seen_items.npy").unlink(), "seen_items.npy"),
    "a day taken out of the lineage": (
        edit("lineage", lambda days: dict(list(days.items())[:-1])),
        "manifest.json",
    ),
    "another checksum of a day": (
        edit("lineage", lambda days: days | {max(days): "0" * 64}),
        "manifest.json",
    ),
    "other settings": (edit("settings", lambda found: found | {"index": {}}), "manifest.json"),
    "another time": (edit("created_at", lambda _: "1999-01-01T00:00:00Z"), "manifest.json"),
    "other metrics": (edit("metrics", lambda _: {"ials_ndcg@10": 1.0}), "manifest.json"),
    "another place in the order": (edit("sequence", lambda _: 99), "manifest.json"),
    "another id": (edit("release_id", lambda _: "20240113-0123456789"), "manifest.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_edited_release_is_not_promoted_and_not_rolled_back_to(four, damage):
    store, ids = four
    change, named = DAMAGES[damage]
    change(store.root / ids[2])

    with pytest.raises(ReleaseError, match=re.escape(named)):
        store.promote(ids[2])
    assert store.current_id() == ids[3]
    assert store.previous_id() == store.rollback() == ids[1]
    assert len(store.promotions()) == 5


def test_an_edited_manifest_does_not_undo_a_recall(four):
    store, ids = four
    store.recall([DAYS[12]], why="x")
    edit("lineage", lambda days: days | {str(DAYS[12]): "0" * 64})(store.root / ids[3])

    with pytest.raises(BrokenReleaseError, match="edited"):
        store.promote(ids[3])
    with pytest.raises(BrokenReleaseError, match="edited"):
        store.verify(ids[3])


def test_a_recall_leaves_a_current_release_whose_manifest_was_edited(four):
    store, ids = four
    edit("lineage", lambda days: dict(list(days.items())[:5]))(store.root / ids[3])

    assert store.recall([DAYS[11]]).current == ids[1]


def test_a_recall_serves_the_newest_clean_release_though_others_were_served_later(four):
    store, ids = four
    store.promote(ids[0])
    store.promote(ids[3])
    flip(store.root / ids[2])

    assert store.recall([DAYS[12]]).current == ids[1]
    assert store.rollback() == ids[0]


def test_the_message_says_why_earlier_releases_were_skipped(four):
    store, ids = four
    cut(store.root / ids[0])
    cut(store.root / ids[1])
    shutil.rmtree(store.root / ids[2])

    with pytest.raises(ReleaseError, match="nothing to roll back to") as raised:
        store.rollback()
    lines = str(raised.value).splitlines()
    assert [line.startswith("skipped: ") for line in lines] == [False, True, True, True]
    assert store.current_id() == ids[3]


def test_a_release_of_another_source_is_not_promoted(four):
    store, ids = four
    settings_file = store.root.parent / "recsys.toml"
    settings_file.write_text(
        '[source]\nspec = "tabular:others.csv"\nfirst_day = 2024-01-01\nlast_day = 2024-01-31\n'
    )

    with pytest.raises(ReleaseError, match=r"built from tabular:events.csv, and .* names tabular:others.csv"):
        store.promote(ids[0])
    settings_file.write_text(settings_file.read_text().replace("others", "events"))
    store.promote(ids[0])


@pytest.mark.parametrize("content", [b"", b"\0\xff", b"20240101-012345678", b"../../etc\n", b"x" * 999])
def test_a_damaged_current_is_an_error_and_the_next_move_mends_it(four, content):
    store, ids = four
    (store.root / "current").write_bytes(content)

    with pytest.raises(BrokenReleaseError, match="current: "):
        store.current_id()
    assert store.superseded(keep=1) == [ids[1], ids[0]]
    assert store.rollback() == ids[2]
    assert store.current_id() == ids[2]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_record_of_recalls_stops_every_promotion(four, content):
    store, ids = four
    (store.root / "recalled.json").write_bytes(content)

    with pytest.raises(BrokenReleaseError, match=r"recalled.json: "):
        store.promote(ids[1])
    assert store.current_id() == ids[3]


def test_moves_at_the_same_time_are_made_one_after_another(four):
    store, ids = four
    moves = [partial(store.promote, ids[n % 4]) for n in range(8)] + [store.rollback] * 4
    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(move) for move in moves[::2] + moves[1::2]]
    assert {type(one.exception()) for one in done} <= {type(None), ReleaseError}  # nothing to roll back to
    log = store.promotions()
    assert [move.before for move in log[1:]] == [move.after for move in log[:-1]]
    assert store.current_id() == log[-1].after


def test_a_promotion_that_prune_overtakes_is_an_error_and_current_stays_whole(four):
    store, ids = four
    with ThreadPoolExecutor(4) as pool:
        pruned = pool.submit(store.prune, keep=1)
        promoted = [pool.submit(store.promote, ids[0]) for _ in range(3)]
    assert pruned.exception() is None
    assert {type(one.exception()) for one in promoted} <= {type(None), ReleaseError, BrokenReleaseError}
    assert store.fault(store.current_id()) is None
