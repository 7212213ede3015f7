"""Objects of a store that somebody damaged: one line that names the object and the way out."""

import pytest

from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.store_writing import refresh
from recsys_assets_tests.storage.machines import Machines

CURRENT = {"releases__a__manifest.json": "{}", "releases__current": "a\n"}


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff", b"{}"])
@pytest.mark.parametrize("key", [".head", "releases/current"])
def test_a_damaged_object_is_named_with_the_way_out(tmp_path, key, content):
    machines = Machines(tmp_path)
    machines.write(machines.home("one"), **CURRENT)
    machines.objects.put(key, content)
    with pytest.raises(ObjectStoreError, match=f"{key}: cannot be read .* put an earlier version"):
        refresh(machines.home("other").root)


def test_without_its_damaged_head_a_store_is_filled_from_a_home_whose_note_was_removed(tmp_path):
    machines = Machines(tmp_path)
    one = machines.home("one")
    machines.write(one, **CURRENT)
    machines.land(one, 1, 2)
    machines.objects.delete([".head"])
    for file in one.copy.iterdir():
        file.unlink()
    machines.write(machines.home("one"), **{"rules.toml": "# new\n"})
    other = machines.home("other")
    refresh(other.root)
    assert (other.root / "releases/current").read_text() == "a\n"
    assert (other.root / "rules.toml").read_text() == "# new\n"
    assert len(list((machines.store / "lake/raw").glob("date=*"))) == 2
