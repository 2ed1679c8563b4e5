"""`/metrics`: Flask's own numbers by prometheus-flask-exporter, and the totals of all processes."""

import os
from collections.abc import Sequence

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics


class SentinelMetrics(PrometheusMetrics):  # type: ignore[misc]
    """The exporter's measurements of requests, shown together with the totals."""

    def __init__(self, app: Flask, totals: Collector) -> None:
        self._totals = totals
        super().__init__(app, registry=CollectorRegistry(), group_by="url_rule")

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
