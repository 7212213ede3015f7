"""What changing one rules file for another does to real users: their lists, side by side."""

from dataclasses import dataclass

import numpy as np

from recsys_assets.rules.engine.pipeline import Pipeline
from recsys_assets.rules.engine.requests import Asked
from recsys_assets.rules.engine.scenario_engine import Engine
from recsys_assets.rules.engine.trace import Recorder, Trace
from recsys_assets.rules.testing import list_measures


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
    asks = [Asked(k=k, user_id=ids[num], user_num=num) for num in drawn.tolist()]
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


def _by_rule(one: Pipeline, other: Pipeline, asks: list[Asked]) -> list[tuple[str, int]]:
    """For every item that only one of the two lists has: the stage that dropped or lowered it in the other."""
    counts: dict[str, int] = {}
    for asked in asks:
        lists, traces = [], []
        for pipeline in (one, other):
            recorder = Recorder(pipeline.scenario.name)
            lists.append(pipeline.recommend(asked, recorder=recorder).nums)
            traces.append(recorder.trace)
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
