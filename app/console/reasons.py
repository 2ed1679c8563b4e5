"""Why a notification or a test ended as it did, in words: services record short codes, and what receivers said."""

from typing import Final

WORDS: Final = {
    "attempts_exhausted": "its attempts are used up; a worker died during the last one",
    "event_gone": "the event that it is about is no longer kept",
    "channel_disabled": "the channel is switched off",
    "secrets_unreadable": "the channel's secrets were sealed with a key that is gone",
    "blocked_destination": "the address is not public, and SENTINEL_EGRESS_ALLOW does not name it",
    "rule_off": "the rule was switched off or deleted",
    "rule_shadow": "the rule was put in shadow",
}
NO_CHANNEL: Final = "no_such_channel: "


def in_words(reason: str | None) -> str:
    """A reason as a sentence would say it."""
    if not reason:
        return "the reason is not known"
    if reason.startswith(NO_CHANNEL):
        return reason.removeprefix(NO_CHANNEL)
    return WORDS.get(reason, reason)
