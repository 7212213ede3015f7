"""Moves between releases (promote, roll back, recall, prune) and their log."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import RecordedMove, earlier, read_recalled
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.world import LINEAGE, NOW

DAYS = sorted(LINEAGE)


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


def test_where_every_release_was_built_on_the_day_the_current_one_stays_and_is_named(four):
    store, ids = four
    outcome = store.recall([DAYS[0]])

    assert (outcome.is_served, outcome.before, outcome.current) == (True, ids[3], ids[3])
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


def test_days_are_recalled_though_the_clock_went_back(four):
    store, ids = four
    store.recall([DAYS[12]], why="prices")
    earlier_store = ReleaseStore(store.root, clock=lambda: NOW - timedelta(days=900))
    earlier_store.recall([DAYS[11]], why="prices too")

    assert store.current_id() == ids[1]
    assert [(day.day, day.why) for day in read_recalled(store.root)] == [
        (DAYS[11], "prices too"),
        (DAYS[12], "prices"),
    ]


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
