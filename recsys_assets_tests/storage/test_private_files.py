"""A home is closed to others, whatever the shell's umask is; what a user names is not."""

import os
import stat

import pytest

from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.private_files import close_to_others, keep_private, make_users_folder, open_as_user


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o002, 0o027])
def users_umask(request, monkeypatch):
    monkeypatch.delenv("RECSYS_UMASK", raising=False)
    before = os.umask(request.param)
    yield request.param
    os.umask(before)
    os.environ.pop("RECSYS_UMASK", None)


@pytest.mark.usefixtures("users_umask")
def test_files_of_a_home_are_its_owners(tmp_path):
    keep_private()
    replace_file(tmp_path / "lake" / "day" / "file", b"x")
    assert mode(tmp_path / "lake" / "day" / "file") == 0o600
    assert mode(tmp_path / "lake") == mode(tmp_path / "lake" / "day") == 0o700


def test_what_a_user_names_has_the_users_mode(tmp_path, users_umask):
    keep_private()
    keep_private()  # as a child process does, whose umask is ours
    lists = tmp_path / "out" / "today" / "lists.csv"
    make_users_folder(lists.parent)
    lists.write_bytes(b"x")
    open_as_user(lists)
    assert mode(lists) == 0o666 & ~users_umask
    assert mode(lists.parent) == mode(tmp_path / "out") == 0o777 & ~users_umask


def test_a_stricter_umask_stays(tmp_path):
    before = os.umask(0o177)
    try:
        keep_private()
        (tmp_path / "file").touch()
    finally:
        os.umask(before)
        os.environ.pop("RECSYS_UMASK", None)
    assert mode(tmp_path / "file") == 0o600


def test_a_home_of_an_earlier_version_is_closed(tmp_path):
    home = Home(tmp_path / "home")
    outside = tmp_path / "outside"
    outside.touch(0o644)
    day = home.raw / "date=2017-01-01" / "part-0.parquet"
    day.parent.mkdir(parents=True)
    (home.raw / "link").symlink_to(outside)
    for file in (day, home.events_db, home.events_db.with_name("events.sqlite-wal"), home.settings_file):
        file.touch()
        file.chmod(0o644)
    outside.chmod(0o644)
    for folder in (home.root, home.raw.parent, home.raw, day.parent):
        folder.chmod(0o755)  # as the umask of a shell makes them
    close_to_others(home)
    close_to_others(home)

    assert {mode(day), mode(home.events_db), mode(home.events_db.with_name("events.sqlite-wal"))} == {0o600}
    assert {mode(home.raw), mode(home.raw.parent), mode(day.parent)} == {0o700}
    assert mode(home.settings_file) == mode(outside) == 0o644
    assert mode(home.root) == 0o755  # it may be a folder of other things too
