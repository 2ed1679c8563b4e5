"""A typed client of the HTTP API, for the command line."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import requests

TIMEOUT: Final = 30
LONGEST_PAGE: Final = 500


LIVE: Final = "live"
OFF: Final = "off"


class ApiError(Exception):
    """What the API refused, in its own words, and where; `status` is 0 when it did not answer."""

    def __init__(self, status: int, detail: str, pointers: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.pointers = pointers


@dataclass(frozen=True)
class RuleInfo:
    """A rule in its current version."""

    id: str
    name: str
    dsl: str
    description: str
    tags: tuple[str, ...]
    mode: str
    noise_budget: int | None
    tests: str
    version: int
    has_modes: bool  # whether the API speaks of modes, and not only of enabled or not


@dataclass(frozen=True)
class KeyInfo:
    """An API key without its secret."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: str
    revoked_at: str | None


class Client:
    """Calls one Sentinel, with one key."""

    def __init__(self, url: str, key: str | None = None, seconds: float = TIMEOUT) -> None:
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._session = requests.Session()
        # Neither a proxy nor a netrc of the caller's machine has a say in where a key is sent.
        self._session.trust_env = False
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def create_key(self, name: str, scopes: tuple[str, ...]) -> tuple[KeyInfo, str]:
        """A new key and its text; raises `ApiError`."""
        made = self._call("POST", "/keys", {"name": name, "scopes": list(scopes)})
        return _key(made), str(made["key"])

    def keys(self) -> list[KeyInfo]:
        """All keys, also those revoked; raises `ApiError`."""
        return [_key(found) for found in self._call("GET", "/keys")["data"]]

    def revoke_key(self, key_id: str) -> KeyInfo:
        """End a key at once; raises `ApiError`."""
        return _key(self._call("DELETE", f"/keys/{key_id}"))

    def ready(self) -> tuple[dict[str, Any], datetime | None]:
        """The state of each component, and the server's clock where it tells; raises `ApiError`."""
        answer = self._answer("GET", "/readyz", fine=HTTPStatus.SERVICE_UNAVAILABLE)
        found, told = answer.json(), answer.headers.get("Date")
        if "components" not in found:
            raise ApiError(answer.status_code, self._is_another())
        return found["components"], parsedate_to_datetime(told) if told else None

    def channels(self) -> list[dict[str, Any]]:
        """All channels; raises `ApiError`."""
        return list(self._call("GET", "/channels")["data"])

    def channel(self, name: str) -> dict[str, Any]:
        """A channel by `name` or `kind:name`, and how its receiver is doing; raises `ApiError`."""
        return self._call("GET", _channel(name))

    def create_channel(self, wish: Mapping[str, object]) -> dict[str, Any]:
        """A new channel, with the secrets that were made for it; raises `ApiError`."""
        return self._call("POST", "/channels", dict(wish))

    def change_channel(self, name: str, changes: Mapping[str, object]) -> dict[str, Any]:
        """A channel with some fields changed; raises `ApiError`."""
        return self._call("PATCH", _channel(name), dict(changes))

    def delete_channel(self, name: str) -> None:
        """End a channel; raises `ApiError`."""
        self._call("DELETE", _channel(name))

    def test_channel(self, name: str) -> dict[str, Any]:
        """What a channel's receiver answered to a message sent now; raises `ApiError`."""
        return self._call("POST", f"{_channel(name)}/test")

    def rules(self, limit: int = sys.maxsize) -> list[RuleInfo]:
        """All rules, oldest first; raises `ApiError`."""
        return [_rule(found) for found in self._newest("/rules", limit, {})]

    def create_rule(self, wish: Mapping[str, object]) -> RuleInfo:
        """A new rule; raises `ApiError`."""
        return _rule(self._call("POST", "/rules", dict(wish)))

    def change_rule(self, old: RuleInfo, changes: Mapping[str, object]) -> RuleInfo:
        """A rule with some fields changed, unless it is no longer what it was; raises `ApiError`."""
        headers = {"If-Match": self._etag(old)}
        return _rule(self._call("PATCH", f"/rules/{old.id}", dict(changes), headers=headers))

    def delete_rule(self, old: RuleInfo) -> None:
        """End a rule, unless it is no longer what it was; raises `ApiError`."""
        self._call("DELETE", f"/rules/{old.id}", headers={"If-Match": self._etag(old)})

    def move_rule(self, rule_id: str, verb: str) -> RuleInfo:
        """A rule after `promote` or `demote`; raises `ApiError`."""
        return _rule(self._call("POST", f"/rules/{rule_id}/{verb}"))

    def validate_rule(self, dsl: str) -> list[dict[str, Any]]:
        """What the server's checker says of a sentence, its channels included; raises `ApiError`."""
        return list(self._call("POST", "/rules/validate", {"dsl": dsl})["diagnostics"])

    def _etag(self, old: RuleInfo) -> str:
        """What the API calls the version that `old` was read from."""
        answer = self._answer("GET", f"/rules/{old.id}")
        if _rule(answer.json()) != old:
            raise ApiError(412, f"`{old.name}` was changed meanwhile; look again")
        return answer.headers["ETag"]

    def notifications(
        self, limit: int, *, status: str | None = None, channel: str | None = None
    ) -> list[dict[str, Any]]:
        """The newest notifications, `limit` at most; raises `ApiError`."""
        return self._newest("/notifications", limit, {"status": status, "channel": channel})

    def alerts(self, limit: int, **which: object) -> list[dict[str, Any]]:
        """The newest alerts that fit all that is said; raises `ApiError`."""
        return self._newest("/alerts", limit, which)

    def alert(self, alert_id: str) -> dict[str, Any]:
        """An alert with its history; raises `ApiError`."""
        return self._call("GET", f"/alerts/{alert_id}")

    def change_alert(self, alert_id: str, verb: str, said: Mapping[str, object]) -> dict[str, Any]:
        """The alert after `ack`, `snooze`, `reopen` or `resolve`; raises `ApiError`."""
        return self._call("POST", f"/alerts/{alert_id}/{verb}", dict(said))

    def silences(self, limit: int, *, state: str | None = None) -> list[dict[str, Any]]:
        """The newest silences; raises `ApiError`."""
        return self._newest("/silences", limit, {"state": state})

    def create_silence(self, wish: Mapping[str, object]) -> dict[str, Any]:
        """A new silence; raises `ApiError`."""
        return self._call("POST", "/silences", dict(wish))

    def expire_silence(self, silence_id: str) -> dict[str, Any]:
        """A silence that has ended now; raises `ApiError`."""
        return self._call("POST", f"/silences/{silence_id}/expire")

    def event(self, event_id: str) -> dict[str, Any]:
        """An event and its state; raises `ApiError`."""
        return self._call("GET", f"/events/{event_id}")

    def events(self, limit: int, **which: object) -> list[dict[str, Any]]:
        """The newest events that fit all that is said; raises `ApiError`."""
        return self._newest("/events", limit, which)

    def settled(self) -> str:
        """A time before which no event is still being stored by now; raises `ApiError`."""
        return str(self._call("GET", "/events", params={"limit": 1})["settled"])

    def trace(self, event_id: str) -> dict[str, Any]:
        """All that an event has caused; raises `ApiError`."""
        return self._call("GET", f"/events/{event_id}/trace")

    def explain(self, event_id: str, limit: int, rule_id: str | None = None) -> dict[str, Any]:
        """Why a rule, or each, did or did not fire on an event; raises `ApiError`."""
        asked = {"rule": rule_id, "limit": limit}
        return self._call("GET", f"/events/{event_id}/explain", params=asked)

    def replay(self, event_id: str) -> dict[str, Any]:
        """The event that repeats another; raises `ApiError`."""
        return self._call("POST", f"/events/{event_id}/replay")

    def replay_many(self, wish: Mapping[str, object]) -> dict[str, Any]:
        """Accept a selection of events anew, as many as one call does; raises `ApiError`."""
        return self._call("POST", "/events/replay", dict(wish))

    def send(self, event: Mapping[str, object]) -> dict[str, Any]:
        """The acceptance of one event; raises `ApiError`."""
        return self._call("POST", "/events", dict(event))

    def send_lines(self, lines: bytes) -> dict[str, Any]:
        """Which events of NDJSON were accepted, and what is wrong with the others; raises `ApiError`."""
        answer = self._answer("POST", "/events", lines, fine=HTTPStatus.UNPROCESSABLE_ENTITY)
        found = dict(answer.json())
        # Where none is good the batch is refused whole, with the same to say of each.
        if not answer.ok and not (
            found["errors"] and all("index" in one for one in found["errors"])
        ):
            raise ApiError(answer.status_code, _said(found, answer.reason))
        return {"ids": [], **found}

    def deliver(self, source: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """What became of a webhook, sent as its source would send it; raises `ApiError`."""
        return self._call("POST", f"/hooks/{source}", body, headers=headers)

    def scorecard(self, rule_id: str, *, days: int | None = None) -> dict[str, Any]:
        """How a rule did in the last days; raises `ApiError`."""
        return self._call("GET", f"/rules/{rule_id}/scorecard", params={"days": days})

    def fields(self, *, type_: str | None = None) -> dict[str, Any]:
        """The fields of the newest events, of one type or of all; raises `ApiError`."""
        return self._call("GET", "/fields", params={"type": type_})

    def rule_id(self, name: str) -> str:
        """The id of the rule of a name, or of that id; raises `ApiError`."""
        after = None
        while True:
            asked = {"after": after, "limit": LONGEST_PAGE}
            page = self._call("GET", "/rules", params=asked)
            for rule in page["data"]:
                if name in (rule["name"], rule["id"]):
                    return str(rule["id"])
            after = page["next"]
            if after is None:
                raise ApiError(
                    404, f"there is no rule {name!r}; a deleted one is asked for by its id"
                )

    def start_backtest(self, rule_id: str | None, wish: Mapping[str, object]) -> dict[str, Any]:
        """A new backtest of a rule, or of the `dsl` in the wish; raises `ApiError`."""
        path = f"/rules/{rule_id}/backtest" if rule_id else "/rules/backtest"
        return self._call("POST", path, dict(wish))

    def start_difference(self, rule_id: str, wish: Mapping[str, object]) -> dict[str, Any]:
        """A new backtest of two versions of a rule; raises `ApiError`."""
        return self._call("POST", f"/rules/{rule_id}/diff", dict(wish))

    def backtest(self, backtest_id: str) -> dict[str, Any]:
        """A backtest as it stands; raises `ApiError`."""
        return self._call("GET", f"/backtests/{backtest_id}")

    def cancel_backtest(self, backtest_id: str) -> dict[str, Any]:
        """A backtest that has ended now; raises `ApiError`."""
        return self._call("POST", f"/backtests/{backtest_id}/cancel")

    def retry_notifications(self, which: Mapping[str, object]) -> int:
        """Try all dead letters that fit again, batch by batch; how many there were. Raises `ApiError`."""
        retried = 0
        while True:
            answer = self._call("POST", "/notifications/retry", which)
            retried += int(answer["retried"])
            if not answer["more"]:
                return retried
            # What has died again meanwhile would be taken again, before what is newer, without an end.
            which = {**which, "died_before": answer["died_before"]}

    def _newest(self, path: str, limit: int, which: Mapping[str, object]) -> list[dict[str, Any]]:
        """The first pages of a list, as many as it takes."""
        found: list[dict[str, Any]] = []
        after = None
        while len(found) < limit:
            asked = {**which, "after": after, "limit": min(limit - len(found), LONGEST_PAGE)}
            page = self._call("GET", path, params=asked)
            found += page["data"]
            after = page["next"]
            if after is None:
                break
        return found

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        answer = self._answer(method, path, body, params, headers)
        return {} if answer.status_code == HTTPStatus.NO_CONTENT else dict(answer.json())

    def _answer(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        fine: int | None = None,
    ) -> requests.Response:
        sent: dict[str, Any] = {"json": body, "headers": headers}
        if isinstance(body, bytes):
            kind = {"content-type": "application/x-ndjson"}
            sent = {"data": body, "headers": {**kind, **(headers or {})}}
        try:
            answer = self._session.request(
                method, self._url + path, params=cast(Any, params), timeout=self._seconds, **sent
            )
            found = {} if answer.status_code == HTTPStatus.NO_CONTENT else answer.json()
        except requests.JSONDecodeError:
            raise ApiError(answer.status_code, f"{self._url} answered with no JSON") from None
        except requests.exceptions.InvalidJSONError:
            raise ApiError(0, "JSON has no NaN and no Infinity; a number is finite") from None
        except requests.exceptions.InvalidURL:
            raise ApiError(0, f"{self._url!r} is no address of a server") from None
        except requests.RequestException:
            raise ApiError(0, f"{self._url} does not answer; is it running?") from None
        if not isinstance(found, dict):
            raise ApiError(answer.status_code, self._is_another())
        if not answer.ok and answer.status_code != fine:
            pointers = tuple(str(each["pointer"]) for each in found.get("errors", ()))
            raise ApiError(answer.status_code, _said(found, answer.reason), pointers)
        return answer

    def _is_another(self) -> str:
        return f"{self._url} is no Sentinel, or something before it"


def _channel(name: str) -> str:
    # As a part of a path these would lead elsewhere; no channel has such a name.
    if name in ("", ".", ".."):
        raise ApiError(404, f"there is no channel {name!r}")
    return f"/channels/{quote(name, safe=':')}"


def _said(found: Mapping[str, Any], otherwise: str) -> str:
    """The problem in words: each error by itself where the document's detail is a summary."""
    detail = str(found.get("detail", otherwise))
    details = [str(each["detail"]) for each in found.get("errors", ())]
    return detail if not details or "; ".join(details) in detail else "\n".join([detail, *details])


def _rule(found: Mapping[str, Any]) -> RuleInfo:
    return RuleInfo(
        id=found["id"],
        name=found["name"],
        dsl=found["dsl"],
        description=found["description"],
        tags=tuple(found["tags"]),
        mode=str(found.get("mode") or (LIVE if found["enabled"] else OFF)),
        noise_budget=found.get("noise_budget"),
        tests=found["tests"],
        version=found["version"],
        has_modes="mode" in found,
    )


def standing(mode: str, noise_budget: int | None, *, has_modes: bool) -> dict[str, object]:
    """How a wish says in which mode a rule is to be, and how loud: to an API that knows no modes, as far as it goes."""
    budget = {"noise_budget": noise_budget} if has_modes or noise_budget else {}
    if has_modes or mode not in (LIVE, OFF):
        return {"mode": mode, **budget}
    return {"enabled": mode == LIVE, **budget}


def _key(found: Mapping[str, Any]) -> KeyInfo:
    return KeyInfo(
        id=found["id"],
        name=found["name"],
        prefix=found["prefix"],
        scopes=tuple(found["scopes"]),
        created_at=found["created_at"],
        revoked_at=found["revoked_at"],
    )
