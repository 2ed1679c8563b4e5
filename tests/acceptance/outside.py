"""The services that notifications go to, in the test process: each answers as it documents, and what it took is judged.

What speaks HTTP stands behind the stack's own receiver; mail goes to a server of its own, with STARTTLS and a login.
"""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.acceptance.receiver import Answer, Heard, Receiver
from tests.app.channels import judges
from tests.app.channels.certificates import Authority
from tests.app.channels.mailserver import PASSWORD, USER, MailServer

KEY: Final = "e93facc04764012d7bfb002500d5d1a6"
TOKEN: Final = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
# What https://docs.slack.dev/reference/methods/chat.postMessage answers.
SLACK_CHANNEL, SLACK_TS = "C123ABC456", "1503435956.000247"
RETRY_AFTER: Final = 2
_JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)
_PAGERDUTY: Final = {"status": "success", "message": "Event processed"}
PATHS: Final = {
    "pagerduty": "/v2/enqueue",
    "teams": "/workflows/x",
    "discord": "/api/webhooks/1/x?wait=true",
    "telegram": f"/bot{TOKEN}/sendMessage",
    "apprise": "/apprise",
}


def configs(url: str) -> dict[str, dict[str, Any]]:
    """What a channel of each kind is told, where all stand at one address; mail has a server of its own."""
    return {
        "email": {"to": "ann@example.com,bob@example.com"},
        "pagerduty": {"routing_key": KEY, "api_url": url + PATHS["pagerduty"]},
        "slack": {
            "bot_token": "xoxb-1",
            "channel": "#ops",
            "api_url": url + "/api/",
            "threads": True,
        },
        "teams": {"webhook_url": url + PATHS["teams"]},
        "discord": {"webhook_url": f"{url}/api/webhooks/1/x"},
        "telegram": {"bot_token": TOKEN, "chat_id": "-1001234567890", "api_url": url},
        "apprise": {"urls": url.replace("http:", "json:") + PATHS["apprise"]},
    }


class Mail(MailServer):
    """A server of mail that takes nothing without TLS and a password."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.make(folder)
        context = authority.serving()
        super().__init__(
            tls_context=context, require_starttls=True, auth_required=True, authenticator=_known
        )
        self.env = {
            "SMTP_URL": f"smtp://{USER}:{quote(PASSWORD, safe='')}@localhost:{self.port}",
            "SMTP_FROM": "Sentinel <sentinel@example.com>",
            "SSL_CERT_FILE": str(authority.ca),
        }


def _known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    return server.event_handler.authenticator(server, session, envelope, mechanism, data)


class Services:
    """All that answer by HTTP; Slack says once that it is asked too often."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        receiver.answer = self._answer

    def took(self, kind: str) -> list[Any]:
        """What a service was told, parsed."""
        return [one.json for one in list(self._receiver.heard) if one.path == PATHS[kind]]

    def slack(self) -> list[tuple[float, str, Any]]:
        """The calls of Slack's API: when, which, and with what."""
        heard = [one for one in list(self._receiver.heard) if one.path.startswith("/api/chat.")]
        return [(one.at, one.path.removeprefix("/api/"), one.json) for one in heard]

    def _answer(self, heard: Heard) -> Answer:
        if heard.path == PATHS["pagerduty"]:
            return _said(_PAGERDUTY | {"dedup_key": heard.json["dedup_key"]}, 202)
        try:
            return self._judge(heard)
        except AssertionError as error:
            return Answer(400, body=str(error).encode())

    def _judge(self, heard: Heard) -> Answer:
        if heard.path.startswith("/api/chat."):
            return self._slack(heard)
        if heard.path == PATHS["telegram"]:
            judges.of_telegram(heard.json["text"])
            return _said({"ok": True, "result": {"message_id": 7}})
        if heard.path == PATHS["teams"]:
            judges.of_teams(heard.json)
            return Answer(202, body=b"")
        if heard.path == PATHS["discord"]:
            judges.of_discord(heard.json)
            return _said({"id": "7", "type": 0})
        return Answer()

    def _slack(self, heard: Heard) -> Answer:
        assert heard.headers["authorization"] == "Bearer xoxb-1"
        if len(self.slack()) == 1:
            asked = ("Retry-After", str(RETRY_AFTER))
            return Answer(429, (asked, *_JSON), b'{"ok":false,"error":"ratelimited"}')
        judges.of_slack(heard.json)
        return _said({"ok": True, "channel": SLACK_CHANNEL, "ts": SLACK_TS})


def _said(answer: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, _JSON, json.dumps(answer).encode())
