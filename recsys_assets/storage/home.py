"""The home: one installation's folder, and the path of everything in it."""

import os
import shlex
from pathlib import Path

import msgspec

HOME_VARIABLE = "RECSYS_HOME"
DEFAULT_HOME = ".recsys"


class Home(msgspec.Struct, frozen=True):
    """Where one installation keeps its files. `root` is absolute."""

    root: Path

    @classmethod
    def locate(cls, given: str | os.PathLike[str] | None = None) -> "Home":
        """The home given, else `RECSYS_HOME`, else `.recsys/` in the working folder."""
        return cls(Path(given or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().resolve())

    @property
    def option(self) -> str:
        """What a command needs besides to work here: ` --home ROOT`; nothing for the default of this folder."""
        return "" if self.root == Path(DEFAULT_HOME).resolve() else f" --home {shlex.quote(str(self.root))}"

    @property
    def settings_file(self) -> Path:
        """`recsys.toml`."""
        return self.root / "recsys.toml"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage (`DAGSTER_HOME`)."""
        return self.root / "dagster"

    @property
    def raw(self) -> Path:
        """`raw_interactions`: `date=…/part-0.parquet`."""
        return self.root / "lake" / "raw"

    @property
    def interactions(self) -> Path:
        """`interactions`: `date=…/part-0.parquet`."""
        return self.root / "lake" / "interactions"

    @property
    def catalogue(self) -> Path:
        """`item_catalogue`: one Parquet file."""
        return self.root / "lake" / "item_catalogue.parquet"

    @property
    def quarantine(self) -> Path:
        """Refused days: `date=…/`."""
        return self.root / "quarantine"

    @property
    def reports(self) -> Path:
        """Increment reports: `date=…/increment_report.html`."""
        return self.root / "reports"

    @property
    def artifacts(self) -> Path:
        """The newest embeddings, features and index, before they are released together."""
        return self.root / "artifacts"

    @property
    def releases(self) -> Path:
        """Immutable releases, a folder each, and `current`."""
        return self.root / "releases"

    @property
    def quality_db(self) -> Path:
        """Every check result by day."""
        return self.root / "quality.sqlite"

    @property
    def events_db(self) -> Path:
        """Events that arrived by HTTP after the release."""
        return self.root / "events.sqlite"
