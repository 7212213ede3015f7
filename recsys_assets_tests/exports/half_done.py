"""An export in a process of its own that stops half-way, to be killed there."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recsys_assets.storage.home import Home

CODE = """
import sys, time
from pathlib import Path
from recsys_assets.exports import make_lists
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.storage.home import Home

def stop(_, done, total):
    if done > 20:
        print("half", flush=True)
        time.sleep(600)

make_lists.ROWS_AT_ONCE = 100
export_lists(Home(Path(sys.argv[1])), ExportRequest(to=sys.argv[2]), progress=stop)
"""


@contextmanager
def half_done_export(home: Home, to: str) -> Iterator[None]:
    """Run the block while an export to `to` is half done; it is killed at the end of the block."""
    process = subprocess.Popen([sys.executable, "-c", CODE, home.root, to], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"half\n"
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
