"""What a rule says besides its condition: targets, severity, message, name, its formatted text."""

import pytest

from rules_dsl import RuleError, compile_rule, parse_rules_file

THEN = ' then notify("slack:#ops")'


def test_every_notify_adds_its_targets_in_order() -> None:
    rule = compile_rule(
        'when a then notify("slack:#a", "email:x@example.com"), notify("webhook:b", resolved: true)'
    )
    assert [(str(target), target.resolved) for target in rule.targets] == [
        ("slack:#a", False),
        ("email:x@example.com", False),
        ("webhook:b", True),
    ]


def test_a_target_may_hold_colons_after_its_kind() -> None:
    (target,) = compile_rule('when a then notify("apprise:mailto://u:p@host")').targets
    assert (target.kind, target.address) == ("apprise", "mailto://u:p@host")


def test_severity_is_warning_when_not_written() -> None:
    assert compile_rule("when a" + THEN).severity == "warning"
    assert compile_rule("when a" + THEN + " severity critical").severity == "critical"


def test_clauses_come_in_any_order_and_are_formatted_in_one() -> None:
    rule = compile_rule('rule "R" when a' + THEN + ' message "m" severity high')
    assert (
        rule.format() == 'rule "R"\nwhen a\nthen notify("slack:#ops")\nseverity high\nmessage "m"'
    )


MESSAGES: list[tuple[str, dict[str, object], str]] = [
    ("plain", {}, "plain"),
    ("Order {{ order.id }} of {{ amount }}", {"order": {"id": 7}, "amount": 9.5}, "Order 7 of 9.5"),
    ("{{a}}{{ b }}", {"a": "x", "b": "y"}, "xy"),
    ("[{{ a }}]", {}, "[]"),
    ("[{{ a }}]", {"a": None}, "[]"),
    ("[{{ a + 1 }}]", {"a": "x"}, "[]"),
    ("{{ a }}", {"a": True}, "true"),
    ("{{ a }}", {"a": 1.0}, "1"),
    ("{{ a }}", {"a": [1, "é", {"b": None}]}, '[1, "é", {"b": null}]'),
    ("{{ a ?? 'none' }}", {}, "none"),
    (r"{{ a ?? \"}}\" }}", {}, "}}"),
    ("{{ upper(a) }} at {{ hour(now()) }}", {"a": "x"}, "X at 0"),
    ("a } b }} c { d", {}, "a } b }} c { d"),
    ("{{ 10 % 3 }} {{ 20% }}", {}, "1 0.2"),
]


@pytest.mark.parametrize(("message", "event", "text"), MESSAGES)
def test_a_message_shows_values(message: str, event: dict[str, object], text: str) -> None:
    rule = compile_rule(f'when a{THEN} message "{message}"')
    assert rule.render_message(event, 0) == text
    assert compile_rule(rule.format()).tree == rule.tree


def test_a_rule_without_a_message_renders_none() -> None:
    assert compile_rule("when a" + THEN).render_message({"a": True}) is None


def test_a_message_is_cut_at_64_ki_characters() -> None:
    rule = compile_rule("when a" + THEN + ' message "' + "{{ a }}" * 100 + '"')
    message = rule.render_message({"a": "x" * 10_000})
    assert message is not None
    assert len(message) == 65_536
    assert message.endswith("…")


def test_a_mistake_in_a_message_is_placed_in_the_text_of_the_rule() -> None:
    text = "when a" + THEN + r' message "é \"\u00e9\" {{ lenght(a) }}"'
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    assert text[caught.value.column - 1 : caught.value.end_column - 1] == "lenght"


FORMATTED = {
    "when a==1 and(b>2)": "when a == 1 and b > 2",
    "when ((a)) or ((b and c))": "when a or b and c",
    "when (a or b) and c": "when (a or b) and c",
    "when a and (b and c)": "when a and (b and c)",
    "when not(a==1)": "when not a == 1",
    "when not (a and b)": "when not (a and b)",
    "when a-(b-c)>0": "when a - (b - c) > 0",
    "when (a*b)+c>0": "when a * b + c > 0",
    "when a*(b+c)>0": "when a * (b + c) > 0",
    "when (a ?? b) ?? c": "when (a ?? b) ?? c",
    "when -(a+b)>-5": "when -(a + b) > -5",
    "when a ?? (-b) > 0": "when a ?? (-b) > 0",
    "when a in ['x',\"y\",1.50,90m]": 'when a in ["x", "y", 1.50, 90m]',
    "when event.type=='a'": 'when event.type == "a"',
    'when event [ "type" ].x == 1': "when event.type.x == 1",
    "when exists(a.b)": "when exists a.b",
    "when any  x in  l:(x>1)": "when any x in l: (x > 1)",
    "when a not   in [1]": "when a not in [1]",
    "when a is   not   null": "when a is not null",
    'when event["é"].x == 1': "when event.é.x == 1",
    'when event["²"].x["½x"] == 1': 'when event["²"].x["½x"] == 1',
    'when event["x²"]["Ⅷ"] == 1': 'when event.x²["Ⅷ"] == 1',
    "when 'a\\'b' == a": 'when "a\'b" == a',
}


@pytest.mark.parametrize(("text", "formatted"), FORMATTED.items())
def test_the_formatter_writes_each_rule_in_one_way(text: str, formatted: str) -> None:
    rule = compile_rule(text + THEN)
    assert rule.format() == formatted + THEN
    assert compile_rule(rule.format()).format() == rule.format()


def test_a_long_condition_is_broken_at_its_outermost_operators() -> None:
    rule = compile_rule("when " + " and ".join(f"field_{i} > {i}" for i in range(9)) + THEN)
    assert rule.format().split("\n")[1] == "  and field_1 > 1"
    assert compile_rule(rule.format()).tree == rule.tree


FILE = """# what this file is for
rule "Big orders" # a note
when amount > 500
then notify("slack:#orders") # to all

# about the second
rule "Small orders"
when amount < 5 then notify("slack:#orders")
"""


def test_a_file_holds_many_rules() -> None:
    first, second = parse_rules_file(FILE)
    assert (first.name, second.name) == ("Big orders", "Small orders")
    assert second.text.startswith("# about the second\nrule")
    assert first.text.endswith("# to all")
    assert parse_rules_file("# nothing\n") == []


def test_a_mistake_in_a_file_is_placed_in_the_file() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules_file(FILE.replace("amount < 5", "lenght(a) < 5"))
    assert (caught.value.line, caught.value.column) == (8, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace("Small", "Big"), "a second rule is named `Big orders`"),
        ("when a" + THEN, "a rule in a file begins with its name"),
        (FILE + "when a" + THEN, "a text holds one rule"),
    ],
)
def test_a_file_with_a_nameless_or_repeated_rule_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules_file(text)
    assert caught.value.message == message
