"""What commands show on a terminal of 80 columns, looked at in tmux."""

from collections.abc import Iterator

import pytest
from rich.cells import cell_len

from app.cli.rules.backtest import WAITS
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack
from tests.acceptance.terminal import COLUMNS, SECONDS, Terminal, need
from tests.acceptance.waiting import wait_until

pytestmark = pytest.mark.acceptance
BAR = "━━━"
NAME = "Orders that are far too large for the customer who made them"
# Letters of two columns each.
WIDE = "重要なお客様からの大口注文が承認の上限を超えています、至急ご確認ください 🚨🔥"
BRANCH = "大阪支店の基幹システムの受信口"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A Sentinel with rules, events, an alert, and a notification that was refused."""
    need("tmux")
    with Stack() as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def terminal(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal before it."""
    env = {"SENTINEL_URL": stack.api_url, "SENTINEL_HOME": str(stack.home.path)}
    with Terminal(tmp_path_factory.mktemp("terminal"), env) as made:
        yield made


def fill(stack: Stack) -> None:
    """Something to show, and no word of it short."""
    stack.wait_ready()
    config = {"url": f"{stack.receiver.url}/"}
    stack.post("/channels", {"name": "erp-of-the-branch", "kind": "webhook", "config": config})
    stack.receiver.answer = lambda _heard: Answer(404, body=b"there is no such hook here" * 3)
    dsl = 'when type == "order" and amount > 500 then notify("webhook:erp-of-the-branch")'
    stack.post("/rules", {"name": NAME, "dsl": dsl, "tags": ["sales", "large orders"]})
    stack.post("/silences", {"condition": f'type == "{"x" * 90}"', "for": "1h", "comment": NAME})
    fill_wide(stack, config)
    for amount in (100, 750):
        event = {"type": "order", "amount": amount, "customer": NAME, "items": ["a" * 40] * 3}
        stack.post("/events", event)
    stack.eventually(lambda: len(stack.get("/notifications?status=dead").json()["data"]) == 2)
    alert = stack.get("/alerts?limit=1").json()["data"][0]["id"]
    stack.post(f"/alerts/{alert}/ack", {"comment": WIDE})


def fill_wide(stack: Stack, config: dict[str, str]) -> None:
    """The same in a script whose letters are wide, with emoji."""
    stack.receiver.answer = lambda _heard: Answer(404, body="お探しのページは 🚨 ".encode() * 6)
    stack.post("/channels", {"name": BRANCH, "kind": "webhook", "config": config})
    dsl = (
        f'when type == "注文" and count() over 1h by customer >= 1 then notify("webhook:{BRANCH}")'
    )
    stack.post("/rules", {"name": WIDE, "dsl": dsl, "tags": ["販売", "至急 🚨"]})
    stack.post("/silences", {"condition": f'type == "{"静" * 60}"', "for": "1h", "comment": WIDE})
    stack.post("/events", {"type": "注文", "customer": "株式会社" * 12 + "🚨" * 9})


LISTS = {
    "rule list": NAME[:20],
    "alert list": NAME,
    "notification list": "webhook:erp-of-the-branch",
    "event list": "750",
    "tail": "750",
    "silence list": "xxx",
    "channel list": "webhook:erp-of-the-branch",
    "channel show erp-of-the-branch": "kept secret",
    "doctor": "→",
    "rule --help": "promote",
    'event show $(sentinel event list --json | grep -o \'"id": "[^"]*\' | cut -c8- | tail -1)': WIDE[
        :9
    ],
    'event why $(sentinel event list --json | grep -o \'"id": "[^"]*\' | cut -c8- | tail -1)': WIDE[
        :9
    ],
    "alert show $(sentinel alert list --limit 1 | head -1 | cut -c-36)": "acknowledged",
    "channel test " + BRANCH: "→",
    "channel show " + BRANCH: BRANCH,
    "trigger": "github.push",
    f"key create '{WIDE}{WIDE}' --scope read": "shown again",
    "key list": "active",
}


@pytest.mark.parametrize(("words", "shown"), LISTS.items())
def test_no_line_is_wider_than_the_terminal(terminal: Terminal, words: str, shown: str) -> None:
    lines = terminal.run(f"sentinel {words}")
    assert any(shown in line for line in lines)
    assert [line for line in lines if cell_len(line) > COLUMNS] == []


@pytest.mark.parametrize("words", ["rule list", "channel list"])
def test_the_columns_of_a_table_are_straight_whatever_the_letters(
    terminal: Terminal, words: str
) -> None:
    for end in ("", " | cat"):
        lines = [line for line in terminal.run(f"sentinel {words}{end}") if line != "$"]
        if not end:
            assert len({cell_len(line) for line in lines}) == 1
            assert not any("…" in line for line in lines)
            continue
        begins = {
            cell_len(line[: line.index(word)])
            for line in lines
            for word in (" live ", " on")
            if word in line
        }
        assert len(begins) == 1


def test_a_line_that_is_wider_would_be_seen(terminal: Terminal) -> None:
    assert "x" * 90 in terminal.run(f"echo {'x' * 90}")


def test_a_backtest_shows_a_bar_that_fits_and_goes_when_it_is_done(
    terminal: Terminal, stack: Stack
) -> None:
    terminal.type(f"clear; sentinel rule backtest '{NAME}' --since 1h", "Enter")
    wait_until(lambda: any(WAITS in line and BAR in line for line in terminal.shown()), SECONDS)
    assert [line for line in terminal.shown() if len(line) > COLUMNS] == []
    stack.start("backtests")
    wait_until(lambda: any("1 match" in line for line in terminal.shown()), SECONDS)
    assert not any(BAR in line for line in terminal.shown())


# How each shell is started, and given what it completes with.
SHELLS = {
    "bash": ("bash --norc", 'eval "$(sentinel completion bash)"'),
    "zsh": ("zsh -f", 'autoload -U compinit; compinit -D; eval "$(sentinel completion zsh)"'),
    "fish": ("fish --no-config", "sentinel completion fish | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_and_the_names_that_the_server_knows(
    terminal: Terminal, shell: str
) -> None:
    need(shell)
    start, prepare = SHELLS[shell]
    terminal.type(f"clear; {start}", "Enter")
    terminal.type(f"{prepare}; clear", "Enter")
    terminal.type("sentinel rule sho", "Tab")
    wait_until(lambda: terminal.shown()[-1].endswith("sentinel rule show"), SECONDS)
    terminal.type("Ord", "Tab")
    escaped = NAME.replace(" ", "\\ ")
    wait_until(lambda: terminal.shown()[-1].endswith(f"sentinel rule show {escaped}"), SECONDS)
    terminal.type("", "Enter")
    wait_until(lambda: f'rule "{NAME}"' in terminal.shown(), SECONDS)
    terminal.type("exit", "Enter")
