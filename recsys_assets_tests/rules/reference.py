"""A slow, obvious reading of a rules file: item by item, in plain Python, for comparison with the real one.

Items are dicts, predicates have a three-valued `evaluate` of their own, scores are numpy float32 scalars so
that sums and products round as in arrays. Test worlds have vectors whose products and cosines are exact.
"""

# ruff: noqa: C901, PLR0911, PLR0917  one long reading from top to bottom is the point here

from math import ceil, floor
from random import Random
from zlib import crc32

import numpy as np

F = np.float32


class World:
    """Plain data: what a release holds, without arrays."""

    def __init__(self, *, items, vectors, popularity, users, neighbours, lists, release_id, through_day):
        self.items = items  # list of dicts of columns
        self.vectors = vectors  # list of lists
        self.popularity = popularity  # list of floats
        self.users = users  # list of dicts: id, vector, history [(num, day)], candidates [num], features
        self.neighbours = neighbours  # list of [(num, cosine)], nearest first
        self.lists = lists  # name -> set of nums
        self.release_id = release_id
        self.through_day = through_day  # days since 1970-01-01
        self.popular = sorted(range(len(items)), key=lambda num: (-popularity[num], num))

    def dot(self, one, other):
        return F(sum(a * b for a, b in zip(one, other, strict=True)))

    def cosine(self, one, other):
        length = np.sqrt(sum(a * a for a in one)) * np.sqrt(sum(a * a for a in other))
        return F(self.dot(one, other) / length) if length else F(0)

    def log_popularity(self, num):
        greatest = max((np.log1p(F(value)) for value in self.popularity), default=F(0))
        return np.log1p(F(self.popularity[num])) / greatest if greatest > 0 else F(0)


def true_false(world, predicate, num, user):
    """Two flags of an item: the predicate is true, it is false; neither where its value is unknown."""
    value = predicate.evaluate(world.items[num] | {"item_num": num}, user, world)
    return value is True, value is False


def recommend(world, scenario, *, k, user_num=None, user_id=None, session=(), exclude=(), category=None,
              include_seen=False, diversity=None):  # fmt: skip
    """Item numbers and scores, by the book."""
    user = since_the_release(world, world.users[user_num], session) if user_num is not None else None
    features = user["features"] if user else {}
    ask = dict(  # noqa: C408
        user=user, features=features, user_id=user_id, session=list(session), exclude=set(exclude),
        category=category, include_seen=include_seen,
    )  # fmt: skip
    limits = scenario.get("limits", {})
    k = min(k, limits.get("at_most", k))

    brought = []
    for source in scenario["candidates"]:
        if "only_below" in source and len(brought) >= source["only_below"]:
            continue
        brought += [num for num in bring(world, source, ask) if num not in brought]
    for stage in scenario.get("reranking", []):
        if stage["kind"] == "pin":
            ids = [item["item_id"] for item in world.items]
            brought += [
                ids.index(item) for item in dict.fromkeys(stage["slots"].values())
                if item in ids and ids.index(item) not in brought
            ]  # fmt: skip
    nums = [num for num in brought if passes(world, scenario, num, ask)]

    if len(nums) < k:
        nums = fall_back(world, scenario, nums, k, ask)
    while True:
        scores = score(world, scenario, nums, ask)
        order = sorted(nums, key=lambda num: (-scores[num], num))
        for stage in scenario.get("reranking", []):
            order = rerank(world, stage, order, scores, k, ask, diversity)
        more = nums if len(order) >= k else fall_back(world, scenario, nums, len(nums) + 1, ask)
        if len(more) == len(nums):
            break
        nums = more
    return order[:k], [float(scores[num]) for num in order[:k]]


def since_the_release(world, user, session):
    """The user with a vector that the items since the release are folded into, and the best items by it."""
    if not session:
        return user
    earlier = [num for num, _ in user["history"]]
    changed = [num for num in session if num not in earlier]
    own = user["vector"] if earlier else [0.0] * len(user["vector"])
    vector = [value + sum(world.vectors[num][at] for num in changed) / 2 for at, value in enumerate(own)]
    unseen = [num for num in range(len(world.items)) if num not in earlier]
    unseen.sort(key=lambda num: (-world.dot(world.vectors[num], vector), num))
    return user | {"vector": vector, "candidates": unseen[:12]}


def fall_back(world, scenario, nums, least, ask):
    user = ask["user"]
    for fallback in scenario.get("limits", {}).get("fallback", ["catalogue"]):
        if len(nums) >= least:
            break
        left = [num for num in world.popular if num not in nums and passes(world, scenario, num, ask)]
        if fallback == "catalogue" and user is not None:
            left.sort(key=lambda num: (-world.dot(world.vectors[num], user["vector"]), num))
        nums = nums + left[: max(least - len(nums), 100)]
    return nums


def history(ask):
    earlier = [num for num, _ in ask["user"]["history"]] if ask["user"] else []
    return list(ask["session"]) + earlier


def bring(world, source, ask):
    kind, quota = source["source"], source["quota"]
    if kind == "user":
        return ask["user"]["candidates"][:quota] if ask["user"] else []
    if kind == "history":
        return list(dict.fromkeys(history(ask)))[:quota]
    if kind == "recent":
        last = list(dict.fromkeys(history(ask)[: 2 * source.get("last", 3)]))[: source.get("last", 3)]
        near = [pair for num in last for pair in world.neighbours[num]]
        near.sort(key=lambda pair: (-pair[1], pair[0]))
        return list(dict.fromkeys(num for num, _ in near))[:quota]
    if kind == "category":
        last = history(ask)[: source.get("last", 3)]
        wanted = list(dict.fromkeys(c for num in last if (c := world.items[num]["category"]) is not None))
        each = ceil(quota / len(wanted)) if wanted else 0
        found = []
        for name in wanted:
            found += [num for num in world.popular if world.items[num]["category"] == name][:each]
        return found[:quota]
    fits = list(world.popular)
    if "where" in source:
        fits = [num for num in fits if true_false(world, source["where"], num, {})[0]]
    if kind == "list":
        fits = [num for num in fits if num in world.lists[source["items_of"]]]
    if kind == "trending":
        fits = [num for num in fits if (world.items[num]["events_28d"] or 0) >= source.get("least_events", 5)]
        fits.sort(key=lambda num: -world.items[num]["popularity_trend"])
    if kind == "new":
        age = {num: world.items[num]["days_since_first"] for num in fits}
        fits = [num for num in fits if age[num] is not None and age[num] <= source.get("days", 28)]
        fits.sort(key=lambda num: age[num])
    return fits[:quota]


def passes(world, scenario, num, ask):
    item = world.items[num]
    if num in ask["exclude"] or (ask["category"] is not None and item["category"] != ask["category"]):
        return False
    for stage in scenario.get("filters", []):
        kind = stage["kind"]
        if kind == "seen" and not ask["include_seen"]:
            last = {}
            for seen, day in ask["user"]["history"] if ask["user"] else []:
                last[seen] = max(day, last.get(seen, day))
            if num in ask["session"]:
                return False
            cool_off = stage.get("cool_off_days")
            if num in last and (cool_off is None or world.through_day - last[num] < cool_off):
                return False
        if kind == "excluded" and item["item_id"] in stage["items"]:
            return False
        if kind == "own" and ask["user_id"] is not None and item[stage["column"]] == ask["user_id"]:
            return False
        if kind == "where":
            predicate = stage.get("keep") or stage["drop"]
            true, false = true_false(world, predicate, num, ask["features"])
            if "drop" in stage:
                kept = false if stage.get("unknown") == "drop" else not true
            else:
                unknown = stage.get("unknown") or ("keep" if predicate.of_user else "drop")
                kept = true if unknown == "drop" else not false
            if not kept:
                return False
    return True


def score(world, scenario, nums, ask):
    user = ask["user"]
    if user is not None:
        raw = {num: world.dot(world.vectors[num], user["vector"]) for num in nums}
    else:
        raw = {num: world.log_popularity(num) for num in nums}
    best = max(raw.values(), default=F(0))
    found = {}
    for num in nums:
        relevance = max(F(raw[num] / best), F(0)) if best > 0 else F(0)
        boosts = [boost(world, stage, num, ask) for stage in scenario.get("scoring", [])]
        total = F(0)
        for added in [one for of_user, one in boosts if not of_user] + [
            one for of_user, one in boosts if of_user
        ]:
            total = F(total + added)
        found[num] = F(relevance + min(max(total, F(-1)), F(1)))
    return found


def boost(world, stage, num, ask):
    weight = stage.get("by", stage.get("weight"))
    if stage["kind"] == "boost":
        true, _ = true_false(world, stage["where"], num, ask["features"])
        return stage["where"].of_user, F(weight) if true else F(0)
    if stage["kind"] == "feature":
        value = stage["value"].evaluate(world.items[num], ask["features"], world)
        return stage["value"].of_user, F(min(max(value or 0.0, 0.0), 1.0) * weight)
    if stage["kind"] == "newness":
        age = world.items[num]["days_since_first"]
        fresh = 0.0 if age is None else float(np.exp2(-max(age, 0) / stage["half_life_days"]))
        return False, F(fresh * weight)
    return False, F(world.log_popularity(num) * F(weight))


def rerank(world, stage, order, scores, k, ask, diversity):
    kind = stage["kind"]
    column = [item.get(stage["by"]) for item in world.items] if "by" in stage else None
    if kind == "diversity":
        return diversify(world, stage, order, scores, k, diversity)
    if kind == "at_most":
        left, placed = list(order), []
        while left and len(placed) < k:
            near = [column[num] for num in placed[max(0, len(placed) - stage.get("window", 10) + 1) :]]
            fits = [num for num in left if column[num] is None or near.count(column[num]) < stage["n"]]
            placed.append((fits or left)[0])
            left.remove(placed[-1])
        return placed + left
    if kind == "variants":
        return [
            num for at, num in enumerate(order)
            if column[num] is None or column[num] not in [column[other] for other in order[:at]]
        ]  # fmt: skip
    if kind == "promote":
        fits = [num for num in order if true_false(world, stage["where"], num, {})[0]]
        first, rest = order[:k], order[k:]
        missing = ceil(stage["share"] * len(first) - 1e-9) - len([num for num in first if num in fits])
        raised = [num for num in rest if num in fits][: max(missing, 0)]
        lowered = []
        for num in reversed(first):
            if num not in fits and len(lowered) < len(raised):
                lowered.insert(0, num)
        raised = raised[: len(lowered)]
        first = [num for num in first if num not in lowered] + raised
        return first + lowered + [num for num in rest if num not in raised]
    if kind == "explore":
        first_k = min(k, len(order))
        who = ask["user_id"] if ask["user_id"] is not None else ",".join(map(str, ask["session"]))
        seed = f"{stage.get('seed', 0)} {world.release_id} {who}".encode()
        places = floor(stage["share"] * first_k + 1e-9)
        places += crc32(b"places " + seed) / 2.0**32 < stage["share"] * first_k - places
        pool = range(first_k, min(stage.get("pool", 100), len(order)))
        drawn = Random(crc32(seed)).sample(pool, min(places, len(pool)))
        head = order[: first_k - len(drawn)] + [order[at] for at in drawn]
        return head + [num for num in order if num not in head]
    ids = [item["item_id"] for item in world.items]
    wanted = {}
    for place, item in sorted((int(place), item) for place, item in stage["slots"].items()):
        if item in ids and ids.index(item) in order:
            wanted[place] = ids.index(item)
    ranked = [num for num in order if num not in wanted.values()]
    for place, num in wanted.items():
        ranked.insert(place - 1, num)
    return ranked


def diversify(world, stage, order, scores, k, diversity):
    strength = stage["strength"] if diversity is None else diversity
    pool = order[: max(stage.get("pool", 100), k)]
    if strength < 1e-6:
        return order
    chosen = []
    while len(chosen) < min(k, len(pool)):
        compared = chosen[-stage["memory"] :] if "memory" in stage else chosen
        weight = strength * min(len(chosen) / 9, 1) ** 2

        def value(num, compared=compared, weight=weight):
            near = [world.cosine(world.vectors[num], world.vectors[other]) for other in compared]
            return F(F(scores[num] * F((1 - weight) / weight)) - max(near)) if near else scores[num]

        left = [num for num in pool if num not in chosen]
        best = max(value(num) for num in left)
        chosen.append(next(num for num in left if value(num) == best))
    return chosen + [num for num in order if num not in chosen]
