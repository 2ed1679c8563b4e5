"""`SENTINEL_HOOK_SECRETS`: `github=…,stripe=…`; a source that is named again has one more, valid as well."""

from collections.abc import Mapping

from app.hooks import registry

Secrets = Mapping[str, tuple[str, ...]]


def read(items: tuple[str, ...]) -> Secrets:
    """The secrets of each source; raises `ValueError`, which never repeats a secret."""
    found: dict[str, tuple[str, ...]] = {}
    for number, item in enumerate(items, start=1):
        name, _, secret = (part.strip() for part in item.partition("="))
        if not secret or name not in registry.names():
            known = ", ".join(registry.names())
            raise ValueError(f"item {number} is no source=secret; the sources are {known}")
        try:
            registry.get(name).check_secret(secret)
        except ValueError as error:
            raise ValueError(f"item {number}, of {name}: {error}") from None
        found[name] = (*found.get(name, ()), secret)
    return found
