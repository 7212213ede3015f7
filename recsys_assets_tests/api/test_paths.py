"""Ids with a slash in a path."""

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from recsys_assets.api.http.edge import as_sent, routable


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("a/b")
@example("\0")
@example("\x001/\x000%2F")
def test_any_id_comes_through_routing_as_it_was_sent(path_id):
    raw = f"/v1/users/{quote(path_id, safe='')}/history".encode()
    path = routable(raw) or f"/v1/users/{path_id}/history"

    empty, version, users, found, history = path.split("/")

    assert (empty, version, users, history) == ("", "v1", "users", "history")
    assert as_sent(found) == path_id


def test_other_paths_are_left_to_the_server():
    assert routable(b"/v1/users/a%20b/history") is None
