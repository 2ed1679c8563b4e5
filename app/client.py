"""A typed client of the HTTP API, for the command line."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

TIMEOUT: Final = 30


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

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=TIMEOUT)
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
