"""The progress of a long command: a bar on a terminal, lines on a pipe, and never silence.

A stage that can count reports its units, and gets a rate and the time left; of one that cannot, the seconds are
shown. Lines come from a thread, so that they come while a stage imports or computes.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from recsys_assets.orchestration.build_outcome import StageRow

_LOADING: Final = "loading"
_BETWEEN: Final = "looking for what is stale"
_SILENCES: Final = (1.0, 1.5, 2.0, 2.5)
"""Seconds without a line after which the first lines of a stage come; the last holds for all others."""
_LOOKS_EVERY: Final = 0.2
_MEGABYTE: Final = 1_000_000


class ConsoleWatcher:
    """Shows the progress of stages, one after the other; a context manager, since its thread and bar must end."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch from now on, beginning with what is loaded before the first stage.

        Args:
            console: a terminal gets a bar, anything else lines.
            clock: seconds.
        """
        self._console, self._clock = console, clock
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._tick_until_stopped, daemon=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _AmountColumn())
            more = (_RateColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, *more, console=console, transient=True)
        self._shown_at = clock()
        self._start(_LOADING)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._bar is not None:
            self._bar.stop()
        else:
            self._thread.join()

    def begin(self, stage: str, detail: str) -> None:
        """Show that a stage starts; `detail` is the amount, such as `60 days`, whose last word names its unit."""
        with self._lock:
            self._start(stage, unit=detail.rpartition(" ")[2])
            if self._bar is None and detail:
                self._print(f"{stage}: {detail} …")

    def report(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of the running stage are finished; 0 is an unknown total."""
        self._stage, self._done, self._total = stage, done, total
        if self._bar is not None:
            self._bar.update(self._task, description=stage, completed=done, total=total or None)

    def download(self, name: str, received: int, whole: int | None) -> None:
        """Show the bytes received of a file, and all of its bytes if known."""
        stage = f"download of {name}"
        if self._stage != stage:
            self.begin(stage, "of MB")
        self.report(stage, received // _MEGABYTE, (whole or 0) // _MEGABYTE)

    def say(self, text: str) -> None:
        """Print a text between the lines, or above the bar."""
        with self._lock:
            self._print(text)

    def end(self, row: "StageRow") -> None:
        """Show that a stage ended."""
        with self._lock:
            if self._bar is None and row.status != "fresh":
                self._print(f"{row.stage}: {row.status} in {row.seconds:.1f} s")
            self._start(_BETWEEN)

    def tick(self) -> None:
        """Print a line on the running stage where nothing was printed for too long."""
        with self._lock:
            silence = _SILENCES[min(self._ticks, len(_SILENCES) - 1)]
            if self._clock() - self._shown_at >= silence:
                self._ticks += 1
                self._print(self._line())

    def _tick_until_stopped(self) -> None:
        while not self._stopped.wait(_LOOKS_EVERY):
            self.tick()

    def _start(self, stage: str, *, unit: str = "") -> None:
        self._stage, self._unit, self._done, self._total, self._ticks = stage, unit, 0, 0, 0
        self._began = self._clock()
        if self._bar is not None:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._task = self._bar.add_task(stage, total=None, unit=unit)

    def _print(self, text: str) -> None:
        self._shown_at = self._clock()
        self._console.print(text, highlight=False, soft_wrap=True)

    def _line(self) -> str:
        seconds = self._clock() - self._began
        if not self._done:
            return f"{self._stage}: {seconds:.0f} s …"
        amount = f"{self._done:,} of {self._total:,}" if self._total else f"{self._done:,}"
        shown = f"{self._stage}: {_with_unit(amount, self._unit)}"
        if self._done == self._total:
            return f"{shown}, finishing: {seconds:.0f} s …"
        rate = self._done / max(seconds, _LOOKS_EVERY)
        left = f", {(self._total - self._done) / rate:.0f} s left" if self._total else ""
        return f"{shown}, {_rate(rate, self._unit)}{left} …"


class _AmountColumn(MofNCompleteColumn):
    """Units finished of all; nothing of a stage that cannot count."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total is not None else Text("")


class _RateColumn(ProgressColumn):
    """Units a second, such as `52 days a second`."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed, task.fields["unit"]) if task.speed else "")


def _rate(rate: float, unit: str) -> str:
    return f"{_with_unit(f'{rate:,.0f}' if rate >= 10 else f'{rate:.1f}', unit)} a second"  # noqa: PLR2004


def _with_unit(amount: str, unit: str) -> str:
    return f"{amount} {unit}" if unit else amount
