"""The events of a source that count as a wish by default: the rating chosen, and all of it in one line for people."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from recsys_assets.lake.sources.registry import rating_positive_of
from recsys_assets.lake.sources.survey import RatingScale, Survey
from recsys_assets.settings import DEFAULT_KINDS, InteractionsSettings, Settings
from recsys_assets.storage.settings_file import read_table, write_section

_SHOWN_KINDS: Final = 8
_CHOSEN: Final = "rating_positive {:g} was chosen by `recsys init`"
"""Beside the number in `recsys.toml`, so that the next `recsys init` knows whose it is."""
_FOR_SOURCE: Final = re.compile(r"for this source `recsys init` chose ([\w, ]+)")
"""In the same place, the other fields that were chosen."""


def set_wish_defaults(file: Path, ratings: RatingScale | None, *, chosen: Mapping[str, object]) -> None:
    """Set the defaults of `[interactions]` that the source shows; a person's own value stays.

    Args:
        file: the settings file, written already.
        ratings: the source's; None where its format says what a rating means. `rating_positive` is the least one above
            the middle of their scale. Without a scale it is left out, and one that an earlier `recsys init` chose is
            taken back.
        chosen: other fields and their values for this source, in place of those that an earlier `recsys init` chose.
    """
    text = file.read_text(encoding="utf-8")
    before = read_table(file).get("interactions", {})
    values: dict[str, object] = {}
    notes = []
    rating = before.get("rating_positive")
    positive = None if ratings is None else ratings.positive()
    if rating is None or _CHOSEN.format(rating) in text:
        values["rating_positive"] = positive
        if ratings is not None and positive is not None:
            low, high = ratings.ends() or (positive, positive)
            notes.append(
                f"{_CHOSEN.format(positive)}: the least above the middle of the ratings, {low:g} to {high:g}"
            )
    listed = _FOR_SOURCE.search(text)
    earlier = listed[1].split(", ") if listed else []
    free = {name: value for name, value in chosen.items() if name not in before or name in earlier}
    values |= {**dict.fromkeys(earlier), **free}
    notes += [f"for this source `recsys init` chose {', '.join(free)}"] if free else []
    changes = {name: value for name, value in values.items() if value != before.get(name)}
    if changes or notes:
        note = "; ".join(notes) or "`recsys init` found no scale of ratings: every rating is a wish"
        write_section(file, Settings, "interactions", changes, note=note)


def wishes_in_words(settings: Settings, survey: Survey) -> str:
    """Return one line on the kinds and ratings that are wishes, and the setting that changes it."""
    given = settings.interactions.rating_positive
    positive = rating_positive_of(settings.source.spec) if given is None else given
    parts = []
    if survey.kinds:
        parts.append(f"by kind and weight {_kinds(settings.interactions.kinds, survey.kinds)}")
    if positive is not None and survey.ratings.total:
        share = survey.ratings.events_from(positive) / survey.ratings.total
        parts.append(
            f"of ratings {positive:g} and above, {share:.0%} of {survey.ratings.total:,} rated events"
        )
    if not parts:
        return "Wishes: every event."
    return f"Wishes: {'; '.join(parts)}. To change it: [interactions] in recsys.toml."


def unknown_kinds_in_words(given: InteractionsSettings, found: Iterable[str]) -> str:
    """Return one line on the kinds that `[interactions]` names and the source has not; empty where it has them all.

    Args:
        given: the settings. A kind of the defaults may be missing in a source.
        found: kinds of the source, in lower case.
    """
    has = sorted(set(found))
    seen = given.seen if isinstance(given.seen, list) else []
    named = dict.fromkeys([*given.kinds, *(name.strip().lower() for name in seen)])
    unknown = [name for name in named if name not in DEFAULT_KINDS and name not in has]
    if not unknown or not has:
        return ""
    mistyped = ", ".join(f"`{name}`{_meant(name, has)}" for name in unknown)
    return (
        f"recsys.toml, [interactions]: no event is of the kind {mistyped}; the source has {', '.join(has)}."
    )


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (do you mean `{near[0]}`?)" if near else ""


def _kinds(weights: dict[str, float], found: dict[str, int]) -> str:
    """Return the source's kinds with their weights, most frequent first."""
    shown = list(found)[:_SHOWN_KINDS]
    wished = [f"{kind} {weight:g}" for kind in shown if (weight := weights.get(kind, 1.0)) > 0]
    only_seen = [kind for kind in shown if weights.get(kind, 1.0) == 0]
    more = [f"{len(found) - len(shown):,} more"] if len(found) > len(shown) else []
    words = ", ".join([*wished, *more]) or "none"
    return f"{words} (seen, but no wish: {', '.join(only_seen)})" if only_seen else words
