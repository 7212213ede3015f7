"""The facts about the object store that `recsys doctor` shows."""

from recsys_assets.commands.store_facts import facts_of_store
from recsys_assets.errors import StoreUnavailableError
from recsys_assets.storage.home import Home
from recsys_assets.storage.open_copy import working_copy
from recsys_assets_tests.storage.machines import put


def test_a_home_without_a_store_has_no_such_fact(tmp_path):
    assert facts_of_store(Home(tmp_path)) == []


def test_a_store_that_was_never_pushed_to_answers(machines):
    (store, _) = facts_of_store(machines.home("one"))
    assert store == ("store", f"file://{machines.store} answers; nothing was pushed there yet")


def test_the_newest_push_is_named_and_that_of_the_home_where_it_is_another(machines):
    one, other = machines.home("one"), machines.home("other")
    machines.write(one, **{"rules.toml": "# none\n"})
    ((_, here),) = facts_of_store(one)
    ((_, there), _) = facts_of_store(other)
    assert "answers; push 1 by" in here
    assert "this home has push" not in here
    assert there.endswith("UTC, this home has push 0")


def test_files_that_wait_for_a_push_are_named(machines):
    one = machines.home("one")
    machines.write(one)
    put(one, **{f"quarantine__date=2024-05-0{n}__raw.json": "[]" for n in range(1, 6)})
    (_, (_, waiting)) = facts_of_store(one)
    assert waiting.startswith("not pushed yet: quarantine/date=2024-05-01/raw.json, ")
    assert waiting.endswith(" and 2 more; the next `recsys build` does")


def test_an_outage_is_a_fact_and_not_waited_for(machines):
    one = machines.home("one")
    machines.write(one)
    working_copy(one.root).store = _Silent()
    ((_, state),) = facts_of_store(one)
    assert state.endswith("cannot be used: no answer for 8 s; this home has push 1")


class _Silent:
    def get(self, _key):
        raise StoreUnavailableError("no answer for 8 s")
