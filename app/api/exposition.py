"""`/metrics`: Flask's own numbers by prometheus-flask-exporter, and the totals of all processes."""

import os
from collections.abc import Sequence
from functools import cache
from time import perf_counter
from typing import Any, Final

from flask import Flask, Response
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from app.metrics import REQUESTS, totals
from app.web.request import asked

# Whoever asks for the numbers is not among them.
ENDPOINT: Final = "prometheus_metrics"


class SentinelMetrics(PrometheusMetrics):  # type: ignore[misc]
    """The exporter's measurements of requests, shown together with the totals."""

    def __init__(self, app: Flask, totals: Collector) -> None:
        self._totals = totals
        super().__init__(app, registry=CollectorRegistry())

    def export_defaults(self, *_: Any, app: Flask, **__: Any) -> None:
        """The exporter's metrics, by routes; it looks for their labels, and for options, at each request."""
        about = "Information about the Prometheus Flask exporter"
        self.info("flask_exporter_info", about, version=self.version)
        labels = "method", "status"
        seconds = Histogram(
            "flask_http_request_duration_seconds",
            "Flask HTTP request duration in seconds",
            ("method", "url_rule", "status"),
            registry=self.registry,
        )
        total = Counter(
            "flask_http_request_total",
            "Total number of HTTP requests",
            labels,
            registry=self.registry,
        )
        failed = Counter(
            "flask_http_request_exceptions_total",
            "Total number of HTTP requests which resulted in an exception",
            labels,
            registry=self.registry,
        )

        @cache
        def of(method: str, rule: str, status: int) -> tuple[Histogram, Counter]:
            return seconds.labels(method, rule, status), total.labels(method, status)

        def measure(response: Response) -> Response:
            request = asked()
            if request.endpoint != ENDPOINT:
                duration, count = of(request.method, str(request.url_rule), response.status_code)
                duration.observe(perf_counter() - request.began)
                count.inc()
                # The exporter's are of this host alone, and an address may stand for many.
                totals.count(REQUESTS, str(response.status_code))
            return response

        def fail(error: BaseException | None) -> None:
            if error is not None:
                failed.labels(asked().method, 500).inc()

        app.after_request(measure)
        app.teardown_request(fail)

    def generate_metrics(
        self, accept_header: str | None = None, names: Sequence[str] | None = None
    ) -> tuple[str, str]:
        """The exposition text and its content type, over all processes of this server."""
        shown = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(shown)
        else:
            shown.register(self.registry)
        shown.register(self._totals)
        encode, content_type = choose_encoder(accept_header or "")
        return encode(shown.restricted_registry(names) if names else shown).decode(), content_type
