"""The rows by name."""

from typing import Final

from bench.stateful.drained import drained
from bench.throughput.run import Rows

ROWS: Final[Rows] = {"drained": drained}
