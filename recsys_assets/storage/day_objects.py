"""The days of a table in an object store: one object a day, and a provenance table, so that looking downloads none.

A day's object is put once it has passed its audit, with rows, checksum and provenance beside it. The table
`<table>/.days.jsonl` has the same of all days by tag: a listing and that one object say what is stale. It is never
wrong, only behind: of a day whose tag it does not have, the object itself says it. Files of days in a home are
copies; one counts only where its checksum is that of the store's day.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import ObjectMissingError, ObjectStoreError
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.day_folders import JOURNAL, PART, day_name
from recsys_assets.storage.day_journal import DayFile, examined
from recsys_assets.storage.object_store import METADATA_BYTES, ObjectEntry, ObjectStore, encoded_metadata

_THREADS: Final = 16
"""Requests under way at the same time."""
_AGE_SECONDS: Final = 1.0
"""Age up to which who only reads takes a listing as new."""


class FarDay(msgspec.Struct, frozen=True, array_like=True):
    """A day in the store."""

    day: date
    """The partition."""
    tag: str
    """The object's tag."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time at which it was put, ns since 1970."""
    rows: int | None
    """Number of rows; None of a broken file."""
    checksum: str
    """SHA-256 of the object, hexadecimal."""
    provenance: dict[str, str]
    """The metadata that the file was written with."""

    def as_file(self) -> DayFile:
        """Return the day as a table's reader sees it: it has no local file."""
        state = (self.size, self.mtime_ns, 0, 0)
        return DayFile(
            day=self.day, state=state, rows=self.rows, checksum=self.checksum, provenance=self.provenance
        )


_DECODER: Final = msgspec.json.Decoder(FarDay)


class DayObjects:
    """The days of one table in a store; writing needs the store's lease."""

    def __init__(
        self,
        objects: ObjectStore,
        table: str,
        *,
        quick: ObjectStore,
        require: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a table.

        Args:
            objects: the store, whose outages are waited for: who holds it uses this one.
            table: `lake/raw` or another.
            quick: the same store, whose outages are errors: who only reads uses this one.
            require: raises where this process may not write.
            clock: seconds that never go back.
        """
        self._objects, self._quick, self.table = objects, quick, table
        self._require, self._clock = require, clock
        self._days: dict[date, FarDay] = {}
        self._known: dict[str, FarDay] = {}
        self._table_tag: str | None = None
        self._listed = float("-inf")
        self._sending: dict[date, Future[FarDay]] = {}
        self._gone: set[date] = set()
        self._pool: ThreadPoolExecutor | None = None
        self.changed = False
        """True where the provenance table is behind the days."""
        self.held = False
        """True while this process holds the lease: nobody else changes the days then."""

    @property
    def objects(self) -> ObjectStore:
        """The store."""
        return self._objects if self.held else self._quick

    def key(self, day: date) -> str:
        """Return the key of a day's object."""
        return f"{self.table}/{day_name(day)}/{PART}"

    def days(self) -> dict[date, FarDay]:
        """Return the days of the table, oldest first; the store is listed where others may have changed it."""
        if not self.held and self._clock() - self._listed > _AGE_SECONDS:
            self.take(self.objects.list(f"{self.table}/"))
        return self._days

    def release(self) -> None:
        """Look at the store again from now on: others may change it."""
        self.held, self._listed = False, float("-inf")

    def day_file(self, day: date) -> DayFile | None:
        """Return a day as the store has it; None where it has none."""
        known = self.days().get(day)
        return None if known is None else known.as_file()

    def known(self) -> dict[date, FarDay]:
        """Return the days of the listing that was taken last."""
        return self._days

    def take(self, listing: Iterable[ObjectEntry]) -> None:
        """Take the store's listing of this table; days that the provenance table does not know are looked at."""
        found: dict[date, ObjectEntry] = {}
        for entry in listing:
            name = entry.key.removeprefix(f"{self.table}/")
            if name == JOURNAL:
                self._read_table(entry.tag)
            elif name.endswith(f"/{PART}") and name.startswith("date="):
                found[date.fromisoformat(name.removeprefix("date=").removesuffix(f"/{PART}"))] = entry
        unknown = [day for day, entry in found.items() if entry.tag not in self._known]
        for one in self._in_parallel(unknown):
            if one is not None:
                self._known[one.tag] = one
        self.changed |= bool(unknown) or {*self._days} > {*found}
        self._days = {
            day: msgspec.structs.replace(known, day=day)
            for day, entry in sorted(found.items())
            if (known := self._known.get(entry.tag)) is not None
        }
        self._listed = self._clock()

    def write(self, day: date, content: bytes, *, file: DayFile) -> None:
        """Put a day's object; `settle` waits for it.

        Args:
            day: the partition.
            content: the whole file.
            file: its rows, checksum and provenance.

        Raises:
            ObjectStoreError: this process does not hold the store's lease, or no more.
        """
        self._require()
        self._gone.discard(day)
        self._days[day] = FarDay(
            day, "", len(content), file.state[1], file.rows, file.checksum, file.provenance
        )
        self._pool = self._pool or ThreadPoolExecutor(_THREADS, thread_name_prefix="days")
        self._sending[day] = self._pool.submit(self._put, day, content, file)

    def settle(self) -> None:
        """Wait until every day that was written is in the store; errors as in `ObjectStore`."""
        while self._sending:
            day, sending = next(iter(self._sending.items()))
            try:
                one = sending.result()
            except ObjectStoreError:
                self._days = {one: known for one, known in self._days.items() if known.tag}
                self._sending.clear()
                raise
            del self._sending[day]
            self._known[one.tag] = one
            self._days[day] = one
            self.changed = True
        self._days = dict(sorted(self._days.items()))

    def remove(self, day: date) -> None:
        """Leave a day out from now on; its object is removed by `push`, once what replaces it is in the store."""
        self._require()
        self.settle()
        if self._days.pop(day, None) is not None:
            self._gone.add(day)
            self.changed = True

    def push(self) -> None:
        """Settle, remove the objects of days that are gone, and put the provenance table."""
        self.settle()
        if not self.changed:
            return
        self._require()
        self.objects.delete([self.key(day) for day in sorted(self._gone)])
        self._gone.clear()
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in self._days.values())
        self._table_tag = self.objects.put(f"{self.table}/{JOURNAL}", lines)
        self._known = {one.tag: one for one in self._days.values()}
        self.changed = False

    def fetch(self, day: date, file: Path) -> None:
        """Write a day's object into a local file, atomically, after its checksum was compared.

        Raises:
            ObjectStoreError: the object is damaged.
        """
        known, content = self._days[day], self.objects.get(self.key(day)).content
        found = hashlib.sha256(content).hexdigest()
        if found != known.checksum:
            raise ObjectStoreError(
                f"{self.objects.url}/{self.key(day)}: SHA-256 is {found[:12]}…, and {known.checksum[:12]}… was put;"
                f" land the day again by `recsys replay {day}`"
            )
        replace_file(file, content)

    def _put(self, day: date, content: bytes, file: DayFile) -> FarDay:
        mtime_ns = file.state[1]
        facts = {"rows": str(file.rows), "sha256": file.checksum, "mtime-ns": str(mtime_ns)}
        provenance = msgspec.json.encode(file.provenance).decode()
        if _bytes_beside({**facts, "provenance": provenance}) <= METADATA_BYTES:
            facts["provenance"] = provenance
        tag = self.objects.put(self.key(day), content, metadata=facts)
        return FarDay(day, tag, len(content), mtime_ns, file.rows, file.checksum, file.provenance)

    def _read_table(self, tag: str) -> None:
        if tag == self._table_tag:
            return
        try:
            found = self.objects.get(f"{self.table}/{JOURNAL}")
            self._known |= {one.tag: one for one in _DECODER.decode_lines(found.content)}
        except (ObjectMissingError, msgspec.DecodeError, UnicodeDecodeError):
            return  # the days themselves are looked at
        self._table_tag = found.tag

    def _in_parallel(self, days: list[date]) -> list[FarDay | None]:
        if not days:
            return []
        with ThreadPoolExecutor(min(_THREADS, len(days))) as pool:
            return list(pool.map(self._looked_at, days))

    def _looked_at(self, day: date) -> FarDay | None:
        """Ask for what was put beside a day; where that is not all, read the object."""
        try:
            (entry,) = (one for one in self.objects.list(self.key(day)) if one.key == self.key(day))
            beside = self.objects.metadata(self.key(day))
            if beside.keys() >= {"rows", "sha256", "mtime-ns", "provenance"}:
                rows = None if beside["rows"] == "None" else int(beside["rows"])
                provenance = msgspec.json.decode(beside["provenance"], type=dict[str, str])
                mtime_ns = int(beside["mtime-ns"])
                return FarDay(day, entry.tag, entry.size, mtime_ns, rows, beside["sha256"], provenance)
            content = self.objects.get(self.key(day)).content
        except (ObjectMissingError, ValueError):  # removed meanwhile
            return None
        rows, found = examined(content)
        checksum, mtime_ns = hashlib.sha256(content).hexdigest(), int(beside.get("mtime-ns", "0"))
        return FarDay(day, entry.tag, entry.size, mtime_ns, rows, checksum, found)


def _bytes_beside(facts: dict[str, str]) -> int:
    try:
        return sum(len(name) + len(value) for name, value in encoded_metadata(facts).items())
    except ObjectStoreError:  # too many
        return METADATA_BYTES + 1
