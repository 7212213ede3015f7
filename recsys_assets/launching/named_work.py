"""Work that another program runs: a function by its name, with task and result as JSON by its annotations."""

import importlib
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from recsys_assets.errors import LauncherError


class NamedWork(msgspec.Struct, frozen=True, kw_only=True):
    """A function of a module, and what it is called with."""

    function: str
    """`module:function`."""
    tasks: tuple[msgspec.Raw, ...]
    """The tasks, as JSON."""
    size: int = 0
    """Processes of a gang that run the only task together; 0: each task runs once."""

    @classmethod
    def of(cls, work: Callable[..., Any], tasks: "list[Any]", *, size: int = 0) -> "NamedWork":
        """Name a function, and encode its tasks.

        Raises:
            LauncherError: no other program finds the function by its name.
        """
        name = f"{work.__module__}:{work.__qualname__}"
        if "<" in name or "." in work.__qualname__ or work.__module__ == "__main__":
            raise LauncherError(f"{name}: only a function of a module runs elsewhere; move it to one")
        return cls(function=name, tasks=tuple(map(as_json, tasks)), size=size)

    def found(self) -> Callable[..., Any]:
        """Import the function."""
        module, _, name = self.function.partition(":")
        work: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return work

    def decoded(self) -> list[Any]:
        """Return the tasks, by the annotation of the function's last argument."""
        hints = get_type_hints(self.found())
        hints.pop("return", None)
        return [msgspec.json.decode(task, type=list(hints.values())[-1]) for task in self.tasks]


def as_json(value: Any) -> msgspec.Raw:
    """Encode a task or a result.

    Raises:
        LauncherError: it has no JSON form.
    """
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except TypeError as error:
        raise LauncherError(
            f"{type(value).__name__}: cannot be sent to another program: {error}; write it to a file, and send the path"
        ) from error


def result_of(work: Callable[..., Any], content: bytes | msgspec.Raw) -> Any:
    """Decode a result, by the annotation of the function."""
    return msgspec.json.decode(content, type=get_type_hints(work).get("return", Any))
