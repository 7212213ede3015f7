"""A download's progress as a person sees it: nothing is shown until one starts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@contextmanager
def download_shown(console: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield what to tell a file's name, the bytes that are here, and the bytes that there will be."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as shown:

        def tell(name: str, here: int, whole: int | None) -> None:
            if name not in bars:
                bars[name] = shown.add_task(name, total=whole)
            shown.update(bars[name], completed=here, total=whole)

        yield tell
