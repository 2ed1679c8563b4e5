"""The process that plays Slack and any webhook's receiver, and can be told to fail.

Anybody who reaches its port may post to it, so it belongs on a loopback address or in a private
network.
"""

import time

from flask import Flask, Response, jsonify, request
from sqlalchemy.pool import QueuePool

from app.config import Settings
from app.extensions import db, session
from app.inbox.store import MAX_BODY, record

HANG_SECONDS = 30.0
RETRY_AFTER = "7"
HIDDEN = frozenset({"authorization", "cookie"})


def create_receiver(settings: Settings | None = None) -> Flask:
    """The application of the receiver, for `settings` or those of the environment."""
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={"poolclass": QueuePool, "pool_size": 4, "pool_pre_ping": True},
        MAX_CONTENT_LENGTH=MAX_BODY,
    )
    db.init_app(app)
    app.add_url_rule("/api/chat.postMessage", view_func=post_message, methods=["POST"])
    app.add_url_rule("/api/chat.update", view_func=post_message, methods=["POST"])
    app.add_url_rule("/services/<path:path>", view_func=incoming_webhook, methods=["POST"])
    app.add_url_rule("/hook/<name>", view_func=hook, methods=["POST"])
    app.add_url_rule("/", view_func=alive)
    return app


def post_message() -> Response:
    """Slack's `chat.postMessage`, and `chat.update`, which is shown as a message of its own."""
    failure = _receive("slack")
    if failure is not None:
        return failure
    payload = request.get_json(silent=True, force=True)
    channel = payload.get("channel") if isinstance(payload, dict) else None
    if not channel:
        return jsonify(ok=False, error="channel_not_found")
    return jsonify(ok=True, channel=channel, ts=f"{time.time():.6f}")


def incoming_webhook(path: str) -> Response:
    """Slack's incoming webhooks."""
    return _receive("slack") or Response("ok", mimetype="text/plain")


def hook(name: str) -> Response:
    """A webhook's receiver, of any name."""
    return _receive("webhook") or Response("received\n", mimetype="text/plain")


def alive() -> Response:
    """A sign of life, for whoever started the process."""
    return Response("Sentinel's local inbox\n", mimetype="text/plain")


def _receive(source: str) -> Response | None:
    """Keep the request; the failure that it is answered with, if one is wanted."""
    headers = {
        name: "(hidden)" if name.lower() in HIDDEN else value[:1000]
        for name, value in request.headers.items()
    }
    mode = record(session(), source, request.path, headers, request.get_data())
    session().commit()
    # Hanging must not keep a connection to the database.
    db.session.remove()
    if mode == "hang":
        time.sleep(HANG_SECONDS)
        return Response("too late\n", 503, mimetype="text/plain")
    if mode == "429":
        return Response("slow down\n", 429, {"Retry-After": RETRY_AFTER}, mimetype="text/plain")
    return Response("internal_error\n", 500, mimetype="text/plain") if mode == "500" else None
