"""The one exception tree. Each message names the value found, its place, and the next step.

`exit_code` is that of `recsys`: 1 for unusable data or a failed build, 2 for input to mend (files and arguments).
"""

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, Self


class RecsysError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(RecsysError):
    """An argument, a setting or a file of the caller cannot be used."""

    exit_code: ClassVar[int] = 2


class SettingsError(InputError):
    """`recsys.toml` or a `RECSYS_*` variable holds a value that cannot be used."""


class SourceNotFoundError(InputError):
    """A source's file is not in the place that the spec names."""


class SourceFormatError(InputError):
    """A source's file is not in its format; the message names file, line or column, and the value found."""


class EmptySourceError(InputError):
    """A source has no event."""


class SourceChangedError(RecsysError):
    """Days that landed have other rows in the source now, and the settings say to stop."""


class DownloadError(InputError):
    """A published file could not be downloaded completely."""


class ContractError(RecsysError):
    """A table breaks its contract."""


class ExpectationError(InputError):
    """An expectation is declared with bounds that contradict each other."""


class QuarantineError(InputError):
    """A day is not in quarantine, or cannot be accepted as it is."""


class TrainingDataError(RecsysError):
    """The interactions cannot be factorised (there are none, a weight is NaN, …)."""


class NothingHeldOutError(TrainingDataError):
    """The held-out days have no event that a model trained on the earlier ones could have recommended."""


class NoWishError(TrainingDataError):
    """None of the interactions is a wish."""


class MemoryBudgetError(RecsysError):
    """A training run would need more memory than the budget allows."""


class EmptyHistoryError(RecsysError):
    """A user or session without any known item cannot be embedded."""


class ReleaseError(RecsysError):
    """A release cannot be published, found or used."""


class BrokenReleaseError(ReleaseError):
    """A release's files do not match its manifest."""


class OtherFormatError(BrokenReleaseError):
    """A release was written by another version of this package, in a layout that this one does not read."""


class RulesError(InputError):
    """A rules file is not valid; the message names file, line, the value found, and a suggestion."""


class ExperimentsError(InputError):
    """`experiments.toml` is not valid, or has no experiment of that name; the message names file, line and value."""


class ExportError(InputError):
    """Lists cannot be exported: the target is not one, cannot be written, or the users' file cannot be read."""


class StorageError(RecsysError):
    """The disk is full or broken, or a file may not be read or written."""

    @classmethod
    def found_in(cls, error: BaseException) -> Self | None:
        """Return the error of the disk or of a database that `error` is, or was caused by; None if there is none."""
        for cause in _causes(error):
            named = f"{place}: " if (place := getattr(cause, "filename", None)) else ""
            if isinstance(cause, OSError) and (place or cause.errno in _STEPS):
                step = _STEPS.get(cause.errno or errno.ENOSPC, "see that path")  # numpy gives no number
                why = os.strerror(cause.errno) if cause.errno in _STEPS else cause.strerror or cause
                return cls(f"{named}{why}; {step}")
            if isinstance(cause, sqlite3.Error):
                code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
                if code in _DATABASE_STEPS:
                    named = "" if str(place) in str(cause) else named
                    return cls(f"{named}{cause}; {_DATABASE_STEPS[code]}")
        return None


_FULL: Final = "free disk space, then run the same command again"
_MODES: Final = "give this user the right to write there, or take another --home"
_BROKEN: Final = "the disk gave an error: see the system's log, then run the same command again"
_DAMAGED: Final = "`recsys doctor` says what is lost, and `recsys build` makes the rest again"
_STEPS: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _MODES,
    errno.EPERM: _MODES,
    errno.EROFS: _MODES,
    errno.EIO: _BROKEN,
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n), then run the same command again",
    errno.ENOTDIR: "a part of this path is a file: take another path",
}
"""Error number -> the next step."""
_DATABASE_STEPS: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _MODES,
    sqlite3.SQLITE_PERM: _MODES,
    sqlite3.SQLITE_CANTOPEN: _MODES,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
"""SQLite's primary result code -> the next step."""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then those that it was raised from or while handling."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class ObjectStoreError(RecsysError):
    """An object store rejected a request; the message names store, key and reason."""


class StoreUnavailableError(ObjectStoreError):
    """An object store does not answer."""


class ObjectMissingError(ObjectStoreError):
    """There is no object of this key."""


class ObjectExistsError(ObjectStoreError):
    """An object that was to be made is there already."""


class ObjectChangedError(ObjectStoreError):
    """Another writer replaced the object meanwhile."""


class DatabaseUnavailableError(RecsysError):
    """A database server does not answer; the message names it, and says how long was waited."""


class LauncherError(RecsysError):
    """A cluster cannot be reached, lacks a package, or a task of it failed for good."""


class WorkerKilledError(LauncherError):
    """A process of a task or gang was killed, not by an error of its work: started again, the work may end well."""


class UnknownItemError(RecsysError):
    """An item id is not in the release's catalogue."""


class UnknownCohortError(InputError):
    """A cohort names a feature that users do not have."""


class PageTokenError(InputError):
    """The token of a list's next page cannot be used."""


class SearchTooBroadError(InputError):
    """A search takes too much processor time."""


class ServerBusyError(RecsysError):
    """Too much slow work is under way; the same request can be answered later."""


class EventsUnavailableError(RecsysError):
    """Events received by HTTP cannot be stored or read."""


class IntakeFullError(RecsysError):
    """More events wait to be stored than may; the same request can be accepted a second later."""


class SendingError(RecsysError):
    """An API did not take the events that were sent to it."""


class EventConflictError(RecsysError):
    """An event has the id of another one that is stored with another content."""

    def __init__(self, message: str, *, event_ids: Sequence[str] = ()) -> None:
        """Say which events; `event_ids` are theirs, each once."""
        super().__init__(message)
        self.event_ids = event_ids


class ItemStateError(InputError):
    """A change of an item's state cannot be used."""


class ItemStatesUnavailableError(RecsysError):
    """The states of items cannot be stored or read."""


class MergeConflictError(RecsysError):
    """Two users cannot be merged, since an earlier merge says something else."""


class DeliveryError(RecsysError):
    """A notice did not arrive at one of its targets."""


class AnswersUnavailableError(RecsysError):
    """The counts of answers cannot be written or read."""


class NothingShownError(InputError):
    """No answer was shown on the day whose online metrics are wanted."""


class OnlineMetricsError(RecsysError):
    """Online metrics cannot be read."""


class LineageError(InputError):
    """Nothing of a home has the day, the release or the answer that a lineage is wanted of."""


class ApiKeyError(InputError):
    """An API key or its scope cannot be created, found or revoked."""


class PortInUseError(InputError):
    """The port that a server should listen on is taken."""


class BuildRunningError(RecsysError):
    """Another process is building the same home."""


class ServerStoppedError(RecsysError):
    """A server ended by itself, before it was stopped."""


class ReportError(RecsysError):
    """A report could not be written."""


class PlanError(RecsysError):
    """There is no plan to apply, or something that it was made from changed since."""


class BuildInterruptedError(RecsysError):
    """A build was interrupted; 130 is a shell's exit code for Ctrl-C."""

    exit_code: ClassVar[int] = 130


class VersionGoneError(RecsysError):
    """An earlier version of a day was removed, so that it cannot be said what was known then."""


class ForgetError(RecsysError):
    """A user cannot be forgotten yet, or the record of it cannot be read."""
