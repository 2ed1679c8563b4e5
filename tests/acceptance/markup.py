"""A stack with one of everything that the console shows; each text would be a script if it were not escaped."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack

IMAGE: Final = "<img src=x onerror=window.hacked=1>"
TEXTS: Final = (
    IMAGE,
    "<script>window.hacked=1</script>",
    '"><svg onload=window.hacked=1>',
    "'-window.hacked=1-'",
    "javascript:window.hacked=1",
    "</textarea></template></pre><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "{{ 7 * 7 }}${window.hacked=1}",
)
# No script of ours makes these, and no template has them; the editor has pictures of nothing beside its widgets.
MADE: Final = "img:not(.cm-widgetBuffer), iframe, svg[onload], [onerror], a[href^='javascript:'], script:not([nonce])"
KIND: Final = f"order {IMAGE}"
WORDS: Final = json.dumps(" ".join(TEXTS))


def event(number: int = 0, **more: Any) -> dict[str, Any]:
    """An event whose type, keys and values are markup."""
    texts = {text: [text, {text: text}] for text in TEXTS}
    return {"type": KIND, "number": number, "user": IMAGE, IMAGE: 750, "texts": texts} | more


def fill(stack: Stack) -> None:
    """One of everything, through the API; returns when nothing is on its way any more."""
    stack.receiver.answer = lambda heard: Answer(
        400 if heard.path == "/refuses" else 200, body=" ".join(TEXTS).encode()
    )
    channel(stack, IMAGE, "/hears")
    channel(stack, f"{IMAGE} refuses", "/refuses")
    for number, dsl in enumerate(sentences()):
        rule(stack, f"Rule {number} {TEXTS[number % len(TEXTS)]}", dsl)
    rule(stack, f"In shadow {IMAGE}", sentences()[0], mode="shadow")
    rule(stack, f"Off {IMAGE}", sentences()[0], mode="off")
    done(
        stack.post(
            "/silences",
            {"condition": f"user == {json.dumps(TEXTS[1])}", "for": "1h", "comment": WORDS},
        )
    )
    done(stack.post("/keys", {"name": IMAGE, "scopes": ["ingest"]}))
    for number in range(4):
        done(stack.post("/events", event(number)))
    done(stack.post("/events", event(9, user=TEXTS[1])))
    done(stack.post("/events", {"type": "heartbeat", "host": "db-1"}))
    stack.eventually(lambda: settled(stack))
    first = stack.get("/alerts").json()["data"][0]["id"]
    done(stack.post(f"/alerts/{first}/ack", {"comment": WORDS}))
    done(stack.post(f"/channels/{quote(IMAGE)}/test"))
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    done(stack.post("/rules/backtest", {"dsl": sentences()[2], "since": since}))


def sentences() -> list[str]:
    """A rule without memory, one that holds back, one with a window by key, and one whose receiver refuses."""
    where = f"when type == {json.dumps(KIND)} and user == {json.dumps(IMAGE)}"
    to = f"then notify({json.dumps('webhook:' + IMAGE)}) message {WORDS}"
    return [
        f"{where} {to} severity critical",
        f"{where} {to} throttle 1 per 1h by user",
        f"{where} and count() over 5m by user >= 2 {to}",
        f"{where} then notify({json.dumps(f'webhook:{IMAGE} refuses')}) message {WORDS}",
        f"when user == {json.dumps(TEXTS[1])} {to}",
    ]


def channel(stack: Stack, name: str, path: str) -> None:
    """A webhook to the stack's receiver."""
    config = {"url": stack.receiver.url + path}
    done(stack.post("/channels", {"name": name, "kind": "webhook", "config": config}))


def rule(stack: Stack, name: str, dsl: str, **more: Any) -> str:
    """A rule's id."""
    made = {"name": name, "dsl": dsl, "description": IMAGE, "tags": [IMAGE], **more}
    return str(done(stack.post("/rules", made))["id"])


def done(answer: Any) -> Any:
    """What an answer says, where all is well."""
    assert answer.status_code < 300, answer.text
    return answer.json()


def settled(stack: Stack) -> bool:
    """Whether nothing waits: neither an event nor a notification."""
    waiting = "SELECT (SELECT count(*) FROM pending_events) + count(*) FROM notifications WHERE status = 'pending'"
    return stack.sql(waiting) == [(0,)]
