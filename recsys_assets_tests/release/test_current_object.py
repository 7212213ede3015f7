"""`current` in an object store: moved by exactly one of several writers, and copied into homes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from recsys_assets.errors import BrokenReleaseError, ObjectChangedError
from recsys_assets.release.current import RecordedMove, read_current, read_promotions
from recsys_assets.release.current_object import CurrentObject, take_moves
from recsys_assets.storage.current_form import CURRENT_KEY
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets.storage.open_objects import open_store

FIRST, SECOND = "20170101-0123456789", "20170102-0123456789"


def move(after: str = FIRST, before: str | None = None, who: str = "a") -> RecordedMove:
    return RecordedMove(
        at=datetime(2026, 1, 1, tzinfo=UTC), move="promote", before=before, after=after, who=who
    )


@pytest.fixture
def current() -> CurrentObject:
    return CurrentObject(MemoryObjects())


def test_there_is_none_before_the_first_promotion(current):
    assert current.read() is None


def test_each_move_has_the_next_number_and_keeps_those_before(current):
    first = current.swap(move(), seen=current.read())
    second = current.swap(move(SECOND, FIRST), seen=first)
    assert current.read() == second
    assert (second.record.release, second.record.number) == (SECOND, 2)
    assert second.record.moves == (move(), move(SECOND, FIRST))


def test_an_unchanged_record_is_not_read_again(current):
    first = current.swap(move(), seen=None)
    assert current.read_changed(first.tag) is None
    assert current.read_changed("other") == first


def test_who_did_not_see_the_last_move_makes_none(current):
    first = current.swap(move(), seen=None)
    current.swap(move(SECOND, FIRST), seen=first)
    for seen in (first, None):
        with pytest.raises(ObjectChangedError):
            current.swap(move(FIRST, SECOND), seen=seen)


def test_of_several_promotions_at_once_exactly_one_is_made(object_server, tmp_path):
    store = open_store(
        f"s3://lake/{tmp_path.name}", endpoint=object_server.endpoint, environ=object_server.environ
    )

    def promote(who: str) -> bool:
        try:
            CurrentObject(store).swap(move(who=who), seen=None)
        except ObjectChangedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(promote, "abcd")) == 1
    found = CurrentObject(store).read()
    assert found is not None
    assert len(found.record.moves) == 1


def test_a_home_has_the_moves_and_the_release(current, tmp_path):
    first = current.swap(move(), seen=None)
    second = current.swap(move(SECOND, FIRST), seen=first)
    assert take_moves(tmp_path, second.record)
    assert (read_current(tmp_path), tuple(read_promotions(tmp_path))) == (SECOND, second.record.moves)
    assert not take_moves(tmp_path, second.record)


def test_a_damaged_copy_is_written_again(current, tmp_path):
    first = current.swap(move(), seen=None)
    (tmp_path / "current").write_text("nothing")
    assert take_moves(tmp_path, first.record)
    assert read_current(tmp_path) == FIRST


def test_something_else_in_its_place_is_an_error():
    store = MemoryObjects()
    store.put(CURRENT_KEY, b"20170101-0123456789\n")
    with pytest.raises(BrokenReleaseError, match="releases/current: cannot be read"):
        CurrentObject(store).read()
