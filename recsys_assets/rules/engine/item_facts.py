"""The facts of a release that rules read, gathered once: item columns, list masks, popularity, directions.

Shapes: I items, D embedding_size.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.lookups import ItemLookups
from recsys_assets.rules.language.evaluator import Evaluator, Mask
from recsys_assets.rules.language.item_table import ItemTable, load_items
from recsys_assets.rules.language.reading import Checked, CheckedScenario, Rules
from recsys_assets.rules.language.schema import CandidateSource, Newness
from recsys_assets.storage.arrays import Float32
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.string_table import Vocabulary

_BLOCK: Final = 65_536


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
        """1 / length of each item's vector; 0 for one without direction."""
        items_ID = self.release.item_embeddings
        norms = np.empty(len(items_ID), dtype=np.float32)
        for start in range(0, len(items_ID), _BLOCK):
            norms[start : start + _BLOCK] = np.linalg.norm(items_ID[start : start + _BLOCK], axis=1)
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
        name: read_list(lists_folder / file, release.items, name=name) for name, file in rules.lists.items()
    }
    return Facts(release=release, table=table, lists=lists, lookups=lookups)


def read_list(file: Path, items: Vocabulary, *, name: str) -> Mask:
    """Return (I,): whether each item is on a list, a text file with one item id a line; `#` begins a comment line.

    Raises:
        RulesError: the file cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(
            f"{file}: the list `{name}` cannot be read ({error}); write the file, item ids one a line, or"
            " remove the list from the rules"
        ) from None
    ids = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    nums = items.nums(ids)
    found = np.zeros(len(items), dtype=np.bool_)
    found[nums[nums >= 0]] = True
    return found


def _columns_read(scenarios: Iterable[CheckedScenario]) -> set[str]:
    found = {"category"}
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
