"""Typed, bounded settings, from `<home>/recsys.toml` and `RECSYS_*` variables.

Nothing here opens a source or imports a heavy library: Dagster and the API both load it at start. A field's
bounds are in its type only: `recsys.toml`'s comments and the errors print them from there.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from recsys_assets.api_settings import ApiSettings
from recsys_assets.errors import SettingsError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.release_settings import GateSettings, RetentionSettings
from recsys_assets.scale_settings import LauncherSettings, LedgerSettings, PostgresUrl, StorageSettings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.bounds import (
    CountOrZero,
    KeyPath,
    Line,
    NumberOfDays,
    Share,
    mistake_in,
)
from recsys_assets.storage.home import Home
from recsys_assets.storage.rejected_init import require_no_rejected_init
from recsys_assets.storage.settings_file import apply_variables, place_of, read_table
from recsys_assets.training_settings import TrainingSettings

CronSchedule = Annotated[
    str, Meta(pattern=r"^\S+( \S+){4}$", description="five cron fields, such as `0 5 * * *`")
]
YearlyDay = Annotated[
    str,
    Meta(
        pattern=r"^(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$",
        description="MM-DD or YYYY-MM-DD",
    ),
]
DaysAYear = Annotated[float, Meta(ge=0.001, le=365)]
KindWeight = Annotated[
    float, Meta(ge=0, le=1_000, description="0, or 0.001 to 1000", extra_json_schema={"least": 0.001})
]


Address = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]+$", description="an IP address")]


DEFAULT_KINDS: Final[Mapping[str, float]] = {
    "purchase": 1.0,
    "rating": 1.0,
    "like": 1.0,
    "cart": 0.5,
    "view": 0.2,
    "dislike": 0.0,
    "hide": 0.0,
    "impression": 0.0,
    "other": 0.0,
}
"""Kind -> weight, as most shops mean them; a source says otherwise by its own table."""


CANCELLED: Final = (
    "cancelled", "canceled", "voided", "refunded", "failed", "declined", "unavailable", "trash",
)  # fmt: skip
"""Status of an order that came to nothing, in the words of the shop systems that the packaged sources read."""


class InteractionsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The events that count as a wish: learnt from, and the truth of evaluation."""

    kinds: dict[str, KindWeight] = msgspec.field(default_factory=lambda: dict(DEFAULT_KINDS))
    """Kind of event -> its weight, beside the other defaults. 0: seen, but no wish; a kind that is not listed, and an
    event without a kind, weighs 1."""
    rating_positive: Annotated[float, Meta(ge=-1e6, le=1e6)] | None = None
    """Least rating that is a wish; an event rated below is seen, but no wish. Left out, 4 for Amazon and
    MovieLens; none for others, so that every rating is a wish. `recsys init` sets it for a `tabular` source
    with ratings."""
    seen: Literal["all"] | list[Line] | None = None
    """Kinds that hide an item from its user's lists, or `all`; an event without a kind always does. Left out, all but
    `impression`."""
    returns: Literal["cancel", "keep", "drop"] = "cancel"
    """A return (quantity below 0, kind `return` or `refund`) takes pieces off the wish before it, keeps that whole,
    or drops all of the pair."""
    identical_rows: Literal["duplicates", "pieces"] = "duplicates"
    """Rows alike in all that is mapped, without a quantity: one event delivered twice, or one piece each."""
    cancelled: list[Line] = msgspec.field(default_factory=lambda: list(CANCELLED))
    """Values of the mapped `status` that make an order none; upper and lower case are the same."""
    not_products: list[Line] = []
    """Item ids that are no products, such as `POST` or `GIFT_*`: `*` is any text."""

    def __post_init__(self) -> None:
        """Complete the kinds by the defaults, and write them as events have them."""
        given = {kind.strip().lower(): weight for kind, weight in self.kinds.items()}
        msgspec.structs.force_setattr(self, "kinds", {**DEFAULT_KINDS, **given})


class IndexSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The build of the item index."""

    recall_target: Share = 0.99
    """Least recall@100 against exact search."""
    candidates_per_user: Annotated[int, Meta(ge=0, le=10_000)] = 200
    """Best unseen items kept for each user at release time, so that a request needs no search; 0 for none."""
    neighbours_per_item: Annotated[int, Meta(ge=0, le=10_000)] = 50
    """Nearest items by cosine kept for each item; 0 for none."""
    precompute_pairs: Annotated[int, Meta(ge=1, le=10**15)] = 1_000_000_000
    """Most pairs scored exactly ahead of serving, for users and for items each. Beyond it users' candidates
    come from the index, and only the most popular items have neighbours."""
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    """Threads of the index build and of batch searches; 0 for one a core. A request's search uses one."""


class QualitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The judgement of a day against its history."""

    alarms_per_year: DaysAYear = 4.0
    """False-alarm budget: days a year that may warn though nothing is wrong."""
    blocks_per_year: DaysAYear = 0.5
    """False-alarm budget of rejections: days a year that may be rejected though nothing is wrong."""
    material_share: Share = 0.2
    """A day is rejected for drift only if at least this share of its rows is affected."""
    material_rows: CountOrZero = 50
    """A day is rejected for drift only if at least N rows are affected (or missing): a few prove nothing."""
    least_history_days: Annotated[int, Meta(ge=14, le=10_000)] = 28
    """Days of history before drift is judged at all."""
    closed_days: tuple[YearlyDay, ...] = ("12-25", "01-01")
    """Days on which shops are closed, of every year or of one (for feasts that move): few rows or none, at odd
    hours, are no fault then."""


class ReportSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The increment reports that `recsys build` writes."""

    days: NumberOfDays = 7
    """Write reports for the last N days."""
    when: Literal["always", "warned", "never"] = "always"
    """Report on every one of these days, only on those with a check that warned or failed, or on none.
    `recsys report DAY` writes one at any time."""


class ExportSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The export of lists, the asset `exported_lists`; `recsys export` has options of its own."""

    to: Line | None = None
    """Target, as `recsys export --to`; a path is in the home unless it is absolute. Left out, nothing is exported."""
    scenario: Line | None = None
    """Scenario of the rules that makes the lists; left out, the plain lists."""
    k: Annotated[int, Meta(ge=1, le=500)] = 10
    """Items a list, at most."""
    users: Line = "all"
    """`all` of the release, `active:30d` with a wish in its last 30 days, or a file of ids."""
    delta: bool = True
    """Write only the lists that changed since the export before."""
    schedule: CronSchedule | None = None
    """When Dagster exports by itself, in UTC; left out, never."""
    after_build: bool = False
    """Export after the release of each `recsys build`, too."""


class DagsterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dagster's own storage."""

    postgres: PostgresUrl | None = None
    """Server of Dagster's runs and events, `postgresql://user:password@host/database`; left out, SQLite files in the
    home. Needs `pip install 'recsys-assets[scale]'`."""


class ReplaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`recsys replay`, which lands days again and makes what follows from them."""

    training: Literal["full", "warm"] = "full"
    """`full`: all as a build would make it, the same release as a history without the mistake gives. `warm`: the chosen
    model is kept and trained on from the last embeddings, in less than half of the time; the next build makes all."""
    warm_epochs: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """Epochs of a warm training."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `recsys.toml`."""

    source: SourceSettings
    interactions: InteractionsSettings = InteractionsSettings()
    training: TrainingSettings = TrainingSettings()
    index: IndexSettings = IndexSettings()
    quality: QualitySettings = QualitySettings()
    report: ReportSettings = ReportSettings()
    export: ExportSettings = ExportSettings()
    dagster: DagsterSettings = DagsterSettings()
    retention: RetentionSettings = RetentionSettings()
    api: ApiSettings = ApiSettings()
    notify: NotifySettings = NotifySettings()
    replay: ReplaySettings = ReplaySettings()
    gate: GateSettings = GateSettings()
    events: EventsSettings = EventsSettings()
    storage: StorageSettings = StorageSettings()
    launcher: LauncherSettings = LauncherSettings()
    ledger: LedgerSettings = LedgerSettings()

    @property
    def shards(self) -> int:
        """Processes that train together, each with a share of the users."""
        return self.training.processes if self.launcher.kind == "in_process" else self.launcher.shards

    @property
    def cut(self) -> list[str]:
        """Parts that the shards add to a fingerprint: sums over more of them have other last bits."""
        return [f"{self.shards} shards"] if self.shards > 1 else []


DEFAULT_SOURCE = SourceSettings(spec="completejourney", first_day=date(2017, 1, 1), last_day=date(2018, 1, 1))
"""The embedded default and its days, so that a home without `recsys.toml` loads without opening it."""


def load_settings(home: Home) -> Settings:
    """Read `<home>/recsys.toml`, then apply `RECSYS_<SECTION>__<FIELD>` variables.

    Raises:
        SettingsError: no file, not TOML, an unknown field, or a value of the wrong type or range; the message
            names the file and line, or the variable.
    """
    if not home.settings_file.exists():
        raise SettingsError(f"{home.settings_file}: no settings here; run `recsys init --home {home.root}`")
    return read_settings(home.settings_file)


def load_or_default_settings(home: Home) -> Settings:
    """Return the home's settings; the embedded default's where the home has no `recsys.toml` yet.

    Raises:
        SettingsError: as in `load_settings`, or another source was meant for the home, which could not be read.
    """
    if home.settings_file.exists():
        return load_settings(home)
    require_no_rejected_init(home)
    return _settings(home.settings_file, {"source": msgspec.structs.asdict(DEFAULT_SOURCE)})


def read_settings(file: Path) -> Settings:
    """Read a settings file wherever it is, as `load_settings` reads the home's.

    Raises:
        SettingsError: as in `load_settings`.
    """
    if not file.is_file():
        raise SettingsError(f"{file}: no such file; give a whole recsys.toml")
    return _settings(file, read_table(file))


def _settings(file: Path, table: dict[str, Any]) -> Settings:
    variables = apply_variables(table)
    mistake = mistake_in(table, Settings)
    if mistake is not None:
        place = place_of(file, mistake.path, variables)
        raise SettingsError(f"{place}: {mistake.text}{_own_heading(mistake.path)}")
    settings = msgspec.convert(table, Settings, strict=False)
    source = settings.source
    fault = source.fault_of_days()
    if fault is not None:
        place = place_of(file, ("source", fault[0]), variables)
        raise SettingsError(f"{place}: {fault[1]}")
    fault = settings.notify.mail.fault()
    if fault is not None:
        place = place_of(file, ("notify", "mail", fault[0]), variables)
        raise SettingsError(f"{place}: {fault[1]}")
    return settings


def _own_heading(path: KeyPath) -> str:
    """Return a hint where a field is under the heading of another section, as its own is a comment; else nothing."""
    section, name = path[0], path[-1]
    own = [field.name for field in msgspec.structs.fields(Settings) if name in _fields_of(field.type)]
    if len(path) == 1 or not own or section in own:
        return ""
    return f"; `{name}` belongs under [{own[0]}]: remove the `# ` before that heading too"


def _fields_of(section: type[msgspec.Struct]) -> tuple[str, ...]:
    return section.__struct_fields__
