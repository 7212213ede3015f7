"""Typed settings, from `<home>/recsys.toml` and `RECSYS_*` variables, and where a home keeps its files.

Nothing here opens a source or imports a heavy library: Dagster and the API both load it at start.
"""

import os
import tomllib
from datetime import date, timedelta
from typing import Any, Literal

import msgspec

from recsys_assets.errors import SettingsError
from recsys_assets.storage.home import Home


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the events come from, and which days they cover."""

    spec: str
    """`completejourney`, `amazon:PATH[,meta=PATH]`, `movielens:PATH` or `tabular:PATH`; paths are absolute."""
    first_day: date
    """First daily partition (UTC)."""
    last_day: date
    """Last daily partition (UTC), inclusive."""
    columns: dict[str, str] = {}
    """For `tabular`: our column name -> the file's column name."""
    follow: bool = True
    """Whether `last_day` moves on when the source grows; false where only its first days were asked for."""
    amazon_url: str = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023"
    """Where `recsys init --source amazon-2023:CATEGORY` downloads from: the published place or a mirror."""

    def days(self) -> list[date]:
        """Every daily partition from `first_day` to `last_day`."""
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + timedelta(days=n) for n in range(count)]


class SoftmaxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second objective: sampled softmax over cosines of smoothed embeddings, and popularity."""

    epochs: int = 12
    """Passes over the users; > 0."""
    temperature: float = 0.12
    """τ, what cosines are divided by, > 0."""
    learning_rate: float = 0.01
    """Of Adam, > 0."""
    batch_users: int = 1024
    """Users a step, > 0."""
    sampled_items: int = 8192
    """Items drawn a step as not wanted, > 0; the whole catalogue where that is smaller."""
    smoothing_layers: int = 3
    """Times that embeddings are averaged over neighbours in the user-item graph, 0-4."""
    popularity_weight: float = 0.7
    """γ: γ · log(an item's number of users) is added to its cosine / τ, 0-1."""


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the interactions are factorised."""

    objective: Literal["ials", "softmax"] = "ials"
    """What is minimised: iALS's weighted squares, or the sampled softmax of `softmax`."""
    softmax: SoftmaxSettings = SoftmaxSettings()
    """Of the objective `softmax` only."""
    embedding_size: int = 64
    """Width of an embedding, 1-1024."""
    epochs: int = 15
    """Passes over users and items; > 0."""
    processes: int = 1
    """Processes of this machine that iALS is sharded over by torchrun, >= 1; each holds the whole matrix."""
    warm_start_epochs: int = 0
    """Go on for so many epochs from the last trained embeddings; 0: from scratch, so that the same days and settings
    give the same release whatever was there before."""
    unobserved_weight: float = 0.0
    """α₀, the weight of a pair that was not observed; 0: chosen by density."""
    activity_exponent: float = 0.5
    """η: a user's α is α₀ · (number of her items)^η over its mean, 0-1; 0: the same for everybody."""
    regularization: float = 0.0
    """λ, the L2 strength; 0: chosen by density."""
    frequency_exponent: float = 1.0
    """ν, how L2 scales with a row's frequency, 0-1."""
    cg_steps: int = 2
    """Conjugate-gradient steps a half-epoch, 1-10."""
    count_exponent: float = 0.2
    """A pair's confidence grows with its summed weight to this power: 0 ignores repeats, 1 counts them, 0-1."""
    debias_exponent: float = 0.0
    """γ: a pair's confidence is divided by (users of its item)^γ, so that popular items count less, 0-1."""
    half_life_days: float | None = None
    """Days after which a pair counts half, by its last event; none: age doesn't matter."""
    held_out_share: float = 0.2
    """Share of the last days held out by `evaluation`, 0-0.5."""
    seed: int = 0
    """Seed of the initial embeddings."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where torch computes."""
    memory_budget_mb: int | None = None
    """Most resident memory while training, in MB; none: 80 % of what is available."""


class IndexSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the item index is built."""

    recall_target: float = 0.99
    """Least recall@100 against exact search, 0-1."""
    candidates_per_user: int = 200
    """Best unseen items kept for each user at release time, so that a request needs no search; 0 for none."""
    neighbours_per_item: int = 50
    """Nearest items by cosine kept for each item; 0 for none."""
    precompute_pairs: int = 1_000_000_000
    """Most pairs scored exactly ahead of serving, for users and for items each, > 0. Beyond it users' candidates
    come from the index, and only the most popular items have neighbours."""
    threads: int = 0
    """Threads of the index build and of batch searches; 0 for one a core. A request's search uses one."""


class QualitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a day is judged against its history."""

    alarms_per_year: float = 4.0
    """False-alarm budget: days a year that may warn though nothing is wrong, > 0."""
    blocks_per_year: float = 0.5
    """Likewise for days that are refused, > 0."""
    material_share: float = 0.2
    """A day is refused for drift only if at least this share of its rows is affected, 0-1."""
    material_rows: int = 50
    """Likewise for the number of rows affected (or missing), >= 0: of a handful nothing certain can be said."""
    least_history_days: int = 28
    """Days of history before drift is judged at all, >= 14."""
    closed_days: tuple[str, ...] = ("12-25", "01-01")
    """Days on which shops are closed, of every year (MM-DD) or one (YYYY-MM-DD, for feasts that move): few rows or
    none, at odd hours, are no fault then."""


class ReportSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which days `recsys build` writes an increment report for."""

    days: int = 7
    """The last so many days, >= 0."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the HTTP API allows."""

    require_key_for_reads: bool = False
    """Whether reads need an API key too; writes always do."""
    requests_per_second: float = 0.0
    """Each API key or, without one, address may ask so often; 0: no limit."""
    burst: float = 50.0
    """Requests a caller may make at once before the rate counts, >= 1."""
    max_body_bytes: int = 1_000_000
    """Larger bodies are refused (413)."""
    max_query_bytes: int = 8_192
    """Longer query strings are refused (414)."""
    body_timeout_seconds: float = 10.0
    """A body must have arrived by then (408)."""
    dagster_url: str = "http://127.0.0.1:3000"
    """Where the page links to for the lineage."""
    cors_origins: list[str] = []
    """Origins whose pages may call the API; none by default."""
    log_requests: bool = False
    """Whether every request is logged; failures and slow ones always are."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `recsys.toml`."""

    source: SourceSettings
    training: TrainingSettings = TrainingSettings()
    index: IndexSettings = IndexSettings()
    quality: QualitySettings = QualitySettings()
    report: ReportSettings = ReportSettings()
    api: ApiSettings = ApiSettings()


DEFAULT_SOURCE = SourceSettings(spec="completejourney", first_day=date(2017, 1, 1), last_day=date(2018, 1, 1))
"""The embedded default and its days, so that a home without `recsys.toml` loads without opening it."""


def load_settings(home: Home) -> Settings:
    """Read `<home>/recsys.toml`, then apply `RECSYS_<SECTION>__<FIELD>` variables.

    Raises:
        SettingsError: no file, not TOML, an unknown key, or a value of the wrong type or range.
    """
    try:
        table = tomllib.loads(home.settings_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{home.settings_file}: no settings here; run `recsys init --home {home.root}`"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{home.settings_file}: not valid TOML: {error}") from None
    _apply_environment(table)
    try:
        return msgspec.convert(table, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{home.settings_file}: {error}") from None


def load_or_default_settings(home: Home) -> Settings:
    """The home's settings, or the embedded default's where the home has no `recsys.toml` yet."""
    return load_settings(home) if home.settings_file.exists() else Settings(source=DEFAULT_SOURCE)


def _apply_environment(table: dict[str, Any]) -> None:
    for name, value in os.environ.items():
        section, separator, field = name.removeprefix("RECSYS_").lower().partition("__")
        if name.startswith("RECSYS_") and separator and section in Settings.__struct_fields__:
            table.setdefault(section, {})[field] = value
