"""The effect of a changed rules file on the lists of real users, and the held-out release to measure it on."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.embeddings.fit_release import fit_release
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.embeddings.recency import categories_in
from recsys_assets.evaluation import metrics
from recsys_assets.evaluation.choice import choose_model
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.features.feature_database import build_features
from recsys_assets.index.build_index import build_item_index
from recsys_assets.index.index_report import read_report
from recsys_assets.interactions.cleaning import clean
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.wish_rule import WishRule, hides_item
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.release.load import Release, load_current
from recsys_assets.release.publish import publish
from recsys_assets.rules.engine.pipeline import Engine, Pipeline
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.trace import RequestTrace
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.arrays import Int64
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two rules files on the same users. Each pair is (before, after)."""

    users: int
    """Users whose lists were compared."""
    overlap: float
    """Mean share of the list that both have, 0-1."""
    unchanged: float
    """Share of users whose list has the same items in the same order, 0-1."""
    categories: tuple[float, float]
    """Different categories a list, mean."""
    popularity: tuple[float, float]
    """Mean log popularity of the listed items, 0-1."""
    price: tuple[float, float]
    """Mean price of the listed items; NaN where unknown."""
    diversity: tuple[float, float]
    """Intra-list diversity, mean."""
    coverage: tuple[float, float]
    """Share of the catalogue in these users' lists, 0-1."""
    ndcg: tuple[float, float] | None
    """NDCG at k on held-out time; None where no truth was given."""
    by_rule: list[tuple[str, int]]
    """Stage -> number of changed places that it accounts for, most first."""


def difference(
    before: Engine,
    after: Engine,
    *,
    scenario: str | None = None,
    users: int = 500,
    k: int = 10,
    seed: int = 0,
    truth: InteractionMatrix | None = None,
) -> Difference:
    """Compare one scenario of two rules files over the same release.

    Args:
        before: the engine of one file.
        after: the engine of the other.
        scenario: its name; each file's default where None.
        users: number of users drawn.
        k: length of the lists.
        seed: seed of the draw.
        truth: items that the release's users touched after it.
    """
    one, other = before.scenario(scenario), after.scenario(scenario)
    ids, facts = before.release.users, before.facts
    drawn = np.sort(np.random.default_rng(seed).choice(len(ids), min(users, len(ids)), replace=False))
    requests = [Request(k=k, user_id=ids[num], user_num=num) for num in drawn.tolist()]
    one_Rk, other_Rk = (
        metrics.padded_lists([pipeline.recommend(request).nums for request in requests], k)
        for pipeline in (one, other)
    )
    price_I = before.with_columns({"price"}).numbers_of("price")
    codes_I, mean = facts.table.text("category").codes, metrics.mean_known

    def pair(measure: Callable[[Int64], float]) -> tuple[float, float]:
        return measure(one_Rk), measure(other_Rk)

    def diversity(lists_Rk: Int64) -> float:
        items_IF = before.release.item_factors
        return mean(metrics.intra_list_diversity(lists_Rk, items_IF, facts.inverse_norms_I))

    return Difference(
        users=len(drawn),
        overlap=mean(metrics.overlap(one_Rk, other_Rk)),
        unchanged=float((one_Rk == other_Rk).all(axis=1).mean()),
        categories=pair(lambda lists: mean(metrics.category_counts(lists, codes_I))),
        popularity=pair(lambda lists: mean(metrics.mean_over_items(lists, facts.popularity_I))),
        price=pair(lambda lists: mean(metrics.mean_over_items(lists, price_I))),
        diversity=pair(diversity),
        coverage=pair(lambda lists: metrics.coverage(lists, len(before.release.items))),
        ndcg=None if truth is None else pair(lambda lists: mean(metrics.ndcg(lists, drawn, truth))),
        by_rule=_by_rule(one, other, requests),
    )


def _by_rule(one: Pipeline, other: Pipeline, requests: list[Request]) -> list[tuple[str, int]]:
    """Count, for every item in only one of the two lists, the stage that dropped or lowered it in the other."""
    counts: dict[str, int] = {}
    for request in requests:
        lists, traces = [], []
        for pipeline in (one, other):
            answer, trace = pipeline.explain(request)
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


def _responsible(trace: RequestTrace, num: int) -> str:
    """Return the stage that kept an item out of a list: the one that dropped it, else the last that moved it."""
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
    """Home of the release."""
    release: Release
    """Release of everything before the held-out days."""
    truth: InteractionMatrix
    """Pairs of the release's users and items that are new in the held-out days."""


def cleaned_source(spec: str) -> pl.LazyFrame:
    """Land and clean all days of a source, by its own rule of wishes; the INTERACTIONS contract's columns."""
    source = open_source(spec)
    rule = WishRule(rating_positive=source.rating_positive)
    found = source.date_range()
    days = [found.first_day + timedelta(days=n) for n in range((found.last_day - found.first_day).days + 1)]
    with TemporaryDirectory(prefix="recsys-landing-") as scratch:
        landed = iter_days(source, days, scratch=Path(scratch))
        frames = [clean(raw, day=day, rule=rule).frame for day, raw in landed]
    return pl.concat(frames).lazy()


def hold_out(
    interactions: pl.LazyFrame,
    catalogue: pl.DataFrame | None,
    home: Home,
    *,
    settings: Settings,
    model: ModelSpec | None = None,
) -> HeldOut:
    """Split by time, build a release of the first part in `home`, and open it.

    Args:
        interactions: the INTERACTIONS contract's columns.
        catalogue: the ITEM_CATALOGUE contract's columns, where the source has one.
        home: an empty installation.
        settings: wishes, training, split and index; the source's days are taken from the interactions.
        model: the model to fit; None: the one that the days before the held-out ones choose.

    Raises:
        NothingHeldOutError: too few days, or nothing new is held out.
    """
    moment = pl.col(columns.TIMESTAMP).dt.date()
    first, last = interactions.select(first=moment.min(), last=moment.max()).collect().row(0)
    source = msgspec.structs.replace(settings.source, first_day=first, last_day=last)
    settings = msgspec.structs.replace(settings, source=source)
    hides, training = hides_item(settings.interactions), settings.training
    split = time_split(interactions, held_out_share=training.held_out_share, hides=hides)
    before = interactions.filter(moment < split.first_held_out_day)
    through = split.first_held_out_day - timedelta(days=1)
    parts = {name: home.artifact(name) for name in ("embeddings", "features", "index")}
    if model is None:
        model = choose_model(before, training, categories=categories_in(catalogue), hides=hides).spec
    fit_release(before, model, training, catalogue=catalogue, hides=hides).save(parts["embeddings"])
    build_features(before, catalogue, parts["features"], as_of=through)
    build_item_index(parts["embeddings"], parts["index"], settings.index)
    publish(
        home,
        parts=parts,
        settings=settings,
        lineage={through: "held out from here on"},
        created_at=datetime.combine(through, time(), tzinfo=UTC),
        index=read_report(parts["index"]).as_dict(),
    )
    return HeldOut(home=home, release=load_current(home.releases), truth=split.truth)


def hold_out_home(home: Home) -> HeldOut:
    """Hold out the last days of a home's interactions, by its own settings and choice of a model.

    It rebuilds `artifacts/held_out`.
    """
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    frame = store.scan(store.days())
    catalogue = pl.read_parquet(home.catalogue) if home.catalogue.is_file() else None
    place = Home(home.artifact("held_out"))
    shutil.rmtree(place.root, ignore_errors=True)
    try:
        model = ModelChoice.load(home.artifact("choice")).spec
    except FileNotFoundError:
        model = None
    return hold_out(frame, catalogue, place, settings=load_or_default_settings(home), model=model)
