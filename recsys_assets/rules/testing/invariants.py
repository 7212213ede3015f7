"""What has to hold of every scenario whatever its rules, tried on a sample of real users."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from recsys_assets.rules.engine.pipeline import Pipeline
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.rules.engine.scenario_engine import Engine
from recsys_assets.rules.language.schema import AtMost, Promote, SeenFilter
from recsys_assets.storage.arrays import EPOCH

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One invariant that does not hold of some users."""

    scenario: str
    invariant: str
    users: int
    """Of how many users it does not hold."""
    examples: list[str]
    """What was found, user by user, at most five."""


def check_invariants(engine: Engine, *, users: int = 100, k: int = 10, seed: int = 0) -> list[Broken]:
    """Every invariant over `users` users drawn by `seed`, in every scenario; what is broken.

    The invariants: no item seen inside the cool-off, no item twice, k delivered while k pass the filters, what the
    last re-ranking stage promises, the same answer when asked again, the same answer with a trace.
    """
    count = len(engine.release.users)
    drawn = np.sort(np.random.default_rng(seed).choice(count, min(users, count), replace=False)).tolist()
    broken = []
    for name, pipeline in engine.pipelines.items():
        found: dict[str, list[str]] = {}
        for num in drawn:
            user_id = engine.release.users[num]
            asked = Request(k=k, user_id=user_id, user_num=num)
            for invariant, check in _INVARIANTS.items():
                what = check(engine, pipeline, asked, pipeline.recommend(asked))
                if what is not None:
                    found.setdefault(invariant, []).append(f"user {user_id}: {what}")
        broken += [
            Broken(scenario=name, invariant=invariant, users=len(texts), examples=texts[:_SHOWN])
            for invariant, texts in found.items()
        ]
    return broken


def _unseen(engine: Engine, pipeline: Pipeline, asked: Request, answered: Answer) -> str | None:
    release = engine.release
    user_num = asked.user_num or 0
    start, end = release.history_indptr[user_num : user_num + 2].tolist()
    last = dict(
        zip(release.history_items[start:end].tolist(), release.history_days[start:end].tolist(), strict=True)
    )
    today = (release.manifest.through_day - EPOCH).days
    for stage in pipeline.scenario.filters:
        if isinstance(stage.spec, SeenFilter):
            days = stage.spec.cool_off_days
            for num in answered.nums:
                if num in last and (days is None or today - last[num] < days):
                    return f"{release.items[num]} was seen {today - last[num]} days ago"
    return None


def _different(_: Engine, __: Pipeline, ___: Request, answered: Answer) -> str | None:
    return None if len(set(answered.nums)) == len(answered.nums) else "an item stands twice"


def _delivered(engine: Engine, pipeline: Pipeline, asked: Request, answered: Answer) -> str | None:
    wanted = min(asked.k, pipeline.scenario.limits.at_most or asked.k)
    if len(answered.nums) >= wanted:
        return None
    everything = np.arange(len(engine.release.items), dtype=np.int32)
    left = int(pipeline.filters.keep(everything, asked, pipeline.user_features(asked)).sum())
    short = len(answered.nums) < min(wanted, left)
    return f"{len(answered.nums)} items, while {left} pass the filters" if short else None


def _promised(engine: Engine, pipeline: Pipeline, asked: Request, answered: Answer) -> str | None:
    """Only the last stage can be held to its word: a later one may undo an earlier one's."""
    if not pipeline.scenario.reranking:
        return None
    stage = pipeline.scenario.reranking[-1]
    nums = answered.nums
    match stage.spec:
        case AtMost(n=n, by=by, window=window):
            codes = engine.facts.table.text(by).codes[nums].tolist() if by != "item_id" else nums
            windows = [codes[at : at + window] for at in range(max(1, len(codes) - window + 1))]
            worst = max((part.count(code) for part in windows for code in part if code >= 0), default=0)
            if worst > n and _others_fit(engine, pipeline, asked, nums, stage.spec):
                return f"{worst} of one {by} in {window} places, while there are others"
        case Promote(share=share) if stage.expression is not None:
            fits_I = engine.facts.evaluator.mask(stage.expression).yes
            found, least = int(fits_I[nums].sum()), ceil(share * len(nums) - 1e-9)
            if found < least and any(fits_I[num] for num in _ranked(pipeline, asked) if num not in nums):
                return f"{found} of {least} promoted items, while there are more"
    return None


def _others_fit(engine: Engine, pipeline: Pipeline, asked: Request, nums: list[int], spec: AtMost) -> bool:
    """Whether an item that is not shown would keep the limit; where none does, the limit gives way."""
    if spec.by == "item_id":
        return False
    codes_I = engine.facts.table.text(spec.by).codes
    shown = codes_I[nums].tolist()
    left = (int(codes_I[num]) for num in _ranked(pipeline, asked) if num not in nums)
    return any(code < 0 or shown.count(code) < spec.n for code in left)


def _ranked(pipeline: Pipeline, asked: Request) -> list[int]:
    """Every item that is left after the filters and the re-ranking."""
    _, trace = pipeline.explain(asked)
    return [num for num, record in trace.items.items() if record.rank is not None]


def _repeatable(_: Engine, pipeline: Pipeline, asked: Request, answered: Answer) -> str | None:
    return None if pipeline.recommend(asked) == answered else "another answer to the same question"


def _traced(_: Engine, pipeline: Pipeline, asked: Request, answered: Answer) -> str | None:
    traced = pipeline.explain(asked)[0]
    return None if traced == answered else "another answer when traced"


Check = Callable[[Engine, Pipeline, Request, Answer], str | None]
_INVARIANTS: dict[str, Check] = {
    "nothing seen inside the cool-off": _unseen,
    "no item twice": _different,
    "k delivered": _delivered,
    "the last stage's quota held": _promised,
    "deterministic": _repeatable,
    "a trace changes nothing": _traced,
}
INVARIANTS: Sequence[str] = tuple(_INVARIANTS)
"""Their names."""
