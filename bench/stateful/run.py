"""The rows by name."""

from typing import Final

from bench.stateful.awaited import awaited
from bench.stateful.drained import drained
from bench.stateful.entries import entries
from bench.throughput.run import Rows

ROWS: Final[Rows] = {"drained": drained, "entries": entries, "awaited": awaited}
