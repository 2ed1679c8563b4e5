"""Whether a Sentinel is ready, by its own word, and what it says is missing."""

import http.client
import json

from app.cli.local.environment import Ports
from app.cli.local.services import EVENTS, NOTIFICATIONS

SECONDS = 3


class Readiness:
    """`/readyz` of one API, asked again and again."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._missing: list[str] = ["the API"]

    def __str__(self) -> str:
        return f"Sentinel (still missing: {', '.join(self._missing) or 'nothing'})"

    def reached(self) -> bool:
        """Whether it is ready now, both workers included."""
        host = self._ports.reachable.strip("[]")
        connection = http.client.HTTPConnection(host, self._ports.api, timeout=SECONDS)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        workers = body.get("components", {}).get("workers", {})
        idle = [f"the {name} worker" for name in (EVENTS, NOTIFICATIONS) if not workers.get(name)]
        self._missing = [*map(str, body.get("down", [])), *idle]
        return answer.status == http.client.OK and not idle
