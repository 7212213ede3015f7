"""How much one caller may ask: a token bucket a key or address, with bounded memory."""

from collections import OrderedDict

_CALLERS = 10_000


class RateLimit:
    """So many requests a second for each caller, with bursts.

    Args:
        per_second: tokens added a second, > 0.
        burst: most tokens held, >= 1.
    """

    def __init__(self, *, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, caller: str, now: float) -> float:
        """0.0 where the request may go on (it takes a token), else how long to wait.

        Args:
            caller: a key's id or an address.
            now: a monotonic clock, s.
        """
        tokens, then = self._buckets.pop(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        allowed = tokens >= 1
        self._buckets[caller] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_second
