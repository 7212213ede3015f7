"""The results of forgetting: one step's account, and one place where an id was still found. Neither holds an id."""

import msgspec


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step's account: a step that runs again, after a crash or a second request, finds nothing and says so."""

    step: str
    """Name of what was searched, such as `quarantine`."""
    removed: int = 0
    """Rows, lines, cells and files in which the users were, removed or blanked."""
    files: tuple[str, ...] = ()
    """Files that were changed, relative to the home where they are in it."""
    notes: tuple[str, ...] = ()
    """Sentences for people: what cannot be known from the number."""
    unfinished: str = ""
    """Why the step could not be finished, and what to do; empty where it was. The forget stays unfinished with it."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a file that still holds a user's id."""

    file: str
    """The file, relative to the home; an id in its name is blanked."""
    where: str
    """The column, table, member or form: `column user_id`, `table events, column user_id`, `text`."""
    count: int
    """Number of cells or tokens there."""


class HomeScan(msgspec.Struct, frozen=True, kw_only=True):
    """One scan of a whole home."""

    files: int
    """Files read."""
    bytes: int
    """Their size."""
    findings: tuple[Finding, ...]
    """Places that hold an id, by file; empty where none does."""
    limits: tuple[str, ...] = ()
    """Sentences on what the scan cannot prove for these ids, or could not read."""

    @property
    def clean(self) -> bool:
        """True where no id was found."""
        return not self.findings
