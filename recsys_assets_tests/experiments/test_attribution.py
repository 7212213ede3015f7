"""Attribution: polars' joins agree with the rule, spelled out event by event."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.experiments.attribution import NO_CLICK, answers_shown, attribute, items_shown
from recsys_assets.quality.contract import UTC_MICROSECONDS

START = datetime(2026, 1, 1, 22, tzinfo=UTC)
WINDOW = timedelta(hours=5)
SHOWN = {
    "answer_id": pl.String,
    "item_id": pl.String,
    "position": pl.Int32,
    "user_id": pl.String,
    "timestamp": UTC_MICROSECONDS,
    "release": pl.String,
    "list": pl.String,
    "experiment": pl.String,
    "arm": pl.String,
}
DONE = {
    "user_id": pl.String,
    "item_id": pl.String,
    "kind": pl.String,
    "timestamp": UTC_MICROSECONDS,
    "value": pl.Float64,
    "answer_id": pl.String,
}


def at(hours):
    return START + timedelta(hours=hours)


def shown(*rows):
    """Return impressions of (answer, item, user, hour), of release r and list plain, at positions from 1."""
    places, frame = dict[str, int](), []
    for answer, item, user, hour in rows:
        places[answer] = places.get(answer, 0) + 1
        frame.append((answer, item, places[answer], user, at(hour), "r", "plain", None, None))
    return pl.DataFrame(frame, schema=SHOWN, orient="row")


def done(*rows):
    """Return events of (user, item, kind, hour, value, answer)."""
    frame = [(user, item, kind, at(hour), value, answer) for user, item, kind, hour, value, answer in rows]
    return pl.DataFrame(frame, schema=DONE, orient="row")


def by_brute_force(impressions, events):
    """Return (event's row, answer) pairs by the rule as it is stated."""
    found = []
    for event in events.iter_rows(named=True):
        if event["kind"] in NO_CLICK:
            continue
        fits = [
            one
            for one in impressions.iter_rows(named=True)
            if one["item_id"] == event["item_id"]
            and event["timestamp"] - one["timestamp"] <= WINDOW
            and (
                one["answer_id"] == event["answer_id"]
                if event["answer_id"]
                else one["user_id"] == event["user_id"] and one["timestamp"] <= event["timestamp"]
            )
        ]
        if fits:
            best = max(fits, key=lambda one: (one["timestamp"], one["answer_id"]))
            found.append((*(event[name] for name in list(DONE)[:5]), best["answer_id"], best["position"]))
    return sorted(found, key=str)


few = st.sampled_from
HOURS = st.integers(0, 12)
IMPRESSIONS = st.lists(
    st.tuples(few(["a1", "a2", "a3", "a4"]), few("xyz"), few(["u", "v", None]), HOURS),
    max_size=12,
    unique_by=lambda row: row[:2],
)
EVENTS = st.lists(
    st.tuples(
        few("uv"),
        few("xyz"),
        few(["view", "purchase", "hide", "dislike", None]),
        HOURS,
        few([None, 2.0, 3.5]),
        few([None, None, "a1", "a2", "a9"]),
    ),
    max_size=15,
)


@settings(max_examples=300, deadline=None)
@given(IMPRESSIONS, EVENTS)
def test_it_agrees_with_a_brute_force_of_the_rule(impressions, events):
    impressions, events = shown(*impressions), done(*events)
    found = attribute(impressions, events, window=WINDOW)
    rows = found.select(*list(DONE)[:5], "answer_id", "position").rows()
    assert sorted(rows, key=str) == by_brute_force(impressions, events)


@settings(max_examples=100, deadline=None)
@given(IMPRESSIONS, EVENTS)
def test_every_answer_and_every_click_is_counted_once(impressions, events):
    impressions, events = shown(*impressions), done(*events)
    attributed = attribute(impressions, events, window=WINDOW)
    answers = answers_shown(impressions, attributed)
    assert sorted(answers["answer_id"]) == sorted(set(impressions["answer_id"]))
    assert answers["clicks"].sum() == attributed.height
    items = items_shown(impressions, attributed, answers, columns=["release"])
    assert items.height == impressions.height
    assert items["clicked"].sum() == attributed.select("answer_id", "item_id").unique().height


def test_the_last_answer_that_showed_the_item_gets_the_click():
    impressions = shown(("first", "x", "u", 0), ("second", "x", "u", 1), ("third", "y", "u", 1.5))
    (row,) = attribute(impressions, done(("u", "x", "view", 2, None, None)), window=WINDOW).to_dicts()
    assert row["answer_id"] == "second"


def test_an_event_that_names_an_answer_which_did_not_show_the_item_counts_for_none():
    impressions = shown(("first", "x", "u", 0), ("second", "y", "u", 1))
    assert attribute(impressions, done(("u", "x", "view", 2, None, "second")), window=WINDOW).is_empty()


def test_a_purchase_after_the_window_counts_for_none():
    impressions = shown(("first", "x", "u", 0))
    events = done(("u", "x", "purchase", 5, 1.0, None), ("u", "x", "purchase", 5.001, 1.0, None))
    assert attribute(impressions, events, window=WINDOW).height == 1


def test_an_answer_belongs_to_the_day_when_it_was_shown_first_and_sums_its_purchases():
    impressions = shown(("first", "x", "u", 1), ("first", "y", "u", 3), ("second", "y", None, 3))
    events = done(
        ("u", "x", "purchase", 3, 2.0, None),
        ("u", "y", None, 4, 3.0, None),
        ("u", "y", "view", 4, 9.0, None),
        ("w", "y", "view", 4, None, "second"),
    )
    first, second = answers_shown(impressions, attribute(impressions, events, window=WINDOW)).to_dicts()
    assert (first["day"], first["unit"], first["clicks"], first["purchases"], first["value"]) == (
        START.date(),
        "u",
        3,
        2,
        5.0,
    )
    assert (second["unit"], second["day"]) == ("w", START.date() + timedelta(days=1))


@pytest.mark.parametrize("user", ["u", None])
def test_a_user_who_is_not_known_is_a_unit_of_their_own(user):
    impressions = shown(("first", "x", user, 0))
    answers = answers_shown(impressions, attribute(impressions, done(), window=WINDOW))
    assert answers["unit"].to_list() == [user or "first"]
