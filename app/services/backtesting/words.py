"""Why live came to something else than a backtest, in words: of the codes that `reasons` finds."""

from collections.abc import Mapping
from typing import Final

WHY_ELSE: Final[Mapping[str, str]] = {
    "late": "live refused it",
    "order": "live saw its events in another order",
    "start": "live remembered what was before the begin",
    "dropped": "live may have lost what it remembered, past a cap",
    "ended": "the version was over by then",
    "failed": "live could not evaluate the rule",
    "given_up": "live has given up the event",
    "pending": "live has not come to the event yet",
}
