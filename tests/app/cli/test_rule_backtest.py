"""`./sentinel rule backtest` on files, folders, drafts and saved rules; the task runs here, in place of a worker."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import db, session
from app.models.backtests import Backtest, BacktestState
from tasks.backtests import run
from tests.app.cli.conftest import Command
from tests.app.client import Client
from tests.app.helpers import ORDERS, evaluate, make_rule, post_event
from tests.conftest import TestClock

FILE = """# what sales wants
rule "Big orders"
tags sales
when type == "order" and amount > 500 then notify("slack:#orders")
test "big" {"type": "order", "amount": 501} expect true

rule "All orders"
when type == "order" then notify("slack:#orders") throttle 1 per 1h
"""
OTHER = 'rule "No orders" when type == "none" then notify("slack:#orders")\n'
TIME = ("--since", "2026-03-01T11:00:00Z", "--until", "2026-03-01T13:00:00Z")


@pytest.fixture(autouse=True)
def worker(
    app: Flask, command: Command, served: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Runs what is queued, in a thread."""
    monkeypatch.setenv("SENTINEL_URL", served)
    monkeypatch.setattr("app.cli.rules.backtest.LOOK_SECONDS", 0.05)
    ending = threading.Event()

    def work() -> None:
        with app.app_context():
            queued = select(Backtest.id).where(Backtest.state == BacktestState.QUEUED)
            while not ending.wait(0.05):
                for key in session().scalars(queued).all():
                    run.run(str(key))
                session().rollback()
            db.session.remove()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ending.set()
    thread.join()


@pytest.fixture(autouse=True)
def past(worker: None, client: Client, clock: TestClock) -> None:
    """Three orders."""
    for amount in (100, 600, 700):
        post_event(client, amount=amount)
        evaluate(clock.tick(1))
    clock.tick(3600)


@pytest.fixture
def files(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.rules").write_text(FILE)
    (tmp_path / "rules" / "b.rules").write_text(OTHER)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("words", [("rules",), ("rules/a.rules", "rules/b.rules")])
def test_all_rules_of_files_are_tried_at_once(command: Command, words: tuple[str, ...]) -> None:
    done = command("rule", "backtest", *words, *TIME)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "3 rules: done"
    assert lines[1].startswith("2026-03-01 11:00:00 to ")
    assert lines[2:5] == [
        "3 events",
        "  5 matches in 2 alerts, 0 resolved",
        "  3 notifications; 2 throttled",
    ]
    assert "              2          2          0  Big orders" in lines
    assert "              1          3          2  All orders" in lines
    assert "  1 rule matched nothing" in lines
    assert any("Big orders: slack:#orders" in line for line in lines)


@pytest.mark.usefixtures("files")
def test_what_came_of_each_is_told_as_json(command: Command) -> None:
    done = command("rule", "backtest", "rules", "--json", *TIME)
    rules = json.loads(done.stdout)["result"]["rules"]
    assert [(each["name"], each["matches"]) for each in rules] == [
        ("Big orders", 2),
        ("All orders", 3),
        ("No orders", 0),
    ]


def test_a_file_of_one_rule_is_tried_without_its_lines_and_tests(command: Command) -> None:
    one = FILE.partition('rule "All')[0]
    done = command("rule", "backtest", "-", "--json", *TIME, said=one)
    found = json.loads(done.stdout)
    assert (found["name"], found["matches"], found["result"]["rules"]) == ("Big orders", 2, None)


def test_a_draft_needs_no_name(command: Command) -> None:
    done = command("rule", "backtest", "-", "--json", *TIME, said=f"# a draft\n{ORDERS}")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["name"], found["matches"]) == (0, "Draft", 2)


def test_a_saved_rule_is_tried_by_its_name(command: Command, client: Client) -> None:
    make_rule(client)
    done = command("rule", "backtest", "Orders", "--json", *TIME)
    assert (done.exit_code, json.loads(done.stdout)["matches"]) == (0, 2)
    wrong = command("rule", "backtest", "Order", *TIME)
    assert (wrong.exit_code, "there is no rule 'Order'" in wrong.stderr) == (1, True)


def test_a_draft_is_held_against_the_rule_of_its_name_or_another(
    command: Command, client: Client
) -> None:
    make_rule(client, name="Big orders")
    one = FILE.partition('rule "All')[0].replace("> 500", "> 600")
    for said, named in ((one, ()), (one.replace("Big", "Huge"), ("--rule", "Big orders"))):
        asked = ("-", "--json", "--against", "1", *named, *TIME)
        difference = json.loads(command("rule", "backtest", *asked, said=said).stdout)["result"][
            "difference"
        ]
        told = [difference[name] for name in ("both", "only_this", "only_other")]
        assert told == [1, 1, 0]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rules", "Orders"), "Orders is no file"),
        (("rules", "--against", "1"), "--against takes one rule"),
        (("rules", "--version", "1"), "a draft has no --version"),
        (("-", "--against", "1"), "say by --rule"),
        ((), "Missing argument"),
    ],
)
def test_what_makes_no_sense_exits_with_2(
    command: Command, words: tuple[str, ...], told: str
) -> None:
    done = command("rule", "backtest", *words, *TIME, said=ORDERS)
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


@pytest.mark.usefixtures("files")
def test_a_mistake_in_a_file_is_told_with_its_place_and_exits_with_1(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "rules" / "c.rules").write_text('rule "X"\nwhen amont ><')
    done = command("rule", "backtest", "rules", *TIME)
    assert (done.exit_code, "rules/c.rules: " in done.stderr) == (1, True)
    both = OTHER + 'rule "Odd" when lenght(x) > 1 then notify("slack:#a")'
    done = command("rule", "backtest", "-", *TIME, said=both)
    assert (done.exit_code, "did you mean `len`?" in done.output) == (1, True)


@pytest.mark.parametrize("at", ["soon", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999999999d"])
def test_a_time_that_is_none_is_wrong_usage(command: Command, at: str) -> None:
    done = command("rule", "backtest", "-", "--since", at, said=ORDERS)
    assert (done.exit_code, f"{at!r} is " in done.stderr) == (2, True), done.output
