"""Files and folders are replaced whole or not at all."""

import errno
import os
import resource
import socket
import sqlite3

import pytest

from recsys_assets.storage.atomic import (
    Unsynced,
    named,
    put_folder_in_place,
    read_file,
    remove_file,
    remove_folder,
    replace_file,
    replaced_file,
    replaced_folder,
    staging_folder,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(path):
    path.write_bytes(b"half")
    raise OSError("disk is full")


def test_a_replaced_file_has_the_new_content_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "new" / "file"
    replace_file(target, b"old")
    replace_file(target, b"new")

    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["file"]


def test_a_file_keeps_its_content_when_writing_fails(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="disk is full"), replaced_file(target) as staged:
        write_half(staged)

    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_replaced_folder_has_only_the_new_files(tmp_path):
    folder = tmp_path / "folder"
    for name in ("one", "two"):
        with replaced_folder(folder) as staged:
            (staged / name).write_bytes(b"x")

    assert names(folder) == ["two"]
    assert names(tmp_path) == ["folder"]


def test_a_folder_keeps_its_files_when_writing_fails(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_bytes(b"x")
    with pytest.raises(OSError, match="disk is full"), replaced_folder(folder) as staged:
        write_half(staged / "new")

    assert names(folder) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    for left_over in (".folder.staged", ".folder.old"):
        (tmp_path / left_over / "below").mkdir(parents=True)
    with replaced_folder(tmp_path / "folder") as staged:
        (staged / "new").write_bytes(b"x")

    assert names(tmp_path / "folder") == ["new"]
    assert names(tmp_path) == ["folder"]


def test_a_reader_keeps_the_files_of_a_folder_that_was_replaced(tmp_path):
    folder, staged = tmp_path / "folder", tmp_path / "staged"
    for place, content in ((folder, b"old"), (staged, b"new")):
        place.mkdir()
        (place / "file").write_bytes(content)
    with (folder / "file").open("rb") as opened:
        put_folder_in_place(staged, folder, old=tmp_path / "old")

        assert opened.read() == b"old"
    assert (folder / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["folder"]


def test_a_staging_folder_that_was_not_moved_is_removed(tmp_path):
    with staging_folder(tmp_path / "staged") as staged:
        (staged / "file").write_bytes(b"x")

    assert names(tmp_path) == []


def test_files_of_one_pass_are_there_at_once_and_synced_together(tmp_path):
    root = tmp_path / "lake" / "raw"
    unsynced = Unsynced(root)
    for day in range(40):
        unsynced.replace_file(root / f"day={day}" / "part", b"%d" % day)
    (root / "day=7" / "part").unlink()  # another process removed it
    unsynced.settle()
    unsynced.settle()

    assert (root / "day=39" / "part").read_bytes() == b"39"
    assert names(root / "day=39") == ["part"]


def test_removing_what_is_not_there_is_no_error(tmp_path):
    for path in (tmp_path / "file", tmp_path / "missing" / "file"):
        remove_file(path)
        remove_folder(path)
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder" / "below").mkdir(parents=True)
    remove_file(tmp_path / "file")
    remove_folder(tmp_path / "folder")

    assert names(tmp_path) == []


def test_an_error_of_a_write_names_the_file(tmp_path):
    hard, soft = resource.getrlimit(resource.RLIMIT_FSIZE)[::-1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/\.file\.staged'"):
            replace_file(tmp_path / "file", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == []


def listen(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


NOT_REGULAR = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a socket": listen,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", NOT_REGULAR)
def test_what_is_no_regular_file_is_an_error_at_once(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    NOT_REGULAR[kind](tmp_path.relative_to(tmp_path) / "file")
    with pytest.raises(OSError, match=r"regular file|directory"):
        read_file(tmp_path / "file")


def test_a_file_is_read_up_to_its_bound(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(tmp_path / "file", most=4)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ENOSPC, "No space left on device", "array.npy"),
        sqlite3.OperationalError("database or disk is full"),
        OSError("4096 requested and 1024 written"),
        ValueError("parquet: underlying IO error: No space left on device (os error 28)"),
    ],
)
def test_an_error_of_the_disk_names_the_file_or_its_folder(tmp_path, error):
    with pytest.raises((OSError, sqlite3.Error)) as raised, named(tmp_path / "artifact"):
        raise error
    assert raised.value.filename.startswith(str(tmp_path / "artifact"))
