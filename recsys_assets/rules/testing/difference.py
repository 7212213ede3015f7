"""What changing one rules file for another does to real users: their lists, side by side."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
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
from recsys_assets.release.load import Release, load_current
from recsys_assets.release.publish import publish
from recsys_assets.rules.engine.pipeline import Pipeline
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.scenario_engine import Engine
from recsys_assets.rules.engine.trace import Trace
from recsys_assets.rules.testing import list_measures
from recsys_assets.settings import Settings, SourceSettings, load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two rules files on the same users. Each pair is (before, after)."""

    users: int
    """How many users were asked for."""
    overlap: float
    """Mean share of the list that both have, 0-1."""
    unchanged: float
    """Share of users whose list is the same, in the same order."""
    categories: tuple[float, float]
    """Different categories a list, mean."""
    popularity: tuple[float, float]
    """Mean log popularity of what is shown, 0-1."""
    price: tuple[float, float]
    """Mean price of what is shown; NaN where unknown."""
    diversity: tuple[float, float]
    """Intra-list diversity, mean."""
    coverage: tuple[float, float]
    """Share of the catalogue shown to these users."""
    ndcg: tuple[float, float] | None
    """NDCG at k on held-out time; None where no truth was given."""
    by_rule: list[tuple[str, int]]
    """Stage -> how many of the changed places it accounts for, most first."""


def difference(
    before: Engine,
    after: Engine,
    *,
    scenario: str | None = None,
    users: int = 500,
    k: int = 10,
    seed: int = 0,
    truth: list_measures.Truth | None = None,
) -> Difference:
    """Compare one scenario of two rules files over the same release.

    Args:
        before: one file.
        after: the other.
        scenario: its name; each file's default where None.
        users: how many are drawn by `seed`.
        k: length of the lists.
        seed: of the draw.
        truth: what the release's users touched after it.
    """
    one, other = before.scenario(scenario), after.scenario(scenario)
    ids = before.release.users
    drawn = np.sort(np.random.default_rng(seed).choice(len(ids), min(users, len(ids)), replace=False))
    asks = [Request(k=k, user_id=ids[num], user_num=num) for num in drawn.tolist()]
    one_Rk, other_Rk = (
        list_measures.as_lists([pipeline.recommend(asked).nums for asked in asks], k)
        for pipeline in (one, other)
    )
    price_I = before.with_columns({"price"}).numbers_of("price")

    def pair(measure: str) -> tuple[float, float]:
        values = []
        for lists_Rk in (one_Rk, other_Rk):
            match measure:
                case "categories":
                    values.append(list_measures.mean(list_measures.categories(lists_Rk, before.facts)))
                case "popularity":
                    values.append(
                        list_measures.mean(list_measures.mean_of(lists_Rk, before.facts.popularity_I))
                    )
                case "price":
                    values.append(list_measures.mean(list_measures.mean_of(lists_Rk, price_I)))
                case "diversity":
                    values.append(
                        list_measures.mean(list_measures.intra_list_diversity(lists_Rk, before.facts))
                    )
                case _:
                    values.append(list_measures.coverage(lists_Rk, len(before.release.items)))
        return values[0], values[1]

    return Difference(
        users=len(drawn),
        overlap=list_measures.mean(list_measures.overlap(one_Rk, other_Rk)),
        unchanged=float((one_Rk == other_Rk).all(axis=1).mean()),
        categories=pair("categories"),
        popularity=pair("popularity"),
        price=pair("price"),
        diversity=pair("diversity"),
        coverage=pair("coverage"),
        ndcg=None
        if truth is None
        else (
            list_measures.mean(list_measures.ndcg(one_Rk, drawn, truth)),
            list_measures.mean(list_measures.ndcg(other_Rk, drawn, truth)),
        ),
        by_rule=_by_rule(one, other, asks),
    )


def _by_rule(one: Pipeline, other: Pipeline, asks: list[Request]) -> list[tuple[str, int]]:
    """For every item that only one of the two lists has: the stage that dropped or lowered it in the other."""
    counts: dict[str, int] = {}
    for asked in asks:
        lists, traces = [], []
        for pipeline in (one, other):
            answer, trace = pipeline.explain(asked)
            lists.append(answer.nums)
            traces.append(trace)
        for shown, missing, where, trace in (
            (lists[0], lists[1], "after", traces[1]),
            (lists[1], lists[0], "before", traces[0]),
        ):
            for num in set(shown).difference(missing):
                name = f"{_responsible(trace, num)} ({where})"
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _responsible(trace: Trace, num: int) -> str:
    """The stage that kept an item out of a list: what dropped it, else the last that touched its place."""
    record = trace.items.get(num)
    if record is None:
        return "no source brings it"
    if record.dropped_by is not None:
        return record.dropped_by
    return record.effects[-1][0] if record.effects else "relevance"


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
    return HeldOut(home=home, release=load_current(home.releases), truth=split.truth)


def hold_out_home(home: Home) -> HeldOut:
    """Likewise of a home's own interactions; the release is built anew in `artifacts/held_out`."""
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    frame = store.scan(store.days())
    catalogue = pl.read_parquet(home.catalogue) if home.catalogue.is_file() else None
    place = Home(home.artifact("held_out"))
    shutil.rmtree(place.root, ignore_errors=True)
    return hold_out(frame, catalogue, place, spec=load_or_default_settings(home).source.spec)
