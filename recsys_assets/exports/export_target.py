"""The interface of a place that lists are exported to, and the account of one export, which its manifest shows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Final

import msgspec
import pyarrow as pa

from recsys_assets.exports.list_batch import ListBatch, ListRows, ListSource

FORMS: Final = (
    "PATH.parquet, .csv, .csv.gz, .jsonl or .jsonl.gz, sqlite:PATH, postgres://user@host/database or "
    "redis://host:port/0"
)


class ExportManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of one export, beside the lists."""

    export_id: str
    """Of this export; later exports have greater ones."""
    target: str
    """Where it went, without a password."""
    command: str
    """The command or asset that made it."""
    release: str
    """The release's id."""
    rules: str
    """Fingerprint of the rules in force."""
    scenario: str | None
    """None for the plain lists."""
    k: int
    """Items a list, at most."""
    delta: bool
    """True where only the changes since the export before were written."""
    base: str
    """The last whole export: this one, or the one that the deltas follow."""
    sequence: int
    """Number of this delta since the first export to the target; 0 for a whole one before any delta."""
    users: int
    """Users whose lists were made."""
    unknown: int
    """Users among them that the release does not hold; they got popular items, or a list from their events."""
    empty: int
    """Users among them with an empty list."""
    seen: int
    """Items in their lists that they have already; rules may allow that."""
    changed: int
    """Users whose lists were written."""
    gone: int
    """Users of the export before that have no list any more."""
    rows: int
    """Items of the lists that were written."""
    started: datetime
    """UTC."""
    finished: datetime
    """UTC."""
    sha256: str | None = None
    """Of the file; None for a database."""


@dataclass(kw_only=True)
class ExportRun:
    """One export under way: its description, and what is counted while it is written."""

    export_id: str
    source: ListSource
    k: int
    command: str
    target: str
    delta: bool = False
    base: str = ""
    sequence: int = 0
    users: int = 0
    unknown: int = 0
    empty: int = 0
    seen: int = 0
    changed: int = 0
    gone: int = 0
    rows: int = 0
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def manifest(self, *, sha256: str | None = None) -> ExportManifest:
        """Return the description of the export, once everything is written."""
        counted = ("users", "unknown", "empty", "seen", "changed", "gone", "rows")
        return ExportManifest(
            export_id=self.export_id,
            target=self.target,
            command=self.command,
            release=self.source.release,
            rules=self.source.rules,
            scenario=self.source.scenario,
            k=self.k,
            delta=self.delta,
            base=self.base or self.export_id,
            sequence=self.sequence,
            started=self.source.exported_at,
            finished=self.clock(),
            sha256=sha256,
            **{name: getattr(self, name) for name in counted},
        )


class ExportTarget(ABC):
    """One place for lists. A reader sees the export before or this one, never a part of either."""

    shown: str
    """Its address, without a password."""
    deltas_apart: ClassVar[bool] = False
    """True where a delta leaves the whole lists as they are, and is found beside them."""

    @abstractmethod
    def check(self) -> None:
        """Check that it can be written.

        Raises:
            ExportError: it cannot; one line with the reason.
        """

    @abstractmethod
    def last_export(self) -> ExportManifest | None:
        """Return the description of the last export that it holds; of a file, the last whole one."""

    @abstractmethod
    def replace(self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows) -> ExportManifest:
        """Write all lists in place of those that are there."""

    @abstractmethod
    def change(
        self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows, *, gone: Sequence[str]
    ) -> ExportManifest:
        """Write the lists that changed, and mark or remove those of the users `gone`."""

    @abstractmethod
    def forget(self, users: Sequence[str]) -> int:
        """Delete the lists of users wherever this target keeps them, and return the number of rows or keys.

        Deltas and what an export left unfinished are searched too. A target that is gone has none.

        Raises:
            ExportError: it cannot be reached, read or written.
        """


def as_rows(batches: Iterator[ListBatch], rows: ListRows) -> Iterator[pa.RecordBatch]:
    """Yield batches of lists as rows; none is empty."""
    for batch in batches:
        found = rows.of(batch)
        if found.num_rows:
            yield found
