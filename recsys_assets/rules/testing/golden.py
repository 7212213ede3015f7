"""Golden users, written in `golden.toml` next to the rules file: lists that people know, and what must hold of them.

Each names a user, items that must or must never be listed, and how much of the list by the current release must stay.
The gate runs them on a candidate; a plan and a comparison of releases show both lists.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from recsys_assets.errors import RulesError
from recsys_assets.release.load import load_release
from recsys_assets.rules.engine.pipeline import Engine
from recsys_assets.rules.engine.requests import Request
from recsys_assets.rules.rules_file import released_engine
from recsys_assets.storage.bounds import Share
from recsys_assets.storage.home import Home
from recsys_assets.storage.toml_files import TomlError, content_of, line_of, parse_toml

ItemId = Annotated[str, Meta(min_length=1, max_length=512)]


class GoldenUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One golden user."""

    user: Annotated[str, Meta(min_length=1, max_length=512)]
    """User id; a stranger where unknown."""
    k: Annotated[int, Meta(ge=1, le=500)] = 10
    """Items of the list."""
    scenario: str | None = None
    """Scenario of the rules; their default one where not given."""
    least_overlap: Share = 0.5
    """Least share of the list that the current release's list has too; 0 for any list."""
    must: list[ItemId] = []
    """Item ids that must be in the list."""
    never: list[ItemId] = []
    """Item ids that must not be in it."""


class GoldenItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a golden user's list."""

    item_id: str
    """The source's id."""
    title: str
    """Its title; empty where unknown."""


class GoldenResult(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of one golden user."""

    user: str
    """User id."""
    scenario: str
    """Scenario that made the lists."""
    k: int
    """Items that were wanted."""
    after: list[GoldenItem]
    """The candidate's list, best first."""
    before: list[GoldenItem] | None = None
    """The current release's list; None where there is none to compare with."""
    overlap: float | None = None
    """Share of the longer list that both have, 0-1; None where there is none to compare with."""
    failures: list[str] = []
    """Expected and found, a line for each failure; empty where the user passed."""
    unknown: list[str] = []
    """A line on each id that the candidate does not know, such as a mistyped one: it proves nothing."""


def read_golden(path: Path) -> list[GoldenUser]:
    """Read the golden users of a file, one in each `[[golden]]`; none where there is no file, or an empty one.

    Raises:
        RulesError: the file cannot be read, or an entry is no golden user; with file and line.
    """
    try:
        text, given = parse_toml(content_of(path))
    except FileNotFoundError:
        return []
    except (OSError, TomlError) as error:
        raise RulesError(f"{path}: no readable golden users ({error})") from None
    unknown = next((key for key in given if key != "golden"), None)
    if not given:
        return []
    if unknown is not None or not isinstance(given.get("golden"), list):
        raise RulesError(f"{path}:{line_of(text, [unknown or 'golden'])}: no golden users; write [[golden]]")
    found = []
    for place, body in enumerate(given["golden"]):
        try:
            one = msgspec.convert(body, GoldenUser)
        except msgspec.ValidationError as error:
            line = line_of(text, ["golden", place])
            raise RulesError(f"{path}:{line}: golden user {place + 1}: {error}") from None
        both = set(one.must) & set(one.never)
        if both:
            line = line_of(text, ["golden", place])
            raise RulesError(
                f"{path}:{line}: golden user {one.user!r}: item {min(both)} is in `must` and in `never`; remove one"
            )
        found.append(one)
    return found


def run_golden(home: Home, candidate: Engine, current: Engine | None = None) -> list[GoldenResult]:
    """Make the lists of a home's golden users by two releases, and judge those of the candidate.

    Args:
        home: where `golden.toml` is.
        candidate: the engine of the release to judge.
        current: the engine of the one to compare with; None for none.

    Raises:
        RulesError: the file cannot be read, or names a scenario that the candidate's rules do not have.
    """
    return [_result(one, candidate, current) for one in read_golden(home.golden_file)]


def golden_of_releases(home: Home, before: Path, after: Path) -> list[GoldenResult]:
    """Make the lists of a home's golden users by two releases, each with its own rules; none where nobody is named.

    Args:
        home: where `golden.toml` is.
        before: folder of the release to compare with.
        after: folder of the release to judge.

    Raises:
        RulesError: as for `run_golden`, or the rules of a release cannot be bound.
        ReleaseError: a release cannot be read.
    """
    if not read_golden(home.golden_file):
        return []
    current, candidate = (
        released_engine(load_release(folder, verify=False), home=home) for folder in (before, after)
    )
    return run_golden(home, candidate, current)


def _result(golden: GoldenUser, candidate: Engine, current: Engine | None) -> GoldenResult:
    after = _list(golden, candidate)
    before = None
    can_compare = current is not None and golden.user in current.release.users
    if current is not None and can_compare and golden.scenario in {None, *current.pipelines}:
        before = _list(golden, current)
    overlap = None if before is None else _overlap(before, after)
    ids = [item.item_id for item in after]
    failures = [
        f"expected {_named(item, candidate)} in the list; it is not"
        for item in golden.must
        if item not in ids
    ]
    failures += [
        f"expected {_named(item, candidate)} absent; it is at place {ids.index(item) + 1}"
        for item in golden.never
        if item in ids
    ]
    if overlap is not None and overlap < golden.least_overlap:
        failures.append(
            f"{overlap:.0%} of the list is as before, expected at least {golden.least_overlap:.0%}"
        )
    return GoldenResult(
        user=golden.user,
        scenario=golden.scenario or candidate.rules.default,
        k=golden.k,
        after=after,
        before=before,
        overlap=overlap,
        failures=failures,
        unknown=_unknown(golden, candidate),
    )


def _unknown(golden: GoldenUser, candidate: Engine) -> list[str]:
    release = candidate.release
    lines = [
        f"item {item} of `never` is not in the release" for item in golden.never if item not in release.items
    ]
    if golden.user not in release.users:
        lines.insert(0, "the user is not in the release, so the list is a stranger's")
    return lines


def _list(golden: GoldenUser, engine: Engine) -> list[GoldenItem]:
    release = engine.release
    request = Request(k=golden.k, user_id=golden.user, user_num=release.users.num(golden.user))
    nums = engine.scenario(golden.scenario).recommend(request).nums
    return [GoldenItem(item_id=release.items[num], title=release.titles[num]) for num in nums]


def _overlap(before: Sequence[GoldenItem], after: Sequence[GoldenItem]) -> float:
    left, right = ({item.item_id for item in items} for items in (before, after))
    longer = max(len(left), len(right))
    return len(left & right) / longer if longer else 1.0


def _named(item: str, engine: Engine) -> str:
    num = engine.release.items.num(item)
    return f"{item} ({'not in the release' if num is None else engine.release.titles[num] or 'no title'})"
