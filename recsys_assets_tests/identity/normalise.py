"""Text and JSON without what differs from run to run: places, the clock, durations, random keys.

Release ids keep their day and lose their hash; `builds` records them whole.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

VOLATILE_KEYS: Final = frozenset(
    {
        "at",
        "build_seconds",
        "created_at",
        "checked_at",
        "graph",
        "grid",
        "measured_peak_mb",
        "memory_budget_mb",
        "ms",
        "predicted_peak_mb",
        "query_us",
        "seconds",
    }
)
"""Keys of JSON objects whose values are clocks, durations, memory, or graphs that were tried against the clock."""
_LATE_YEAR: Final = r"\b20(?:2[5-9]|[3-9]\d)"
"""No source has events of these years, so such a date was read from the clock."""
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"\b(\d{8})-[0-9a-f]{10}\.[0-9a-f]{1,12}\.[0-9a-f]{9,24}\b", r"\1-<answer>"),
        (r"\b(\d{8})-[0-9a-f]{10}\b", r"\1-<id>"),
        (_LATE_YEAR + r"-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?", "<time>"),
        (_LATE_YEAR + r"-\d\d-\d\d\b", "<date>"),
        (r"\brk_[0-9a-f]{8}_[\w-]{43}(?![\w-])", "<key>"),
        (r"^[0-9a-f]{8}(?=  )", "<key id>"),
        (r"known ids: [0-9a-f, ]+$", "known ids: <key ids>"),
        (r"\b\d+(?:\.\d+)? s\b", "<n> s"),
        (r"\b\d+\.\d+ ms\b", "<n> ms"),
        (r"^(memory|disk) +.* (?:available|free)", r"\1 <n>"),
        (r"^(\w+(?: \+ \w+)* +(?:built|failed|fresh)\b.*?) +\d+\.\d$", r"\1 <n>"),
        (r"^((?:in all|candidates|filters|scoring|reranking|limits) .*?) +\d+\.\d+ *$", r"\1 <n>"),
        (r"^\w+: \d+ of \d+ …\n", ""),
        (r"(\.py):\d+", r"\1:<line>"),
        (r"\b0x[0-9a-f]{6,}\b", "<address>"),
        (r" +$", ""),
        (r" {2,}", "  "),
    )
)


def text(raw: str, places: Mapping[str, str]) -> str:
    """A command's output, or a text body.

    Args:
        raw: as it was written.
        places: a path, an address or an id of this run -> what to write in its place.
    """
    for found in sorted(places, key=len, reverse=True):
        raw = raw.replace(found, places[found])
    for pattern, replacement in _PATTERNS:
        raw = pattern.sub(replacement, raw)
    return raw


def json_value(value: Any, places: Mapping[str, str]) -> Any:
    """A decoded JSON value; the values of `VOLATILE_KEYS` become a mark, strings go through `text`."""
    match value:
        case dict():
            return {
                text(key, places): "<volatile>" if key in VOLATILE_KEYS else json_value(one, places)
                for key, one in value.items()
            }
        case list():
            return [json_value(one, places) for one in value]
        case str():
            return text(value, places)
        case _:
            return value
