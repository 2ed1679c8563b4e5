"""The environment that the processes of a local Sentinel get: the caller's, completed."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from app.cli.local.errors import LocalError
from app.cli.local.home import CHECKOUT, Home
from app.cli.local.postgres import Postgres
from app.cli.local.process import MARK
from app.cli.local.redis import Redis

LOOPBACK = "127.0.0.1"
LOCAL_TOKEN = "xoxb-local-inbox"  # noqa: S105 - the inbox takes any


@dataclass(frozen=True)
class Ports:
    """Where the processes listen; all but the API on loopback only."""

    api: int
    inbox: int
    host: str = LOOPBACK

    @property
    def url(self) -> str:
        """The API as seen from this machine."""
        return f"http://{'localhost' if is_loopback(self.host) else self.reachable}:{self.api}"

    @property
    def reachable(self) -> str:
        """An address of the API that can be connected to, also when it listens on all."""
        if self.host in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - compared, not bound
            return LOOPBACK
        return f"[{self.host.strip('[]')}]" if ":" in self.host else self.host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_set(name: str, env: Mapping[str, str]) -> bool:
    """Whether a variable, or the file that may hold it, is given."""
    return bool(env.get(name) or env.get(f"{name}_FILE"))


def auth(host: str, env: Mapping[str, str]) -> str:
    """`off` on loopback unless asked for otherwise; never `off` where others can connect."""
    wanted = env.get("SENTINEL_AUTH") or ("off" if is_loopback(host) else "keys")
    if wanted == "off" and not is_loopback(host):
        raise LocalError(
            f"SENTINEL_AUTH=off is refused on {host}, which others can reach. "
            "Leave it out to use keys, or listen on 127.0.0.1."
        )
    return wanted


def common(home: Home, env: Mapping[str, str]) -> dict[str, str]:
    """What every child gets."""
    return {
        **env,
        MARK: str(home.path),
        "SENTINEL_HOME": str(home.path),
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
    }


def complete(
    home: Home, ports: Ports, given: Mapping[str, str], database_url: str, redis_url: str
) -> dict[str, str]:
    """What Sentinel's own processes get; the inbox is Slack unless there is a real one."""
    env = common(home, given)
    if not is_set("DATABASE_URL", env):
        env["DATABASE_URL"] = database_url
    if not is_set("REDIS_URL", env):
        env["REDIS_URL"] = redis_url
    if not is_set("SENTINEL_SECRET_KEY", env):
        env["SENTINEL_SECRET_KEY"] = home.secret("secret_key")
    inbox = f"{LOOPBACK}:{ports.inbox}"
    allowed = [*filter(None, [env.get("SENTINEL_EGRESS_ALLOW")]), inbox]
    env |= {
        "SENTINEL_HOST": ports.host,
        "SENTINEL_PORT": str(ports.api),
        "SENTINEL_AUTH": auth(ports.host, env),
        # The page asks for no key, so it is for this machine alone.
        "SENTINEL_INBOX": "on" if is_loopback(ports.host) else "off",
        "SENTINEL_EGRESS_ALLOW": ",".join(allowed),
    }
    return env | (slack(inbox, env) if is_loopback(ports.host) else {})


def for_commands(given: Mapping[str, str]) -> dict[str, str]:
    """What a command of this machine gets that works beside `up`: the caller's, completed by what the home has."""
    env = with_servers(given)
    if not is_set("SENTINEL_SECRET_KEY", env):
        env["SENTINEL_SECRET_KEY"] = Home.from_env().secret("secret_key")
    return env


def with_servers(given: Mapping[str, str]) -> dict[str, str]:
    """The caller's, completed by the embedded servers; nothing is made."""
    home = Home.from_env()
    env = dict(given)
    if not is_set("DATABASE_URL", env):
        env["DATABASE_URL"] = Postgres(home).url()
    if not is_set("REDIS_URL", env):
        env["REDIS_URL"] = Redis(home).url
    return env


def slack(inbox: str, env: Mapping[str, str]) -> dict[str, str]:
    """What makes the receiver at `inbox` Slack, unless `env` has a real one."""
    if is_set("SLACK_BOT_TOKEN", env) or is_set("SLACK_WEBHOOK_URL", env):
        return {}
    return {"SLACK_BOT_TOKEN": LOCAL_TOKEN, "SLACK_API_URL": f"http://{inbox}/api/"}
