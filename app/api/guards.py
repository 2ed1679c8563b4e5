"""What views hand to services beside the request: the target check of this installation."""

from app.channels.egress import Egress
from app.extensions import session
from app.runtime import runtime
from app.services import channels


def egress() -> Egress:
    """The guard of outgoing connections."""
    return runtime().transport.egress


def check_target(kind: str, address: str) -> None:
    """Refuse a target that nothing could be sent to; raises `TargetError`."""
    channels.check_target(session(), runtime().settings, egress(), kind, address)
