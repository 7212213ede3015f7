"""All scenarios over one release: those of a rules file, and `plain`, which needs none."""

import hashlib
from pathlib import Path

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.engine.item_facts import gather_facts
from recsys_assets.rules.engine.pipeline import Pipeline
from recsys_assets.rules.engine.plain import PlainScenario
from recsys_assets.rules.language.evaluator import Evaluator
from recsys_assets.rules.language.expressions import closest
from recsys_assets.rules.language.item_table import load_items
from recsys_assets.rules.language.reading import Rules
from recsys_assets.storage.home import FEATURE_DATABASE

_VERSION_DIGITS = 12


class Engine:
    """Scenarios, bound to a release. It never changes; threads may share it."""

    def __init__(
        self, release: Release, rules: Rules, *, lists_folder: Path, plain: PlainScenario | None = None
    ) -> None:
        """Bind `rules` to `release`.

        Args:
            release: an open release.
            rules: checked against that release's columns.
            lists_folder: the folder of the files of `[lists]`.
            plain: the scenario without rules over the same release, where it is served already.

        Raises:
            RulesError: a list cannot be read.
        """
        self.release = release
        self.rules = rules
        self.plain = plain or PlainScenario(release)
        self.facts = gather_facts(release, rules, lists_folder, self.plain.lookups)
        self.pipelines = {name: Pipeline(scenario, self.facts) for name, scenario in rules.scenarios.items()}
        lists = b"".join(self.facts.lists[name].tobytes() for name in sorted(self.facts.lists))
        self.version = hashlib.sha256(rules.version.encode() + lists).hexdigest()[:_VERSION_DIGITS]
        """Changes with the file's content and its lists'; belongs into every entity tag."""

    def scenario(self, name: str | None = None) -> Pipeline:
        """Return a scenario of the rules by name, the file's default where None.

        Raises:
            RulesError: there is none of that name.
        """
        wanted = name or self.rules.default
        found = self.pipelines.get(wanted)
        if found is None:
            raise RulesError(f"no scenario {wanted!r}; {closest(wanted, self.pipelines)}")
        return found

    def with_columns(self, names: set[str]) -> Evaluator:
        """Return an evaluator over item columns that the rules themselves may not read."""
        table = load_items(self.release.folder / FEATURE_DATABASE, self.release.items, names)
        return Evaluator(table, self.facts.lists)
