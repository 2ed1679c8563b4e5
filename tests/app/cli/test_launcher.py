"""The launcher, with a lock of one tiny wheel in place of Sentinel's."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from app.cli.local.home import CHECKOUT

LAUNCHER = CHECKOUT / "sentinel"
SECONDS = 120


class Checkout:
    """A folder with the launcher, a lock, and a command line that says what it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self.wheels.mkdir(parents=True)
        shutil.copy(LAUNCHER, folder / "sentinel")
        cli = folder / "app" / "cli"
        cli.mkdir(parents=True)
        for package in (folder / "app", cli):
            (package / "__init__.py").touch()
        (cli / "__main__.py").write_text(
            "import sys, tiny\nprint('tiny', tiny.VERSION, *sys.argv[1:])\n"
        )
        self.lock("1.0")

    def lock(self, version: str) -> None:
        """Lock a wheel of that version."""
        wheel = make_wheel(self.wheels, version)
        value = hashlib.sha256(wheel.read_bytes()).hexdigest()
        text = f"tiny=={version} \\\n    --hash=sha256:{value}\n"
        (self.folder / "requirements.txt").write_text(text)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
        }
        return subprocess.Popen(
            [sys.executable, self.folder / "sentinel", *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[str, str]:
        """What it printed, after it has ended well."""
        process = self.begin(*words)
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, err
        return out, err


def make_wheel(folder: Path, version: str) -> Path:
    """A wheel of one module."""
    info = f"tiny-{version}.dist-info"
    wheel = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("launcher", str(LAUNCHER))
    spec = spec_from_loader("launcher", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_it_installs_once_and_again_when_the_lock_changes(checkout: Checkout) -> None:
    out, err = checkout.run("rule", "list")
    assert out == "tiny 1.0 rule list\n"
    assert "Installing 1 packages of requirements.txt" in err

    assert checkout.run("rule") == ("tiny 1.0 rule\n", "")

    checkout.lock("2.0")
    out, err = checkout.run()
    assert out == "tiny 2.0\n"
    assert "Making" not in err


def test_two_at_once_install_once(checkout: Checkout) -> None:
    both = [checkout.begin(), checkout.begin()]
    ends = [process.communicate(timeout=SECONDS) for process in both]
    assert [out for out, _ in ends] == ["tiny 1.0\n", "tiny 1.0\n"]
    assert sum("Installed" in err for _, err in ends) == 1


def test_an_interrupted_installation_is_done_again(checkout: Checkout) -> None:
    first = checkout.begin()
    unfinished = checkout.folder / ".venv" / "sentinel-unfinished"
    deadline = time.monotonic() + SECONDS
    while not unfinished.exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    out, err = checkout.run()
    assert out == "tiny 1.0\n"
    assert "Making .venv" in err


def test_a_wheel_that_is_not_the_locked_one_is_refused(checkout: Checkout) -> None:
    lock = checkout.folder / "requirements.txt"
    lock.write_text(lock.read_text()[:-9] + "00000000\n")
    process = checkout.begin()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "DO NOT MATCH THE HASHES" in err


def test_without_ensurepip_it_says_what_to_install(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(launcher.LauncherError, match="apt install python3-venv"):
        launcher.need_pip()


def test_an_old_python_is_refused_in_words(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9))
    with pytest.raises(launcher.LauncherError, match=r"needs Python 3\.11 or newer"):
        launcher.main(["up"])


@pytest.mark.parametrize(
    ("words", "locks"),
    [
        (["rule", "list"], {"requirements.txt"}),
        (["up", "--port", "1"], {"requirements.txt", "requirements-local.txt"}),
        (["test"], {"requirements.txt", "requirements-local.txt", "requirements-dev.txt"}),
        (["convert", "sigma", "-"], {"requirements.txt", "requirements-convert.txt"}),
    ],
)
def test_each_command_gets_the_locks_it_needs(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch, words: list[str], locks: set[str]
) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert set(launcher.locks_for(words)) == locks


def test_no_lock_names_a_registry() -> None:
    for lock in CHECKOUT.glob("requirements*.txt"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock.name


def test_completion_installs_nothing(launcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(launcher.COMPLETING, "bash_complete")
    monkeypatch.setattr(launcher.Venv, "missing", lambda *_: ["requirements.txt"])
    monkeypatch.setattr(launcher.Venv, "ready", lambda *_: pytest.fail("it installed"))
    launcher.main(["rule"])
