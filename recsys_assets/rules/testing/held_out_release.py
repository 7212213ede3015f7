"""A release of everything before the held-out days, and what its users touched for the first time afterwards.

It is made by the stages' own functions, without Dagster, so that rules are judged on a time they have not
seen.
"""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.ials import train
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_files import save_embeddings
from recsys_assets.evaluation.splits import time_split
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.index_report import read_report
from recsys_assets.interactions.cleaning import clean
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.publish import publish
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import Settings, SourceSettings, load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A release and the time after it."""

    home: Home
    """Where the release is."""
    release: Release
    """Of everything before the held-out days."""
    truth: InteractionMatrix
    """Pairs of the release's users and items that are new in the held-out days."""


def cleaned_source(spec: str) -> pl.LazyFrame:
    """All of a source's days, landed and cleaned."""
    source = open_source(spec)
    found = source.date_range()
    days = [found.first_day + timedelta(days=n) for n in range((found.last_day - found.first_day).days + 1)]
    with TemporaryDirectory(prefix="recsys-landing-") as scratch:
        frames = [clean(raw, day=day).frame for day, raw in iter_days(source, days, scratch=Path(scratch))]
    return pl.concat(frames).lazy()


def hold_out(interactions: pl.LazyFrame, catalogue: pl.DataFrame | None, home: Home, *, spec: str) -> HeldOut:
    """Split by time, build a release of the first part in `home`, and open it.

    Args:
        interactions: the INTERACTIONS contract's columns.
        catalogue: the ITEM_CATALOGUE contract's columns, where the source has one.
        home: an empty installation.
        spec: the source, for the manifest.
    """
    settings = Settings(
        source=SourceSettings(
            spec=spec,
            first_day=interactions.select(pl.col(columns.TIMESTAMP).min().dt.date()).collect().item(),
            last_day=interactions.select(pl.col(columns.TIMESTAMP).max().dt.date()).collect().item(),
        )
    )
    split = time_split(interactions, held_out_share=settings.training.held_out_share)
    before = interactions.filter(pl.col(columns.TIMESTAMP).dt.date() < split.first_held_out_day)
    last = split.first_held_out_day - timedelta(days=1)
    parts = {name: home.artifact(name) for name in ("embeddings", "features", "index")}
    save_embeddings(
        parts["embeddings"],
        matrix=split.train,
        factorisation=train(split.train, settings.training),
    )
    build_features(before, catalogue, parts["features"], as_of=last)
    build_item_index(parts["embeddings"], parts["index"], settings.index)
    publish(
        home,
        parts=parts,
        settings=settings,
        lineage={last: "held out from here on"},
        created_at=datetime.combine(last, time(), tzinfo=UTC),
        index=read_report(parts["index"]).as_dict(),
    )
    current = ReleaseStore(home.releases).current_id() or ""
    release = load_release(home.releases / current, verify=False)
    return HeldOut(home=home, release=release, truth=split.truth)


def hold_out_home(home: Home) -> HeldOut:
    """Likewise of a home's own interactions; the release is built anew in `artifacts/held_out`."""
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    frame = store.scan(store.days())
    catalogue = pl.read_parquet(home.catalogue) if home.catalogue.is_file() else None
    place = Home(home.artifact("held_out"))
    shutil.rmtree(place.root, ignore_errors=True)
    return hold_out(frame, catalogue, place, spec=load_or_default_settings(home).source.spec)
