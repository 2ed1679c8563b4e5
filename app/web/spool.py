"""Bodies that are too large for memory wait in a file, which has no name and goes when it is closed."""

from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Protocol

import structlog
from werkzeug.exceptions import ServiceUnavailable

log = structlog.get_logger()

# Bodies above this are batches, and go to a file.
SMALL: Final = 262_144
PIECE: Final = 262_144
RETRY_AFTER: Final = 5


class Stream(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """So many of them at most; none at the end."""


def spool(stream: Stream, limit: int) -> IO[bytes]:
    """What a stream gives, at most `limit` bytes, to be read from its beginning.

    Raises what reading raises, and `ServiceUnavailable` where there is no room.
    """
    file = SpooledTemporaryFile(max_size=SMALL)  # noqa: SIM115 - who reads it closes it
    left = limit
    try:
        while left > 0 and (piece := stream.read(min(PIECE, left))):
            _write(file, piece)
            left -= len(piece)
    except Exception:  # whatever it was, nobody will read the file
        with suppress(OSError):
            file.close()
        raise
    file.seek(0)
    return file


def is_spool(stream: object) -> bool:
    """Whether a stream is a body that has arrived."""
    return isinstance(stream, SpooledTemporaryFile)


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
        # What is left in a buffer could not be refused any more.
        file.flush()
    except OSError as error:
        log.error("no_room_for_a_body", error=str(error))
        raise ServiceUnavailable(
            "there is no room here for a body of this size now", retry_after=RETRY_AFTER
        ) from error
