"""Structured logs: one JSON object a line on standard error, with the request id where there is one."""

import json
import logging
import os
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from recsys_assets.api.serving.live import Live
from recsys_assets.rules.engine.requests import SOURCES, Answer

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request being answered in this context."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON; what was given as `extra` are fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logs(level: int = logging.INFO) -> None:
    """Send this package's and the server's logs to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    for name in ("recsys", "_granian", "litestar"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The API's own registry, one an application, so that tests and reloads do not clash."""

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
            "recsys_candidates", "Items looked at to answer.", ["source"], registry=self.registry
        )
        fallbacks = Counter(
            "recsys_fallbacks",
            "Answers by a lesser source than asked for.",
            ["source"],
            registry=self.registry,
        )
        self._candidates_of = {source: candidates.labels(source) for source in SOURCES}
        self._fallbacks_of = {source: fallbacks.labels(source) for source in SOURCES}
        self._seen_filtered = Counter(
            "recsys_seen_filter_hits",
            "Items held back because the user has them or excluded them.",
            registry=self.registry,
        )
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
        self._observers: dict[tuple[str, str, int, str], Histogram] = {}

    def observe(self, route: str, method: str, status: int, source: str, seconds: float) -> None:
        """Count one request."""
        key = (route, method, status, source)
        observer = self._observers.get(key)
        if observer is None:
            observer = self._observers[key] = self.requests.labels(route, method, str(status), source)
        observer.observe(seconds)

    def count(self, answer: Answer) -> None:
        """Count one answer by its source, candidates and blocked items."""
        source = answer.source
        self._candidates_of[source].inc(answer.candidates)
        if answer.reason is not None:
            self._fallbacks_of[source].inc()
        if answer.blocked:
            self._seen_filtered.inc(answer.blocked)

    def exposition(self, now: datetime) -> bytes:
        """All metrics in the Prometheus text format."""
        serving = self._live.serving
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
