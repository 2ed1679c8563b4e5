"""Outside streams: messages that were taken, so that each is taken once, and how far behind we are."""

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Moment


class StreamMessage(Base):
    """A message whose event is stored."""

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
