"""The API's Prometheus metrics.

`prometheus_client` chooses at its import between one process and several, by the variable that `serving.server` sets
for several. Workers are forked, so the server's own process must not import this module before.
"""

import os
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from recsys_assets.api.serving.live import Live
from recsys_assets.rules.engine.requests import SOURCES, Answer

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The API's metrics, in a registry of each application, so that tests and reloads do not clash."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "recsys_request_seconds",
            "Time from the request's arrival to the last byte handed to the server.",
            ["route", "method", "status", "source"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        candidates = Counter(
            "recsys_candidates", "Items scored for the answers.", ["source"], registry=self.registry
        )
        fallbacks = Counter(
            "recsys_fallbacks",
            "Answers from another source than the first choice.",
            ["source"],
            registry=self.registry,
        )
        self._candidates_of = {source: candidates.labels(source) for source in SOURCES}
        self._fallbacks_of = {source: fallbacks.labels(source) for source in SOURCES}
        self._seen_filtered = Counter(
            "recsys_seen_filter_hits",
            "Items left out because the user has them or excluded them.",
            registry=self.registry,
        )
        self._events = self._count_intake(live)
        self._release_age = Gauge(
            "recsys_release_age_seconds",
            "Age of the release that is served.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._coverage = Gauge(
            "recsys_recommendation_coverage",
            "Share of the catalogue recommended since the release was loaded.",
            registry=self.registry,
            multiprocess_mode="max",
        )
        self._swaps = Gauge(
            "recsys_release_swaps",
            "Releases swapped in since the start.",
            registry=self.registry,
            multiprocess_mode="max",
        )
        self._info = Gauge(
            "recsys_release_info",
            "1 for the release that is served.",
            ["release"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._problems = Gauge(
            "recsys_follower_problem",
            "1 for what cannot be read, or written, at present: keys, release, rules, events, recalls, answers …",
            ["followed"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._observers: dict[tuple[str, str, int, str], Histogram] = {}

    def _count_intake(self, live: Live) -> Counter:
        """Count commits of events from now on; return the counter of events by outcome."""
        commits = Counter(
            "recsys_event_commits",
            "Commits of events, each with one sync of the disk.",
            registry=self.registry,
        )
        live.after_commit.append(commits.inc)
        return Counter(
            "recsys_events",
            "Events received: accepted, duplicate, conflict (another content under the same id) or full (rejected).",
            ["outcome"],
            registry=self.registry,
        )

    def observe(self, route: str, method: str, status: int, source: str, seconds: float) -> None:
        """Count one request."""
        key = (route, method, status, source)
        observer = self._observers.get(key)
        if observer is None:
            observer = self._observers[key] = self.requests.labels(route, method, str(status), source)
        observer.observe(seconds)

    def count(self, answer: Answer) -> None:
        """Count the candidates, the fallback and the left-out items of one answer."""
        source = answer.source
        self._candidates_of[source].inc(answer.candidates)
        if answer.reason is not None:
            self._fallbacks_of[source].inc()
        if answer.blocked:
            self._seen_filtered.inc(answer.blocked)

    def count_events(self, outcome: str, count: int) -> None:
        """Count events received: `accepted`, `duplicate`, `conflict` or `full`."""
        if count:
            self._events.labels(outcome).inc(count)

    def exposition(self, now: datetime) -> bytes:
        """Return all metrics in the Prometheus text format; `now` gives the age of the release."""
        serving = self._live.serving
        problems = self._live.problems()
        for follower in self._live.followers:
            self._problems.labels(follower.name).set(follower.name in problems)
        self._swaps.set(self._live.swaps)
        if serving is not None:
            created = datetime.fromisoformat(str(serving.release.manifest.created_at))
            self._release_age.set((now - created.astimezone(UTC)).total_seconds())
            self._coverage.set(serving.covered())
            self._info.clear()
            self._info.labels(serving.release_id).set(1)
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        summed = CollectorRegistry()
        MultiProcessCollector(summed)  # type: ignore[no-untyped-call]
        return generate_latest(summed)
