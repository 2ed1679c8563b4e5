"""Redis Streams: a consumer group, whose messages are acknowledged after their commit."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError, ResponseError

from app.streams.source import (
    BYTES_AT_ONCE,
    FIRST_AT_ONCE,
    WAIT_SECONDS,
    Dead,
    Message,
    Run,
    Source,
    SourceError,
    reason,
)

# A message that somebody took this long ago and did not finish is taken over.
IDLE_MS: Final = 30_000
CLAIM_EVERY: Final = 10.0
# A batch comes in a few pieces, not in dozens.
READ_BYTES: Final = 1 << 20
FIELDS: Final = (b"event", b"data")
PAIR: Final = 2

# As the server sends it: its id, then names and values in turn.
Entry = tuple[bytes, Sequence[bytes] | None]


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
            socket_read_size=READ_BYTES,
        )
        for command in ("XREADGROUP", "XAUTOCLAIM"):
            # The client's way to make dicts of entries costs as much as all other reading.
            self._redis.set_response_callback(command, _as_sent)
        self._claimed_at = -CLAIM_EVERY
        self._claim_from: bytes | str = "0-0"
        self._joined = False

    def read(self, most: int) -> Sequence[Run]:
        try:
            if not self._joined:
                self._join()
            claimed = self._claim(most) if self._may_claim() else []
            # Taken over from here and there: others may stand between any two.
            return [self._run([entry]) for entry in claimed] or self._gather(most)
        except ResponseError as error:
            # The stream or its group is gone, with a FLUSHALL for instance.
            self._joined = False
            raise SourceError(str(error)) from error
        except RedisError as error:
            raise SourceError(str(error)) from error

    def bury(self, dead: Sequence[Dead]) -> None:
        # One word to the server for all of them: it may be far away, and a batch may have thousands.
        pipe = self._redis.pipeline(transaction=False)
        for _, message, why in dead:
            fields = {
                "reason": reason(why),
                "code": why.code,
                "stream": self._stream,
                "id": message.place,
                "event": message.raw or b"",
            }
            pipe.xadd(self._dead, fields)
        try:
            # What it would raise itself has the message in it, which is not for the log.
            answers = pipe.execute(raise_on_error=False)
        except RedisError as error:
            raise SourceError(str(error)) from error
        for answer in answers:
            if isinstance(answer, RedisError):
                raise SourceError(str(answer)) from answer

    def finish(self, runs: Sequence[Run]) -> None:
        ids = [message.place for run in runs for message in run.messages]
        self._call("xack", self._stream, self._group, *ids)

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
        # Before Redis 7 there is nothing where an entry was deleted.
        return [entry for entry in answer[1] if entry]

    def _gather(self, most: int) -> list[Run]:
        """What nobody has read yet, in pieces: the server bounds them by their number alone, and entries may grow."""
        runs: list[Run] = []
        size = 0
        while size < BYTES_AT_ONCE and most > 0:
            entries = self._next(min(FIRST_AT_ONCE, most), wait=not runs)
            if entries:
                runs.append(self._run(entries))
                size += sum(len(message.raw or b"") for message in runs[-1].messages)
            if len(entries) < FIRST_AT_ONCE:
                break
            most -= len(entries)
        return runs

    def _run(self, entries: Sequence[Entry]) -> Run:
        return Run(self.name, [_message(entry) for entry in entries])

    def _next(self, most: int, wait: bool) -> list[Entry]:
        streams = self._redis.xreadgroup(
            self._group,
            self._consumer,
            {self._stream: ">"},
            count=most,
            block=int(WAIT_SECONDS * 1000) if wait else None,
        )
        if isinstance(streams, dict):
            streams = list(streams.items())
        return cast(list[Entry], streams[0][1] if streams else [])

    def _call(self, command: str, *words: Any, **options: Any) -> Any:
        try:
            return getattr(self._redis, command)(*words, **options)
        except RedisError as error:
            raise SourceError(str(error)) from error


def _as_sent(answer: Any, **_: Any) -> Any:
    return answer


def _message(entry: Entry) -> Message:
    """The event is in the field `event` or `data`, or in the only field there is."""
    place, fields = entry
    if fields and len(fields) == PAIR:
        return Message(place, fields[1])
    named = dict(zip((fields or ())[::PAIR], (fields or ())[1::PAIR], strict=True))
    return Message(place, next((named[name] for name in FIELDS if name in named), None))
