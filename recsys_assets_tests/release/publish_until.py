"""Publishes, waiting for a line on its input after every step: the test kills it where it likes."""

import sys
from pathlib import Path

from recsys_assets_tests.release.world import World


def wait(step: str) -> None:
    print(step, flush=True)  # noqa: T201  the parent reads it
    sys.stdin.readline()


if __name__ == "__main__":
    World(artifacts=Path(sys.argv[1])).publish(Path(sys.argv[2]), progress=wait)
