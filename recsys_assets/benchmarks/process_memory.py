"""The most memory that this process has held."""

import resource
import sys
from pathlib import Path


def peak_rss_mb() -> float:
    """The process's own peak; `getrusage` would include what its parent held when it was forked."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    kilobyte = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte / 1024
