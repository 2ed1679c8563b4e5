"""The parts of `up` that need no server."""

import fcntl
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from app.cli.local import binaries, migrations, renewal
from app.cli.local.environment import Ports, auth, complete
from app.cli.local.errors import LocalError, Stopped
from app.cli.local.home import CHECKOUT, Home, User, private_folder
from app.cli.local.listeners import listen_from
from app.cli.local.ports import is_free, next_free
from app.cli.local.process import Spec
from app.cli.local.running import INBOX_PORT
from app.cli.local.server import connect
from app.cli.local.services import broker_url
from app.cli.local.stack import LocalStack
from app.cli.local.supervisor import Supervisor
from app.client import ApiError

PORTS = Ports(api=8000, inbox=8025)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.path.mkdir()
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Supervisor:
    return Supervisor(said.append)


def spec(folder: Path, code: str, name: str = "child", **options: bool) -> Spec:
    return Spec(
        name,
        (sys.executable, "-c", code),
        log=folder / f"{name}.log",
        patience=0.5,
        **options,  # type: ignore[arg-type]
    )


def tick_until(supervisor: Supervisor, said: list[str], count: int) -> None:
    for _ in range(400):
        supervisor.tick()
        if len(said) >= count:
            return
    raise AssertionError(said)


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free("127.0.0.1", taken)
        assert next_free(taken) > taken


def test_two_that_look_for_a_port_at_once_get_two() -> None:
    with listen_from(INBOX_PORT, 8000) as first, listen_from(INBOX_PORT, 8000) as second:
        ports = [one.getsockname()[1] for one in (first, second)]
        assert INBOX_PORT <= ports[0] < ports[1]


def test_a_port_that_the_api_is_to_have_is_left_to_it() -> None:
    with listen_from(INBOX_PORT, taken=INBOX_PORT) as listener:
        assert listener.getsockname()[1] > INBOX_PORT


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.10"])
def test_no_keys_are_asked_for_on_loopback(host: str) -> None:
    assert auth(host, {}) == "off"
    assert auth(host, {"SENTINEL_AUTH": "keys"}) == "keys"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com"])
def test_keys_are_asked_for_elsewhere(host: str) -> None:
    assert auth(host, {}) == "keys"
    with pytest.raises(LocalError, match="is refused"):
        auth(host, {"SENTINEL_AUTH": "off"})


def test_the_inbox_is_slack_unless_there_is_a_real_one(home: Home) -> None:
    env = complete(
        home, PORTS, {"SENTINEL_EGRESS_ALLOW": "10.0.0.0/8"}, "postgresql://", "unix:///s"
    )
    assert env["SLACK_API_URL"] == "http://127.0.0.1:8025/api/"
    assert env["SENTINEL_EGRESS_ALLOW"] == "10.0.0.0/8,127.0.0.1:8025"
    real = complete(home, PORTS, {"SLACK_BOT_TOKEN": "xoxb-1"}, "postgresql://", "unix:///s")
    assert real["SLACK_BOT_TOKEN"] == "xoxb-1"
    assert "SLACK_API_URL" not in real


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SENTINEL_RETRY_BASE", "abc", "is 'abc'; it must be a number"),
        ("DATABASE_URL", "mysql://x", "must begin with postgresql://"),
        ("SENTINEL_SECRET_KEY_FILE", "/nowhere", "cannot read /nowhere"),
        ("SENTINEL_EGRESS_ALLOW", "a:b", "'a:b' is neither"),
        ("SENTINEL_HOOK_SECRETS", "none=x", "item 1 is no source=secret"),
        ("SENTINEL_API_WORKERS", "0", "is 0; it must be between 1 and 256"),
        ("SENTINEL_API_THREADS", "many", "is 'many'; it must be a number"),
        ("SENTINEL_FLOWER_PORT", "http", "is 'http'; it must be a number"),
        ("SENTINEL_EXPORTER_PORT", "70000", "is 70000; it must be between 1 and 65535"),
    ],
)
def test_a_wrong_setting_is_told_before_any_server_is_started(
    home: Home, supervisor: Supervisor, name: str, value: str, told: str
) -> None:
    ports = Ports(api=next_free(20_000), inbox=8025)
    stack = LocalStack(home, ports, supervisor, lambda _step, _seconds: None, {name: value})
    with pytest.raises(LocalError, match=f"^{name}: .*{told}"):
        stack.check()
    assert supervisor.names() == []


@pytest.mark.parametrize("name", ["SENTINEL_API_WORKERS", "SENTINEL_API_THREADS"])
@pytest.mark.parametrize("value", ["0", "two"])
def test_the_api_does_not_start_with_a_number_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    # With no process at all it would listen, and answer nobody.
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"^sentinel: {name}: is '?{value}'?; it must be"):
        runpy.run_path(str(CHECKOUT / "deploy" / "gunicorn.conf.py"))


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1"])
def test_an_address_that_is_not_this_machines_is_told_as_that_and_not_as_a_taken_port(
    home: Home, supervisor: Supervisor, host: str
) -> None:
    ports = Ports(api=next_free(20_000), inbox=8025, host=host)
    stack = LocalStack(home, ports, supervisor, lambda _step, _seconds: None, {})
    with pytest.raises(LocalError, match=f"^cannot listen on {host}, port {ports.api}: "):
        stack.check()


def test_a_taken_port_is_told_with_one_to_choose_instead(
    home: Home, supervisor: Supervisor
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = Ports(api=server.getsockname()[1], inbox=8025)
        stack = LocalStack(home, ports, supervisor, lambda _step, _seconds: None, {})
        with pytest.raises(LocalError, match=f"is taken.*--port {ports.api + 1}"):
            stack.check()


def test_secrets_are_made_once_and_kept_private(home: Home) -> None:
    first = home.secret("secret_key")
    assert home.secret("secret_key") == first
    assert (home.path / "secret_key").stat().st_mode & 0o077 == 0


def test_two_that_make_a_secret_at_once_have_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[str] = []

    def late(size: int) -> bytes:
        monkeypatch.undo()
        others.append(Home(home.path).secret("secret_key"))
        return bytes(size)

    monkeypatch.setattr("secrets.token_bytes", late)
    assert [home.secret("secret_key")] == others
    assert [home.secret("secret_key")] == others
    assert [file.name for file in home.path.iterdir()] == ["secret_key"]


def test_socket_paths_stay_short(tmp_path: Path) -> None:
    home = Home(tmp_path / ("long" * 40))
    assert len(str(home.sockets / ".s.PGSQL.5432")) < 100


def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(LocalError, match="belongs to somebody else"):
        private_folder(tmp_path / "link", User.current())


def test_the_broker_of_a_socket_is_spelled_for_kombu() -> None:
    assert (
        broker_url({"REDIS_URL": "unix:///run/s.sock"})
        == "redis+socket:///run/s.sock?virtual_host=0"
    )
    assert broker_url({"REDIS_URL": "redis://h/0", "CELERY_BROKER_URL": "amqp://h"}) == "amqp://h/"


def test_the_heads_of_the_migrations_are_alembics() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(CHECKOUT / "migrations"))
    assert migrations.heads() == set(ScriptDirectory.from_config(config).get_heads())


def test_without_any_server_it_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_wheel", lambda _package: None)
    monkeypatch.setattr(binaries, "DEBIAN", Path("/nonexistent"))
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(LocalError, match="Set DATABASE_URL"):
        binaries.find_postgres(None)
    with pytest.raises(LocalError, match="Set REDIS_URL"):
        binaries.find_redis()


def test_a_dead_child_is_started_again_and_said(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    first = supervisor.start(spec(tmp_path, "import time; time.sleep(60)"))
    first.signal(signal.SIGKILL)
    tick_until(supervisor, said, 2)
    assert "child died (signal 9); starting it again" in said[0]
    assert said[1] == f"child runs again (pid {supervisor.child('child').pid})"
    supervisor.stop([])


def test_what_nobody_needs_is_left_out_after_a_few_deaths(
    supervisor: Supervisor, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.local.supervisor.FIRST_PAUSE", 0.0)
    supervisor.start(spec(tmp_path, "raise SystemExit(3)", essential=False))
    tick_until(supervisor, said, 11)
    assert "exit code 3" in said[-1]
    assert "left out from now on" in said[-1]
    supervisor.stop([])


def test_a_child_that_ignores_the_end_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = supervisor.start(spec(tmp_path, code))
    supervisor.wait_until(lambda: bool((tmp_path / "child.log").read_text()), 10, "child")
    supervisor.stop([["child"]])
    assert child.exit_code == -signal.SIGKILL


def test_a_child_that_does_not_start_shows_the_end_of_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(spec(tmp_path, "raise SystemExit('no such luck')"))
    with pytest.raises(LocalError, match="no such luck"):
        supervisor.wait_until(lambda: False, 10, "child", needs=["child"])
    supervisor.stop([])


def test_the_wish_to_stop_ends_any_wait(supervisor: Supervisor) -> None:
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    supervisor.listen()
    try:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            supervisor.wait_until(lambda: False, 10, "nothing")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("host", "inbox"), [("127.0.0.1", "on"), ("::1", "on"), ("0.0.0.0", "off")]
)
def test_the_inbox_is_shown_to_this_machine_alone(tmp_path: Path, host: str, inbox: str) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    env = complete(home, Ports(8000, 8025, host), {}, "postgresql:///x", "unix:///x")
    assert env["SENTINEL_INBOX"] == inbox
    assert ("SLACK_BOT_TOKEN" in env) == (inbox == "on")


def test_commands_ask_the_up_of_their_home_while_it_holds_the_lock(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENTINEL_URL", raising=False)
    monkeypatch.setenv("SENTINEL_HOME", str(home.path))
    # Neither is there a server: who is asked is in the answer.
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        home.lock()
        assert home.url() is None
        home.tell(url)
        with pytest.raises(ApiError, match=url):
            connect().keys()
        home.unlock()
        assert home.url() is None
    monkeypatch.setenv("SENTINEL_URL", "http://127.0.0.1:3")
    with pytest.raises(ApiError, match=r"http://127\.0\.0\.1:3"):
        connect().keys()


def test_a_command_that_looks_who_runs_here_keeps_no_up_from_starting(home: Home) -> None:
    home.lock()
    home.unlock()
    # What `Home.holder` does, held long enough to be met.
    look = (home.path / "lock").open("rb")
    fcntl.flock(look, fcntl.LOCK_SH)
    end = threading.Timer(0.02, look.close)
    end.start()
    home.lock()
    end.join()
    with pytest.raises(LocalError, match=r"another .* runs"):
        Home(home.path).lock()
    home.unlock()


def test_what_holds_a_home_and_is_no_up_is_asked_for_no_restart(home: Home) -> None:
    home.lock(up=False)
    with pytest.raises(LocalError, match=r"no .* runs"):
        renewal.ask(home)
    with pytest.raises(LocalError, match=r"another .* runs"):
        Home(home.path).lock()
    home.unlock()
