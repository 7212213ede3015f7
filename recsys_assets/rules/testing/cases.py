"""Test cases of rules, written in `rules_tests.toml` next to the rules file and run against a release.

A case runs a scenario for a user, a session or a stranger, and states what has to hold of the list: items or
predicates absent or present, a least number of categories, the rule that drops an item, a length.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from recsys_assets.errors import RulesError
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.engine.why import why
from recsys_assets.rules.language.expression_tree import ExpressionError, columns_of
from recsys_assets.rules.language.expressions import parse
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.toml_files import TomlError, content_of, line_of, parse_toml

CASES_FILE: Final = "rules_tests.toml"
"""Name of the file next to `rules.toml`."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test case."""

    name: Annotated[str, Meta(min_length=1)]
    """A sentence that says what is tested."""
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
    """Item id -> the rule that has to drop it; an empty text for any reason."""
    present: list[str] = []
    """Item ids that have to be in the list."""
    least_categories: Annotated[int, Meta(ge=1)] | None = None
    """Different categories in the list, at least."""
    least_items: Annotated[int, Meta(ge=0)] | None = None
    """Items in the list, at least."""


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """Result of one case."""

    name: str
    """The case's name."""
    failures: list[str]
    """Expected and found, a line for each failure; empty where the case passed."""


def read_cases(path: Path) -> list[Case]:
    """Read the cases of a file, one in each `[[case]]`.

    Raises:
        RulesError: the file cannot be read, or an entry is not a case; with file and line.
    """
    try:
        text, given = parse_toml(content_of(path))
    except (OSError, TomlError) as error:
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


def run_case(case: Case, engine: Engine) -> CaseResult:
    """Run one case.

    Raises:
        RulesError: the case names a scenario or a column that does not exist.
    """
    release, pipeline = engine.release, engine.scenario(case.scenario)
    session = [num for num in release.items.nums(case.session).tolist() if num >= 0]
    request = Request(
        k=case.k,
        user_id=case.user,
        user_num=None if case.user is None else release.users.num(case.user),
        session=session,
    )
    nums = pipeline.recommend(request).nums
    failures: list[str] = []
    for predicate, wanted in ((case.none_where, False), (case.all_where, True)):
        failures += [] if predicate is None else _by_predicate(predicate, nums, engine, wanted=wanted)
    failures += _absent(case, nums, request, engine)
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
    return CaseResult(name=case.name, failures=failures)


def _by_predicate(text: str, nums: list[int], engine: Engine, *, wanted: bool) -> list[str]:
    known = columns_of(engine.release.folder / FEATURE_DATABASE)
    try:
        expression = parse(text, columns=known, kind="boolean")
    except ExpressionError as error:
        raise RulesError(f"`{text}`: {error.found}; {error.suggestion or 'correct the expression'}") from None
    truth = engine.with_columns(expression.item_columns()).truth(
        expression, np.asarray(nums, dtype=np.int32), {}
    )
    word = "every" if wanted else "no"
    return [
        f"expected {word} item where {text}; place {place} is {_named(num, engine)}"
        for place, (num, yes) in enumerate(zip(nums, truth.yes.tolist(), strict=True), start=1)
        if yes != wanted
    ]


def _absent(case: Case, nums: list[int], request: Request, engine: Engine) -> list[str]:
    failures = []
    for item, rule in case.absent.items():
        num = engine.release.items.num(item)
        if num is None:
            continue
        if num in nums:
            failures.append(f"expected {_named(num, engine)} absent; it is at place {nums.index(num) + 1}")
        elif rule:
            found = why(engine, engine.scenario(case.scenario), request, num)
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
