"""Celery's settings, and only those; why each differs from its default.

The broker's address comes from the environment by `app.factory`; everything else that Celery reads stands here.
"""

# Tasks are named by their module, so that Flower and the exporter show `events.evaluate`.
imports = ("tasks.events", "tasks.notifications", "tasks.backtests")
task_routes = {
    "events.*": {"queue": "events"},
    "notifications.*": {"queue": "notifications"},
    "backtests.*": {"queue": "backtests"},
}
task_default_queue = "events"

# A message is acknowledged when its task has ended: a row that was claimed by a dead worker is published again by
# the sweep, but one that nobody claimed yet comes back with its message.
task_acks_late = True
task_retry_on_worker_lost = True
task_reject_on_worker_lost = False
# What an evaluation held when its process died is published anew by `tasks.losses`, a backtest by the sweep.
task_annotations = {
    "events.evaluate": {"retry_on_worker_lost": False},
    "backtests.run": {"retry_on_worker_lost": False},
}
task_ignore_result = True

task_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]

# Flower and the Celery exporter see nothing without these.
worker_send_task_events = True
task_send_sent_event = True

worker_prefetch_multiplier = 4
worker_max_tasks_per_child = 10_000
worker_hijack_root_logger = False
# Our entries are lines of JSON, and not parts of Celery's own lines.
worker_redirect_stdouts = False
worker_proc_alive_timeout = 30

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    # Longer than the longest countdown of a retry (900 s), or a waiting task would run twice.
    "visibility_timeout": 3600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # A hung Redis must never hold a publisher for long: the rows are safe, the sweep publishes them again.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": "sentinel:",
}
