"""A small world with everything that a release is made of, and how it is published; light to import."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from recsys_assets.release.manifest import Manifest
from recsys_assets.release.publish import publish
from recsys_assets.settings import IndexSettings, Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings

FIRST_DAY, LAST_DAY = date(2024, 1, 1), date(2024, 1, 31)
NOW = datetime(2024, 2, 1, 6, tzinfo=UTC)
SETTINGS = Settings(
    source=SourceSettings(spec="tabular:events.csv", first_day=FIRST_DAY, last_day=LAST_DAY),
    training=TrainingSettings(embedding_size=8, epochs=3),
    index=IndexSettings(candidates_per_user=20, neighbours_per_item=5, threads=1),
)
LINEAGE = {FIRST_DAY + timedelta(days=n): f"{n:064x}" for n in range(31)}
PARTS = ("embeddings", "features", "index")


@dataclass(frozen=True, kw_only=True)
class World:
    """Artifacts that can be published into any home."""

    artifacts: Path
    """One folder a part."""

    @property
    def parts(self) -> dict[str, Path]:
        """The argument `parts` of `publish`."""
        return {name: self.artifacts / name for name in PARTS}

    def publish(
        self, root: Path, *, lineage: dict[date, str] | None = None, at: datetime = NOW, **more: object
    ) -> Manifest:
        """Publish into the home at `root`; other lineage makes another release."""
        arguments = {"parts": self.parts, "settings": SETTINGS, "created_at": at} | more
        return publish(Home(root), lineage=LINEAGE if lineage is None else lineage, **arguments)
