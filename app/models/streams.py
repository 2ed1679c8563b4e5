"""Outside streams: messages that were taken, so that each is taken once, and how far behind we are."""

from decimal import Decimal

from sqlalchemy import BigInteger, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Moment


class StreamRange(Base):
    """Messages of a log that were taken together: all that it has from the number `low` to `high`.

    A log numbers its messages in their order: a stream of Redis by its ids, a partition of Kafka by its offsets. The
    ranges of a log never overlap.
    """

    __tablename__ = "stream_ranges"

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    # An id of Redis is two numbers of 64 bits.
    low: Mapped[Decimal] = mapped_column(Numeric(39, 0), primary_key=True)
    high: Mapped[Decimal] = mapped_column(Numeric(39, 0))
    messages: Mapped[int]
    taken_at: Mapped[Moment] = mapped_column(index=True)


class StreamMessage(Base):
    """What the release before wrote instead, a row for each message; a later one drops it."""

    __tablename__ = "stream_messages"

    stream: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[str] = mapped_column(Text, primary_key=True)
    taken_at: Mapped[Moment] = mapped_column(index=True)


class Stream(Base):
    """A stream that is read, and how many of its messages waited when it was last looked at."""

    __tablename__ = "streams"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    lag: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[Moment]
