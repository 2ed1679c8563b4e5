"""Gunicorn's settings for the API, on a laptop and in a container alike."""

import os
import shutil
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
# In memory: on a disk that hangs heartbeats would look like a hung worker, and what is mapped from a file on a full one
# ends the process that writes there, by SIGBUS.
memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - files and folders of our own are made there
worker_tmp_dir = memory
# What a proxy may tell is the application's to judge, by SENTINEL_PROXIES. Gunicorn believes whoever calls from this
# machine, and a proxy there passes on what its clients wrote: they could name another path than the proxy saw.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
accesslog = None
errorlog = "-"

# prometheus_client reads the variable when it is imported, and writes when the app is loaded: both
# come after this file.
metrics = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or "")
made = not metrics.name
if made:
    # Those of masters that were killed; each has its pid in its name.
    for left in Path(memory or tempfile.gettempdir()).glob("sentinel-metrics-*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    metrics = Path(tempfile.mkdtemp(prefix=f"sentinel-metrics-{os.getpid()}-", dir=memory))
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


def on_exit(server: Any) -> None:
    """The master's end: memory is given back."""
    if made:
        shutil.rmtree(metrics, ignore_errors=True)
