"""The event log of several machines: appended to on a server, and judged by the copy of it in `events.sqlite`.

The order of entries on the server decides: an outcome is read from the copy after the entry was taken over, so that
all machines agree on it, and the sender's own process has the rows before the sender learns of them.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from uuid import uuid4

from recsys_assets.errors import EventConflictError, EventsUnavailableError, RecsysError
from recsys_assets.intake.copied_entries import Found, found_rows, stored_merge_rows
from recsys_assets.intake.event_copy import EventCopy
from recsys_assets.intake.group import IntakeRow, Receipt, Submission, conflict_of, is_same, known_events
from recsys_assets.intake.log_entries import Entry, encode_entry, entry_of
from recsys_assets.intake.merged_users import check_merge
from recsys_assets.intake.rows import EventRow, MergeRow
from recsys_assets.intake.server_log import Pending, is_outage
from recsys_assets.intake.shared_upkeep import take_off
from recsys_assets.intake.stored_events import read_events

_PATIENCE_SECONDS: Final = 2.0
"""Time for which an append is tried again before its senders are answered; after a failure once only."""
_PAUSE_SECONDS: Final = 0.1


class SharedEvents:
    """One shared log and its copy; threads may share it."""

    def __init__(self, copy: EventCopy, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Take the copy, which knows the server; connect to nothing yet."""
        self.copy = copy
        self._patience = patience_seconds
        self._failed_at: float | None = None

    def append(self, group: Sequence[Submission]) -> Sequence[Receipt | RecsysError]:
        """Append each sender's new rows as one entry, and return an outcome each, by the log's order."""
        outcomes: dict[int, Receipt | RecsysError] = {}
        entries: dict[int, Entry] = {}
        known = self.copy.using(lambda connection: known_events(connection, group))
        for place, one in enumerate(group):
            rows = _new_rows(one.rows, known)
            if isinstance(rows, EventConflictError):
                outcomes[place] = rows
            elif rows:
                entries[place] = entry_of(rows)
            else:
                outcomes[place] = Receipt(0, len(one.rows))
        if entries:
            numbers = dict(zip(entries, self._stored(list(entries.values())), strict=True))
            for place, found in self._found(entries, numbers).items():
                total = len(group[place].rows)
                new = len(found.new)
                outcomes[place] = (
                    conflict_of(found.conflicts) if found.conflicts else Receipt(new, total - new)
                )
        return [outcomes[place] for place in range(len(group))]

    def add_merge(self, row: MergeRow) -> bool:
        """Store a merge durably, and return True; False where it is stored already.

        Raises:
            MergeConflictError: it contradicts an earlier one.
            EventsUnavailableError: the server does not answer, or the file cannot be written.
        """
        self.copy.catch_up()
        if not check_merge(row, self.copy.using(stored_merge_rows)):
            return False
        entries = {0: entry_of([row])}
        numbers = dict(zip(entries, self._stored(list(entries.values())), strict=True))
        if self._found(entries, numbers)[0].new:
            return True
        return check_merge(row, self.copy.using(stored_merge_rows))  # another machine was first

    def read(self, after_seq: int) -> Iterator[tuple[int, EventRow]]:
        """Yield the events of all machines, from the copy, once it has all that the server has."""
        self.copy.catch_up()
        return read_events(self.copy.path, after_seq=after_seq)

    def add(self, entry: Entry) -> None:
        """Append an entry of another kind, and take it over.

        Raises:
            EventsUnavailableError: the server does not answer, or the file cannot be written.
        """
        self.copy.catch_up(through=max(self._stored([entry])))

    def close(self) -> None:
        """Close the file and the connection."""
        self.copy.close()

    def _stored(self, entries: Sequence[Entry]) -> Sequence[int]:
        """Append entries, again for a moment where the server does not answer; their tokens keep each of them once."""
        pending = [Pending(uuid4().hex, encode_entry(entry)) for entry in entries]
        began, before = time.monotonic(), self.copy.position()
        end = began if self._failed_at is not None else began + self._patience
        while True:
            try:
                numbers = self.copy.on_server(lambda server: server.append(pending))
            except EventsUnavailableError as error:
                if not is_outage(error):
                    raise
                if time.monotonic() < end:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                self._failed_at = self._failed_at or began
                waited = time.monotonic() - self._failed_at
                raise EventsUnavailableError(
                    f"{error} (for {waited:.0f} s). The events may have been kept: send them again later, with"
                    " the same event_id they are stored once"
                ) from error.__cause__
            self._failed_at = None
            if min(numbers) <= before:
                raise EventsUnavailableError(
                    f"{self.copy.log.shown}: was set back to an earlier state: it gave the number {min(numbers)}, and"
                    f" {self.copy.path} has entries up to {before}; stop the servers and give another [events] log_name"
                )
            return numbers

    def _found(self, entries: Mapping[int, Entry], numbers: Mapping[int, int]) -> dict[int, Found]:
        """Return what the copy has of entries by sender, and take off the server again what it has not."""
        self.copy.catch_up(through=max(numbers.values()))

        def look(connection: sqlite3.Connection) -> dict[int, Found]:
            return {place: found_rows(connection, numbers[place], entry) for place, entry in entries.items()}

        found = self.copy.using(look)
        doubled = [numbers[place] for place, one in found.items() if len(one.new) < entries[place].size]
        if doubled:
            take_off(self.copy, doubled)
        return found


def _new_rows(
    rows: Sequence[IntakeRow], known: Mapping[str, EventRow]
) -> Sequence[IntakeRow] | EventConflictError:
    """Return a sender's rows without events that are there, each event once; the conflict where there is one."""
    new: list[IntakeRow] = []
    given = dict(known)
    conflicts: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, EventRow):
            new.append(row)
        elif row.event_id not in given:
            given[row.event_id] = row
            new.append(row)
        elif not is_same(given[row.event_id], row):
            conflicts[row.event_id] = None
    return conflict_of(conflicts) if conflicts else new
