"""Moves between releases (promote, roll back, recall, prune) and their log."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import RecordedMove, earlier, read_recalled
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.world import LINEAGE, NOW

DAYS = sorted(LINEAGE)


@pytest.fixture
def four(world, tmp_path):
    """Releases through four consecutive days, each promoted when it was published; ids oldest first."""
    ids = [
        world.publish(
            tmp_path, lineage={day: LINEAGE[day] for day in DAYS[:count]}, at=NOW + timedelta(days=count)
        ).release_id
        for count in (10, 11, 12, 13)
    ]
    return ReleaseStore(tmp_path / "releases", clock=lambda: NOW), ids


def test_releases_are_listed_newest_first(four):
    store, ids = four

    assert [manifest.release_id for manifest in store.list()] == ids[::-1]


def test_rolling_back_twice_goes_two_releases_back(four):
    store, ids = four

    assert (store.rollback(), store.rollback(), store.current_id()) == (ids[2], ids[1], ids[1])


def test_rolling_back_never_returns_to_what_was_left(four):
    store, ids = four
    store.rollback()
    store.promote(ids[0])

    assert (store.rollback(), store.rollback()) == (ids[2], ids[1])


def test_promoting_the_current_one_again_is_no_step(four):
    store, ids = four
    store.promote(ids[3])

    assert store.rollback() == ids[2]


def test_raises_when_there_is_nothing_to_roll_back_to(four):
    store, ids = four
    for _ in range(3):
        store.rollback()
    with pytest.raises(ReleaseError, match=f"nothing to roll back to from {ids[0]}"):
        store.rollback()


def test_every_move_is_logged_with_when_what_and_from_where(four):
    store, ids = four
    store.rollback()

    assert store.promotions()[0] == RecordedMove(
        at=NOW + timedelta(days=10), move="promote", before=None, after=ids[0]
    )
    assert store.promotions()[-1] == RecordedMove(at=NOW, move="rollback", before=ids[3], after=ids[2])


def test_a_recall_leaves_every_release_built_on_the_day(four):
    store, ids = four
    outcome = store.recall([DAYS[11]], why="delivered twice")

    assert (outcome.releases, outcome.before, outcome.current) == ([ids[3], ids[2]], ids[3], ids[1])
    assert store.current_id() == ids[1]
    assert store.promotions()[-1].move == "recall"
    assert [(entry.day, entry.why) for entry in read_recalled(store.root)] == [(DAYS[11], "delivered twice")]


def test_a_recalled_release_cannot_be_promoted_again(four):
    store, ids = four
    store.recall([DAYS[12]], why="x")
    with pytest.raises(ReleaseError, match="recalled"):
        store.promote(ids[3])


def test_rolling_back_skips_recalled_releases(world, four):
    store, ids = four
    mended = {day: LINEAGE[day] for day in DAYS[:14]}
    store.recall([DAYS[12]])
    mended[DAYS[12]] = "b" * 64
    new = world.publish(store.root.parent, lineage=mended).release_id

    assert store.current_id() == new
    assert store.rollback() == ids[2]


def test_a_recall_that_does_not_affect_the_current_release_moves_nothing(four):
    store, ids = four
    store.promote(ids[0])

    assert store.recall([DAYS[12]]).current == ids[0]


def test_raises_when_no_release_was_built_on_the_day(four):
    with pytest.raises(ReleaseError, match="no release was built on 2023-05-05"):
        four[0].recall([date(2023, 5, 5)])


def test_raises_when_every_release_was_built_on_the_day_and_stays(four):
    store, ids = four
    with pytest.raises(
        ReleaseError, match=f"{ids[3]} was built on recalled days and no other release is left"
    ):
        store.recall([DAYS[0]])

    assert store.current_id() == ids[3]
    assert len(read_recalled(store.root)) == 1


def test_pruning_keeps_the_newest_and_always_the_current_and_the_one_before(four):
    store, ids = four
    store.rollback()
    store.rollback()

    assert store.prune(keep=1) == [ids[2]]
    assert [manifest.release_id for manifest in store.list()] == [ids[3], ids[1], ids[0]]


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_pruning_never_removes_what_is_served(four, keep):
    store, ids = four
    store.prune(keep=keep)

    assert store.verify(ids[3]).release_id == store.current_id()


def test_verify_names_the_file_and_both_checksums(four):
    store, ids = four
    path = store.path(ids[0]) / "item_embeddings.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    expected = store.manifest(ids[0]).files["item_embeddings.npy"].sha256

    with pytest.raises(
        BrokenReleaseError, match=rf"item_embeddings.npy: sha256 is \w{{64}}, expected {expected}\n.*roll"
    ):
        store.verify(ids[0])


@pytest.mark.parametrize(
    "name", ["nothing", "", ".", "..", "../releases", ".publishing.lock", "a\0b", "current"]
)
def test_raises_when_the_id_is_no_release(four, name):
    with pytest.raises(ReleaseError, match="no release"):
        four[0].promote(name)


def test_half_a_line_in_the_log_is_a_move_that_did_not_happen(four):
    store, ids = four
    log = store.root / "promotions.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    store.promote(ids[0])

    assert [promotion.after for promotion in store.promotions()] == [*ids[:3], ids[0]]


def test_an_empty_folder_has_no_current_release(tmp_path):
    store = ReleaseStore(tmp_path / "none")

    assert (store.current_id(), store.list(), store.promotions()) == (None, [], [])


MOVES = st.lists(st.tuples(st.sampled_from(["promote", "rollback"]), st.sampled_from("abcd")), max_size=20)


@given(moves=MOVES)
@settings(max_examples=200)
def test_a_rollback_goes_to_what_was_served_before_each_release_once(moves):
    log, current, undo = [], None, []
    for move, release_id in moves:
        if move == "promote":
            if release_id != current:
                undo = [step for step in [*undo, current] if step not in {None, release_id}]
            target = release_id
        else:
            if not undo:
                continue
            target = undo.pop()
        log.append(RecordedMove(at=datetime(2024, 1, 1, tzinfo=UTC), move=move, before=current, after=target))
        current = target

    assert list(earlier(log, current)) == undo[::-1]


@given(moves=MOVES, killed=st.integers(0, 20))
@settings(max_examples=200)
def test_a_move_that_was_logged_and_not_made_changes_nothing(moves, killed):
    log, happened, current = [], [], None
    for place, (kind, release_id) in enumerate(moves):
        back = list(earlier(happened, current))
        if kind == "rollback" and not back:
            continue
        target = release_id if kind == "promote" else back[0]
        move = RecordedMove(at=datetime(2024, 1, 1, tzinfo=UTC), move=kind, before=current, after=target)
        log.append(move)
        if place != killed or current is None:
            happened.append(move)
            current = target

    assert list(earlier(log, current)) == list(earlier(happened, current))


def test_a_logged_move_that_did_not_happen_does_not_count():
    at = datetime(2024, 1, 1, tzinfo=UTC)
    log = [RecordedMove(at=at, move="promote", before=None, after=name) for name in "abc"]

    assert list(earlier(log, "b")) == ["a"]


def test_releases_are_in_the_order_of_their_publication_whatever_the_clock_said(world, tmp_path):
    lineages = [{day: LINEAGE[day] for day in DAYS[:count]} for count in (10, 11, 12)]
    years = (2024, 2031, 1971)
    ids = [
        world.publish(tmp_path, lineage=lineage, at=datetime(year, 1, 1, tzinfo=UTC)).release_id
        for lineage, year in zip(lineages, years, strict=True)
    ]
    store = ReleaseStore(tmp_path / "releases")

    assert [manifest.release_id for manifest in store.list()] == ids[::-1]
    assert store.rollback() == ids[1]
    store.promote(ids[2])
    assert store.prune(keep=1) == [ids[0]]


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
