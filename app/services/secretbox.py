"""Secrets at rest: a JSON object in a Fernet token, under the newest of the configured keys."""

import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class SecretsUnreadable(Exception):
    """No configured key opens these secrets: SENTINEL_SECRET_KEY has lost the one that closed them."""


def seal(keys: Sequence[str], secrets: dict[str, Any]) -> bytes:
    """Encrypt under the first key."""
    return _box(keys).encrypt(json.dumps(secrets).encode())


def unseal(keys: Sequence[str], token: bytes) -> dict[str, Any]:
    """Decrypt with whichever key fits; raises `SecretsUnreadable`."""
    try:
        opened: dict[str, Any] = json.loads(_box(keys).decrypt(token))
    except InvalidToken:
        raise SecretsUnreadable from None
    return opened


def _box(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
