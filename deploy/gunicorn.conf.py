"""Gunicorn's settings for the API, on a laptop and in a container alike."""

import os
import tempfile
from pathlib import Path
from typing import Any

from app.environment import ConfigError, Environment

host = os.environ.get("SENTINEL_HOST") or "127.0.0.1"
bind = (
    f"{f'[{host}]' if ':' in host.strip('[]') else host}:{os.environ.get('SENTINEL_PORT') or 8000}"
)
worker_class = "app.api.server.Worker"
try:
    workers = Environment(os.environ).count("SENTINEL_API_WORKERS")
    threads = Environment(os.environ).count("SENTINEL_API_THREADS")
except ConfigError as error:
    raise SystemExit(f"sentinel: {error}") from None
# Loaded once and forked: half the start, half the memory. Pools are opened by the first request,
# after the fork.
preload_app = True
timeout = 60
graceful_timeout = 20
keepalive = 5
control_socket_disable = True
# Heartbeats go to memory; on a disk that hangs they would look like a hung worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes a file of its own
# What a proxy may tell is the application's to judge, by SENTINEL_PROXIES. Gunicorn believes whoever calls from this
# machine, and a proxy there passes on what its clients wrote: they could name another path than the proxy saw.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
accesslog = None
errorlog = "-"

# prometheus_client reads the variable when it is imported, and writes when the app is loaded: both
# come after this file.
metrics = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or "")
if not metrics.name:
    parent = os.environ.get("SENTINEL_HOME") or tempfile.mkdtemp(prefix="sentinel-")
    metrics = Path(parent) / "metrics"
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
metrics.mkdir(mode=0o700, parents=True, exist_ok=True)
# Files of an earlier run would be counted again; a reload (SIGHUP) reads this file again, and its
# files are our own.
if os.environ.get("SENTINEL_METRICS_OWNER") != str(os.getpid()):
    os.environ["SENTINEL_METRICS_OWNER"] = str(os.getpid())
    for file in metrics.glob("*.db"):
        file.unlink(missing_ok=True)


def child_exit(server: Any, worker: Any) -> None:
    """A dead worker's gauges are dropped; its counters stay."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
