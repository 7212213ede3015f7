"""Settings of the source: its spec, its days, and the way that its files are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from recsys_assets.storage.bounds import Line, Share

Url = Annotated[str, Meta(pattern=r"^https?://[^\s/]", description="a URL, http:// or https://")]
SnapshotDay = Annotated[
    str,
    Meta(pattern=r"^(file|\d{4}-\d\d-\d\d)$", description="YYYY-MM-DD, or `file` for each file's own day"),
]
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
"""Bounds of the days: what counts back from the first, or on from the last, stays in the calendar."""
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Events before are taken for a mistake: a clock that was never set, or times in another format."""
BAD_ROWS: Final = 0.001
"""Share of rows that may be unreadable, by default."""


class ReadingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way that a table's files are read, beside what each file shows by itself."""

    encoding: Line | None = None
    """Such as `utf-8`, `windows-1252` or `utf-16`; left out, each file's own is recognised."""
    delimiter: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    """Text between two fields; left out, recognised."""
    header: bool | None = None
    """False: the first line is data, and columns are called `1`, `2`, … from the left; left out, recognised."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of numbers; left out, recognised."""
    time_format: Line | None = None
    """`iso`, `seconds`, `milliseconds`, `microseconds`, `nanoseconds`, `excel`, or a pattern such as
    `%d/%m/%Y %H:%M`; a file in another format is recognised by its whole column. Left out, always recognised."""
    time_zone: Line = "UTC"
    """Zone of times that have no offset of their own, such as `Europe/Berlin`."""
    snapshot: SnapshotDay | None = None
    """Day of every event, where the source has no time; left out, `timestamp` is read."""
    kind: Line | None = None
    """Kind of every event, where no column has it."""
    kinds: dict[str, str] = {}
    """The source's word for a kind, in lower case -> ours, such as `addtocart` -> `cart`."""


def with_changes(
    reading: ReadingSettings, *, before: ReadingSettings, after: ReadingSettings
) -> ReadingSettings:
    """Return `reading` with every field that `after` has otherwise than `before`."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return msgspec.structs.replace(reading, **{name: new[name] for name in new if new[name] != old[name]})


@dataclass(frozen=True, kw_only=True)
class Given:
    """The decisions of a person about a table, all the same whether by option, answer or recsys.toml."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Our column name -> theirs."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    """The way of reading."""

    def answered(self, option: str, answer: str) -> "Given":
        """Return the decisions with that of an option of `recsys init`, such as `--column user_id=`."""
        if option.startswith("--column"):
            ours = option.removeprefix("--column ").rstrip("=")
            return replace(self, columns={**self.columns, ours: answer})
        setting = {"--time-format": "time_format", "--decimal": "decimal", "--no-time": "snapshot"}
        return replace(self, reading=msgspec.structs.replace(self.reading, **{setting[option]: answer}))


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The source of the events, and the days that they cover."""

    spec: Line
    """`completejourney`, `amazon:PATH[,meta=PATH]`, `movielens:PATH`, `tabular:PATH` or another of `recsys init
    --help`; paths are absolute."""
    first_day: date
    """First daily partition (UTC)."""
    last_day: date
    """Last daily partition (UTC), inclusive; not before `first_day`."""
    rows_to: date | None = None
    """Last day whose rows in the source count, where events by HTTP moved `last_day` on: a later day is landed only if
    it has events. Left out, `last_day`."""
    columns: dict[str, str] = {}
    """For tables: our column name -> the file's column name."""
    bad_rows: Share = BAD_ROWS
    """Share of rows that cannot be read and are left out, counted; where there are more, the source is rejected."""
    follow: bool = True
    """Move `last_day` on when the source grows; false after `recsys init --days`."""
    changed_past: Literal["land", "keep", "reject"] = "land"
    """Days that landed and have other rows in the source now: land them again, keep them as they landed, or stop
    the build. A day that the source has no row of any more stays as it landed."""
    lookback_days: Annotated[int, Meta(ge=0, le=366)] = 3
    """Days among the last N of the source that changed land again whatever `changed_past` says: shops and GA4 go on
    writing to a day for days; 0 for none."""
    amazon_url: Url = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023"
    """The place that `recsys init --source amazon-2023:CATEGORY` downloads from: the published one or a mirror."""
    reading: ReadingSettings = ReadingSettings()

    def fault_of_days(self) -> tuple[str, str] | None:
        """Return the field and the fault of days that cannot be used; None where they can be."""
        for name, day in (("first_day", self.first_day), ("last_day", self.last_day)):
            if not FIRST_DAY <= day <= LAST_DAY:
                return name, f"{day} is not allowed; give a day, {FIRST_DAY} to {LAST_DAY}"
        if self.last_day < self.first_day:
            return "last_day", f"{self.last_day} is before first_day, {self.first_day}"
        if not self.first_day <= self.own_last_day <= self.last_day:
            return "rows_to", f"{self.rows_to} is outside of {self.first_day} to {self.last_day}"
        return None

    @property
    def own_last_day(self) -> date:
        """Last day whose rows in the source count."""
        return self.rows_to or self.last_day

    def days(self) -> list[date]:
        """Return every daily partition from `first_day` to `last_day`."""
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + timedelta(days=n) for n in range(count)]
