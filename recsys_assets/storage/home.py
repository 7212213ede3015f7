"""The home: the folder of one installation, and the path of everything in it. No other module spells a path.

A daily table, quarantine and reports keep one folder a day, named `date=YYYY-MM-DD`.
"""

import os
import shlex
from pathlib import Path
from typing import Final, Literal

from recsys_assets.storage.lake_paths import LakePaths

HOME_VARIABLE: Final = "RECSYS_HOME"
DEFAULT_HOME: Final = ".recsys"
FEATURE_DATABASE: Final = "features.sqlite"
"""The feature tables' file, in the artifact `features` and in every release."""
LockName = Literal[
    "build",
    "source",
    "events",
    "copy",
    "rules",
    "keys",
    "reports",
    "notices",
    "forgets",
    "experiments",
    "replica",
]


class Home(LakePaths, frozen=True):
    """The folder of one installation."""

    @classmethod
    def locate(cls, given: str | os.PathLike[str] | None = None) -> "Home":
        """Return the home given, else `RECSYS_HOME`, else `.recsys/` in the working folder."""
        return cls(Path(given or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().resolve())

    @property
    def option(self) -> str:
        """The option that selects this home: ` --home ROOT`, or empty for the working folder's default home."""
        return "" if self.root == Path(DEFAULT_HOME).resolve() else f" --home {shlex.quote(str(self.root))}"

    @property
    def settings_file(self) -> Path:
        """`recsys.toml`."""
        return self.root / "recsys.toml"

    @property
    def init_marker(self) -> Path:
        """JSON, a `RejectedInit`: there while the first `recsys init` runs, and after it failed."""
        return self.root / "init.json"

    @property
    def rules_file(self) -> Path:
        """`rules.toml`; missing where the built-in rules apply."""
        return self.root / "rules.toml"

    @property
    def golden_file(self) -> Path:
        """`golden.toml`; missing where nobody names golden users."""
        return self.root / "golden.toml"

    @property
    def last_good_rules(self) -> Path:
        """A copy of `rules.toml` and its lists as they were bound last, for a start while they are broken."""
        return self.root / "last_good_rules"

    @property
    def api_keys(self) -> Path:
        """API keys, as hashes."""
        return self.root / "api_keys.json"

    def lock(self, name: LockName) -> Path:
        """Lock file of the one process that builds, or changes what the name says."""
        return self.root / f".{name}.lock"

    @property
    def copy(self) -> Path:
        """The index of a home that is a copy of an object store, its note, and local files that others replaced."""
        return self.root / ".copy"

    @property
    def aside(self) -> Path:
        """Local files in whose place those of an object store came, after the home has left it."""
        return self.root / "store_aside"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage (`DAGSTER_HOME`)."""
        return self.root / "dagster"

    @property
    def dagster_yaml(self) -> Path:
        """The configuration of Dagster's instance."""
        return self.dagster / "dagster.yaml"

    @property
    def source_days(self) -> Path:
        """The source's events by day when it was read last, those outside of the partitions too: a Parquet file."""
        return self.root / "source_days.parquet"

    @property
    def source_account(self) -> Path:
        """The account of the source's rows when it was read last: JSON, a `RowAccount`."""
        return self.root / "source_account.json"

    @property
    def row_account(self) -> Path:
        """The account of all rows, as of the last build: JSON, a `HomeAccount`."""
        return self.root / "row_account.json"

    @property
    def quarantine(self) -> Path:
        """Rejected days, a folder a day."""
        return self.root / "quarantine"

    @property
    def reports(self) -> Path:
        """Increment reports, a folder a day."""
        return self.root / "reports"

    @property
    def replays(self) -> Path:
        """Reports on replays as JSON, a `ReplayReport` each, and the record of one that was begun."""
        return self.reports / "replays"

    @property
    def known_then(self) -> Path:
        """Increment reports as known at an earlier time."""
        return self.reports / "known_then"

    @property
    def artifacts(self) -> Path:
        """The newest choice, embeddings, evaluation, features and index, before they are released together."""
        return self.root / "artifacts"

    def artifact(self, name: str) -> Path:
        """The newest `choice`, `embeddings`, `evaluation`, `features`, `index` or `rules`, or the marker `release`."""
        return self.artifacts / name

    @property
    def feature_database(self) -> Path:
        """The newest feature tables."""
        return self.artifact("features") / FEATURE_DATABASE

    @property
    def releases(self) -> Path:
        """Immutable releases, a folder each, and `current`."""
        return self.root / "releases"

    @property
    def recalls(self) -> Path:
        """The record of recalls: JSON lines, a `RecordedRecall` each."""
        return self.root / "recalls.jsonl"

    @property
    def unfinished_recalls(self) -> Path:
        """Recalls that were begun: JSON, a list of `UnfinishedRecall`; there only until they are finished."""
        return self.root / "unfinished_recalls.json"

    @property
    def exports(self) -> Path:
        """The state of the last export to each target, a folder each."""
        return self.root / "exports"

    @property
    def downloads(self) -> Path:
        """Downloaded source files."""
        return self.root / "downloads"

    @property
    def logs(self) -> Path:
        """The logs of the servers that `recsys up` starts."""
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        """Sorted runs of events, while days are landing."""
        return self.root / "scratch"

    @property
    def build_costs(self) -> Path:
        """Time, memory and bytes of the stages that were built last: JSON, for the plans of later builds."""
        return self.root / "build_costs.json"

    @property
    def plan(self) -> Path:
        """The plan that was shown last, which `recsys plan --apply` runs: JSON, a `StoredPlan`."""
        return self.root / "plan.json"

    @property
    def before_plan(self) -> Path:
        """Settings and rules as they were before `recsys plan --apply` replaced them last."""
        return self.root / "before_plan"

    @property
    def quality_db(self) -> Path:
        """Every check result, by day."""
        return self.root / "quality.sqlite"

    @property
    def ledger_copy(self) -> Path:
        """A copy of the check results, in a home that is removed at the end: it is read instead of any other."""
        return self.root / "ledger_copy.sqlite"

    @property
    def events_db(self) -> Path:
        """Events that arrived by HTTP after the release."""
        return self.root / "events.sqlite"

    @property
    def stream_state(self) -> Path:
        """The days that `recsys stream` played last: JSON, a `StreamState`."""
        return self.root / "stream.json"

    @property
    def item_states_db(self) -> Path:
        """The state of items now, and the log of its changes."""
        return self.root / "item_states.sqlite"

    @property
    def experiments_file(self) -> Path:
        """`experiments.toml`; missing where there is no experiment."""
        return self.root / "experiments.toml"

    @property
    def experiments_log(self) -> Path:
        """Starts and ends of experiments and arms: JSON lines."""
        return self.root / "experiments.jsonl"

    @property
    def last_good_experiments(self) -> Path:
        """A copy of `experiments.toml` as it was valid last, for a start while it is broken."""
        return self.root / "last_good_experiments.toml"

    @property
    def experiment_results(self) -> Path:
        """The daily looks at experiments as JSON, an `ExperimentResult` each."""
        return self.root / "experiment_results"

    @property
    def forgotten(self) -> Path:
        """Users who were forgotten, as salted hashes, with the proof of each: JSON lines."""
        return self.root / "forgotten.jsonl"

    @property
    def unfinished_forgets(self) -> Path:
        """Users being forgotten: JSON, a list; there only until they are."""
        return self.root / "unfinished_forgets.json"

    @property
    def forget_changes(self) -> Path:
        """The files that a forget under way changes, as they were before: JSON, a `ChangedFiles`."""
        return self.root / ".forget_changes.json"

    @property
    def notices_db(self) -> Path:
        """Notices, and their state at each target."""
        return self.root / "notices.sqlite"

    @property
    def answers_db(self) -> Path:
        """The number of answers that each release gave, by list and hour."""
        return self.root / "answers.sqlite"
