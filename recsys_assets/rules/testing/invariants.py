"""Invariants of every scenario whatever its rules, checked on a sample of real users."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from recsys_assets.rules.engine.pipeline import Engine, Pipeline
from recsys_assets.rules.engine.requests import Answer, Request
from recsys_assets.rules.language.schema import AtMost, Promote, SeenFilter
from recsys_assets.storage.arrays import EPOCH

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class BrokenInvariant:
    """One invariant that some users' lists break."""

    scenario: str
    invariant: str
    users: int
    """Number of users whose lists break it."""
    examples: list[str]
    """Findings, one a user, at most five."""


def check_invariants(
    engine: Engine, *, users: int = 100, k: int = 10, seed: int = 0
) -> list[BrokenInvariant]:
    """Check every invariant in every scenario, on `users` users drawn by `seed`; return the broken ones.

    The invariants: no item seen inside the cool-off, no item twice, k items while k pass the filters, the quota of the
    last re-ranking stage, the same answer to the same request, the same answer with a trace.
    """
    count = len(engine.release.users)
    drawn = np.sort(np.random.default_rng(seed).choice(count, min(users, count), replace=False)).tolist()
    broken = []
    for name, pipeline in engine.pipelines.items():
        found: dict[str, list[str]] = {}
        for num in drawn:
            user_id = engine.release.users[num]
            request = Request(k=k, user_id=user_id, user_num=num)
            for invariant, check in _INVARIANTS.items():
                what = check(engine, pipeline, request, pipeline.recommend(request))
                if what is not None:
                    found.setdefault(invariant, []).append(f"user {user_id}: {what}")
        broken += [
            BrokenInvariant(scenario=name, invariant=invariant, users=len(texts), examples=texts[:_SHOWN])
            for invariant, texts in found.items()
        ]
    return broken


def _unseen(engine: Engine, pipeline: Pipeline, request: Request, answer: Answer) -> str | None:
    release = engine.release
    user_num = request.user_num or 0
    start, end = release.history_indptr[user_num : user_num + 2].tolist()
    last = dict(
        zip(release.history_items[start:end].tolist(), release.history_days[start:end].tolist(), strict=True)
    )
    unwanted = set(release.seen(user_num).tolist()).difference(last)
    today = (release.manifest.through_day - EPOCH).days
    for stage in pipeline.scenario.filters:
        if isinstance(stage.spec, SeenFilter):
            days = stage.spec.cool_off_days
            for num in answer.nums:
                if num in unwanted:
                    return f"{release.items[num]} was seen and is no wish"
                if num in last and (days is None or today - last[num] < days):
                    return f"{release.items[num]} was seen {today - last[num]} days ago"
    return None


def _different(_: Engine, __: Pipeline, ___: Request, answer: Answer) -> str | None:
    return None if len(set(answer.nums)) == len(answer.nums) else "an item is in the list twice"


def _delivered(engine: Engine, pipeline: Pipeline, request: Request, answer: Answer) -> str | None:
    wanted = min(request.k, pipeline.scenario.limits.at_most or request.k)
    if len(answer.nums) >= wanted:
        return None
    everything = np.arange(len(engine.release.items), dtype=np.int32)
    left = int(pipeline.filters.keep(everything, request, pipeline.user_features(request)).sum())
    short = len(answer.nums) < min(wanted, left)
    return f"{len(answer.nums)} items, while {left} pass the filters" if short else None


def _promised(engine: Engine, pipeline: Pipeline, request: Request, answer: Answer) -> str | None:
    """Check the last stage's quota only: a later stage may undo an earlier one's."""
    if not pipeline.scenario.reranking:
        return None
    stage = pipeline.scenario.reranking[-1]
    nums = answer.nums
    match stage.spec:
        case AtMost(n=n, by=by, window=window):
            codes = engine.facts.table.text(by).codes[nums].tolist() if by != "item_id" else nums
            windows = [codes[at : at + window] for at in range(max(1, len(codes) - window + 1))]
            worst = max((part.count(code) for part in windows for code in part if code >= 0), default=0)
            if worst > n and _others_fit(engine, pipeline, request, nums, stage.spec):
                return f"{worst} of one {by} in {window} places, while there are others"
        case Promote(share=share) if stage.expression is not None:
            fits_I = engine.facts.evaluator.mask(stage.expression).yes
            found, least = int(fits_I[nums].sum()), ceil(share * len(nums) - 1e-9)
            if found < least and any(fits_I[num] for num in _ranked(pipeline, request) if num not in nums):
                return f"{found} of {least} promoted items, while there are more"
    return None


def _others_fit(engine: Engine, pipeline: Pipeline, request: Request, nums: list[int], spec: AtMost) -> bool:
    """Look for an item outside the list that would keep the limit; where there is none, the limit may be broken."""
    if spec.by == "item_id":
        return False
    codes_I = engine.facts.table.text(spec.by).codes
    shown = codes_I[nums].tolist()
    left = (int(codes_I[num]) for num in _ranked(pipeline, request) if num not in nums)
    return any(code < 0 or shown.count(code) < spec.n for code in left)


def _ranked(pipeline: Pipeline, request: Request) -> list[int]:
    """Return every item that is left after the filters and the re-ranking."""
    _, trace = pipeline.explain(request)
    return [num for num, record in trace.items.items() if record.rank is not None]


def _repeatable(_: Engine, pipeline: Pipeline, request: Request, answer: Answer) -> str | None:
    return None if pipeline.recommend(request) == answer else "another answer to the same request"


def _traced(_: Engine, pipeline: Pipeline, request: Request, answer: Answer) -> str | None:
    traced = pipeline.explain(request)[0]
    return None if traced == answer else "another answer when traced"


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
"""Names of the invariants."""
