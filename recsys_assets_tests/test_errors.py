"""The errors are one tree, each with a use."""

import inspect
from pathlib import Path

import pytest

import recsys_assets
from recsys_assets import errors

CLASSES = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if error.__module__ == errors.__name__
]
SOURCES = "\n".join(
    path.read_text() for path in Path(recsys_assets.__file__).parent.rglob("*.py") if path.name != "errors.py"
)


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_in_the_tree(error):
    assert issubclass(error, errors.RecsysError)


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_used(error):
    assert error.__name__ in SOURCES
