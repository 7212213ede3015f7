"""What a server process loads."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["app", "serving.server", "serving.once"])
def test_serving_loads_no_training_library(module: str) -> None:
    heavy = {"torch", "dagster", "pandera", "polars", "pyarrow", "pandas", "sqlite_utils"}
    code = f"import sys, recsys_assets.api.{module}; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
