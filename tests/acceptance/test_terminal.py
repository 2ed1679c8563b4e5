"""What commands show on a terminal of 80 columns, looked at in tmux."""

from collections.abc import Iterator

import pytest

from app.cli.rules.backtest import WAITS
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack
from tests.acceptance.terminal import COLUMNS, SECONDS, Terminal, need
from tests.acceptance.waiting import wait_until

pytestmark = pytest.mark.acceptance
BAR = "━━━"
NAME = "Orders that are far too large for the customer who made them"


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
    for amount in (100, 750):
        event = {"type": "order", "amount": amount, "customer": NAME, "items": ["a" * 40] * 3}
        stack.post("/events", event)
    stack.eventually(lambda: stack.get("/notifications?status=dead").json()["data"])


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
}


@pytest.mark.parametrize(("words", "shown"), LISTS.items())
def test_no_line_is_wider_than_the_terminal(terminal: Terminal, words: str, shown: str) -> None:
    lines = terminal.run(f"sentinel {words}")
    assert any(shown in line for line in lines)
    assert [line for line in lines if len(line) > COLUMNS] == []


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
