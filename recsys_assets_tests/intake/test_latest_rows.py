"""The newest events, and clicks on what was shown."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.intake.latest_rows import LatestEvent, LatestRows
from recsys_assets.intake.rows import EventRow, ImpressionRow
from recsys_assets_tests.intake.stored_rows import store


def event(
    number: int,
    *,
    user: str = "u1",
    item: str = "x",
    kind: str = "view",
    at: int = 10,
    answer: str | None = None,
) -> EventRow:
    return EventRow(f"e{number}", user, item, kind, at, at + 1, answer_id=answer)


def shown(answer: str, item: str = "x", *, user: str | None = "u1", at: int = 5) -> ImpressionRow:
    return ImpressionRow(answer, item, 1, user, at, at)


def clicked(path: Path, rows: list[EventRow | ImpressionRow]) -> dict[str, bool]:
    """The answers shown, and whether each was clicked."""
    store(path, rows)
    found = LatestRows(path)
    answers = dict(found.answers_shown())
    found.close()
    return answers


def test_without_a_file_there_is_nothing_and_none_is_made(tmp_path: Path) -> None:
    rows = LatestRows(tmp_path / "events.sqlite")
    assert (rows.last(), rows.after(0), rows.newest(5), rows.answers_shown()) == (0, 0, [], [])
    assert not (tmp_path / "events.sqlite").exists()


def test_the_newest_events_come_first_and_others_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store(path, [event(number, item=f"i{number}") for number in range(5)])
    rows = LatestRows(path)
    seq = rows.last()
    assert [one.item_id for one in rows.newest(2)] == ["i4", "i3"]
    assert rows.newest(1) == [LatestEvent("u1", "i4", "view", 11)]
    store(path, [event(number) for number in range(10, 17)])
    assert rows.after(seq) == 7
    rows.close()


def test_a_later_event_of_the_user_with_a_shown_item_is_a_click(tmp_path: Path) -> None:
    assert clicked(tmp_path / "e", [shown("a"), shown("a", "y"), event(1)]) == {"a": True}


def test_what_is_no_click(tmp_path: Path) -> None:
    rows = {
        "before the showing": [event(1, at=4)],
        "of another user": [event(1, user="u2")],
        "with another item": [event(1, item="z")],
        "hidden": [event(1, kind="hide")],
        "of another answer": [event(1, answer="b")],
    }
    for name, events in rows.items():
        assert clicked(tmp_path / name.replace(" ", "-"), [shown("a"), *events]) == {"a": False}, name


@given(clicks=st.sets(st.integers(0, 9)))
def test_each_answer_is_counted_once(tmp_path_factory, clicks: set[int]) -> None:
    path = tmp_path_factory.mktemp("clicks") / "events.sqlite"
    rows = [shown(f"a{number}", f"i{place}", user=f"u{number}") for number in range(10) for place in range(3)]
    events = [event(number, user=f"u{number}", item="i1") for number in clicks]
    assert clicked(path, [*rows, *events]) == {f"a{number}": number in clicks for number in range(10)}
