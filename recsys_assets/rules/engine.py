"""All scenarios of a rules file over one release, and which rules those are."""

import hashlib
from pathlib import Path

from recsys_assets.errors import RulesError
from recsys_assets.release.load import Release
from recsys_assets.rules.evaluation import Evaluator
from recsys_assets.rules.expressions import closest
from recsys_assets.rules.facts import gather_facts
from recsys_assets.rules.item_table import columns_of, load_items
from recsys_assets.rules.pipeline import Pipeline
from recsys_assets.rules.publish import PACKAGED, rules_in_force
from recsys_assets.rules.reading import Rules, read_rules
from recsys_assets.storage.home import Home

_VERSION_DIGITS = 12


class Engine:
    """Scenarios, bound to a release. It never changes; threads may share it."""

    def __init__(self, release: Release, rules: Rules, *, lists_folder: Path) -> None:
        """Bind `rules` to `release`; the files of `[lists]` are below `lists_folder`.

        Raises:
            RulesError: a list cannot be read.
        """
        self.release = release
        self.rules = rules
        facts = gather_facts(release, rules, lists_folder)
        self.facts = facts
        self.pipelines = {name: Pipeline(scenario, facts) for name, scenario in rules.scenarios.items()}
        lists = b"".join(facts.lists[name].tobytes() for name in sorted(facts.lists))
        self.version = hashlib.sha256(rules.version.encode() + lists).hexdigest()[:_VERSION_DIGITS]
        """Changes with the file's content and its lists'; belongs into every entity tag."""

    def with_columns(self, names: set[str]) -> Evaluator:
        """An evaluator over item columns that the rules themselves may not read."""
        table = load_items(self.release.folder / "features.sqlite", self.release.items, names)
        return Evaluator(table, self.facts.lists)

    def scenario(self, name: str | None = None) -> Pipeline:
        """A scenario by name, the file's default where None.

        Raises:
            RulesError: there is none of that name.
        """
        wanted = name or self.rules.default
        found = self.pipelines.get(wanted)
        if found is None:
            raise RulesError(f"no scenario {wanted!r}; {closest(wanted, self.pipelines)}")
        return found


def load_engine(release: Release, *, home: Home, path: Path | None = None) -> Engine:
    """The engine of the rules in force, or of the file at `path`.

    Raises:
        RulesError: the file or one of its lists is not valid.
    """
    file = path or rules_in_force(home, release.folder)
    rules = read_rules(file, columns=columns_of(release.folder / "features.sqlite"))
    return Engine(release, rules, lists_folder=home.root)


def packaged_engine(release: Release, *, home: Home) -> Engine:
    """The engine of the packaged rules, which need nothing beside the release."""
    return load_engine(release, home=home, path=PACKAGED)
