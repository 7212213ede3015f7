"""While `current` moves, two servers of one home answer every request, each from one release."""

import pytest

from recsys_assets.benchmarks.bench_rollback import _Answer, _Client, _figures, _Move, run

LISTS = {"new": {"/u": ["b"]}, "old": {"/u": ["a"]}}
MOVE = _Move(started=10.0, ended=11.0, before="old", until=20.0)


@pytest.mark.timeout(600)
def test_two_servers_give_no_error_and_no_mixed_answer_during_moves():
    found = run(moves=8, pause=0.2, users=300, items=200, load=False)
    assert found["answers"] > 0
    assert (found["moves"], found["servers"]) == (8, 2)
    assert (found["errors"], found["mixed"]) == (0, 0)


def figures(*answers):
    return _figures([MOVE], [_Client(0, ["/u"], answers=list(answers))], LISTS, [])


def answer(at, release, item, *, named=None):
    return _Answer(at=at, path="/u", release=release, named=named or release, items=[item])


def test_the_last_answer_of_the_old_release_counts():
    found = figures(answer(10.5, "old", "a"), answer(11.25, "old", "a"), answer(11.5, "new", "b"))
    assert (found["effective_seconds"], found["from_start_seconds"], found["mixed"]) == (0.25, 1.25, 0)


@pytest.mark.parametrize(
    "mixed", [answer(12, "new", "a"), answer(12, "new", "b", named="old")], ids=["list", "header"]
)
def test_an_answer_of_two_releases_is_counted(mixed):
    assert figures(answer(10.5, "old", "a"), mixed)["mixed"] == 1
