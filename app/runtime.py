"""What one application was made with: its settings, its clock, its outgoing connections and its hooks' secrets."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from flask import current_app

from app.channels.transport import Transport
from app.clock import Clock
from app.config import Settings
from app.hooks.secrets import Secrets

if TYPE_CHECKING:
    # Of a package that need not be there.
    from app.traces import Traces

EXTENSION = "sentinel"


@dataclass(frozen=True)
class Runtime:
    """The parts that doors and tasks hand down to the services."""

    settings: Settings
    clock: Clock
    transport: Transport
    hook_secrets: Secrets
    traces: "Traces | None" = None


def runtime() -> Runtime:
    """The parts of the current application."""
    return cast(Runtime, current_app.extensions[EXTENSION])


def now() -> datetime:
    """The current application's time, in UTC."""
    return runtime().clock()
