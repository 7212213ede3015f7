"""A plan in words: for a terminal, for a pipe, and as Markdown for a pull request."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from recsys_assets.api.http.logs import printable

if TYPE_CHECKING:
    from recsys_assets.evaluation.changed_lists import ListChanges
    from recsys_assets.orchestration.planning.applying import StoredPlan
    from recsys_assets.orchestration.planning.build_plan import BuildPlan, DayVerdict, PlannedStep
    from recsys_assets.orchestration.planning.preview import Preview

_MEGABYTE: Final = 1_000_000
_MINUTE: Final = 60.0
_SHOWN: Final = 10
"""Most days and users that are shown one by one; JSON has all."""
NOTHING: Final = "Nothing to do: a build would change nothing."
PRESENT_MODEL: Final = "by the present model, which this build replaces; the gate judges them by the new one"
_MARKUP: Final = re.compile(r"[\\`*<>|~]|\](?=[(\[])|\b_|_\b|^[#+-]")
_MENTION: Final = re.compile(r"(?<!\w)@(?=\w)")
_HEADINGS: Final = ("stage", "why", "days", "time")


def headline(plan: "BuildPlan") -> str:
    """Return one line on the whole plan."""
    if not plan.steps:
        return NOTHING
    guess = "" if all(step.measured for step in plan.steps) else " (in part by figures of other homes)"
    stages = f"{len(plan.steps)} stage{'' if len(plan.steps) == 1 else 's'}"
    return (
        f"{stages} to build: about {duration(plan.seconds)}, at most {plan.peak_mb:,.0f} MB of memory, "
        f"{plan.written / _MEGABYTE:,.0f} MB of disk ({plan.free / _MEGABYTE:,.0f} MB are free){guess}."
    )


def duration(seconds: float) -> str:
    """Return `40 s` or `3.5 min`."""
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.1f} min"


def print_plan(console: Console, plan: "StoredPlan") -> None:
    """Print a plan: with a table on a terminal, by lines else."""
    console.print(headline(plan.build), highlight=False, soft_wrap=True)
    if plan.build.steps and console.is_terminal:
        table = Table(box=None, pad_edge=False)
        for heading in _HEADINGS:
            table.add_column(heading, justify="right" if heading == "time" else "left")
        for step in plan.build.steps:
            table.add_row(*_row(step, "\n"))
        console.print(table)
    else:
        for step in plan.build.steps:
            stage, why, days, time = _row(step, "; ")
            console.print(
                f"  {stage}: {why}{f' ({days})' if days else ''}, {time}", highlight=False, soft_wrap=True
            )
    for title, lines in _sections(plan.build, plan.preview):
        if lines:
            console.print(f"{title}:", highlight=False)
        for line in lines:
            console.print(f"  {' '.join(line.split())}", highlight=False, soft_wrap=True)


def markdown(plan: "StoredPlan", *, home: str) -> str:
    """Return a plan as Markdown, to be pasted into a pull request."""
    parts = [f"### recsys plan of `{home}`", headline(plan.build)]
    if plan.build.steps:
        rows = ["| stage | why | days | time |", "| --- | --- | ---: | ---: |"]
        rows += [_markdown_row(step) for step in plan.build.steps]
        parts.append("\n".join(rows))
    for title, lines in _sections(plan.build, plan.preview):
        if lines:
            parts.append("\n".join([f"**{title}**", "", *(f"- {_escaped(line)}" for line in lines)]))
    return "\n\n".join(parts)


def _markdown_row(step: "PlannedStep") -> str:
    stage, why, days, time = _row(step, "\n")
    lines = "<br>".join(map(_escaped, why.split("\n")))
    return f"| {_escaped(stage)} | {lines} | {days} | {time} |"


def _row(step: "PlannedStep", between: str) -> tuple[str, str, str, str]:
    days = f"{len(step.days):,} day{'' if len(step.days) == 1 else 's'}" if step.days else ""
    return " + ".join(step.assets), between.join(step.why), days, duration(step.seconds)


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line: no markup, no HTML, and nobody is mentioned."""
    shown = _MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))
    return _MENTION.sub("@\u2060", shown)


def _sections(build: "BuildPlan", found: "Preview") -> Iterable[tuple[str, Sequence[str]]]:
    """Yield the titles and lines of all that is beside the stages."""
    yield "Notes", [*build.notes, *_limits(build)]
    yield "Audited days", _audited(build.verdicts)
    recipe, by_model = found.recipe, [PRESENT_MODEL] if found.by_present_model else []
    yield "Quality", [] if recipe is None else _quality(recipe.in_words(), recipe.coverage, recipe.diversity)
    lists = recipe.lists if recipe is not None and recipe.lists is not None else found.lists
    yield "Lists", [] if lists is None else _lists(lists, by_rules=recipe is None)
    yield (
        "Golden users",
        [
            *(by_model if found.golden else ()),
            *(
                f"{one.user}: {'; '.join([*one.failures, *one.unknown]) or 'as expected'}"
                + (f", {one.overlap:.0%} of the list stays" if one.overlap is not None else "")
                for one in found.golden
            ),
        ],
    )
    cases = [f"{one.name}: {'; '.join(one.failures)}" for one in found.failed_cases]
    held = f"{found.cases - len(cases)} of {found.cases} hold"
    yield "Cases of the rules", [*by_model, held, *cases] if found.cases else []
    yield "Not known", found.notes


def _limits(build: "BuildPlan") -> list[str]:
    lines = []
    if build.not_staged:
        lines.append(
            f"not staged: {build.not_staged:,} days; they are audited when they are built, and every stage after them"
            " is listed, since their rows are not known"
        )
    if build.left_out:
        lines.append(
            f"the build ends before {', '.join(build.left_out)}: what is rejected must be mended or accepted first"
        )
    return lines


def _audited(verdicts: "Sequence[DayVerdict]") -> list[str]:
    fine = [one for one in verdicts if one.verdict == "ok"]
    others = [one for one in verdicts if one.verdict != "ok"]
    lines = [f"{len(fine):,} of {len(verdicts):,} pass every check"] if verdicts else []
    for one in others[:_SHOWN]:
        stays = ""
        if one.verdict == "rejected":
            stays = ", it stays out" if one.before is None else f", its {one.before:,} rows stay in use"
        lines.append(f"{one.table} {one.day}: {one.verdict}{stays}: {'; '.join(one.reasons)}")
    more = len(others) - _SHOWN
    return [*lines, f"and {more:,} more, see --json"] if more > 0 else lines


def _quality(
    words: str, coverage: tuple[float, float] | None, diversity: tuple[float, float] | None
) -> list[str]:
    lines = words.split("\n")[:1]
    for name, pair in (("coverage", coverage), ("diversity", diversity)):
        if pair is not None:
            lines.append(f"{name} {pair[0]:.4f} -> {pair[1]:.4f}")
    return lines


def _lists(lists: "ListChanges", *, by_rules: bool) -> list[str]:
    how = ", by the rules alone" if by_rules else ", in the sample"
    examples = [
        f"user {one.user_id}: {', '.join(one.new)} instead of {', '.join(one.gone)}" for one in lists.examples
    ]
    return [f"{lists.in_words()}{how}", *examples]
