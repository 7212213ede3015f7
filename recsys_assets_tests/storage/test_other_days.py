"""A home with days of its own, and the store of another home: nothing of either is changed."""

import pytest

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.store_writing import refresh
from recsys_assets_tests.storage.machines import Machines, day, raw, rows


@pytest.fixture
def machines(tmp_path) -> Machines:
    found = Machines(tmp_path)
    found.land(found.home("one"), 1, 2)
    return found


def local_home(machines: Machines, *, height: int) -> Home:
    home = Home(machines.folder / "local")
    home.root.mkdir()
    table = raw(home)
    for number in (1, 2):
        table.write(day(number), rows(number, height=height))
    table.settle()
    home.settings_file.write_text("# mine\n")
    bind(home, {"RECSYS_STORAGE__ROOT": f"file://{machines.store}", "RECSYS_STORAGE__LEASE_SECONDS": "2"})
    return home


def test_a_home_with_other_days_is_rejected_by_another_home_s_store(machines):
    home = local_home(machines, height=5)
    before = [(one.key, one.tag) for one in machines.objects.list("lake/")]
    with pytest.raises(
        ObjectStoreError, match=r"has 2 days that .* has not, the first lake/raw/date=2024-05-02"
    ):
        refresh(home.root)
    with pytest.raises(ObjectStoreError, match="never was a copy"), build_lock(home):
        pass
    assert days_under(home.raw) == [day(1), day(2)]
    assert home.settings_file.read_text() == "# mine\n"
    assert [(one.key, one.tag) for one in machines.objects.list("lake/")] == before


def test_a_home_with_the_store_s_own_days_becomes_its_copy(machines):
    home = local_home(machines, height=3)
    refresh(home.root)
    assert days_under(home.raw) == [day(1), day(2)]
