"""Redis Streams: a consumer group, whose messages are acknowledged after their commit."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError, ResponseError

from app.services.errors import Refusal
from app.streams.source import WAIT_SECONDS, Message, Source, SourceError

# A message that somebody took this long ago and did not finish is taken over.
IDLE_MS: Final = 30_000
CLAIM_EVERY: Final = 10.0
FIELDS: Final = (b"event", b"data")

Entry = tuple[bytes, Mapping[bytes, bytes] | None]


class RedisSource(Source):
    """One consumer of `group` on `stream`; what is dead goes to the stream `dead`."""

    kind = "redis"

    def __init__(self, url: str, stream: str, group: str, dead: str) -> None:
        self.name = f"redis:{stream}"
        self._stream, self._group, self._dead = stream, group, dead
        self._consumer = f"{socket.gethostname()}-{os.getpid()}"
        self._redis: Any = redis.Redis.from_url(
            url,
            socket_timeout=WAIT_SECONDS + 5,
            socket_connect_timeout=2,
            health_check_interval=25,
        )
        self._claimed_at = -CLAIM_EVERY
        self._claim_from: bytes | str = "0-0"
        self._joined = False

    def read(self, most: int) -> Sequence[Message]:
        try:
            if not self._joined:
                self._join()
            entries = self._claim(most) if self._may_claim() else []
            return [_message(entry) for entry in entries or self._next(most)]
        except ResponseError as error:
            # The stream or its group is gone, with a FLUSHALL for instance.
            self._joined = False
            raise SourceError(str(error)) from error
        except RedisError as error:
            raise SourceError(str(error)) from error

    def bury(self, message: Message, why: Refusal) -> None:
        fields = {
            "reason": why.detail,
            "code": why.code,
            "stream": self._stream,
            "id": message.position,
            "event": message.raw or b"",
        }
        self._call("xadd", self._dead, fields)

    def finish(self, messages: Sequence[Message]) -> None:
        if messages:
            self._call("xack", self._stream, self._group, *(one.position for one in messages))

    def lag(self) -> int:
        for group in cast(list[dict[str, Any]], self._call("xinfo_groups", self._stream)):
            if group["name"] == self._group.encode():
                # Redis does not know it after entries were deleted from the middle.
                return int(group["pending"]) + int(group.get("lag") or 0)
        return 0

    def close(self) -> None:
        mine = self._call(
            "xpending_range", self._stream, self._group, "-", "+", 1, consumername=self._consumer
        )
        if not mine:
            self._call("xgroup_delconsumer", self._stream, self._group, self._consumer)
        self._redis.close()

    def _join(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._joined = True

    def _may_claim(self) -> bool:
        """While there is more to take over, and else now and then."""
        return self._claim_from != "0-0" or time.monotonic() - self._claimed_at > CLAIM_EVERY

    def _claim(self, most: int) -> list[Entry]:
        self._claimed_at = time.monotonic()
        answer = self._redis.xautoclaim(
            self._stream,
            self._group,
            self._consumer,
            IDLE_MS,
            self._claim_from,
            count=most,
        )
        following = answer[0]
        self._claim_from = "0-0" if following == b"0-0" else following
        return cast(list[Entry], answer[1])

    def _next(self, most: int) -> list[Entry]:
        streams = self._redis.xreadgroup(
            self._group,
            self._consumer,
            {self._stream: ">"},
            count=most,
            block=int(WAIT_SECONDS * 1000),
        )
        entries = streams[0][1] if isinstance(streams, list) and streams else []
        if isinstance(streams, dict) and streams:
            entries = next(iter(streams.values()))[0]
        return cast(list[Entry], entries)

    def _call(self, command: str, *words: Any, **options: Any) -> Any:
        try:
            return getattr(self._redis, command)(*words, **options)
        except RedisError as error:
            raise SourceError(str(error)) from error


def _message(entry: Entry) -> Message:
    """The event is in the field `event` or `data`, or in the only field there is."""
    position, fields = entry
    fields = fields or {}
    raw = next((fields[name] for name in FIELDS if name in fields), None)
    if raw is None and len(fields) == 1:
        raw = next(iter(fields.values()))
    return Message(position.decode(), raw)
