"""Reading one step ahead: the next item is made in a thread while this one is used."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Generator[T]) -> Iterator[T]:
    """The same items; while the caller uses one, a thread makes the next.

    It pays where making and using release the interpreter: gunzip, polars, files. At most one item waits.
    An error while making an item is raised where the item would have come. Leaving early closes `items`.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        try:
            pending = thread.submit(next, items, None)
            while (item := pending.result()) is not None:
                pending = thread.submit(next, items, None)
                yield item
        finally:
            thread.submit(items.close)
