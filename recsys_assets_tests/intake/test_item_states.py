"""Changes merged into states: absent fields stay, null takes back, and an end ends all."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from recsys_assets.errors import ItemStateError
from recsys_assets.intake.item_states import ItemState, StateChange, changed, same

NOW = datetime(2024, 4, 2, 8, tzinfo=UTC)
FIELDS = ("hidden", "available", "price", "categories", "boost", "until")

values = {
    "hidden": st.booleans() | st.none(),
    "available": st.booleans() | st.none(),
    "price": st.floats(0, 1e6) | st.none(),
    "categories": st.lists(st.sampled_from(["Tea", "Bread"]), min_size=1, max_size=2) | st.none(),
    "boost": st.floats(0.01, 100) | st.none(),
    "until": st.integers(1, 1000).map(lambda hours: NOW + timedelta(hours=hours)) | st.none(),
}
changes = st.fixed_dictionaries({}, optional=values).map(lambda fields: StateChange(**fields))


def put(state: ItemState | None, change: StateChange, *, by: str = "shop") -> ItemState | None:
    return changed(state, change, by=by, now=NOW)


def value_of(state: ItemState | None, name: str) -> object:
    if state is None:
        return False if name == "hidden" else None
    return getattr(state, name)


@given(st.lists(changes, max_size=6))
def test_a_state_has_the_last_value_given_for_each_field(every):
    state = None
    expected = dict.fromkeys(FIELDS)
    for change in every:
        state = put(state, change)
        expected |= change.fields()
        if not expected["hidden"] and all(expected[name] is None for name in FIELDS[1:-1]):
            expected = dict.fromkeys(FIELDS)  # nothing is left, so its end is forgotten too
            assert state is None
    for name in FIELDS:
        assert value_of(state, name) == (bool(expected[name]) if name == "hidden" else expected[name])


@given(changes, changes)
def test_the_same_change_again_changes_nothing(one, other):
    once = put(put(None, one), other)
    assert put(once, other, by="somebody else") == once


@given(changes)
def test_a_state_survives_its_json(change):
    state = put(None, change)
    assert state is None or msgspec.json.decode(msgspec.json.encode(state), type=ItemState) == state


def test_a_price_of_nothing_is_a_state():
    state = put(None, StateChange(price=0.0))
    assert state is not None
    assert state.price == 0


def test_the_words_name_the_change_that_hid_the_item_and_not_a_later_one():
    hidden = put(None, StateChange(hidden=True, why="recalled"), by="anna")
    later = put(hidden, StateChange(price=2.0, why="sale"), by="ben")
    assert later is not None
    assert later.in_words() == "hidden since 2024-04-02 08:00 UTC by anna: recalled"
    assert later.last.by == "ben"


def test_an_item_back_on_the_lists_has_no_mark_of_its_leaving():
    hidden = put(None, StateChange(hidden=True, price=1.0))
    assert put(hidden, StateChange(hidden=None)).off_lists is None


def test_an_end_that_is_past_is_rejected_with_both_times():
    with pytest.raises(ItemStateError, match=r"2024-04-02T08:00:00\+00:00 is not after now"):
        put(None, StateChange(hidden=True, until=NOW))


def test_an_end_outside_of_the_calendar_is_rejected():
    until = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12)))
    with pytest.raises(ItemStateError, match="outside of the years"):
        put(None, StateChange(hidden=True, until=until))


def test_a_category_with_the_sign_between_several_is_rejected():
    with pytest.raises(msgspec.ValidationError, match="categories"):
        msgspec.convert({"categories": ["Tea | Bread"]}, StateChange)


def test_states_are_the_same_whoever_set_them():
    one, other = (put(None, StateChange(hidden=True, why=why), by=why) for why in ("a", "b"))
    assert same(one, other)
    assert not same(one, None)
    assert StateChange().fields() == {}
    assert StateChange().hidden is UNSET
