"""A rule whose only receiver refuses, so that whatever it tells of becomes a dead letter."""

from tests.acceptance import markup
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack


def tell_who_refuses(stack: Stack, condition: str) -> None:
    """Make the rule "Orders", which tells `webhook:erp` when a condition holds."""
    stack.receiver.answer = lambda _heard: Answer(404)
    markup.channel(stack, "erp", "/")
    markup.rule(stack, "Orders", f'when {condition} then notify("webhook:erp")')
