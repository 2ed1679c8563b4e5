"""A typed client of the HTTP API, for the command line."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import requests

TIMEOUT: Final = 30
LONGEST_PAGE: Final = 500


class ApiError(Exception):
    """What the API refused, in its own words; `status` is 0 when it did not answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


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

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # Neither a proxy nor a netrc of the caller's machine has a say in where a key is sent.
        self._session.trust_env = False
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Client":
        """`SENTINEL_URL` and `SENTINEL_API_KEY`."""
        return cls(env.get("SENTINEL_URL", "http://localhost:8000"), env.get("SENTINEL_API_KEY"))

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
                raise ApiError(404, f"there is no rule {name!r}")

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
    ) -> dict[str, Any]:
        try:
            answer = self._session.request(
                method, self._url + path, json=body, params=cast(Any, params), timeout=TIMEOUT
            )
            found = answer.json()
        except requests.JSONDecodeError:
            raise ApiError(answer.status_code, f"{self._url} answered with no JSON") from None
        except requests.RequestException:
            raise ApiError(0, f"{self._url} does not answer; is it running?") from None
        if not answer.ok:
            raise ApiError(answer.status_code, str(found.get("detail", answer.reason)))
        return dict(found)


def _key(found: Mapping[str, Any]) -> KeyInfo:
    return KeyInfo(
        id=found["id"],
        name=found["name"],
        prefix=found["prefix"],
        scopes=tuple(found["scopes"]),
        created_at=found["created_at"],
        revoked_at=found["revoked_at"],
    )
