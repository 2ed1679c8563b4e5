"""The first step of every container of Sentinel: wait for what the command needs, then become it.

Containers come up in any order, alone or again after a crash, on engines with and without
`depends_on` conditions. So each waits by itself, here and nowhere else: for the secrets, the
database and a current schema. Redis is not waited for: Celery and Flower keep trying by themselves.

    entrypoint.py migrate          make the missing secrets, bring the schema up to date, end
    entrypoint.py COMMAND ...      wait until that has been done, then run COMMAND as this process
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, MutableMapping
from pathlib import Path

from app.cli.local import migrations
from app.cli.local.environment import slack
from app.cli.local.errors import LocalError
from app.config import Settings
from app.environment import ConfigError

PAUSE = 0.5
REMINDER = 10.0
INBOX = "inbox:8001"
FLOWER_AUTH = "FLOWER_BASIC_AUTH"
Env = MutableMapping[str, str]


def main(argv: list[str], env: Env) -> None:
    """Run `argv`, of which `migrate` is a word of our own."""
    # Process 1 ignores a SIGTERM that it has no handler for; `exec` sets the default again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if argv == ["migrate"]:
        migrate(env)
        return
    until("the secrets", lambda: all(file.exists() for file in generated(env)))
    complete(env)
    until("the schema", lambda: is_current(env))
    os.execvpe(argv[0], argv, env)  # noqa: S606 - the image's own command


def migrate(env: Env) -> None:
    """Make what the other containers wait for."""
    for file, make in generated(env).items():
        if not file.exists():
            write_once(file, make())
    until("the database", lambda: answers(env))
    # Alembic would stumble over the steps of a newer release, after which this one has come back.
    if is_current(env):
        return
    # Two of these that run at once wait for each other, by an advisory lock.
    subprocess.run(["flask", "--app", "wsgi", "db", "upgrade"], check=True)  # noqa: S607 - of the image


def generated(env: Env) -> dict[Path, Callable[[], str]]:
    """The files that hold secrets of our own making, and how each is made."""
    makers = {
        "SENTINEL_SECRET_KEY_FILE": lambda: urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        f"{FLOWER_AUTH}_FILE": lambda: f"sentinel:{secrets.token_urlsafe(15)}",
    }
    return {Path(env[name]): make for name, make in makers.items() if env.get(name)}


def write_once(file: Path, text: str) -> None:
    """Write all of `file` or nothing; one that somebody else has just made stays."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as out:
        out.write(text)
    try:
        os.link(fresh, file)
        say(f"made {file}")
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def complete(env: Env) -> None:
    """What a compose file cannot say: a choice that depends on another, a file that Flower cannot read."""
    if env.get("SENTINEL_INBOX") == "on":
        env.update(slack(INBOX, env))
    path = env.get(f"{FLOWER_AUTH}_FILE")
    if path and not env.get(FLOWER_AUTH):
        env[FLOWER_AUTH] = Path(path).read_text(encoding="utf-8").strip()


def is_current(env: Env) -> bool:
    """Whether nothing is to be migrated; raises `LocalError` while the database does not answer."""
    return migrations.is_current(Settings.from_env(env).database_url)


def answers(env: Env) -> bool:
    """Whether the database takes connections; raises `LocalError` while it does not."""
    is_current(env)
    return True


def until(what: str, done: Callable[[], bool]) -> None:
    """Wait for `what`, as long as it takes, and say so now and then."""
    remind_at = 0.0
    while True:
        problem = ""
        try:
            if done():
                return
        except LocalError as error:
            problem = f": {error}"
        if time.monotonic() >= remind_at:
            say(f"waiting for {what}{problem}")
            remind_at = time.monotonic() + REMINDER
        time.sleep(PAUSE)


def say(text: str) -> None:
    """One line for the container's log."""
    print(f"sentinel: {text}", file=sys.stderr, flush=True)  # noqa: T201 - there is no other log yet


if __name__ == "__main__":
    try:
        main(sys.argv[1:], os.environ)
    except ConfigError as error:
        sys.exit(f"sentinel: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
