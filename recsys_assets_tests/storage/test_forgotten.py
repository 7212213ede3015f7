"""The record of users who were forgotten: hashes, never ids, and one forget of the same users at a time."""

import stat
from datetime import UTC, datetime, timedelta

import pytest

from recsys_assets.errors import ForgetError
from recsys_assets.storage.forgotten import (
    Forgotten,
    RecordedForget,
    StepResult,
    UnfinishedForget,
    end_forget,
    hash_of,
    note_steps,
    read_forgets,
    read_unfinished_forgets,
    request_forget,
)
from recsys_assets.storage.home import Home

AT = datetime(2026, 5, 3, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def request(home: Home, *users: str, at: datetime = AT) -> UnfinishedForget:
    return request_forget(home, users, at=at, who="ann", why="a letter")


def end(home: Home, begun: UnfinishedForget) -> None:
    hashes = tuple(hash_of(begun.salt, user) for user in begun.users)
    ended = RecordedForget(number=begun.number, at=begun.at, finished_at=AT, salt=begun.salt, users=hashes)
    end_forget(home, ended)


def test_nobody_is_forgotten_in_a_new_home(home):
    assert not Forgotten.load(home).has("ann")
    assert read_unfinished_forgets(home) == ()


def test_a_user_counts_as_forgotten_from_the_request_on(home):
    request(home, "u1")
    found = Forgotten.load(home)
    assert (found.has("u1"), found.has("u2"), found.forgotten_at("u1")) == (True, False, AT)


def test_the_same_request_again_is_the_same_forget(home):
    assert request(home, "u1", "u2") == request(home, "u2", at=AT + timedelta(hours=1))


def test_ids_are_kept_until_the_end_only(home):
    begun = request(home, "some-user")
    assert b"some-user" in home.unfinished_forgets.read_bytes()
    end(home, begun)
    assert not home.unfinished_forgets.exists()
    assert b"some-user" not in home.forgotten.read_bytes()
    assert Forgotten.load(home).has("some-user")


def test_the_file_with_ids_is_its_owners_alone(home):
    request(home, "u1")
    assert stat.S_IMODE(home.unfinished_forgets.stat().st_mode) == 0o600


def test_an_end_that_was_recorded_before_a_kill_is_recorded_once(home):
    begun = request(home, "u1")
    end(home, begun)
    end(home, begun)
    assert len(read_forgets(home)) == 1


def test_numbers_go_on_and_the_salt_stays(home):
    first = request(home, "u1")
    end(home, first)
    second = request(home, "u2")
    assert (second.number, second.salt) == (2, first.salt)


def test_the_last_forget_of_a_user_counts(home):
    end(home, request(home, "u1"))
    later = AT + timedelta(days=30)
    request(home, "u1", at=later)
    found = Forgotten.load(home)
    assert (found.forgotten_at("u1"), found.number_of("u1")) == (later, 2)


def test_two_homes_have_other_hashes_of_a_user(tmp_path):
    first, second = (request(Home(tmp_path / name), "u1") for name in ("a", "b"))
    assert hash_of(first.salt, "u1") != hash_of(second.salt, "u1")


def test_steps_that_have_ended_are_kept(home):
    begun = request(home, "u1")
    note_steps(home, begun.number, [StepResult(step="lake", detail="3 rows", changed=3)])
    assert [one.step for one in read_unfinished_forgets(home)[0].steps] == ["lake"]


def test_a_damaged_request_is_an_error_that_says_what_to_do(home):
    request(home, "u1")
    home.unfinished_forgets.write_bytes(b"[{")
    with pytest.raises(ForgetError, match="forget the users again"):
        Forgotten.load(home)
