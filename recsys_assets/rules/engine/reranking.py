"""Re-ranking: each stage takes a ranking and returns one. Rankings are places in the candidates' arrays.

Stages work in the file's order, and a later one may undo an earlier one's: the stage that must hold comes last.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from random import Random
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from recsys_assets.rules.engine.item_facts import Facts
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.language.evaluator import Nums
from recsys_assets.rules.language.expression_tree import UNKNOWN
from recsys_assets.rules.language.reading import Checked, CheckedScenario
from recsys_assets.rules.language.schema import AtMost, Diversity, Explore, Pin, Promote, Reranking, Variants
from recsys_assets.storage.arrays import Float32

_ROUNDING: Final = 1e-9
_TWO_32: Final = 2.0**32
_FULL_STRENGTH_AFTER: Final = 9
"""Places above the one where diversity reaches its strength."""
_LEAST_STRENGTH: Final = 1e-6


Places = npt.NDArray[np.intp]


class Pool(NamedTuple):
    """The candidates to rank, and the request. Shape: n candidates."""

    nums: Nums
    """(n,): item numbers."""
    scores: Float32
    """(n,): relevance and boosts."""
    request: Request
    """The request."""


Rerank = Callable[[Places, Pool, int], Places]
"""Returns the new order for the ranked places, the candidates and k; an item left out is dropped."""


@dataclass(frozen=True, kw_only=True)
class BoundReranking:
    """One stage over one release."""

    name: str
    kind: str
    rule: str
    """In words."""
    apply: Rerank


def bind_reranking(scenario: CheckedScenario, facts: Facts) -> list[BoundReranking]:
    """Bind a scenario's re-ranking to one release, in order."""
    return [_bind(stage, facts) for stage in scenario.reranking]


def pinned(scenario: CheckedScenario, facts: Facts) -> list[int]:
    """Return the numbers of the items that the scenario pins, each once."""
    ids = [
        item
        for stage in scenario.reranking
        if isinstance(stage.spec, Pin)
        for item in stage.spec.slots.values()
    ]
    return list(dict.fromkeys(num for num in facts.release.items.nums(ids).tolist() if num >= 0))


def _bind(stage: Checked[Reranking], facts: Facts) -> BoundReranking:
    spec = stage.spec
    match spec:
        case Diversity(strength=strength, pool=pool):
            rule, apply = f"diversity {strength:g} among the best {pool}", _diversify(spec, facts)
        case AtMost(n=n, by=by, window=window):
            rule, apply = f"at most {n} of a {by} in {window} places", _limit(spec, _codes(by, facts))
        case Variants(by=by):
            rule, apply = f"one item a {by}", _first_of_each(_codes(by, facts))
        case Promote(where=where, share=share):
            assert stage.expression is not None  # noqa: S101  the checker gives promotions one
            fits = facts.evaluator.mask(stage.expression).yes
            rule, apply = f"at least {share:.0%} where {where}", _promote(share, fits)
        case Explore(share=share, pool=pool):
            rule, apply = f"{share:.0%} drawn from the best {pool}", _explore(spec, facts.release.release_id)
        case Pin(slots=slots):
            rule = ", ".join(f"{item} at {place}" for place, item in slots.items())
            apply = _pin({int(place): facts.release.items.num(item) for place, item in slots.items()})
    return BoundReranking(name=stage.name, kind=spec.kind, rule=rule, apply=apply)


def _codes(column: str, facts: Facts) -> Nums:
    if column == "item_id":
        return np.arange(len(facts.table), dtype=np.int32)
    return facts.table.text(column).codes


def _diversify(spec: Diversity, facts: Facts) -> Rerank:
    items_ID, factors = facts.release.item_embeddings, facts.release.item_factors.shape[1]

    def apply(order: Places, found: Pool, k: int) -> Places:
        strength = spec.strength if found.request.diversity is None else found.request.diversity
        pool = order[: max(spec.pool, k)]
        nums = found.nums.take(pool)
        unit_nF = items_ID.take(nums, axis=0)[:, :factors]
        unit_nF *= facts.inverse_norms_I.take(nums)[:, None]
        chosen = most_different(
            found.scores.take(pool),
            unit_nF,
            min(k, len(pool)),
            strength=strength,
            memory=spec.memory,
        )
        return _first(order, chosen)

    return apply


def _first(order: Places, chosen: list[int]) -> Places:
    """Return the order with the places at `chosen` in front."""
    left = np.ones(len(order), dtype=np.bool_)
    left.put(chosen, False)  # noqa: FBT003  a value
    return np.concatenate([order.take(chosen), order[left]])


def most_different(
    scores_n: Float32, unit_nD: Float32, count: int, *, strength: float, memory: int | None = None
) -> list[int]:
    """Return `count` places by maximal marginal relevance (Carbonell & Goldstein 1998), in the order chosen.

    Each next place maximises (1 - w) / w x score - (greatest cosine with the places chosen, or with the last
    `memory` of them); equal ones keep their order. w rises from 0 at the first place to `strength` at the tenth,
    with the square of the places above, and stays there: a reader who wants relevance looks at the first places
    most, while each pair of a list adds the same to its diversity. A strength below 1e-6 counts as none.
    """
    if count <= 0 or strength < _LEAST_STRENGTH:
        return list(range(count))
    chosen = [int(scores_n.argmax())]
    recent: deque[Float32] = deque(maxlen=memory)
    nearest_n = np.full(len(scores_n), -np.inf, dtype=np.float32)
    worth_kn = np.multiply.outer(_worth_of_scores(strength, count), scores_n)
    cosines_n, value_n = np.empty_like(nearest_n), np.empty_like(nearest_n)
    for worth_n in worth_kn:
        unit_nD.dot(unit_nD[chosen[-1]], out=cosines_n)
        if memory is None:
            np.maximum(nearest_n, cosines_n, out=nearest_n)
            nearest_n[chosen[-1]] = np.inf  # and stays, so that no place is chosen twice
        else:
            recent.append(cosines_n.copy())
            nearest_n = np.maximum.reduce(recent)
            nearest_n[chosen] = np.inf
        np.subtract(worth_n, nearest_n, out=value_n)
        chosen.append(int(value_n.argmax()))
    return chosen


@lru_cache(maxsize=64)
def _worth_of_scores(strength: float, count: int) -> Float32:
    """(count - 1,): (1 - w) / w of the second place and those below."""
    weights = strength * np.minimum(np.arange(1, count) / _FULL_STRENGTH_AFTER, 1.0) ** 2
    found: Float32 = ((1 - weights) / weights).astype(np.float32)
    return found


def _limit(spec: AtMost, codes_I: Nums) -> Rerank:
    def apply(order: Places, found: Pool, k: int) -> Places:
        first = codes_I.take(found.nums.take(order[:k])).tolist()
        different = set(first)
        if k <= spec.window and (
            len(first) - len(different) < spec.n
            or all(code == UNKNOWN or first.count(code) <= spec.n for code in different)
        ):
            return order
        codes = codes_I.take(found.nums.take(order)).tolist()
        places: list[int] = []
        waiting = list(range(len(order)))
        while waiting and len(places) < k:
            shown = [codes[at] for at in places[-(spec.window - 1) :]] if spec.window > 1 else []
            # where nothing else is left the limit gives way: k items matter more
            fits = (
                i for i, at in enumerate(waiting) if codes[at] == UNKNOWN or shown.count(codes[at]) < spec.n
            )
            places.append(waiting.pop(next(fits, 0)))
        return _first(order, places)

    return apply


def _first_of_each(codes_I: Nums) -> Rerank:
    def apply(order: Places, found: Pool, _: int) -> Places:
        shown: set[int] = set()
        kept = []
        for at, code in enumerate(codes_I.take(found.nums.take(order)).tolist()):
            if code == UNKNOWN or code not in shown:
                shown.add(code)
                kept.append(at)
        return order[kept]

    return apply


def _promote(share: float, fits_I: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Rerank:
    def apply(order: Places, found: Pool, k: int) -> Places:
        k = min(k, len(order))
        fits = fits_I[found.nums[order]].tolist()
        missing = ceil(share * k - _ROUNDING) - sum(fits[:k])
        if missing <= 0:
            return order
        raised = [at for at in range(k, len(order)) if fits[at]][:missing]
        lowered = [at for at in range(k - 1, -1, -1) if not fits[at]][: len(raised)]
        moved = {*raised, *lowered}
        first = [at for at in range(k) if at not in moved] + raised
        rest = sorted(lowered) + [at for at in range(k, len(order)) if at not in moved]
        return order[first + rest]

    return apply


def _explore(spec: Explore, release_id: str) -> Rerank:
    def apply(order: Places, found: Pool, k: int) -> Places:
        k = min(k, len(order))
        request = found.request
        who = request.user_id if request.user_id is not None else ",".join(map(str, request.session))
        seed = f"{spec.seed} {release_id} {who}".encode()
        exact = spec.share * k
        places = floor(exact + _ROUNDING)
        places += crc32(b"places " + seed) / _TWO_32 < exact - places
        pool = range(k, min(spec.pool, len(order)))
        places = min(places, len(pool))
        if not places:
            return order
        drawn = Random(crc32(seed)).sample(pool, places)  # noqa: S311  a repeatable draw, no secret
        return _first(order, [*range(k - places), *drawn])

    return apply


def _pin(slots: Mapping[int, int | None]) -> Rerank:
    def apply(order: Places, found: Pool, _: int) -> Places:
        ranks = order.tolist()
        places = {num: place for place, num in zip(ranks, found.nums[order].tolist(), strict=True)}
        wanted = {
            slot: places[num] for slot, num in sorted(slots.items()) if num is not None and num in places
        }
        pinned_places = set(wanted.values())
        ranked = [place for place in ranks if place not in pinned_places]
        for slot, place in wanted.items():
            ranked.insert(slot - 1, place)
        return np.asarray(ranked, dtype=np.intp)

    return apply
