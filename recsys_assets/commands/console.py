"""The terminal's view of a build that has ended and of a list of recommendations."""

from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from recsys_assets.api.http.logs import printable
from recsys_assets.api.schemas.recommendation_schemas import UserRecommendations

if TYPE_CHECKING:
    from recsys_assets.orchestration.build_outcome import BuildOutcome

_MARKS = {"fresh": Text("fresh", "dim"), "built": Text("built", "green"), "failed": Text("failed", "red")}

_LONGEST_CELL: Final = 120


def open_console(*, stderr: bool = False) -> Console:
    """Open the terminal or pipe for other people's texts: brackets are no markup, and control characters are shown."""
    console = Console(stderr=stderr, markup=False)
    console.push_render_hook(_ShownControls())
    return console


class _ShownControls(RenderHook):
    """Keeps the control codes of rich itself, and shows all others."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables]


class _Shown:
    """A renderable whose text is printable."""

    def __init__(self, shown: ConsoleRenderable) -> None:
        self._shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in console.render(self._shown, options):
            yield part if part.control else Segment(printable(part.text), part.style)


def _cell(text: str | None) -> str:
    """Return a text for a cell; a long one is cut."""
    text = text or ""
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def print_summary(console: Console, outcome: "BuildOutcome", *, seconds: float) -> None:
    """Print a table of the stages, the model, the warnings, and last, after an empty line, each failure in full."""
    if not outcome.built and not outcome.failed:
        console.print(f"Nothing to do: everything is fresh ({seconds:.1f} s).", highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("asset", "state", "made"):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for row in outcome.rows:
        shown = "" if row.status == "failed" else row.detail
        table.add_row(row.stage, _MARKS[row.status], shown, f"{row.seconds:.1f}" if row.seconds else "")
    if outcome.failed:
        table.add_row("in all", _MARKS["failed"], "", f"{seconds:.1f}")
    console.print(table)
    if not outcome.failed:
        console.print(f"Done in {seconds:.1f} s.", highlight=False)
        if outcome.model:
            console.print(f"Model: {outcome.model}", highlight=False)
    _print_notes(console, outcome)


def _print_notes(console: Console, outcome: "BuildOutcome") -> None:
    """Print the rows that are left out, the warnings, and last, after an empty line, each failure in full."""
    for line in outcome.rows_left_out:
        console.print(line, highlight=False, soft_wrap=True)
    for warning in (warning for row in outcome.rows if row.status == "built" for warning in row.warnings):
        console.print(f"Look at: {warning}", highlight=False, soft_wrap=True)
    for row in outcome.rows:
        if row.status == "failed":
            console.print(f"\n{row.detail}", highlight=False, soft_wrap=True)


def print_recommendations(console: Console, found: UserRecommendations) -> None:
    """Print a table of the items by name, best first, and the reason where a fallback answered."""
    fallback = f", {found.source}: {found.reason}" if found.reason else ""
    console.print(
        f"\nRecommendations for {_cell(found.user_id)} (release {found.release}{fallback})", highlight=False
    )
    if not found.items:
        console.print("No item is left: the user has seen all of them.", highlight=False)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for rank, item in enumerate(found.items, start=1):
        table.add_row(
            str(rank),
            _cell(item.title or item.item_id),
            _cell(item.category),
            f"{item.score:.3f}",
            _cell(item.item_id),
        )
    console.print(table)


def print_trace(console: Console, found: UserRecommendations) -> None:
    """Print the stages of a scenario as a funnel, then the sources, scores and rules of each item shown."""
    trace = found.trace
    if isinstance(trace, msgspec.UnsetType):
        return
    stages = Table(box=None, pad_edge=False, title=f"Scenario {found.scenario}, rules {found.rules}")
    for column in ("section", "stage", "rule"):
        stages.add_column(column)
    for column in ("in", "out", "ms"):
        stages.add_column(column, justify="right")
    for stage in trace.stages:
        stages.add_row(
            stage.section,
            stage.name,
            _cell(stage.rule),
            str(stage.items_in),
            str(stage.items_out),
            f"{stage.ms:.3f}",
        )
    console.print(stages, highlight=False)
    items = Table(box=None, pad_edge=False)
    for column in ("", "item", "why", "sources", "relevance", "score", "rules"):
        items.add_column(column)
    for rank, item in enumerate(trace.items[: len(found.items)], start=1):
        relevance, score = (0.0 if value is None else value for value in (item.relevance, item.score))
        effects = ", ".join(f"{effect.stage} {effect.effect}" for effect in item.effects)
        items.add_row(
            str(rank), _cell(item.title or item.item_id), _cell(item.reasons[0].text), ", ".join(item.sources),
            f"{relevance:.3f}", f"{score:.3f}", _cell(effects),
        )  # fmt: skip
    console.print(items, highlight=False)
