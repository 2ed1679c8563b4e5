"""Whatever the `apprise` library reaches: off unless the operator says so, since its ways out are its own.

No guard stands between it and any address, and it reads no deadline; so each message has a process, which ends in time
and sees none of Sentinel's secrets.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from marshmallow import ValidationError, fields, validate

from app.channels import facts, letter
from app.channels.answers import json_list
from app.channels.base import (
    AddressError,
    ChannelConfig,
    ChannelDefaults,
    Config,
    Notice,
    Outcome,
    Request,
    Verdict,
)
from app.channels.egress import Egress
from app.channels.posting import NamedChannel
from app.channels.transport import Transport

MOST = 20
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,31}://[\x21-\x7e]{1,2000}")
_CHILD: Final = str(Path(__file__).with_name("apprise_child.py"))
_PASSED: Final = ("PATH", "LANG", "TZ", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_TYPES = {"critical": "failure", "high": "failure", "warning": "warning", "info": "info"}


def _check_urls(value: str) -> None:
    urls = value.split()
    if not 0 < len(urls) <= MOST or not all(map(_URL.fullmatch, urls)):
        raise ValidationError(f"must be 1 to {MOST} URLs, separated by spaces")


class AppriseConfig(ChannelConfig):
    """What a named Apprise channel is made of."""

    urls = fields.String(
        required=True,
        validate=[validate.Length(max=20_000), _check_urls],
        metadata={
            "secret": True,
            "label": "URLs",
            "description": "as apprise has them, separated by spaces; needs SENTINEL_APPRISE=on",
        },
    )


class AppriseChannel(NamedChannel):
    """Messages by a library that knows many services; off unless SENTINEL_APPRISE=on."""

    kind = "apprise"
    label = "Apprise"
    config_schema = AppriseConfig()
    needs = "urls"

    def complete(self, config: Config, defaults: ChannelDefaults) -> Config:
        """As it is, where the operator has switched it on."""
        if not defaults.apprise:
            raise AddressError("apprise is off: SENTINEL_APPRISE is not on", "set it")
        return config

    def check_config(self, config: Config, egress: Egress) -> None:
        """Nothing: where it goes only the library knows."""

    def send(self, notice: Notice, config: Config, transport: Transport) -> Verdict:
        began, deadline = time.monotonic(), transport.deadline()
        told = json.dumps({"urls": config["urls"].split(), **_message(notice)})
        try:
            ended = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-I", _CHILD],
                input=told.encode(),
                capture_output=True,
                env=environment(),
                timeout=deadline.left(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict(Outcome.TRANSIENT, None, "timed out", latency=time.monotonic() - began)
        outcome, detail = _judge(json_list(ended.stdout))
        return Verdict(outcome, None, detail, latency=time.monotonic() - began)

    def request(self, notice: Notice, config: Config) -> Request:
        message = _message(notice)
        return Request("APPRISE", config["urls"], {"Title": message["title"]}, message["body"])


def environment() -> dict[str, str]:
    """What the process sees of ours."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def _message(notice: Notice) -> dict[str, str]:
    kind = _TYPES.get(facts.severity(notice), "warning")
    return {
        "title": facts.line(facts.title(notice), letter.SUBJECT_LIMIT),
        "body": letter.text(notice),
        "type": "success" if notice.kind == facts.RESOLVED else kind,
    }


def _judge(done: list[Any]) -> tuple[Outcome, str]:
    """The library says that a URL failed, and not why, so it may be for now."""
    if None in done:
        return Outcome.PERMANENT, f"apprise does not know URL {done.index(None) + 1}"
    failed = [str(number) for number, one in enumerate(done, 1) if one is not True]
    if not done:
        return Outcome.TRANSIENT, "apprise did not answer"
    if failed:
        return Outcome.TRANSIENT, f"apprise could not deliver to URL {', '.join(failed)}"
    return Outcome.DELIVERED, "delivered"


CHANNEL = AppriseChannel()
