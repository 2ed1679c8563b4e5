"""What is made of settings by those who know more than `app.config`; each says which variable cannot be."""

from app.channels.egress import Egress
from app.config import Settings
from app.environment import ConfigError
from app.hooks import secrets
from app.hooks.secrets import Secrets


def egress(settings: Settings) -> Egress:
    """Where messages may go; raises `ConfigError`."""
    try:
        return Egress(settings.egress_allow)
    except ValueError as error:
        raise ConfigError("SENTINEL_EGRESS_ALLOW", str(error)) from None


def hook_secrets(settings: Settings) -> Secrets:
    """The secrets of each source of webhooks; raises `ConfigError`."""
    try:
        return secrets.read(settings.hook_secrets)
    except ValueError as error:
        raise ConfigError("SENTINEL_HOOK_SECRETS", str(error)) from None
