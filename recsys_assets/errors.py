"""The one exception tree. Each error names what was found, where, and what to do next.

`exit_code` is what the `recsys` command ends with: 1 for a refusal of data or a failed build,
2 for input that the caller must mend (files, settings, arguments).
"""

from typing import ClassVar


class RecsysError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(RecsysError):
    """Something the caller gave cannot be used."""

    exit_code: ClassVar[int] = 2


class SettingsError(InputError):
    """`recsys.toml` or a `RECSYS_*` variable holds a value that cannot be used."""


class SourceNotFoundError(InputError):
    """A source's file is not where the spec says."""


class SourceFormatError(InputError):
    """A source's file is not in the format it should be: file, line or column, and what was found."""


class EmptySourceError(InputError):
    """A source holds no event at all."""


class DownloadError(InputError):
    """A published file could not be fetched whole."""


class ContractError(RecsysError):
    """A table does not keep its contract."""


class ExpectationError(InputError):
    """An expectation is declared with bounds that make no sense."""


class QuarantineError(InputError):
    """A day is not in quarantine, or cannot be accepted as it is."""


class DayBlockedError(RecsysError):
    """The audit refused at least one day; the good file of that day, where one was, stays."""


class TrainingDataError(RecsysError):
    """The interactions given cannot be factorised (none at all, NaN weights, …)."""


class NothingHeldOutError(TrainingDataError):
    """The days held out hold nothing that a model trained on the earlier ones could have recommended."""


class MemoryBudgetError(RecsysError):
    """A training run would need more memory than the budget allows."""


class EmptyHistoryError(RecsysError):
    """A vector was asked for a user or session without any known item."""


class ReleaseError(RecsysError):
    """A release cannot be published, found or used."""


class BrokenReleaseError(ReleaseError):
    """A release's files do not match its manifest."""


class RulesError(InputError):
    """A rules file is not valid: file, line, what was found, and a suggestion."""


class UnknownItemError(RecsysError):
    """An item id is not in the release's catalogue."""


class UnknownCohortError(InputError):
    """Users have no such feature to stand for a stranger by."""


class EventsUnavailableError(RecsysError):
    """Events sent by HTTP cannot be stored or read."""


class ApiKeyError(InputError):
    """An API key or its scope cannot be made, found or revoked."""


class PortInUseError(InputError):
    """A port that a server should listen on is taken."""


class BuildRunningError(RecsysError):
    """Another process builds the same home."""


class ServerStoppedError(RecsysError):
    """A server that should run until it is told to stop ended by itself."""


class ReportError(RecsysError):
    """A report could not be made."""


class BuildInterruptedError(RecsysError):
    """A build was told to stop; 130 is what a shell makes of Ctrl-C."""

    exit_code: ClassVar[int] = 130
