"""Rules in files become the server's, and the server's become a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.client import ApiError
from app.client import Client as ApiClient
from tests.app.cli.conftest import Command
from tests.app.client import Client
from tests.app.helpers import ORDERS, make_rule
from tests.conftest import TestClock

FILE = """# Orders that somebody should look at.
rule "Big orders"
description "For \\"sales\\""
tags sales, "tier 1"
when type == "order" and amount > 500
then notify("slack:#orders") # at once
message "Order of {{ amount }}"

test "big" {"type": "order", "amount": 501} expect true message "Order of 501"

rule "Small orders"
mode off
when type == "order" and amount < 5 then notify("slack:#orders")
"""

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def served(command: Command, served: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SENTINEL_URL", served)
    return served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.rules"
    path.write_text(FILE, encoding="utf-8")
    return path


def rules(client: Client) -> dict[str, dict[str, Any]]:
    return {rule["name"]: rule for rule in client.get("/rules").json["data"]}


def versions(client: Client) -> dict[str, int]:
    return {name: rule["version"] for name, rule in rules(client).items()}


def test_apply_creates_what_is_not_there_with_all_that_the_file_says(
    command: Command, client: Client, file: Path
) -> None:
    done = command("rule", "apply", "orders.rules")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("Done: 2 of 2.\n")
    big = rules(client)["Big orders"]
    assert big["dsl"].startswith("# Orders that somebody should look at.\nwhen type ==")
    assert (big["description"], big["tags"], big["enabled"]) == (
        'For "sales"',
        ["sales", "tier 1"],
        True,
    )
    assert big["tests"].startswith('test "big"')
    assert rules(client)["Small orders"]["enabled"] is False


def test_to_apply_again_changes_nothing_and_neither_do_spaces(
    command: Command, client: Client, file: Path
) -> None:
    assert command("rule", "diff", "orders.rules").exit_code == 1
    command("rule", "apply", "orders.rules")
    assert command("rule", "diff", "orders.rules").output == "2 as on the server.\n"
    file.write_text(FILE.replace(" and amount", "\n  and   amount"))
    done = command("rule", "apply", "orders.rules")
    assert (done.exit_code, done.output) == (0, "2 as on the server.\n")
    assert versions(client) == {"Big orders": 1, "Small orders": 1}


def test_what_is_exported_and_applied_changes_nothing(command: Command, client: Client) -> None:
    make_rule(client, "# why\nwhen  amount>5 then notify('slack:#a') # to all\n# end", "A")
    make_rule(
        client, f'rule "Other" {ORDERS}', "B", description='two\nlines "x"', tags=["a b", "when"]
    )
    make_rule(client, ORDERS, 'C "quoted"', enabled=False, tests='test "t" {} expect unknown\n# x')
    done = command("rule", "export", "-o", "all.rules")
    assert (done.exit_code, done.output) == (0, "")
    assert command("rule", "diff", "all.rules", "--prune").output == "3 as on the server.\n"
    assert command("rule", "apply", "all.rules", "--prune").exit_code == 0
    assert set(versions(client).values()) == {1}
    text = command("rule", "export").output
    assert command("rule", "diff", "-", said=text).exit_code == 0
    assert command("rule", "export", "A").output.startswith('# why\n# to all\n# end\nrule "A"\n')


def test_a_noise_budget_is_applied_compared_exported_and_taken_away(
    command: Command, client: Client, file: Path
) -> None:
    command("rule", "apply", "orders.rules")
    assert rules(client)["Small orders"]["noise_budget"] is None
    file.write_text(FILE.replace("mode off", "mode off\nnoise_budget 30"))
    done = command("rule", "diff", "orders.rules")
    assert (done.exit_code, "  +noise_budget 30\n" in done.output) == (1, True)
    assert command("rule", "apply", "orders.rules").exit_code == 0
    assert rules(client)["Small orders"]["noise_budget"] == 30
    assert "\nmode off\nnoise_budget 30\nwhen" in command("rule", "export").output
    assert command("rule", "diff", "orders.rules").exit_code == 0
    file.write_text(FILE)
    assert command("rule", "apply", "orders.rules").exit_code == 0
    assert rules(client)["Small orders"]["noise_budget"] is None


def test_diff_shows_each_difference_as_lines_of_the_rule(
    command: Command, client: Client, file: Path, clock: TestClock
) -> None:
    command("rule", "apply", "orders.rules")
    clock.tick(1)
    make_rule(client, name="Elsewhere")
    file.write_text(FILE.replace("> 500", "> 900").replace("501", "901").replace("Small", "Tiny"))
    done = command("rule", "diff", "orders.rules")
    assert done.exit_code == 1
    assert 'change "Big orders"\n' in done.stdout
    assert '  -when type == "order" and amount > 500\n' in done.stdout
    assert '  +when type == "order" and amount > 900\n' in done.stdout
    assert 'create "Tiny orders"\n' in done.stdout
    assert done.stdout.endswith("1 to change, 1 to create, 0 as on the server.\n")
    assert (
        done.stderr
        == 'Only the server has "Small orders", "Elsewhere"; --prune would delete them.\n'
    )
    pruned = json.loads(command("rule", "diff", "orders.rules", "--prune", "--json").stdout)
    assert [(step["kind"], step["was"], step["name"]) for step in pruned] == [
        ("rename", "Small orders", "Tiny orders"),
        ("change", "Big orders", "Big orders"),
        ("delete", "Elsewhere", "Elsewhere"),
    ]
    assert versions(client) == {"Big orders": 1, "Small orders": 1, "Elsewhere": 1}


def test_prune_deletes_what_the_files_do_not_have_and_a_dry_run_does_nothing(
    command: Command, client: Client, file: Path
) -> None:
    command("rule", "apply", "orders.rules")
    small = rules(client)["Small orders"]["id"]
    make_rule(client, name="Elsewhere")
    file.write_text(FILE.replace("Small", "Tiny"))
    dry = command("rule", "apply", "orders.rules", "--prune", "--dry-run")
    assert (dry.exit_code, dry.output.endswith("Nothing was changed.\n")) == (0, True)
    assert 'delete "Elsewhere"' in dry.output
    assert len(rules(client)) == 3
    assert command("rule", "apply", "orders.rules", "--prune").exit_code == 0
    assert versions(client) == {"Big orders": 1, "Tiny orders": 2}
    assert rules(client)["Tiny orders"]["id"] == small


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_prune_with_files_that_have_no_rule_deletes_none_unless_that_is_meant(
    command: Command, client: Client, tmp_path: Path, dry: tuple[str, ...]
) -> None:
    """A checkout that failed, or a pattern that is wrong, looks just so."""
    make_rule(client, ORDERS, name="Theirs")
    (tmp_path / "none.rules").write_text("# nothing yet\n", encoding="utf-8")
    prune = ("rule", "apply", "none.rules", "--prune", *dry)
    refused = command(*prune)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "none.rules: no rule is here, and --prune would delete the only one of the server; "
        "--allow-empty says that this is meant\n"
        "Nothing was changed.\n"
    )
    [told] = json.loads(command(*prune, "--json").stdout)
    assert (told["code"], told["hint"]) == ("empty", "--allow-empty says that this is meant")
    assert list(rules(client)) == ["Theirs"]
    assert command(*prune, "--allow-empty").exit_code == 0
    assert list(rules(client)) == (["Theirs"] if dry else [])
    # There is nothing left that could be deleted by mistake.
    assert command("rule", "apply", "none.rules", "--prune").exit_code == (1 if dry else 0)


def test_without_prune_rules_that_only_the_server_has_stay(
    command: Command, client: Client, file: Path
) -> None:
    make_rule(client, name="Elsewhere")
    done = command("rule", "apply", "orders.rules", "--json")
    assert done.exit_code == 0
    assert [step["done"] for step in json.loads(done.stdout)] == [True, True]
    assert set(rules(client)) == {"Elsewhere", "Big orders", "Small orders"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("501}", "500}", "expected true, but it is false"),
        ("slack:#orders", "slak:#orders", "did you mean `slack`?"),
        ("amount <", "amount <>", "write `!=`"),
    ],
)
def test_all_is_checked_before_the_first_change(
    command: Command, client: Client, file: Path, before: str, after: str, told: str
) -> None:
    file.write_text(FILE.replace(before, after))
    done = command("rule", "apply", "orders.rules")
    assert (done.exit_code, told in done.stderr) == (1, True)
    assert rules(client) == {}


def test_what_somebody_changed_meanwhile_is_not_overwritten(
    command: Command, client: Client, file: Path, served: str
) -> None:
    command("rule", "apply", "orders.rules")
    caller = ApiClient(served)
    big, small = sorted(caller.rules(), key=lambda rule: rule.name)
    client.patch(f"/rules/{big.id}", json={"description": "mine"})
    for change in (lambda: caller.change_rule(big, {"tags": []}), lambda: caller.delete_rule(big)):
        with pytest.raises(ApiError, match="was changed meanwhile") as refused:
            change()
        assert refused.value.status == 412
    assert rules(client)["Big orders"]["description"] == "mine"
    assert caller.change_rule(small, {"tags": ["a"]}).version == 2


def test_a_mode_that_the_server_does_not_know_is_refused_and_not_made_live(
    command: Command, client: Client, file: Path
) -> None:
    file.write_text(FILE.replace("mode off", "mode shadow"))
    done = command("rule", "apply", "orders.rules")
    if done.exit_code:
        assert "mode" in done.stderr
        assert "Small orders" not in rules(client)
    else:
        assert rules(client)["Small orders"]["mode"] == "shadow"


def test_rules_are_listed_and_shown_by_name_or_id(
    command: Command, client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, name="Orders", tags=["sales"])
    clock.tick(1)
    make_rule(client, name="Others", enabled=False)
    heads, first, second = command("rule", "list").output.splitlines()
    assert heads.split() == ["name", "mode", "version", "tags", "id"]
    assert first.split() == ["Orders", "live", "1", "sales", rule_id]
    assert second.split()[:2] == ["Others", "off"]
    assert [each["name"] for each in json.loads(command("rule", "list", "--json").output)] == [
        "Orders",
        "Others",
    ]
    assert command("rule", "list", "--tag", "none").output == ""
    assert command("rule", "show", "Orders").output == command("rule", "show", rule_id).output
    assert command("rule", "show", "Orders").output.startswith('rule "Orders"\ntags sales\nwhen')
    assert json.loads(command("rule", "show", "Orders", "--json").output)["id"] == rule_id
    wrong = command("rule", "show", "Order")
    assert (wrong.exit_code, "did you mean `Orders`?" in wrong.stderr) == (1, True)


def test_a_rule_is_promoted_and_demoted_by_name_or_id(command: Command, client: Client) -> None:
    rule_id = make_rule(client, name="Orders", mode="shadow")
    done = command("rule", "promote", "Orders")
    assert (done.exit_code, done.output) == (0, "Orders is live\n")
    assert rules(client)["Orders"]["mode"] == "live"
    done = command("rule", "demote", rule_id, "--json")
    assert (done.exit_code, json.loads(done.output)["mode"]) == (0, "shadow")
    assert (rules(client)["Orders"]["mode"], rules(client)["Orders"]["version"]) == ("shadow", 3)


def test_a_rule_that_cannot_be_moved_is_told_and_exits_with_1(
    command: Command, client: Client
) -> None:
    make_rule(client, name="Orders", enabled=False)
    done = command("rule", "demote", "Orders")
    assert (done.exit_code, "is off" in done.stderr) == (1, True), done.stderr
    done = command("rule", "promote", "Order")
    assert (done.exit_code, "did you mean `Orders`?" in done.stderr) == (1, True)
    assert rules(client)["Orders"]["mode"] == "off"
