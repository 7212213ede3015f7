"""One fingerprint of everything that an asset is made from, and the record of the last one.

A day's Parquet file carries its fingerprint in its own metadata; an artifact has a record beside it (`made_artifacts`).
An asset is fresh when the fingerprint of today's inputs is the recorded one. Code is part of it by its version.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

import msgspec

from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.returns import TakenOff, taken_off
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.day_content import source_part
from recsys_assets.lake.follow import CONTENT_KEY, SourceChanges
from recsys_assets.lake.merged_rows import merged_users, touched_days
from recsys_assets.lake.raw_returns import may_have_returns, raw_store
from recsys_assets.lake.source_days import SourceDays, meaning_of, reading_of
from recsys_assets.orchestration.repair.made_artifacts import making, written_inputs
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.rules_file import rules_fingerprint
from recsys_assets.settings import Settings
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

INPUTS_KEY: Final = "recsys.inputs"
"""Key of the fingerprint in a Parquet file's metadata; beside it are parts of it, so that a change has a name:"""
CODE_KEY: Final = "recsys.code"
"""Key of the version of the code;"""
READING_KEY: Final = "recsys.reading"
"""of the source's spec, mapping and reading, of a raw day;"""
RAW_KEY: Final = "recsys.raw"
"""of the content of the raw day, of a cleaned one;"""
RULES_KEY: Final = "recsys.cleaning"
"""of `[interactions]`, of a cleaned day."""

CODE_VERSIONS: Final = {
    "raw_interactions": "3",
    "item_catalogue": "4",
    "interactions": "3",
    "increment_report": "4",
    "model_choice": "2",
    "embeddings": "4",
    "evaluation": "5",
    "features": "3",
    "item_index": "3",
    "release": "2",
    "exported_lists": "2",
    "impressions": "1",
    "online_metrics": "1",
}
"""Asset, or pair of assets built together -> version of its code; raise it when the result changes."""


def fingerprint(parts: Iterable[object]) -> str:
    """Return the first 20 hexadecimal digits of the SHA-256 of the parts' text, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:20]


@dataclass(frozen=True)
class Inputs:
    """The fingerprints that a build of each asset would have now.

    Files are looked at once: after a build of anything take other `Inputs`.
    """

    home: Home
    """The home to build."""
    settings: Settings
    """Its settings."""
    warm: bool = False
    """A warm replay, which keeps the chosen model. What it makes has another fingerprint than what a build makes of the
    same days, so that the next build makes all of it; what is as a build would make it stays."""

    @cached_property
    def raw_store(self) -> PartitionStore:
        """The table `raw_interactions`."""
        return raw_store(self.home)

    @cached_property
    def interaction_store(self) -> PartitionStore:
        """The table `interactions`."""
        return PartitionStore(root=self.home.interactions, schema=INTERACTIONS.polars_schema())

    @cached_property
    def raw_files(self) -> Mapping[date, DayFile]:
        """Raw day -> its file."""
        return self.raw_store.files()

    @cached_property
    def interaction_files(self) -> Mapping[date, DayFile]:
        """Cleaned day -> its file."""
        return self.interaction_store.files()

    @cached_property
    def source_days(self) -> SourceDays | None:
        """The source as it was counted last; None where it never was."""
        return SourceDays.load(self.home, self.settings.source)

    def raw_interactions(self, day: date) -> str:
        """Covers rows, spec, mapping and reading of the source; a recalled day stays out whatever events come."""
        of_source = source_part(self._content(day))
        return fingerprint([CODE_VERSIONS["raw_interactions"], reading_of(self.settings.source), of_source])

    def landing(self, day: date) -> dict[str, str]:
        """Return the day's provenance in `raw_interactions`."""
        return {
            INPUTS_KEY: self.raw_interactions(day),
            CONTENT_KEY: self._content(day),
            CODE_KEY: CODE_VERSIONS["raw_interactions"],
            READING_KEY: meaning_of(self.settings.source),
        }

    def is_landed(self, file: DayFile) -> bool:
        """Return whether a raw day is as it would land now; a moved or renamed file of the source is no change."""
        given, now = file.provenance, self.landing(file.day)
        keys = (CODE_KEY, READING_KEY, CONTENT_KEY) if READING_KEY in given else (INPUTS_KEY,)  # earlier
        return all(given.get(key) == now[key] for key in keys)

    def contents(self, first: date, last: date) -> str:
        """Return a fingerprint of the rows that the source has of some days."""
        return fingerprint(self._content(day) for day in self.settings.source.days() if first <= day <= last)

    def source_changes(self, counted: SourceDays) -> SourceChanges:
        """Return the days whose rows in the source are not those that landed."""
        return SourceChanges.of(
            counted,
            self.raw_files,
            days=self.settings.source.days(),
            rejected=set(days_under(self.home.quarantine)),
            lookback_days=self.settings.source.lookback_days,
        )

    def _content(self, day: date) -> str:
        return str(self.source_days.of_day(day)) if self.source_days else ""

    @cached_property
    def wish_rule(self) -> WishRule:
        """The rule that weighs events: `[interactions]`, and what the source says of ratings."""
        return WishRule.of(self.settings)

    @cached_property
    def row_rule(self) -> RowRule:
        """The rule that says which rows are events, and whose they are: `[interactions]` and the merges of users."""
        return RowRule.of(self.settings.interactions, merged_users(self.home))

    @cached_property
    def _merged(self) -> Mapping[date, str]:
        return touched_days(self.home, self.raw_store, self.raw_files, self.row_rule.merged)

    def _raw(self, day: date) -> str:
        return self.raw_files[day].content + self._merged.get(day, "")

    @cached_property
    def taken_off(self) -> TakenOff:
        """The pieces that the returns of all raw days take off purchases; kept, since matching opens every day."""
        files = self.raw_files
        if not any(map(may_have_returns, files.values())):
            return TakenOff.none()
        of_days = (f"{day} {self._raw(day)}" for day in files)
        inputs = fingerprint([CODE_VERSIONS["interactions"], self.row_rule, *of_days])
        if written_inputs(self.home.taken_off) == inputs:
            return TakenOff.load(self.home.taken_off)
        found = taken_off(self.raw_store, self.row_rule)
        with making(self.home.taken_off, inputs=inputs):
            found.save(self.home.taken_off)
        return found

    @cached_property
    def _rules_of_cleaning(self) -> tuple[str, str]:
        return str(self.wish_rule), str(self.row_rule)

    def interactions(self, day: date) -> str:
        """Covers the day's raw file, the weights of events, returns that take pieces off the day, and merged users."""
        of_day = (self._raw(day), *self._rules_of_cleaning, *self.taken_off.fingerprint(day))
        return fingerprint([CODE_VERSIONS["interactions"], *of_day])

    def cleaning(self, day: date) -> dict[str, str]:
        """Return the day's provenance in `interactions`."""
        return {
            INPUTS_KEY: self.interactions(day),
            CODE_KEY: CODE_VERSIONS["interactions"],
            RAW_KEY: self.raw_files[day].content,
            RULES_KEY: self.rules_of_cleaning,
        }

    @cached_property
    def rules_of_cleaning(self) -> str:
        """Covers `[interactions]`, and what the source says of ratings."""
        return fingerprint(self._rules_of_cleaning)

    def increment_report(self, day: date) -> str:
        """Covers the day's cleaned file; a change in the trailing window is no reason for another report."""
        return fingerprint([CODE_VERSIONS["increment_report"], self.interaction_files[day].content])

    @cached_property
    def item_catalogue(self) -> str:
        """Covers the source's mapping, reading and files: their contents where these are known."""
        source, counted = self.settings.source, self.source_days or SourceDays()
        files = (
            [meaning_of(source), counted.content]
            if counted.content
            else [reading_of(source), counted.fingerprint]
        )
        return fingerprint([CODE_VERSIONS["item_catalogue"], *files])

    @cached_property
    def lineage(self) -> dict[date, str]:
        """Checksum of the cleaned file of each landed day."""
        return {day: file.checksum for day, file in self.interaction_files.items()}

    @cached_property
    def landed(self) -> dict[date, str]:
        """Checksum of the rows of each cleaned day."""
        return {day: file.content for day, file in self.interaction_files.items()}

    @cached_property
    def _landed(self) -> str:
        return fingerprint(f"{day} {content}" for day, content in self.landed.items())

    @cached_property
    def _catalogue(self) -> str:
        return fingerprint([self.home.catalogue.read_bytes().hex()]) if self.home.catalogue.is_file() else ""

    @cached_property
    def catalogue_checksum(self) -> str:
        """Checksum of the item catalogue's file."""
        return fingerprint([self._catalogue])

    @cached_property
    def _learnt_from(self) -> str:
        """Covers all cleaned days, the kinds that hide an item, the catalogue and the training settings."""
        training = msgspec.json.encode(self.settings.training)
        return fingerprint([self._landed, self.settings.interactions.seen, self._catalogue, training])

    @cached_property
    def _choice_of_build(self) -> str:
        return fingerprint([CODE_VERSIONS["model_choice"], self._learnt_from])

    @cached_property
    def choice(self) -> str:
        """Covers the training part of the days, its settings and the categories; warm, those it was made of."""
        kept = written_inputs(self.home.artifact("choice")) if self.warm else ""
        return kept or self._choice_of_build

    @cached_property
    def embeddings(self) -> str:
        """Covers the choice, all cleaned days, the catalogue, the training settings and the number of shards."""
        parts = [CODE_VERSIONS["embeddings"], self._choice_of_build, *self.settings.cut]
        return self._or_warm("embeddings", fingerprint(parts))

    @cached_property
    def evaluation(self) -> str:
        """Covers the choice, all cleaned days, the held-out ones among them, and the training settings."""
        return self._or_warm("evaluation", fingerprint([CODE_VERSIONS["evaluation"], self._choice_of_build]))

    def _or_warm(self, artifact: str, of_build: str) -> str:
        stays = not self.warm or written_inputs(self.home.artifact(artifact)) == of_build
        warm = ["warm", of_build, self.choice, self.settings.replay.warm_epochs]
        return of_build if stays else fingerprint(warm)

    @cached_property
    def features(self) -> str:
        """Covers all cleaned days and the catalogue."""
        return fingerprint([CODE_VERSIONS["features"], self._landed, self._catalogue])

    @cached_property
    def item_index(self) -> str:
        """Covers the embeddings and the index settings."""
        settings = msgspec.json.encode(self.settings.index)
        return fingerprint([CODE_VERSIONS["item_index"], self.embeddings, settings])

    @cached_property
    def release(self) -> str:
        """Covers everything that a release holds."""
        made = [self.choice, self.embeddings, self.evaluation, self.features, self.item_index]
        return fingerprint([CODE_VERSIONS["release"], *made, rules_fingerprint(self.home)])

    def of_artifact(self, name: str) -> str:
        """Return the fingerprint of the artifact `name`, a key of `artifact_parts.ASSETS`."""
        found: str = getattr(self, {"index": "item_index"}.get(name, name))
        return found

    @cached_property
    def exported_lists(self) -> str:
        """Covers the release that was built last, the one that is served, and the export settings."""
        settings = msgspec.json.encode(self.settings.export)
        current = ReleaseStore(self.home.releases).served_id()
        return fingerprint([CODE_VERSIONS["exported_lists"], self.release, current, settings])
