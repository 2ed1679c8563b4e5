"""The application behind a real port, for commands that call the API."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from app.cli.__main__ import sentinel

Command = Callable[..., Result]


@pytest.fixture
def served(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The API's address, which commands find in the environment."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("SENTINEL_URL", url)
    yield url
    server.shutdown()
    thread.join()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`./sentinel …` in a folder of its own, without a server unless the test has one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("SENTINEL_API_KEY", raising=False)

    def run(*words: str, said: str | None = None) -> Result:
        return CliRunner().invoke(sentinel, words, input=said)

    return run
