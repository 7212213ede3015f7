"""The rule that says where a text or a value names a user."""

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds, is_distinctive

SHORT = WantedIds(["12"])
MAIL = WantedIds(["anna1@x.org"])


@pytest.mark.parametrize(
    "text",
    [
        "GET /v1/users/12/recommendations", "user 12", "user_id='12' item_id='7'", '"user_id": "12"',
        r'{\"user_id\": \"12\"}', "users ['7', '12']", "user%3D12", "household_id=12", "<b>user</b> 12",
        "GET /v1/users%2F12",
    ],
)  # fmt: skip
def test_a_number_behind_a_word_for_users_is_one(text):
    assert SHORT.count_in_text(text) == 1
    new, number = SHORT.blank(text)
    assert (number, SHORT.count_in_text(new)) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "12",
        "price 12",
        "2012-12-12",
        "users: 12",
        "12 users",
        "user 112",
        "user 12-b",
        "item 12 of user 7",
        "user7 12",
    ],
)
def test_a_number_elsewhere_is_none(text):
    assert SHORT.count_in_text(text) == 0
    assert SHORT.blank(text) == (text, 0)


@pytest.mark.parametrize(
    "text",
    ["mail anna1@x.org.", "anna1%40x.org", "<td>anna1@x.org</td>", "k=anna1%40x.org&n=1", r"\tanna1@x.org"],
)
def test_a_distinctive_id_is_found_anywhere_in_every_spelling(text):
    assert MAIL.count_in_text(text) == 1


@pytest.mark.parametrize(
    "text", ["joanna1@x.org", "anna1@x.org.uk", "anna1", "anna1@x.organ", "b-anna1@x.org"]
)
def test_another_id_that_has_it_as_a_part_is_none(text):
    assert MAIL.count_in_text(text) == 0


def test_all_of_a_list_are_blanked():
    assert (
        WantedIds(["12", "7"]).blank("users ['7', '12', '9']")[0]
        == "users ['(forgotten)', '(forgotten)', '9']"
    )


def test_rows_objects_and_keys_of_a_user_go_and_numbers_stay():
    value = {
        "n": 12, "users": 12, "sample": [{"user_id": "12", "n": 1}, {"user_id": "7", "n": 12}], "user_ids": ["12", "7"],
        "packed": json.dumps({"records": [{"data": {"user_id": "12"}}]}), "item_id": "12", "user": 12,
    }  # fmt: skip
    assert SHORT.without(value) == (
        {
            "n": 12, "users": 12, "sample": [{"user_id": "7", "n": 12}], "user_ids": ["7"],
            "packed": '{"records": []}', "item_id": "12", "user": None,
        },
        4,
    )  # fmt: skip


def test_what_is_put_in_place_is_never_an_id_itself():
    assert WantedIds(["forgotten"]).blank("user forgotten") == ("user (gone)", 1)


@given(
    user=st.text(min_size=1, max_size=20).filter(lambda text: text.strip() == text and is_distinctive(text)),
    form=st.sampled_from(
        [str, lambda one: quote(one, safe=""), html.escape, lambda one: json.dumps(one)[1:-1]]
    ),
)
def test_whatever_the_id_it_is_found_in_every_spelling_and_blanked(user, form):
    wanted = WantedIds([user])
    text = f"( {form(user)} )"
    if not (user[0].isalnum() and user[-1].isalnum()):
        return
    assert wanted.count_in_text(text) == 1
    assert wanted.count_in_text(wanted.blank(text)[0]) == 0
