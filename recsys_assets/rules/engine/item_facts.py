"""One release as lookups and as facts for its rules: popular items, categories, cohorts, item columns, list masks.

Shapes: I items, F dimensions of the factors.
"""

import errno
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from recsys_assets.errors import RulesError, UnknownCohortError
from recsys_assets.release.bound_states import NO_STATES, BoundStates
from recsys_assets.release.load import Release
from recsys_assets.release.retrieval import NO_ITEMS, Candidates, WouldBlockError
from recsys_assets.rules.engine.live_items import LiveItems, ReleasedItems
from recsys_assets.rules.language.evaluator import Evaluator, Mask
from recsys_assets.rules.language.expression_tree import ItemTable, columns_of, load_items
from recsys_assets.rules.language.expressions import closest
from recsys_assets.rules.language.reading import Checked, CheckedScenario, Rules
from recsys_assets.rules.language.schema import CandidateSource, Newness
from recsys_assets.storage.arrays import Float32, Int32
from recsys_assets.storage.atomic import read_file
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.string_table import Vocabulary

LEAST_USERS: Final = 5
"""Fewest users of a cohort that gets a list; a list of fewer would reveal what its members have."""
_COHORTS_KEPT: Final = 64
_BLOCK: Final = 65_536
_USERS_AT_ONCE: Final = 50_000
"""Users that may be looked through on the event loop, some milliseconds."""


class ItemLookups:
    """The items of one release: popular ones and categories under the states of now, and the nearest to some."""

    def __init__(self, release: Release) -> None:
        self._items_IF = release.item_factors
        self._released = ReleasedItems(release)
        self.live = LiveItems(self._released, NO_STATES)
        """The items under the states in force; swapped as one reference, so a request takes it once."""

    @property
    def states(self) -> BoundStates:
        """The states in force."""
        return self.live.states

    def take_up(self, states: BoundStates) -> None:
        """Put states in force: from the next request on every list heeds them."""
        self.live = LiveItems(self._released, states)

    def popular(self, k: int, *, blocked: Collection[int], category: str | None) -> Candidates:
        """Return the k most popular items that are not blocked, of one category where given."""
        return self.live.popular(k, blocked=blocked, category=category)

    def of_category(self, category: str) -> Int32:
        """Return the item numbers of a category now, most popular first; none for an unknown one."""
        return self.live.of_category(category)

    def categories(self) -> dict[str, int]:
        """Return category -> number of its items now, largest first."""
        return self.live.categories()

    def in_category(self, nums: Int32, category: str) -> Mask:
        """Return (n,): whether each of these item numbers is of a category now."""
        return self.live.in_category(nums, category)

    def nearest(self, nums: Sequence[int], among: Sequence[int]) -> list[int | None]:
        """Return for each of `nums` the item of `among` of the highest cosine; None where none is above 0."""
        if not nums or not among:
            return [None] * len(nums)
        cosines_nm = _unit_rows(self._items_IF[list(nums)]) @ _unit_rows(self._items_IF[list(among)]).T
        best = cosines_nm.argmax(axis=1).tolist()
        return [among[place] if cosines_nm[row, place] > 0 else None for row, place in enumerate(best)]

    def cosines(self, num: int, nums: Int32) -> Float32:
        """Return (n,): the cosine of one item with each of n."""
        found: Float32 = _unit_rows(self._items_IF[nums]) @ _unit_rows(self._items_IF[[num]])[0]
        return found

    def by_cosine(self, num: int, found: Candidates, k: int) -> Candidates:
        """Return the k of the items found that are nearest to one item by cosine; the score is the cosine."""
        cosines_n = self.cosines(num, found.nums)
        order = np.lexsort((found.nums, -cosines_n))[:k]
        return Candidates(found.nums[order], cosines_n[order], found.examined)


class LikenessTo:
    """The scores that one item gives others: their cosines with it."""

    def __init__(self, lookups: ItemLookups, num: int) -> None:
        self._lookups, self._num = lookups, num

    def products(self, nums: Int32) -> Float32:
        """Return (n,): the cosine of each of n items."""
        return self._lookups.cosines(self._num, nums)


def _unit_rows(rows_nF: Float32) -> Float32:
    lengths_n1 = np.linalg.norm(rows_nF, axis=1, keepdims=True)
    unit_nF: Float32 = np.divide(rows_nF, lengths_n1, out=np.zeros_like(rows_nF), where=lengths_n1 > 0)
    return unit_nF


class Cohort(NamedTuple):
    """The users with one value of one feature."""

    users: int
    """Number of users."""
    nums: Int32
    """Item numbers that any of them has, most wanted first; none where there are fewer than `LEAST_USERS`."""
    scores: Float32
    """Sum of the weights of their interactions with each."""


class Cohorts:
    """The cohorts of one release, for strangers of whom only one feature is known.

    A cohort is named `COLUMN:VALUE`: a text column of the user features and its value. Its users' items are added
    up at the first request for it, and the sums of the last 64 cohorts are kept.
    """

    def __init__(self, release: Release) -> None:
        self._release = release
        self._kept: OrderedDict[str, Cohort] = OrderedDict()

    def get(self, name: str, *, may_block: bool) -> Cohort:
        """Return a cohort by `COLUMN:VALUE`; one of no users where nobody has the value.

        Raises:
            UnknownCohortError: not of that form, or the users have no such text feature.
            WouldBlockError: many users have to be looked through, and `may_block` is False.
        """
        kept = self._kept.get(name)
        if kept is not None:
            return kept
        column, colon, value = name.partition(":")
        kinds = columns_of(self._release.folder / FEATURE_DATABASE).users
        known = sorted(found for found, kind in kinds.items() if kind == "text" and found != "user_id")
        if not colon or column not in known:
            raise UnknownCohortError(
                f"cohort {name!r}: expected FEATURE:VALUE with a text feature of users; {closest(column, known)}"
            )
        if len(self._release.users) > _USERS_AT_ONCE and not may_block:
            raise WouldBlockError
        cohort = self._gather(self._release.features.users_with(column, value))
        self._kept[name] = cohort
        while len(self._kept) > _COHORTS_KEPT:
            self._kept.popitem(last=False)
        return cohort

    def _gather(self, user_ids: list[str]) -> Cohort:
        release = self._release
        users = release.users.nums(user_ids)
        users = users[users >= 0]
        if len(users) < LEAST_USERS:
            return Cohort(len(users), NO_ITEMS, np.empty(0, np.float32))
        spans = zip(
            release.history_indptr[users].tolist(), release.history_indptr[users + 1].tolist(), strict=True
        )
        rows = np.concatenate([np.arange(start, end) for start, end in spans])
        totals_I = np.bincount(
            release.history_items[rows], weights=release.history_weights[rows], minlength=len(release.items)
        )
        nums = np.flatnonzero(totals_I).astype(np.int32)
        nums = nums[np.argsort(-totals_I[nums], kind="stable")]
        return Cohort(len(users), nums, totals_I[nums].astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One release as its rules see it."""

    release: Release
    """The release itself."""
    table: ItemTable
    """The item columns that the rules read."""
    lists: Mapping[str, Mask]
    """List -> (I,) whether each item is on it."""
    lookups: ItemLookups
    """Items by popularity and category."""

    @cached_property
    def evaluator(self) -> Evaluator:
        """Expressions over the table."""
        return Evaluator(self.table, self.lists)

    @cached_property
    def popularity_I(self) -> Float32:  # noqa: N802  arrays carry their shape in their name
        """log(1 + popularity) as a share of the greatest, 0-1, by item number."""
        by_num = np.zeros(len(self.release.items), dtype=np.float32)
        by_num[self.release.popular_items] = np.log1p(np.maximum(self.release.popular_scores, 0))
        greatest = float(by_num.max(initial=0))
        return by_num / np.float32(greatest) if greatest > 0 else by_num

    @cached_property
    def inverse_norms_I(self) -> Float32:  # noqa: N802  arrays carry their shape in their name
        """1 / length of each item's factors; 0 for one without direction."""
        items_IF = self.release.item_factors
        norms = np.empty(len(items_IF), dtype=np.float32)
        for start in range(0, len(items_IF), _BLOCK):
            norms[start : start + _BLOCK] = np.linalg.norm(items_IF[start : start + _BLOCK], axis=1)
        return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)


def gather_facts(release: Release, rules: Rules, lists_folder: Path, lookups: ItemLookups) -> Facts:
    """Read the columns and lists that `rules` name.

    Args:
        release: an open release.
        rules: checked against that release's columns.
        lists_folder: where the files of `[lists]` are.
        lookups: over the same release.

    Raises:
        RulesError: a list's file cannot be read.
    """
    table = load_items(
        release.folder / FEATURE_DATABASE, release.items, _columns_read(rules.scenarios.values())
    )
    lists = {
        name: read_list(lists_folder, str(file), release.items, name=name)
        for name, file in rules.lists.items()
    }
    return Facts(release=release, table=table, lists=lists, lookups=lookups)


def read_list(folder: Path, file: str, items: Vocabulary, *, name: str) -> Mask:
    """Return (I,): whether each item is on a list, a text file with one item id a line; `#` begins a comment line.

    Raises:
        RulesError: the file cannot be read, or does not lie in `folder`.
    """
    place = folder / file
    try:
        if not place.resolve().is_relative_to(folder.resolve()):
            raise PermissionError(errno.EPERM, f"{place.resolve()} is outside of {folder}")
        lines = read_file(place).decode().splitlines()
    except (OSError, ValueError, RuntimeError) as error:  # no text, a name with \0, links in a circle
        why = error.strerror if isinstance(error, OSError) else error
        raise RulesError(
            f"{place}: the list `{name}` cannot be read ({why}); write the file, item ids one a line, or"
            " remove the list from the rules"
        ) from None
    ids = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    nums = items.nums(ids)
    found = np.zeros(len(items), dtype=np.bool_)
    found[nums[nums >= 0]] = True
    return found


def _columns_read(scenarios: Iterable[CheckedScenario]) -> set[str]:
    found = set[str]()
    for scenario in scenarios:
        stages: tuple[Checked[Any], ...] = (
            *scenario.candidates, *scenario.filters, *scenario.scoring, *scenario.reranking,
        )  # fmt: skip
        for stage in stages:
            if stage.expression is not None:
                found |= stage.expression.item_columns()
            match stage.spec:
                case CandidateSource(source="trending"):
                    found |= {"popularity_trend", "events_28d"}
                case CandidateSource(source="new") | Newness():
                    found.add("days_since_first")
    return found
