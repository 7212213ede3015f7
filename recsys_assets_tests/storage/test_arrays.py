"""Arrays on disk, mapped and never unpickled."""

import numpy as np
import pytest

from recsys_assets.storage.arrays import create_array, map_array


def test_a_created_array_is_mapped_with_what_was_written(tmp_path):
    path = tmp_path / "a.npy"
    created = create_array(path, (2, 3), np.int32)
    created[1] = 7
    created.flush()

    assert map_array(path).tolist() == [[0, 0, 0], [7, 7, 7]]


def test_a_created_array_has_its_room_on_the_disk(tmp_path):
    """A hole would be filled at a later write, where a full disk ends the process without a word."""
    path = tmp_path / "a.npy"
    create_array(path, (1_000, 1_000), np.float64)

    assert path.stat().st_blocks * 512 >= 8_000_000


def test_a_mapped_array_cannot_be_written(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))

    with pytest.raises(ValueError, match="read-only"):
        map_array(tmp_path / "a.npy")[0] = 1


def test_raises_when_an_array_is_cut_short(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(1000))
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(ValueError, match="mmap length"):
        map_array(path)


def test_raises_when_an_array_holds_objects(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)

    with pytest.raises(ValueError, match=r"[Oo]bject"):
        map_array(tmp_path / "a.npy")
