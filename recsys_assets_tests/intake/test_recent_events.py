"""The events since a release in memory: by user, the latest first, bounded, and the same in every process."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake import recent_events
from recsys_assets.intake.event_meaning import HIDDEN, WISH, EventMeaning
from recsys_assets.intake.event_store import store_rows
from recsys_assets.intake.events_database import forget_in_memory, open_events
from recsys_assets.intake.recent_events import NONE_SINCE, RecentEvents, Since, _Columns
from recsys_assets.intake.rows import EventRow
from recsys_assets.storage.string_table import Vocabulary

ITEMS = Vocabulary.from_strings([f"i{n}" for n in range(10)])
AT = 1_712_016_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def recent(path: Path) -> Iterator[RecentEvents]:
    found = RecentEvents(path, ITEMS, meaning=EventMeaning())
    yield found
    found.close()


def row(event_id: str, item_id: str, *, user: str = "a", kind: str = "view", at: int = AT) -> EventRow:
    return EventRow(event_id, user, item_id, kind, at, AT)


def nums(*item_ids: str) -> list[int]:
    return ITEMS.nums(item_ids).tolist()


def test_the_latest_wish_is_the_first_whatever_the_order_of_arrival(path: Path, recent: RecentEvents) -> None:
    store_rows(path, [row("1", "i1", at=AT + 5), row("2", "i2", at=AT + 9), row("3", "i3", at=AT)])
    recent.refresh()
    assert recent.since("a").wishes == nums("i2", "i1", "i3")
    assert recent.since("b") == NONE_SINCE


def test_an_item_that_was_hidden_is_no_wish(path: Path, recent: RecentEvents) -> None:
    store_rows(
        path, [row("1", "i1"), row("2", "i2"), row("3", "i1", kind="hide"), row("4", "i3", kind="dislike")]
    )
    recent.refresh()
    since = recent.since("a")
    assert (since.wishes, sorted(since.hidden)) == (nums("i2"), nums("i1", "i3"))


def test_an_event_of_an_unknown_item_or_of_an_impression_changes_nothing(
    path: Path, recent: RecentEvents
) -> None:
    store_rows(path, [row("1", "unheard-of"), row("2", "i2", kind="impression")])
    recent.refresh()
    assert recent.since("a") == NONE_SINCE


def test_a_new_event_changes_the_mark_of_its_user_only(path: Path, recent: RecentEvents) -> None:
    store_rows(path, [row("1", "i1"), row("2", "i1", user="b")])
    recent.refresh()
    before = recent.since("a").mark, recent.since("b").mark
    store_rows(path, [row("3", "i1")])
    recent.refresh()
    assert recent.since("a").mark != before[0]
    assert recent.since("b").mark == before[1]


def test_reading_creates_no_file(path: Path, recent: RecentEvents) -> None:
    recent.refresh()
    assert list(path.parent.iterdir()) == []


def test_what_was_read_stays_where_the_file_can_be_read_no_more(path: Path, recent: RecentEvents) -> None:
    store_rows(path, [row("1", "i1")])
    recent.refresh()
    path.unlink()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(EventsUnavailableError, match="recsys build"):
        recent.refresh()
    assert recent.since("a").wishes == nums("i1")


def test_rows_taken_out_of_the_file_are_forgotten(path: Path, recent: RecentEvents) -> None:
    store_rows(path, [row("1", "i1"), row("2", "i2", user="b")])
    recent.refresh()
    with closing(open_events(path)) as connection:
        connection.execute("DELETE FROM events WHERE user_id = 'a'")
        forget_in_memory(connection)
    recent.refresh()
    assert recent.since("a") == NONE_SINCE
    assert recent.since("b").wishes == nums("i2")


def test_what_a_release_has_learnt_is_dropped_and_older_wishes_are_apart(path: Path) -> None:
    places = {"i1": -1, "i2": 0, "i3": 1}
    by_num = {ITEMS.num(item): place for item, place in places.items()}
    recent = RecentEvents(path, ITEMS, meaning=EventMeaning(), place=lambda _, num, __: by_num[num])
    store_rows(path, [row(item, item) for item in places])
    recent.refresh()
    recent.close()
    since = recent.since("a")
    assert (since.wishes, since.late, since.hidden) == (nums("i3"), nums("i2"), [])


@given(
    events=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 50), st.sampled_from([WISH, HIDDEN])),
        max_size=120,
    ),
    trims=st.sets(st.integers(0, 120)),
)
@settings(max_examples=60, deadline=None)
def test_chains_say_what_a_plain_list_says(events, trims) -> None:
    columns = _Columns(buckets=2)  # users share chains
    for seq, (user, num, at, meaning) in enumerate(events):
        if seq in trims:
            columns = columns.trimmed()
        columns.append(user, seq, num, at, meaning)
    for user in range(4):
        assert found_in(columns, user) == expected(user, events)


def found_in(columns: _Columns, user: int) -> Since:
    place, rows = columns.heads[user & columns.mask], []
    while place >= 0:
        if columns.users[place] == user:
            rows.append(place)
        place = columns.earlier[place]
    return columns.of_rows(rows) if rows else NONE_SINCE


def expected(user: int, events: list[tuple[int, int, int, int]]) -> Since:
    own = [(at, seq, num, kind) for seq, (who, num, at, kind) in enumerate(events) if who == user]
    if not own:
        return NONE_SINCE
    latest = sorted(own, reverse=True)
    hidden = list(dict.fromkeys(num for _, _, num, kind in latest if kind == HIDDEN))
    wishes = dict.fromkeys(num for _, _, num, kind in latest if kind == WISH)
    mark = max(seq for _, seq, _, _ in own)
    return Since(mark, [num for num in wishes if num not in hidden], hidden, [])


def test_only_the_newest_events_of_a_user_are_kept_and_all_that_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "ITEMS_OF_USER", 5)
    columns = _Columns()
    columns.append(1, 0, 9, AT, HIDDEN)
    for seq in range(1, 40):
        columns.append(seq % 2, seq, seq, AT + seq, WISH)
    trimmed = columns.trimmed()
    assert found_in(trimmed, 1) == Since(39, [39, 37, 35, 33, 31], [9], [])
    assert len(trimmed.seqs) == 11


def test_400_000_events_take_less_than_60_mb() -> None:
    process = psutil.Process()
    ids = random.Random(0)
    before = process.memory_info().rss
    columns = _Columns()
    for seq in range(400_000):
        columns.append(ids.getrandbits(62), AT + seq, seq % 68_000, AT + seq, WISH)
        if len(columns.seqs) > columns.mask:
            columns = columns.trimmed()
    assert (process.memory_info().rss - before) / 2**20 < 60


def test_items_of_many_users_that_are_kept_ready_follow_new_events_and_a_forget(
    path: Path, recent: RecentEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_events, "_KNOWN_USERS", 3)
    users = "abcde"
    for place, item in enumerate(("i1", "i2")):
        store_rows(path, [row(f"{user}{place}", item, user=user, at=AT + place) for user in users])
        recent.refresh()
        for _ in range(2):
            assert [recent.since(user).wishes[0] for user in users] == nums(item) * len(users)
    with closing(open_events(path)) as connection:
        connection.execute("DELETE FROM events WHERE user_id = 'e'")
        forget_in_memory(connection)
    recent.refresh()
    assert recent.since("e") == NONE_SINCE
    assert recent.since("d").wishes == nums("i2", "i1")
