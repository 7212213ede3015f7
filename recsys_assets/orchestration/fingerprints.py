"""What each asset is made from, as one fingerprint, and where the last one is written down.

A day's Parquet file carries its fingerprint in its own metadata; an artifact has a small `.inputs` file
beside it. An asset is fresh when the fingerprint of today's inputs is the one written there, so a killed
build goes on where it was and an undisturbed one has nothing to do.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.rules.rules_file import rules_fingerprint
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

INPUTS_KEY = "recsys.inputs"
"""Key of the fingerprint in a Parquet file's metadata."""

CODE_VERSIONS: Final = {
    "raw_interactions": "1",
    "item_catalogue": "1",
    "interactions": "1",
    "increment_report": "1",
    "embeddings": "2",
    "evaluation": "2",
    "features": "1",
    "item_index": "1",
    "release": "1",
}
"""Asset, or pair made together -> version of its code; raise it when the result changes."""


def fingerprint(parts: Iterable[object]) -> str:
    """The first 20 hexadecimal digits of the SHA-256 of the parts' text, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:20]


def written_inputs(artifact: Path) -> str:
    """The fingerprint that `artifact` was made from; empty where it was never finished."""
    try:
        return _inputs_file(artifact).read_text(encoding="utf-8") if artifact.exists() else ""
    except FileNotFoundError:
        return ""


@contextmanager
def making(artifact: Path, *, inputs: str) -> Iterator[None]:
    """Around the code that replaces `artifact`: only after it ends well is `inputs` written down."""
    note = _inputs_file(artifact)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    yield
    replace_file(note, inputs.encode(), durable=False)


def _inputs_file(artifact: Path) -> Path:
    return artifact.with_name(f".{artifact.name}.inputs")


@dataclass(frozen=True)
class Inputs:
    """Fingerprints of what every asset would be made from now."""

    home: Home
    """Where the files lie."""
    settings: Settings
    """What the build is configured with."""

    @cached_property
    def raw_store(self) -> PartitionStore:
        """`raw_interactions`."""
        return PartitionStore(root=self.home.raw, schema=RAW_INTERACTIONS.polars_schema())

    @cached_property
    def interaction_store(self) -> PartitionStore:
        """`interactions`."""
        return PartitionStore(root=self.home.interactions, schema=INTERACTIONS.polars_schema())

    @cached_property
    def source(self) -> str:
        """The source's spec, mapping and files."""
        given = self.settings.source
        files = open_source(given.spec, columns=given.columns).fingerprint()
        return fingerprint([given.spec, sorted(given.columns.items()), files])

    @cached_property
    def raw_interactions(self) -> str:
        """The same for every day: nobody can tell which day of a changed source changed."""
        return fingerprint([CODE_VERSIONS["raw_interactions"], self.source])

    def interactions(self, day: date) -> str:
        """The day's raw file."""
        return fingerprint([CODE_VERSIONS["interactions"], self.raw_store.checksum(day)])

    def increment_report(self, day: date) -> str:
        """The day's cleaned file; the trailing window is context, and no reason to write a report again."""
        return fingerprint([CODE_VERSIONS["increment_report"], self.interaction_store.checksum(day)])

    @cached_property
    def item_catalogue(self) -> str:
        """The source."""
        return fingerprint([CODE_VERSIONS["item_catalogue"], self.source])

    @cached_property
    def lineage(self) -> dict[date, str]:
        """Day -> checksum of its cleaned file, for every landed day."""
        return {day: self.interaction_store.checksum(day) for day in self.interaction_store.days()}

    @cached_property
    def _landed(self) -> str:
        return fingerprint(f"{day} {checksum}" for day, checksum in self.lineage.items())

    @cached_property
    def _catalogue(self) -> str:
        return fingerprint([self.home.catalogue.read_bytes().hex()]) if self.home.catalogue.exists() else ""

    @cached_property
    def embeddings(self) -> str:
        """All cleaned days and the training settings."""
        training = msgspec.json.encode(self.settings.training)
        return fingerprint([CODE_VERSIONS["embeddings"], self._landed, training])

    @cached_property
    def evaluation(self) -> str:
        """As the embeddings: the held-out days come from the same files."""
        training = msgspec.json.encode(self.settings.training)
        return fingerprint([CODE_VERSIONS["evaluation"], self._landed, training])

    @cached_property
    def features(self) -> str:
        """All cleaned days and the catalogue."""
        return fingerprint([CODE_VERSIONS["features"], self._landed, self._catalogue])

    @cached_property
    def item_index(self) -> str:
        """The embeddings and the index settings."""
        settings = msgspec.json.encode(self.settings.index)
        return fingerprint([CODE_VERSIONS["item_index"], self.embeddings, settings])

    @cached_property
    def release(self) -> str:
        """Everything that a release holds."""
        parts = [
            self.embeddings,
            self.evaluation,
            self.features,
            self.item_index,
            rules_fingerprint(self.home),
        ]
        return fingerprint([CODE_VERSIONS["release"], *parts])


def accepting_stores(home: Home, settings: Settings) -> dict[str, PartitionStore]:
    """Table name -> its store, which writes into each file what a build would: an accepted day is fresh."""
    inputs = Inputs(home, settings)
    return {
        RAW_INTERACTIONS.name: replace(
            inputs.raw_store, provenance=lambda _: {INPUTS_KEY: inputs.raw_interactions}
        ),
        INTERACTIONS.name: replace(
            inputs.interaction_store, provenance=lambda day: {INPUTS_KEY: inputs.interactions(day)}
        ),
    }
