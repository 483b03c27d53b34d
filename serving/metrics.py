"""What serving measures of itself, in the format of Prometheus: GET /metrics.

With several workers each counts for itself in files that prometheus_client keeps (PROMETHEUS_MULTIPROC_DIR), and
whichever worker is asked tells the sum.
"""

import os
from collections.abc import Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ADS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Of one application."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._seconds = Histogram(
            "clicklake_request_seconds", "From a request's head to its answer.", ("route", "status"), buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self._predictions = Counter(
            "clicklake_predictions", "Predictions given, by what answered.", ("source", "model_version"),
            registry=registry,
        )  # fmt: skip
        self._shadowed = Counter(
            "clicklake_shadow_predictions", "Ads that another version has scored, too.", ("model_version",),
            registry=registry,
        )  # fmt: skip
        self._shadow_failures = Counter(
            "clicklake_shadow_failures", "Requests that another version could not score, too.", ("model_version",),
            registry=registry,
        )  # fmt: skip
        self._left_out = Counter(
            "clicklake_shadow_left_out", "Ads that no other version has scored, for want of time.", registry=registry
        )
        self._slate = Histogram("clicklake_slate_ads", "Ads a request.", buckets=ADS, registry=registry)
        self._refusals = Counter("clicklake_refusals", "Requests refused, by type.", ("type",), registry=registry)
        self._failures = self._gauge("clicklake_model_failures", "Requests that the champion could not score.", "sum")
        self._queue = self._gauge("clicklake_log_queue_bytes", "What waits for the disk.", "livesum")
        self._log_failing = self._gauge("clicklake_log_failing", "1 while rows cannot be stored.", "livemax")
        self._in_flight = self._gauge("clicklake_requests_in_flight", "Requests that wait for the disk.", "livesum")
        self._snapshot_age = self._gauge("clicklake_snapshot_age_seconds", "Age of the counts; -1: none.", "livemax")
        self._model = Gauge(
            "clicklake_model_in_use", "1 for the version under an alias.", ("alias", "model_version"),
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._named: dict[str, str] = {}
        self._seconds_of = lru_cache(256)(lambda route, status: self._seconds.labels(route, str(status)))
        self._predictions_of = lru_cache(64)(self._predictions.labels)
        self._refusals_of = lru_cache(64)(self._refusals.labels)

    def _gauge(self, name: str, about: str, mode: str) -> Gauge:
        return Gauge(name, about, registry=self._registry, multiprocess_mode=mode)  # type: ignore[arg-type]

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._seconds_of(route, status).observe(seconds)

    def predicted(self, source: str, model_version: str, ads: int) -> None:
        self._predictions_of(source, model_version).inc(ads)
        self._slate.observe(ads)

    def shadowed(self, model_version: str, ads: int) -> None:
        self._shadowed.labels(model_version).inc(ads)

    def shadow_failed(self, model_version: str) -> None:
        self._shadow_failures.labels(model_version).inc()

    def left_out(self, ads: int) -> None:
        self._left_out.inc(ads)

    def refused(self, kind: str) -> None:
        self._refusals_of(kind).inc()

    def state(
        self,
        log_queue_bytes: int,
        is_log_failing: bool,
        in_flight: int,
        snapshot_age: float | None,
        versions: Mapping[str, str],
        failures: int,
    ) -> None:
        """What is true now; `versions` by alias."""
        self._queue.set(log_queue_bytes)
        self._log_failing.set(is_log_failing)
        self._in_flight.set(in_flight)
        self._snapshot_age.set(-1.0 if snapshot_age is None else snapshot_age)
        self._failures.set(failures)
        for alias, version in self._named.items():
            if versions.get(alias) != version:
                self._model.labels(alias, version).set(0)
        for alias, version in versions.items():
            self._model.labels(alias, version).set(1)
        self._named = dict(versions)

    def exposition(self) -> bytes:
        """All metrics, of all workers."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
