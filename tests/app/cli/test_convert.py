"""Rules of other systems: what the converted ones do with events, and what is refused.

The examples are the projects' own, without their comments: github.com/jertel/elastalert2 (examples/rules, 1d88bb0) and
github.com/SigmaHQ/sigma (rules, 8eaafff; under the Detection Rule License, by the authors that each names).
"""

import json
from typing import Any

import pytest

from rules_dsl import read_rules_file
from rules_dsl.testing import run_tests
from tests.app.cli.conftest import Command

FREQUENCY = """
name: Example frequency rule
type: frequency
index: logstash-*
num_events: 50
timeframe: {hours: 4}
filter:
- term: {some_field: "some_value"}
alert: ["email"]
email: ["elastalert@example.com"]
"""
SSH = """
name: SSH abuse (ElastAlert 3.0.1) - 2
type: frequency
num_events: 20
timeframe: {minutes: 60}
filter:
- query:
    query_string:
      query: "event.type:authentication_failure"
index: auditbeat-*
realert: {minutes: 1}
query_key: [source.ip]
alert: [debug]
"""
DISCORD = """
name: Exemple discord webhook alert
type: any
index: your_indice_%Y-%m-%d
filter:
- query:
    query_string:
      query: "id: 2501 OR id: 5503"
realert: {minutes: 0}
alert: [discord]
"""
WGET = """
title: Data Exfiltration with Wget
id: cb39d16b-b3b6-4a7a-8222-1cf24b686ffc
status: test
author: 'Pawel Mazur'
tags: [attack.exfiltration, attack.t1048.003]
logsource: {product: linux, service: auditd}
detection:
    selection:
        type: EXECVE
        a0: wget
        a1|startswith: '--post-file='
    condition: selection
level: medium
"""
COMMANDS = """
title: Suspicious Commands Linux
author: Florian Roth (Nextron Systems)
detection:
    cmd1: {type: 'EXECVE', a0: 'chmod', a1: 777}
    cmd2: {type: 'EXECVE', a0: 'chmod', a1: 'u+s'}
    condition: 1 of cmd*
level: medium
"""
ZIP = """
title: Steganography Hide Zip Information in Picture File
author: 'Pawel Mazur'
detection:
    commands: {type: EXECVE, a0: cat}
    a1:
        a1|endswith: ['.jpg', '.png']
    a2:
        a2|endswith: '.zip'
    condition: commands and a1 and a2
level: low
"""
ROOT = """
title: AWS Root Credentials
author: vitaliy0x1
detection:
    selection_usertype:
        userIdentity.type: Root
    selection_eventtype:
        eventType: AwsServiceEvent
    condition: selection_usertype and not selection_eventtype
level: medium
"""

# github.com/prometheus/alertmanager, doc/examples/simple.yml (68fb2d5), without what it says of mail servers.
ALERTMANAGER = """
route:
  group_by: ['alertname', 'cluster', 'service']
  group_wait: 30s
  receiver: team-X-mails
  routes:
    - matchers: ['service=~"foo1|foo2|baz"']
      receiver: team-X-mails
      routes:
        - {matchers: ['severity="critical"'], receiver: team-X-pager}
    - matchers: ['service="files"']
      receiver: team-Y-mails
      routes:
        - {matchers: ['severity="critical"'], receiver: team-Y-pager}
    - matchers: ['service="database"']
      receiver: team-DB-pager
      group_by: [alertname, cluster, database]
      routes:
        - {matchers: ['owner="team-X"'], receiver: team-X-pager, continue: true}
        - {matchers: ['owner="team-Y"'], receiver: team-Y-pager}
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [alertname, cluster, service]
receivers:
  - {name: 'team-X-mails', email_configs: [{to: 'team-X+alerts@example.org'}]}
  - name: 'team-X-pager'
    email_configs: [{to: 'team-X+alerts-critical@example.org'}]
    pagerduty_configs: [{service_key: <team-X-key>}]
  - {name: 'team-Y-mails', email_configs: [{to: 'team-Y+alerts@example.org'}]}
  - {name: 'team-Y-pager', pagerduty_configs: [{service_key: <team-Y-key>}]}
  - {name: 'team-DB-pager', pagerduty_configs: [{service_key: <team-DB-key>}]}
"""


def rule(command: Command, system: str, text: str, *words: str) -> Any:
    done = command("convert", system, "-", *words, said=text)
    assert done.exit_code == 0, done.output
    [found] = read_rules_file(done.stdout)
    return found


def test_a_frequency_becomes_a_window_and_what_is_left_over_a_comment(command: Command) -> None:
    assert command("convert", "elastalert", "-", said=FREQUENCY).stdout == (
        "# not converted: alert, email, index\n"
        'rule "Example frequency rule"\n'
        'when some_field == "some_value" and count() over 4h >= 50\n'
        'then notify("slack:#alerts")\n'
        "throttle 1 per 1m\n\n"
    )


def test_a_query_key_is_the_key_of_the_window_and_of_the_pause(command: Command) -> None:
    found = rule(command, "elastalert", SSH, "--notify", "webhook:soc", "--type", "auth")
    fires = """
test "twenty from one address"
  at 0s x19 {"type": "auth", "event": {"type": "authentication_failure"}, "source": {"ip": "192.0.2.1"}} expect notify()
  at 1s {"type": "auth", "event": {"type": "authentication_failure"}, "source": {"ip": "192.0.2.2"}} expect notify()
  at 1s {"type": "other", "event": {"type": "authentication_failure"}, "source": {"ip": "192.0.2.1"}} expect notify()
  at 2s {"type": "auth", "event": {"type": "authentication_failure"}, "source": {"ip": "192.0.2.1"}}
    expect notify("webhook:soc")
  at 3s {"type": "auth", "event": {"type": "authentication_failure"}, "source": {"ip": "192.0.2.1"}} expect throttled
"""
    [tested] = read_rules_file(found.format() + fires)
    [result] = run_tests(tested.rule, tested.blocks, tested.name)
    assert result.passed, result.failure


@pytest.mark.parametrize(
    ("system", "text", "event", "fires"),
    [
        ("elastalert", DISCORD, {"id": 2501}, True),
        ("elastalert", DISCORD, {"id": "5503"}, True),
        ("elastalert", DISCORD, {"id": 25010}, False),
        ("sigma", WGET, {"type": "EXECVE", "a0": "WGET", "a1": "--post-file=/etc/shadow"}, True),
        ("sigma", WGET, {"type": "EXECVE", "a0": "wget", "a1": "-q"}, False),
        ("sigma", COMMANDS, {"type": "EXECVE", "a0": "chmod", "a1": "777"}, True),
        ("sigma", COMMANDS, {"type": "EXECVE", "a0": "chmod", "a1": "u+x"}, False),
        ("sigma", ZIP, {"type": "EXECVE", "a0": "cat", "a1": "a.PNG", "a2": "b.zip"}, True),
        ("sigma", ZIP, {"type": "EXECVE", "a0": "cat", "a1": "a.gif", "a2": "b.zip"}, False),
        ("sigma", ROOT, {"userIdentity": {"type": "Root"}}, True),
        ("sigma", ROOT, {"userIdentity": {"type": "Root"}, "eventType": None}, True),
        ("sigma", ROOT, {"userIdentity": {"type": "root"}, "eventType": "AwsServiceEvent"}, False),
    ],
)
def test_a_converted_rule_fires_on_what_the_other_system_would_tell_of(
    command: Command, system: str, text: str, event: dict[str, Any], fires: bool
) -> None:
    assert (rule(command, system, text).rule.matches(event) is True) is fires


SIGMA = "title: a\ndetection: {{s: {{{}}}, condition: {}}}"
ELASTALERT = "name: a\ntype: any\nrealert: {{minutes: 0}}\nfilter:\n- {}"


@pytest.mark.parametrize(
    ("system", "text", "condition"),
    [
        ("sigma", SIGMA.format("a: '*x', b: 'x?z'", "s"), 'a iendswith "x" and b matches "(?is)^x.z$"'),
        ("sigma", SIGMA.format("a|contains|all: [X, y]", "s"), 'a icontains "X" and a icontains "y"'),
        ("sigma", SIGMA.format("a|re: '^x\\d'", "s"), 'a matches "^x\\\\d"'),
        ("sigma", SIGMA.format("a|cased: Abc, b|exists: false", "s"), 'a == "Abc" and missing b'),
        ("sigma", SIGMA.format("a: null, b|gte: 5", "s"), "a is null and b >= 5"),
        ("sigma", SIGMA.format("a: [x, '-', 5]", "s"), 'lower(a) == "x" or a == "-" or str(a) == "5"'),
        ("sigma", SIGMA.format("'a|cidr': 10.0.0.0/8", "not s"), 'not (a is not null and cidr(a, "10.0.0.0/8"))'),
        ("sigma", SIGMA.format("a: '\\Run\\'", "all of them"), 'lower(a) == "\\\\run\\\\"'),
        ("elastalert", ELASTALERT.format("terms: {a.b.keyword: [x, y]}"), 'a.b in ["x", "y"]'),
        ("elastalert", ELASTALERT.format("range: {a: {gte: 5, lt: 9}}"), "a >= 5 and a < 9"),
        ("elastalert", ELASTALERT.format("exists: {field: '@a'}"), 'event["@a"] is not null'),
        ("elastalert", ELASTALERT.format("exists: {field: 'a.²'}"), 'a["²"] is not null'),
        ("elastalert", ELASTALERT.format("wildcard: {a: 'x*.y'}"), 'a matches "(?s)^x.*\\\\.y$"'),
        (
            "elastalert",
            ELASTALERT.format("bool: {must: [{term: {a: 1}}], must_not: [{prefix: {b: x}}]}"),
            'a == 1 and not (b is not null and b startswith "x")',
        ),
        (
            "elastalert",
            ELASTALERT.format("query_string: {query: 'a:(\"x y\" OR z) AND NOT _exists_:b AND c:[1 TO *] AND d:>2'}"),
            '(a == "x y" or a == "z") and not b is not null and c >= 1 and d > 2',
        ),
    ],
)  # fmt: skip
def test_each_way_to_test_a_field_has_its_counterpart(
    command: Command, system: str, text: str, condition: str
) -> None:
    told = " ".join(rule(command, system, text).dsl.split())
    assert told == f'when {condition} then notify("slack:#alerts")'


def test_the_types_of_elastalert_that_have_a_counterpart(command: Command) -> None:
    def told(more: str) -> str:
        return str(
            rule(command, "elastalert", f"name: a\nfilter: [{{term: {{a: x}}}}]\n{more}").dsl
        )

    flat = "type: flatline\nthreshold: 1\ntimeframe: {minutes: 5}\nquery_key: host"
    assert 'absent(a == "x") for 5m by host' in told(flat)
    black = told("type: blacklist\ncompare_key: client.ip\nblacklist: [192.0.2.1, 192.0.2.2]")
    assert 'a == "x" and client.ip in ["192.0.2.1", "192.0.2.2"]' in black
    white = told("type: whitelist\ncompare_key: b\nwhitelist: [1]\nignore_null: false")
    assert "(b is null or b not in [1])" in white
    many = told("type: cardinality\ncardinality_field: b\nmax_cardinality: 3\ntimeframe: {days: 8}")
    assert "distinct(b) over 1w1d > 3" in many


@pytest.mark.parametrize(
    ("system", "text", "why"),
    [
        ("elastalert", "name: Event spike\ntype: spike", "the type `spike`"),
        ("elastalert", "name: a\ntype: any", "there is no filter"),
        ("elastalert", "type: any", "there is no `name`"),
        ("elastalert", ELASTALERT.format("match: {a: x}"), "a filter `match`"),
        ("elastalert", ELASTALERT.format("query_string: {query: 'a:x b:y'}"), "write AND or OR"),
        ("elastalert", ELASTALERT.format("query_string: {query: 'a:x AND b:y OR c:z'}"), "parentheses"),
        ("elastalert", ELASTALERT.format("query_string: {query: error}"), "in which field"),
        ("elastalert", ELASTALERT.format("query_string: {query: 'a:x~2'}"), "`x~2` in a query"),
        ("elastalert", ELASTALERT.format("range: {a: {gt: now-1h}}"), "no number"),
        ("elastalert", ELASTALERT.format("bool: {must: [{term: {a: 1}}], should: []}"), "decides nothing"),
        ("elastalert", "name: a\ntype: blacklist\ncompare_key: a\nblacklist: ['!file x']", "a file"),
        ("elastalert", "name: a\ntype: flatline\nthreshold: 5\nfilter: [{term: {a: 1}}]", "of none"),
        ("sigma", "title: a\ndetection: {keywords: [x], condition: keywords}", "words without a field"),
        ("sigma", SIGMA.format("a: x", "s | count() > 5"), "in the condition"),
        ("sigma", SIGMA.format("a: x", "s and other"), "`other`"),
        ("sigma", SIGMA.format("a|base64offset|contains: x", "s"), "`base64offset`"),
        ("sigma", SIGMA.format("a|re: '(?=x)'", "s"), "regex"),
        ("sigma", "title: a\ncorrelation: {type: event_count}", "without `title` and `detection`"),
        ("sigma", "- 1", "no rule stands here"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_in_full_is_refused_with_the_reason(
    command: Command, system: str, text: str, why: str
) -> None:
    done = command("convert", system, "-", said=text)
    assert done.exit_code == 1
    assert done.stdout.startswith("# ")
    assert why in done.stdout
    [told] = json.loads(command("convert", system, "-", "--json", said=text).stdout)
    assert told["rule"] is None
    assert why in told["refused"]


def test_several_rules_become_one_file_and_no_yaml_is_a_failure(command: Command) -> None:
    done = command("convert", "sigma", "-", said="---".join((WGET, COMMANDS, ZIP, ROOT)))
    assert (done.exit_code, len(read_rules_file(done.stdout))) == (0, 4)
    assert "# Sigma: Pawel Mazur, cb39d16b-b3b6-4a7a-8222-1cf24b686ffc\n" in done.stdout
    twice = command("convert", "sigma", "-", said="---".join((WGET, WGET))).stdout
    assert [each.name[-8:] for each in read_rules_file(twice)] == ["ith Wget", "Wget (2)"]
    folded = SIGMA.format("a: x", "s").replace("title: a", "title: >\n  a\n  b")
    assert rule(command, "sigma", folded).name == "a b"
    assert command("convert", "splunk", "-", said="").exit_code == 2


X_PAGER = {"email:team-X+alerts-critical@example.org", "pagerduty:team-X-pager"}


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, {"email:team-X+alerts@example.org"}),
        ({"service": "web", "severity": "critical"}, {"email:team-X+alerts@example.org"}),
        ({"service": "foo1"}, {"email:team-X+alerts@example.org"}),
        ({"service": "foo1", "severity": "critical"}, X_PAGER),
        ({"service": "foo10", "severity": "critical"}, {"email:team-X+alerts@example.org"}),
        ({"service": "files"}, {"email:team-Y+alerts@example.org"}),
        ({"service": "files", "severity": "critical"}, {"pagerduty:team-Y-pager"}),
        ({"service": "database"}, {"pagerduty:team-DB-pager"}),
        ({"service": "database", "owner": "team-X"}, X_PAGER),
        ({"service": "database", "owner": "team-Y"}, {"pagerduty:team-Y-pager"}),
    ],
)
def test_an_alert_reaches_whom_the_tree_of_routes_would_tell(
    command: Command, labels: dict[str, str], told: set[str]
) -> None:
    done = command("convert", "alertmanager", "-", said=ALERTMANAGER)
    assert done.exit_code == 0, done.output
    event = {"type": "prometheus.alert.firing", "labels": {"alertname": "a", **labels}}
    rules = [each.rule for each in read_rules_file(done.stdout)]
    assert len(rules) == 8
    reached = [str(target) for rule in rules if rule.matches(event) for target in rule.targets]
    assert (set(reached), len(reached)) == (told, len(told))
    resolved = event | {"type": "prometheus.alert.resolved"}
    assert not any(rule.matches(resolved) for rule in rules)


ROUTES = "route: {{receiver: a, routes: [{}]}}\nreceivers: [{{name: a, {}}}, {{name: b}}]"


def test_what_a_route_or_a_receiver_says_beyond_that_is_a_comment(command: Command) -> None:
    done = command("convert", "alertmanager", "-", said=ALERTMANAGER)
    assert "# not converted: inhibit_rules\n# not converted: group_by, group_wait\n" in done.stdout
    assert "# make the channel pagerduty:team-DB-pager first\n" in done.stdout
    text = ROUTES.format('{receiver: b, matchers: \'{x!="1",y!~""}\'}', "opsgenie_configs: [{}]")
    done = command("convert", "alertmanager", "-", "--notify", "slack:#ops", said=text)
    assert "# not converted: opsgenie_configs of the receiver a\n" in done.stdout
    assert "# the receiver b tells nobody\n" in done.stdout
    rule, silent = read_rules_file(done.stdout)
    assert ([str(each) for each in rule.rule.targets], silent.lines.mode) == (["slack:#ops"], "off")
    one = {"type": "prometheus.alert.firing", "labels": {"y": "2"}}
    assert silent.rule.matches(one) is True
    assert silent.rule.matches({**one, "labels": {"x": "1", "y": "2"}}) is False
    assert silent.rule.matches({**one, "labels": {}}) is False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("receivers: []", "there is no `route`"),
        ("route: {receiver: c}\nreceivers: []", "there is no receiver `c`"),
        (ROUTES.format("{matchers: ['x']}", ""), "the matcher `x`"),
        (ROUTES.format("{match_re: {x: '(?=y)'}}", ""), "regex"),
        (ROUTES.format("5", ""), "not written as alertmanager has it"),
    ],
)
def test_routes_that_cannot_be_said_are_refused(command: Command, text: str, why: str) -> None:
    done = command("convert", "alertmanager", "-", said=text)
    assert done.exit_code == 1
    assert why in done.stdout


SPAN = "name: a\ntype: frequency\nfilter: [{{term: {{a: 1}}}}]\nnum_events: {}\ntimeframe: {}"


@pytest.mark.parametrize(
    ("system", "text", "why"),
    [
        ("sigma", SIGMA.format("a: 1", "not " * 3_000 + "s"), "nests too deep"),
        ("elastalert", ELASTALERT.format(f"query_string: {{query: '{'(' * 3_000}'}}"), "too deep"),
        ("elastalert", SPAN.format(".inf", "{hours: 1}"), "not written as elastalert has it"),
        ("elastalert", SPAN.format(5, f"{{hours: 1{'0' * 400}}}"), "not written as elastalert has it"),
    ],
    ids=["condition", "query", "count", "span"],
)  # fmt: skip
def test_what_is_too_deep_or_too_large_is_refused(
    command: Command, system: str, text: str, why: str
) -> None:
    done = command("convert", system, "-", said=text)
    assert (done.exit_code, why in done.stdout) == (1, True), done.output


@pytest.mark.parametrize("text", ["date: 2023-02-30", "a: " + "9" * 5_000, "[" * 3_000, "{"])
def test_a_value_that_yaml_cannot_have_is_told_with_its_file(command: Command, text: str) -> None:
    done = command("convert", "sigma", "-", said=text)
    assert (done.exit_code, done.stderr[:24]) == (1, "Error: <stdin>: is no YA"), done.output


def test_a_comment_holds_only_what_a_file_of_rules_can(command: Command) -> None:
    text = 'author: "a\\0\\eb"\n' + SIGMA.format("a: x", "s")
    assert len(read_rules_file(command("convert", "sigma", "-", said=text).stdout)) == 1


def test_nothing_gets_out_of_a_comment(command: Command) -> None:
    text = 'title: "{0}"\nauthor: "a{0}"\nlevel: low\n"b{0}": 1\ndetection: {{s: {{a: x}}, condition: {1}}}'
    out = "\\nrule 'evil' when true then notify('webhook:evil')\\n"
    for condition, count in ("s", 1), ("t", 0):
        done = command("convert", "sigma", "-", said=text.format(out, condition))
        found = read_rules_file(done.stdout)
        assert [str(one) for each in found for one in each.rule.targets] == [
            "slack:#alerts"
        ] * count
