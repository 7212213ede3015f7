"""The content of a day as a landed day records it: the rows of the source, and the events by HTTP beside them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EventDay:
    """The events by HTTP of one day."""

    rows: int
    """Their number, > 0."""
    content: str
    """Number and checksum of them, as they were taken."""
    is_open: bool = False
    """The day is not over."""

    def __str__(self) -> str:
        """Return all of it, as a landed day records it: an open day lands again when it is over."""
        return f"{self.content}{'~' if self.is_open else ''}"


@dataclass(frozen=True, kw_only=True)
class DayContent:
    """The rows of one day: those in the source, and events by HTTP."""

    of_source: int = 0
    """Rows in the source."""
    content: int = 0
    """A hash of them that their order does not change; 0 where there is none."""
    events: EventDay | None = None
    """The day's events by HTTP; None without any."""

    @property
    def rows(self) -> int:
        """All rows. An event that the source has too counts twice."""
        return self.of_source + (self.events.rows if self.events else 0)

    def __str__(self) -> str:
        """Return numbers and hashes, as a landed day records them."""
        return f"{self.of_source}:{self.content:016x}" + (f"+{self.events}" if self.events else "")


def source_part(content: str) -> str:
    """Return the part of a day's content, as text, that is of its rows in the source."""
    return content.partition("+")[0]


def event_part(content: str) -> str:
    """Return the part of a day's content, as text, that is of its events by HTTP; empty without any."""
    return content.partition("+")[2]
