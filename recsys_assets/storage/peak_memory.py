"""The highest resident memory of this process while something runs, measured by a thread."""

import threading
from typing import Final, Self

import psutil

MEGABYTE: Final = 1 << 20
_MEASURE_EVERY: Final = 0.01
"""Seconds."""


class PeakMemory:
    """The highest resident memory of this process while the `with` block runs, measured every 10 ms."""

    def __init__(self) -> None:
        """Watch this process."""
        self.peak = 0
        """Bytes."""
        self.at_start = 0
        """Bytes when the block began."""
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> Self:
        self.measure()
        self.at_start = self.peak
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.measure()

    def measure(self) -> None:
        """Measure the resident memory now."""
        self.peak = max(self.peak, self._process.memory_info().rss)

    def _watch(self) -> None:
        while not self._over.wait(_MEASURE_EVERY):
            self.measure()
