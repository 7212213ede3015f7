"""Strings in memory-mapped arrays: `StringTable` finds one by position, `Vocabulary` also finds an id's number.

Each is saved as two or three `.npy` files. The API imports this module: numpy only.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from recsys_assets.storage.arrays import Int32, Int64, UInt8, map_array
from recsys_assets.storage.id_form import normal_id


class StringTable:
    """Strings by position, kept as their UTF-8 bytes end to end and the offset of each."""

    def __init__(self, offsets: Int64, data: UInt8) -> None:
        """Take `offsets`, (n + 1,) int64, ascending, and `data`, uint8, the bytes of all n strings."""
        self.offsets = offsets
        self.data = data
        # A memoryview gives plain ints and bytes ten times faster than indexing a memory-mapped array.
        self._starts: Sequence[int] = memoryview(cast("Any", offsets))
        self._bytes = memoryview(cast("Any", data))

    @classmethod
    def from_strings(cls, strings: Iterable[str | None]) -> Self:
        """Build a table in the order given; None becomes the empty string."""
        encoded = [(text or "").encode() for text in strings]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype=np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, num: int) -> str:
        if not 0 <= num < len(self):
            raise IndexError(f"string {num} of a table of {len(self)}")
        return self._raw(num).decode()

    def __iter__(self) -> Iterator[str]:
        return (self._raw(num).decode() for num in range(len(self)))

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.offsets.npy` and `<name>.bytes.npy`."""
        np.save(folder / f"{name}.offsets.npy", self.offsets, allow_pickle=False)
        np.save(folder / f"{name}.bytes.npy", self.data, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Memory-map what `save` wrote."""
        return cls(map_array(folder / f"{name}.offsets.npy"), map_array(folder / f"{name}.bytes.npy"))

    def _raw(self, num: int) -> bytes:
        return bytes(self._bytes[self._starts[num] : self._starts[num + 1]])


class Vocabulary(StringTable):
    """Ids sorted by their UTF-8 bytes; an id's number is its position.

    A lookup hashes the id (CRC-32) to a bucket and compares the few ids in it: about 1 µs at any size.
    `buckets` is one int32 array: 2**b + 1 bucket starts, then the numbers, bucket by bucket.
    """

    hidden: frozenset[str] = frozenset()
    """Ids that `num` does not find, though the vocabulary holds them: of users who are being forgotten."""

    def __init__(self, offsets: Int64, data: UInt8, buckets: Int32) -> None:
        """Take the arrays of a `StringTable` and `buckets` as `_fill_buckets` returns them."""
        super().__init__(offsets, data)
        self.buckets = buckets
        self._table: Sequence[int] = memoryview(cast("Any", buckets))
        starts = 1 << _bucket_bits(len(offsets) - 1)
        self._mask = starts - 1
        self._nums_at = starts + 1

    @classmethod
    def from_strings(cls, strings: Iterable[str | None]) -> Self:
        """Build a vocabulary of the distinct strings; None is left out."""
        encoded = sorted({text.encode() for text in strings if text is not None})
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype=np.uint8), _fill_buckets(encoded))

    def num(self, key: str) -> int | None:
        """Return the number of an id, or None if the vocabulary doesn't hold it, or it is hidden."""
        if key in self.hidden:
            return None
        try:
            wanted = key.encode()
        except UnicodeEncodeError:  # half of a character, which no id has
            return None
        bucket = zlib.crc32(wanted) & self._mask
        for place in range(self._nums_at + self._table[bucket], self._nums_at + self._table[bucket + 1]):
            num = self._table[place]
            if self._bytes[self._starts[num] : self._starts[num + 1]] == wanted:
                return num
        return None

    def num_of(self, requested: str) -> int | None:
        """Return the number of an id as a person wrote it: as it stands or, if that is unknown, in its one form."""
        num = self.num(requested)
        if num is not None:
            return num
        normal = normal_id(requested)
        return None if normal in {None, requested} else self.num(str(normal))

    def form_of(self, requested: str) -> str | None:
        """Return an id as it stands where the vocabulary holds it so, else in its one form; None if it is no id."""
        normal = normal_id(requested)
        return requested if normal == requested or self.num(requested) is not None else normal

    def nums(self, ids: Sequence[str]) -> Int32:
        """Return the numbers of N ids, (N,) int32; -1 for an id that the vocabulary doesn't hold."""
        found = (self.num(key) for key in ids)
        return np.fromiter((-1 if num is None else num for num in found), dtype=np.int32, count=len(ids))

    def id(self, num: int) -> str:
        """Return the id of a number.

        Raises:
            IndexError: `num` is negative or not below `len`.
        """
        return self[num]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.num(key) is not None

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.offsets.npy`, `<name>.bytes.npy` and `<name>.hash.npy`."""
        super().save(folder, name)
        np.save(folder / f"{name}.hash.npy", self.buckets, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Memory-map what `save` wrote, a million ids in milliseconds."""
        offsets, data = map_array(folder / f"{name}.offsets.npy"), map_array(folder / f"{name}.bytes.npy")
        return cls(offsets, data, map_array(folder / f"{name}.hash.npy"))


def _bucket_bits(count: int) -> int:
    return max(1, count.bit_length())


def _fill_buckets(encoded: Sequence[bytes]) -> Int32:
    count = len(encoded)
    slots = 1 << _bucket_bits(count)
    hashes = np.fromiter(map(zlib.crc32, encoded), dtype=np.uint32, count=count) & np.uint32(slots - 1)
    buckets = np.zeros(slots + 1 + count, dtype=np.int32)
    buckets[1 : slots + 1] = np.cumsum(np.bincount(hashes, minlength=slots))
    buckets[slots + 1 :] = np.argsort(hashes, kind="stable")
    return buckets
