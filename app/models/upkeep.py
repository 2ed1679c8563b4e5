"""What the processes tell each other: totals of their metrics, minute by minute, and which workers live."""

from sqlalchemy import ARRAY, BigInteger, Double, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Moment


class MetricTotal(Base):
    """One sample of one metric, summed over all processes that ever were."""

    __tablename__ = "metric_totals"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), primary_key=True)
    value: Mapped[float] = mapped_column(Double)
    # Orders the samples, so that those past the limit of a label stay the same ones.
    since: Mapped[Moment] = mapped_column(server_default=func.now())


class Worker(Base):
    """A worker that was alive at `seen_at`, and the queues it serves."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))
    seen_at: Mapped[Moment]


class Sample(Base):
    """How much there had been of everything at the beginning of a minute, and how much waited or was open."""

    __tablename__ = "samples"

    minute: Mapped[Moment] = mapped_column(primary_key=True)
    # Totals, that only grow: a rate is the difference of two rows.
    ingested: Mapped[int] = mapped_column(BigInteger)
    matches: Mapped[int] = mapped_column(BigInteger)
    sent: Mapped[int] = mapped_column(BigInteger)
    # Attempts that were to be repeated.
    failed: Mapped[int] = mapped_column(BigInteger)
    dead: Mapped[int] = mapped_column(BigInteger)
    rule_errors: Mapped[int] = mapped_column(BigInteger)
    # Events whose evaluation was given up.
    given_up: Mapped[int] = mapped_column(BigInteger)
    rejected: Mapped[int] = mapped_column(BigInteger)
    # Levels, which are counted so far and no further.
    waiting: Mapped[int] = mapped_column(BigInteger)
    pending: Mapped[int] = mapped_column(BigInteger)
    alerts: Mapped[int] = mapped_column(BigInteger)
