"""What the processes tell each other: totals of their metrics, and which workers live."""

from sqlalchemy import ARRAY, Double, Text, func
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
