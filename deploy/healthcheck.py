"""Whether this container does its work: the command of its health check.

    healthcheck.py api                      an event that is POSTed now would be accepted
    healthcheck.py worker NAME              the worker NAME@host has written its sign of life
    healthcheck.py http PORT/PATH           whatever listens there answers 2xx

A worker is judged by what it wrote to the database, not by its answer to `celery inspect ping`:
that would load all of Sentinel every few seconds, and a worker whose sweep has stopped would pass.
Where the database does not answer or takes no writes, nobody can show himself: Kubernetes would start all workers
again and again, and let them wait up to five minutes when it is back.
"""

import os
import socket
import sys
import urllib.request

SECONDS = 4
SIGN_OF_LIFE = """
    SELECT seen_at > now() - interval '15 seconds' OR current_setting('transaction_read_only') = 'on'
    FROM workers WHERE name = %s
"""


def main(argv: list[str]) -> bool:
    """Whether the check of `argv` passes."""
    match argv:
        case ["api"]:
            return answers(f"{os.environ.get('SENTINEL_PORT') or 8000}/readyz")
        case ["http", address]:
            return answers(address)
        case ["worker", name]:
            return is_alive(f"{name}@{socket.gethostname()}")
        case _:
            raise SystemExit(__doc__)


def answers(address: str) -> bool:
    """Whether GET on a port of this container is answered 2xx."""
    with urllib.request.urlopen(f"http://127.0.0.1:{address}", timeout=SECONDS) as answer:
        return bool(answer.status < 300)


def is_alive(worker: str) -> bool:
    """Whether that worker has shown itself of late, or could not have."""
    # Only here, so that the other checks stay cheap.
    import psycopg

    from app.config import Settings

    url = Settings.from_env().database_url.replace("+psycopg", "", 1)
    try:
        with psycopg.connect(url, connect_timeout=SECONDS) as connection:
            return connection.execute(SIGN_OF_LIFE, [worker]).fetchone() == (True,)
    except psycopg.OperationalError as error:
        sys.stderr.write(f"sentinel: the database does not answer: {error}\n")
        return True


if __name__ == "__main__":
    try:
        sys.exit(not main(sys.argv[1:]))
    except OSError as error:
        sys.exit(f"sentinel: {error}")
