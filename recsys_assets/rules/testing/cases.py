"""Test cases of rules: kept beside the file as `rules_tests.toml`, run against a release, told with what was found.

A case asks a scenario for a user, a session or a stranger, and says what has to hold of the list: items or
predicates absent or present, a least number of categories, the rule that drops an item, a length.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from recsys_assets.errors import RulesError
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.scenario_engine import Engine
from recsys_assets.rules.engine.why import why
from recsys_assets.rules.language.checking import line_of
from recsys_assets.rules.language.expression_tree import ExpressionError
from recsys_assets.rules.language.expressions import parse
from recsys_assets.rules.language.item_table import columns_of
from recsys_assets.storage.home import FEATURE_DATABASE

CASES_FILE: Final = "rules_tests.toml"
"""The file's name, beside `rules.toml`."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case."""

    name: Annotated[str, Meta(min_length=1)]
    """What it is about."""
    scenario: str | None = None
    """The file's default where not given."""
    user: str | None = None
    """User id; a stranger where unknown."""
    session: list[str] = []
    """Item ids, most recent first."""
    k: Annotated[int, Meta(ge=1, le=500)] = 10
    none_where: str | None = None
    """No item of the list satisfies this predicate over items."""
    all_where: str | None = None
    """Every item of the list satisfies it."""
    absent: dict[str, str] = {}
    """Item id -> the rule that has to drop it; an empty text for whichever reason."""
    present: list[str] = []
    """Item ids that have to be in the list."""
    least_categories: Annotated[int, Meta(ge=1)] | None = None
    """Different categories in the list, at least."""
    least_items: Annotated[int, Meta(ge=0)] | None = None
    """Items in the list, at least."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one case ended."""

    name: str
    """The case's name."""
    failures: list[str]
    """What was expected and what was found, a line each; empty where it passed."""


def read_cases(path: Path) -> list[Case]:
    """The cases of a file, `[[case]]` each.

    Raises:
        RulesError: the file cannot be read or holds what is no case; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RulesError(f"{path}: no readable cases ({error})") from None
    unknown = next((key for key in given if key != "case"), None)
    if unknown is not None or not isinstance(given.get("case"), list):
        raise RulesError(f"{path}:{line_of(text, [unknown or 'case'])}: no cases; write [[case]]")
    found = []
    for place, body in enumerate(given["case"]):
        try:
            found.append(msgspec.convert(body, Case))
        except msgspec.ValidationError as error:
            raise RulesError(f"{path}:{line_of(text, ['case', place])}: case {place + 1}: {error}") from None
    return found


def run_case(case: Case, engine: Engine) -> Verdict:
    """Run one case.

    Raises:
        RulesError: the case names a scenario or a column that is not there.
    """
    release, pipeline = engine.release, engine.scenario(case.scenario)
    session = [num for num in release.items.nums(case.session).tolist() if num >= 0]
    asked = Request(
        k=case.k,
        user_id=case.user,
        user_num=None if case.user is None else release.users.num(case.user),
        session=session,
    )
    nums = pipeline.recommend(asked).nums
    failures: list[str] = []
    for predicate, wanted in ((case.none_where, False), (case.all_where, True)):
        failures += [] if predicate is None else _by_predicate(predicate, nums, engine, wanted=wanted)
    failures += _absent(case, nums, asked, engine)
    failures += [
        f"expected {item} ({_title(item, engine)}) in the list; it is not" for item in case.present
        if release.items.num(item) not in nums
    ]  # fmt: skip
    categories = {release.categories[num] for num in nums} - {""}
    if case.least_categories is not None and len(categories) < case.least_categories:
        failures.append(
            f"expected at least {case.least_categories} categories, found {len(categories)}:"
            f" {', '.join(sorted(categories))}"
        )
    if case.least_items is not None and len(nums) < case.least_items:
        failures.append(f"expected at least {case.least_items} items, found {len(nums)}")
    return Verdict(name=case.name, failures=failures)


def _by_predicate(text: str, nums: list[int], engine: Engine, *, wanted: bool) -> list[str]:
    known = columns_of(engine.release.folder / FEATURE_DATABASE)
    try:
        expression = parse(text, columns=known, kind="boolean")
    except ExpressionError as error:
        raise RulesError(f"`{text}`: {error.found}; {error.suggestion or 'mend the expression'}") from None
    truth = engine.with_columns(expression.item_columns()).truth(
        expression, np.asarray(nums, dtype=np.int32), {}
    )
    word = "every" if wanted else "no"
    return [
        f"expected {word} item where {text}; place {place} is {_named(num, engine)}"
        for place, (num, yes) in enumerate(zip(nums, truth.yes.tolist(), strict=True), start=1)
        if yes != wanted
    ]


def _absent(case: Case, nums: list[int], asked: Request, engine: Engine) -> list[str]:
    failures = []
    for item, rule in case.absent.items():
        num = engine.release.items.num(item)
        if num is None:
            continue
        if num in nums:
            failures.append(f"expected {_named(num, engine)} absent; it is at place {nums.index(num) + 1}")
        elif rule:
            found = why(engine, engine.scenario(case.scenario), asked, num)
            names = [name for name, _ in found.rules]
            if rule not in names:
                failures.append(f"expected {item} absent because of “{rule}”; found: {found.words}")
    return failures


def _title(item: str, engine: Engine) -> str:
    num = engine.release.items.num(item)
    return "not in the release" if num is None else engine.release.titles[num] or "no title"


def _named(num: int, engine: Engine) -> str:
    release: Any = engine.release
    return f"{release.items[num]} ({release.titles[num] or 'no title'}, {release.categories[num] or 'no category'})"
